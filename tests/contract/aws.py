"""Tables, and clients to which happens what happens on a network."""

import contextlib
import io
import json
import threading
from collections.abc import Callable, Iterator
from types import SimpleNamespace
from typing import Any, TypeAlias

from botocore.awsrequest import AWSResponse
from botocore.compat import HTTPHeaders
from botocore.exceptions import ConnectionClosedError

NewClient: TypeAlias = Callable[[str], Any]
"""From a service's name to a client that nobody else uses."""

TABLES = {"events": {"pk": "S", "sk": "N"}, "guards": {"pk": "S"}, "keys": {"pk": "S"}}
"""Those that the write side writes to, and their keys."""


@contextlib.contextmanager
def tables(client: Any, *names: str) -> Iterator[None]:
    """These tables, empty, for as long as the context lasts."""
    for name in names:
        keys = TABLES[name]
        client.create_table(
            TableName=name,
            BillingMode="PAY_PER_REQUEST",
            AttributeDefinitions=[{"AttributeName": key, "AttributeType": kind} for key, kind in keys.items()],
            KeySchema=[
                {"AttributeName": key, "KeyType": use} for key, use in zip(keys, ("HASH", "RANGE"), strict=False)
            ],
        )
    yield
    for name in names:
        client.delete_table(TableName=name)


class Calls:
    """Counts a client's calls by botocore's own events: of each operation, and of all its requests by HTTP."""

    def __init__(self, client: Any) -> None:
        self.made: list[str] = []
        client.meta.events.register("before-call.dynamodb.*", self._note)

    def _note(self, model: Any, **_: Any) -> None:
        self.made.append(model.name)

    def during(self, action: Callable[[], object]) -> list[str]:
        """The calls that an action makes."""
        before = len(self.made)
        action()
        return self.made[before:]


class LostAnswers:
    """From now on the first answer to each write of a client is lost: the server has done it, the connection ends.

    That is below botocore's own retries, which send the same request again.

    Args:
        is_real: a server answers by HTTP. It is asked here; moto has done the write when it is this one's turn.

    Attributes:
        lost: the operations whose answers were lost.
    """

    def __init__(self, client: Any, *, is_real: bool) -> None:
        self.lost: list[str] = []
        self._http = client._endpoint.http_session if is_real else None
        for operation in ("PutItem", "TransactWriteItems"):
            client.meta.events.register_last(f"before-send.dynamodb.{operation}", self._lose)

    def _lose(self, request: Any, event_name: str, **_: Any) -> None:
        if b"attempt=1" not in request.headers["amz-sdk-request"]:
            return
        if self._http:
            self._http.send(request)
        self.lost.append(event_name.rpartition(".")[2])
        raise ConnectionClosedError(endpoint_url=request.url)


def refuse_repeats(client: Any, operation: str, code: str, *reasons: str) -> list[str]:
    """Refuse what botocore sends again by itself. Returns the requests that have been refused.

    It is to be called after what loses the first answers.
    """
    refused: list[str] = []

    def answer(request: Any, **_: Any) -> AWSResponse | None:
        if b"attempt=1" in request.headers["amz-sdk-request"]:
            return None
        refused.append(operation)
        body: dict[str, Any] = {"__type": f"com.amazonaws.dynamodb.v20120810#{code}", "message": "refused by the test"}
        if reasons:
            body["CancellationReasons"] = [{"Code": reason} for reason in reasons]
        return AWSResponse(request.url, 400, HTTPHeaders(), _Raw(json.dumps(body).encode()))

    client.meta.events.register_first(f"before-send.dynamodb.{operation}", answer)
    return refused


class _Raw(io.BytesIO):
    """A body as botocore reads it."""

    def stream(self, **_: Any) -> Iterator[bytes]:
        yield self.getvalue()


def refuse(client: Any, operation: str, times: int, code: str, *reasons: str) -> list[str]:
    """Make the next calls of an operation fail, as what this DynamoDB never answers. Returns those that have failed."""
    failed: list[str] = []

    def answer(**_: Any) -> Any:
        if len(failed) == times:
            return None
        failed.append(operation)
        body = {"Error": {"Code": code, "Message": "refused by the test"}, "ResponseMetadata": {}}
        if reasons:
            body["CancellationReasons"] = [{"Code": reason} for reason in reasons]  # type: ignore[assignment]
        return SimpleNamespace(status_code=400), body

    client.meta.events.register(f"before-call.dynamodb.{operation}", answer)
    return failed


class OneAtATime:
    """A client for threads: moto checks a condition and writes in two steps, where DynamoDB does both in one."""

    def __init__(self, client: Any) -> None:
        self._client = client
        self._lock = threading.Lock()
        self.exceptions = client.exceptions

    def __getattr__(self, name: str) -> Any:
        call = getattr(self._client, name)

        def locked(**request: Any) -> Any:
            with self._lock:
                return call(**request)

        return locked
