"""One request to the API, in this process or through the local gateway, and what DynamoDB had to do with it."""

import contextlib
import json
import os
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from types import SimpleNamespace
from typing import Any, NamedTuple, Protocol
from urllib.parse import urlencode

from benchmarks.capacity import Meter


class Ask(NamedTuple):
    """A request."""

    method: str
    path: str
    token: str | None = None
    body: Any = None
    query: Mapping[str, str] = {}


class Answered(NamedTuple):
    """An answer, and the seconds that it took."""

    body: Any
    seconds: float


class Api(Protocol):
    """Something that answers."""

    def call(self, ask: Ask) -> Answered:
        """Raises RuntimeError for an answer that is none of success."""


class Handlers:
    """Both functions, called in this process as API Gateway calls them. What they log is thrown away.

    The environment must be as the template sets it before this is made.
    """

    def __init__(self) -> None:
        from commands import api as write  # noqa: PLC0415 - table names are read when these are imported
        from queries import api as read  # noqa: PLC0415

        self.routes = [*map(str, read.api.routes), *map(str, write.api.routes)]
        self._read, self._write = read.handler, write.handler
        self._nowhere = open(os.devnull, "w")  # noqa: SIM115, PTH123 - as long as the process

    def call(self, ask: Ask) -> Answered:
        """See `Api.call`."""
        event = _proxy_event(ask)
        handler: Callable[[Any, Any], Any] = self._read if ask.method == "GET" else self._write
        with contextlib.redirect_stdout(self._nowhere):
            begun = time.perf_counter()
            answer = handler(event, object())
            seconds = time.perf_counter() - begun
        return Answered(_checked(ask, answer["statusCode"], answer["body"]), seconds)


class Gateway:
    """The deployed API.

    Args:
        url: with its stage and without a slash at the end.
    """

    def __init__(self, url: str) -> None:
        import urllib3  # noqa: PLC0415

        self._url = url
        self._pool = urllib3.PoolManager()

    def call(self, ask: Ask) -> Answered:
        """See `Api.call`."""
        url = self._url + ask.path + (f"?{urlencode(ask.query)}" if ask.query else "")
        begun = time.perf_counter()
        answer = self._pool.request(ask.method, url, body=_body(ask), headers=_headers(ask), retries=False)
        seconds = time.perf_counter() - begun
        return Answered(_checked(ask, answer.status, answer.data), seconds)


class Watch(Meter):
    """What DynamoDB had to do: its calls and units, and the seconds spent waiting for it."""

    def __init__(self) -> None:
        super().__init__()
        self.waited = 0.0


@contextmanager
def watched() -> Iterator[Watch]:
    """Watch every DynamoDB client of this process meanwhile, PynamoDB's too. One call at a time."""
    from botocore.client import BaseClient  # noqa: PLC0415

    watch, client_class = Watch(), vars(BaseClient)["_make_api_call"]

    def call(client: Any, operation: str, request: dict[str, Any]) -> Any:
        if client.meta.service_model.service_name != "dynamodb":
            return client_class(client, operation, request)
        model = SimpleNamespace(name=operation)
        asked = watch.ask(request, model) or request
        begun = time.perf_counter()
        try:
            answer = client_class(client, operation, asked)
        finally:
            watch.waited += time.perf_counter() - begun
        watch.note(answer, model)
        return answer

    BaseClient._make_api_call = call  # noqa: SLF001
    try:
        yield watch
    finally:
        BaseClient._make_api_call = client_class  # noqa: SLF001


def _body(ask: Ask) -> str | None:
    return None if ask.body is None else json.dumps(ask.body)


def _headers(ask: Ask) -> dict[str, str]:
    headers = {"Accept": "application/json, text/html", "Content-Type": "application/json"}
    return headers | ({"Authorization": f"Bearer {ask.token}"} if ask.token else {})


def _checked(ask: Ask, status: int, body: str | bytes) -> Any:
    if status >= 300:
        raise RuntimeError(f"{ask.method} {ask.path} answered {status}: {body[:300]!r}")
    return json.loads(body) if body[:1] in {"{", b"{"} else body


def _proxy_event(ask: Ask) -> dict[str, Any]:
    return {
        "resource": "/{proxy+}",
        "path": ask.path,
        "httpMethod": ask.method,
        "headers": _headers(ask),
        "multiValueHeaders": None,
        "queryStringParameters": dict(ask.query) or None,
        "multiValueQueryStringParameters": None,
        "pathParameters": {"proxy": ask.path.removeprefix("/")},
        "stageVariables": None,
        "requestContext": {
            "requestId": "r",
            "path": ask.path,
            "stage": "bench",
            "httpMethod": ask.method,
            "identity": {"sourceIp": "127.0.0.1"},
        },
        "body": _body(ask),
        "isBase64Encoded": False,
    }
