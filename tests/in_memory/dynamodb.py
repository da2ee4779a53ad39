"""DynamoDB in memory, behind botocore's clients: exact in what it answers, refuses and costs, and faulty on demand.

    db = InMemoryDynamoDB(tables_of_the_template())
    with db.installed():
        db.faults = at_random(random.Random(1), 0.1)
        ...  # every DynamoDB client of this process, PynamoDB's too, talks to `db`
    print(db.used.calls.total(), db.used.write_units["views"])

It takes the place of `BaseClient._make_api_call`, so that no request is built, signed or sent: a call takes some ten
microseconds. `operations.py` says what is played, `faults.py` what can go wrong.
"""

import contextlib
import os
import threading
import time
import uuid
from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Iterator, Mapping
from functools import cache
from typing import Any
from unittest.mock import patch

import botocore.session
from botocore.client import BaseClient
from botocore.config import Config
from botocore.exceptions import ClientError, ConnectionClosedError

from tests.in_memory.expressions import Item
from tests.in_memory.faults import CrashError, Fault
from tests.in_memory.operations import Answer, Operations, Request
from tests.in_memory.refusals import RefusalError, cancelled
from tests.in_memory.tables import Change, Table

_ENVIRONMENT = {
    "AWS_ACCESS_KEY_ID": "test",
    "AWS_SECRET_ACCESS_KEY": "test",
    "AWS_DEFAULT_REGION": "eu-central-1",
    "AWS_REGION": "eu-central-1",
    "AWS_EC2_METADATA_DISABLED": "true",
}
_WRITES = {"PutItem", "UpdateItem", "DeleteItem", "TransactWriteItems"}
_TRANSACTIONS = {"TransactWriteItems", "TransactGetItems"}
_RETRIED = {
    "ProvisionedThroughputExceededException",
    "ThrottlingException",
    "InternalServerError",
    "TransactionInProgressException",
}


class Used:
    """What was used: calls by operation, and units by table.

    A request that failed counts too; one that the client sent again is another one.
    """

    def __init__(self) -> None:
        self.calls: Counter[str] = Counter()
        self.write_units: defaultdict[str, float] = defaultdict(float)
        self.read_units: defaultdict[str, float] = defaultdict(float)


