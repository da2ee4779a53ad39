"""What calls cost: counted by hooks on a client, apart from the timed runs, so that counting costs these nothing."""

import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any

from benchmarks.report import Cost

_READS = {"Query", "Scan"}
_WITHOUT = {"CreateTable", "DescribeTable", "ListTables"}


class Meter:
    """Sums of what a client's calls cost."""

    def __init__(self) -> None:
        self.calls = 0
        self.wcu = 0.0
        self.rcu = 0.0
        self._params: dict[str, Any] = {}

    def cost(self, executions: int = 1) -> Cost:
        """The mean of so many executions."""
        return Cost(*(round(total / executions, 2) for total in (self.calls, self.wcu, self.rcu)))

    def ask(self, params: dict[str, Any], model: Any, **_: Any) -> dict[str, Any] | None:
        """Before a call: have DynamoDB say what it consumes."""
        self._params = params
        return None if model.name in _WITHOUT else {**params, "ReturnConsumedCapacity": "TOTAL"}

    def note(self, parsed: dict[str, Any], model: Any, **_: Any) -> None:
        """After a call."""
        self.calls += 1 + parsed.get("ResponseMetadata", {}).get("RetryAttempts", 0)
        consistent = bool(self._params.get("ConsistentRead"))
        if model.name in _READS:
            self.rcu += read_units(parsed.get("Items", ()), consistent=consistent)
            return
        if model.name == "GetItem":
            self.rcu += read_units([parsed.get("Item", {})], consistent=consistent)
            return
        if model.name == "BatchGetItem":  # each item is rounded up by itself
            for table, wanted in self._params["RequestItems"].items():
                found = parsed["Responses"].get(table, [])
                absent = [{}] * (len(wanted["Keys"]) - len(found))
                consistent = bool(wanted.get("ConsistentRead"))
                self.rcu += sum(read_units([item], consistent=consistent) for item in [*found, *absent])
            return
        if model.name == "BatchWriteItem":  # for this the emulator does not say
            requests = [request for table in self._params["RequestItems"].values() for request in table]
            self.wcu += sum(math.ceil(item_bytes(request["PutRequest"]["Item"]) / 1024) for request in requests)
            return
        consumed = parsed.get("ConsumedCapacity") or []
        self.wcu += sum(table["CapacityUnits"] for table in (consumed if isinstance(consumed, list) else [consumed]))


@contextmanager
def metered(*clients: Any) -> Iterator[Meter]:
    """Count what these clients do meanwhile. One call at a time."""
    meter = Meter()
    hooks: list[tuple[str, Callable[..., Any]]] = [
        ("provide-client-params.dynamodb", meter.ask),
        ("after-call.dynamodb", meter.note),
    ]
    for client in clients:
        for event, hook in hooks:
            client.meta.events.register(event, hook)
    try:
        yield meter
    finally:
        for client in clients:
            for event, hook in hooks:
                client.meta.events.unregister(event, hook)


def read_units(items: Sequence[Mapping[str, Any]], *, consistent: bool) -> float:
    """What reading these items in one Query or Scan costs: 1 unit per 4 KB begun, half when eventually consistent.

    From "Read and write capacity" in the DynamoDB Developer Guide: sizes are summed first, then rounded up.
    """
    units = max(1, math.ceil(sum(item_bytes(item) for item in items) / 4096))
    return units if consistent else units / 2


def item_bytes(item: Mapping[str, Any]) -> int:
    """An item's size as DynamoDB counts it ("DynamoDB item sizes and formats", Developer Guide).

    Takes the client's typed form or the resource's plain one.
    """
    return sum(len(name.encode()) + _value_bytes(value) for name, value in item.items())


def _value_bytes(value: Any) -> int:
    if isinstance(value, Mapping):
        kind, plain = next(iter(value.items()))
        if kind == "N":
            return math.ceil(len(plain.strip("-").strip("0")) / 2) + 1
        return _value_bytes(plain)
    if isinstance(value, str):
        return len(value.encode())
    if isinstance(value, bytes):
        return len(value)
    if hasattr(value, "value"):  # boto3's Binary
        return len(value.value)
    return math.ceil(len(str(value)) / 2) + 1
