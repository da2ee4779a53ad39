"""The common design: an item per event, several in one transaction, states folded from the whole stream.

It decides, encodes and folds with opsledger's own code and uses its client, so that only the design differs. It has
no hash chain, no snapshots and no memory of commands.
"""

import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from datetime import datetime
from typing import Any

from benchmarks import local
from benchmarks.work import CHANGED_AT, LOADS, Thunk, Work, created, five, history, order, renamed
from commands.execution import Order, new_id
from domain.commit import Commit, Recorded, timestamp
from domain.event import DomainEvent, StoredEvent, decode, encode
from domain.tasks import TASKS, Task
from infra import clients

NAME = "item-per-event"


class ItemPerEvent:
    """A conditional put for one event, a transaction for more."""

    def __init__(self) -> None:
        self.client: Any = clients.dynamodb()
        for length in LOADS:
            self.write(f"load-{length}", length)

    @property
    def works(self) -> Mapping[str, Work]:
        loads = {f"load-{length}": self._load(length) for length in LOADS}
        return {"create": self._create(created), "change": self.change, "five-events": self._create(five), **loads}

    def write(self, task_id: str, events: int) -> None:
        """Store a task's history."""
        local.fill(self.client, local.PER_EVENT, items_of(history(task_id, events)))

    def change(self, number: int) -> Thunk:
        task_id = new_id()
        self.write(task_id, CHANGED_AT)

        def run() -> object:
            one, stream = order(), TASKS.stream(task_id)
            task, version = self.load(stream)
            return self.append(stream, version, renamed(number + 1000, one)(task), one)

        return run

    def load(self, stream: str) -> tuple[Task | None, int]:
        """The state and the version, from every event."""
        request: dict[str, Any] = {
            "TableName": local.PER_EVENT,
            "KeyConditionExpression": "pk = :pk",
            "ExpressionAttributeValues": {":pk": {"S": stream}},
            "ConsistentRead": True,
        }
        task, version = None, 0
        while True:
            page = self.client.query(**request)
            for item in page["Items"]:
                stored = StoredEvent(item["t"]["S"], int(item["v"]["N"]), json.loads(item["d"]["S"]))
                version = int(item["sk"]["N"])
                at = datetime.fromisoformat(item["at"]["S"])
                task = TASKS.evolve(task, Recorded(decode(stored), version, at, item["by"]["S"]))
            if "LastEvaluatedKey" not in page:
                return task, version
            request["ExclusiveStartKey"] = page["LastEvaluatedKey"]

    def append(self, stream: str, version: int, events: Sequence[DomainEvent], one: Order) -> object:
        """Write the events after `version`, all or none."""
        about = {"at": timestamp(one.at), "by": one.by, "co": one.correlation_id, "ca": one.causation_id}
        puts = [
            {
                "TableName": local.PER_EVENT,
                "Item": _item(stream, version + place, encode(event), {**about, "id": new_id()}),
                "ConditionExpression": "attribute_not_exists(pk)",
            }
            for place, event in enumerate(events, 1)
        ]
        if len(puts) == 1:
            return self.client.put_item(**puts[0])
        transaction = [{"Put": put} for put in puts]
        return self.client.transact_write_items(TransactItems=transaction, ClientRequestToken=new_id())

    def _create(self, decided: Callable[[Order], Callable[[Task | None], Sequence[DomainEvent]]]) -> Work:
        def run() -> object:
            one = order()
            return self.append(TASKS.stream(new_id()), 0, decided(one)(None), one)

        return lambda _: run

    def _load(self, length: int) -> Work:
        stream = TASKS.stream(f"load-{length}")
        return lambda _: lambda: self.load(stream)


def items_of(commits: Sequence[Commit]) -> Iterator[dict[str, Any]]:
    """The same events, an item each."""
    for commit in commits:
        about = {
            "id": commit.id,
            "at": timestamp(commit.at),
            "by": commit.by,
            "co": commit.correlation_id,
            "ca": commit.causation_id,
        }
        for place, stored in enumerate(commit.stored_events()):
            yield _item(commit.stream, commit.version + place, stored, about)


def _item(stream: str, version: int, stored: StoredEvent, about: Mapping[str, str]) -> dict[str, Any]:
    return {
        "pk": {"S": stream},
        "sk": {"N": str(version)},
        "t": {"S": stored.t},
        "v": {"N": str(stored.v)},
        "d": {"S": json.dumps(stored.d, ensure_ascii=False, separators=(",", ":"))},
        **{name: {"S": value} for name, value in about.items()},
    }