class InMemoryDynamoDB:
    """An account's DynamoDB.

    Args:
        tables: by name, their properties as `AWS::DynamoDB::Table` has them.
        attempts: how often a client sends a request before it gives up; after what passes it sends it again, with
            the same token, and does not wait.
        clock: seconds since the epoch.

    Attributes:
        faults: what the next requests meet, one each; none when it is at its end.
        before_request: called with the operation before each request is carried out. Another's step may run in it.
        clock: see above.
        used: what was used since it was made.
    """

    def __init__(
        self, tables: Mapping[str, Mapping[str, Any]], *, attempts: int = 1, clock: Callable[[], float] = time.time
    ) -> None:
        self.faults: Iterator[Fault | None] = iter(())
        self.before_request: Callable[[str], object] = lambda _operation: None
        self.clock = clock
        self.used = Used()
        self._tables = {name: Table(name, properties) for name, properties in tables.items()}
        self._operations = Operations(self._tables, self._consume, clock)
        self._attempts = attempts
        self._lock = threading.RLock()
        self._meters = [self.used]

    # ---- for tests

    @contextlib.contextmanager
    def installed(self) -> Iterator["InMemoryDynamoDB"]:
        """Have every DynamoDB client of this process talk to this one, and give it an environment to be made in."""

        def call(client: Any, operation: str, request: Request) -> Answer:
            service = client.meta.service_model.service_name
            if service != "dynamodb":
                raise NotImplementedError(f"{operation} of {service}: only DynamoDB is played here")
            return self.call(client, operation, request)

        with patch.dict(os.environ, _ENVIRONMENT), patch.object(BaseClient, "_make_api_call", call):
            os.environ.pop("AWS_ENDPOINT_URL", None)
            os.environ.pop("AWS_PROFILE", None)
            yield self

    @contextlib.contextmanager
    def metered(self) -> Iterator[Used]:
        """What is used meanwhile."""
        meter = Used()
        self._meters.append(meter)
        try:
            yield meter
        finally:
            self._meters.remove(meter)

    def items(self, table: str) -> list[Item]:
        """All items of a table. Costs nothing and meets no fault."""
        return list(self._tables[table])

    def fill(self, table: str, items: Iterable[Item]) -> None:
        """Put items as if they had always been there: no stream tells of them."""
        for item in items:
            self._tables[table].write(*self._tables[table].check(item))

    def changes(self, table: str) -> list[Change]:
        """The records of a table's stream, in order; it grows."""
        return self._tables[table].changes

    def expire(self, table: str, now: float) -> int:
        """Remove what is past its time to live, as DynamoDB does sooner or later. Returns how many items that were.

        Args:
            now: seconds since the epoch.
        """
        with self._lock:
            return self._operations.expire(self._tables[table], now)

    def read_pages_of(self, size: int) -> None:
        """Have a query or scan read so many bytes in one call, so that few items make many pages."""
        self._operations.page_bytes = size

    # ---- the wire

    def call(self, client: Any, operation: str, request: Request) -> Answer:
        """One call of a client: as many requests as it takes, or as it has."""
        if operation == "TransactWriteItems" and "ClientRequestToken" not in request:
            request = {**request, "ClientRequestToken": str(uuid.uuid4())}  # as botocore does
        for attempt in range(self._attempts):
            try:
                answer = self._request(operation, request)
                answer["ResponseMetadata"] = {"HTTPStatusCode": 200, "HTTPHeaders": {}, "RetryAttempts": attempt}
            except ConnectionClosedError:
                if attempt + 1 == self._attempts:
                    raise
            except RefusalError as refusal:
                if attempt + 1 == self._attempts or refusal.code not in _RETRIED:
                    error: type[ClientError] = client.exceptions.from_code(refusal.code)
                    raise error(refusal.response, operation) from None  # type: ignore[arg-type]
            else:
                return answer
        raise AssertionError("a client makes one attempt at least")

    def _request(self, operation: str, request: Request) -> Answer:
        self.before_request(operation)
        fault = next(self.faults, None)
        for meter in self._meters:
            meter.calls[operation] += 1
        _refuse(fault, operation, request)
        later: Answer = {}
        if fault is Fault.PARTIAL and "RequestItems" in request:
            request, later = _halved(operation, request)
        try:
            with self._lock:
                answer = self._operations.carry_out(operation, request)
        finally:
            if fault is Fault.CRASH_AFTER:
                raise CrashError
            if fault is Fault.LOST_ANSWER:
                raise ConnectionClosedError(endpoint_url="https://dynamodb")
        return {**answer, **later}

    def _consume(self, table: str, *, written: float = 0, read: float = 0) -> None:
        for meter in self._meters:
            meter.write_units[table] += written
            meter.read_units[table] += read


@cache
def client() -> Any:
    """A client as the functions make theirs. Make it, and use it, while a DynamoDB is installed."""
    config = Config(region_name="eu-central-1", parameter_validation=False)
    return botocore.session.get_session().create_client(
        "dynamodb", config=config, aws_access_key_id="test", aws_secret_access_key="test"
    )


def _refuse(fault: Fault | None, operation: str, request: Request) -> None:
    """Raise what keeps a request from being carried out."""
    match fault:
        case Fault.CRASH_BEFORE:
            raise CrashError
        case Fault.UNSENT:
            raise ConnectionClosedError(endpoint_url="https://dynamodb")
        case Fault.THROTTLED if operation in _TRANSACTIONS:
            raise cancelled(_first_reason("ThrottlingError", request))
        case Fault.THROTTLED:
            raise RefusalError("ProvisionedThroughputExceededException", "The level of throughput was exceeded")
        case Fault.CONFLICT if operation in _TRANSACTIONS:
            raise cancelled(_first_reason("TransactionConflict", request))
        case Fault.CONFLICT if operation in _WRITES:
            raise RefusalError("TransactionConflictException", "Transaction is ongoing for the item")


def _first_reason(code: str, request: Request) -> list[dict[str, Any]]:
    others = [{"Code": "None"}] * (len(request["TransactItems"]) - 1)
    return [{"Code": code, "Message": f"{code} on the item"}, *others]


def _halved(operation: str, request: Request) -> tuple[Request, Answer]:
    """The first half of a batch of one table, and the rest as an answer gives it back."""
    ((name, wanted),) = request["RequestItems"].items()
    parts = wanted["Keys"] if operation == "BatchGetItem" else wanted
    if len(parts) < 2:
        return request, {}
    now, later = parts[: len(parts) // 2], parts[len(parts) // 2 :]
    if operation == "BatchGetItem":
        rest = {"UnprocessedKeys": {name: {**wanted, "Keys": later}}}
        return {**request, "RequestItems": {name: {**wanted, "Keys": now}}}, rest
    return {**request, "RequestItems": {name: now}}, {"UnprocessedItems": {name: later}}
