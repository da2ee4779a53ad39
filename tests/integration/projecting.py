"""The projector over a views table in memory, or handed a batch of stream records; and what happens to tasks."""

from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any
from unittest.mock import patch

from domain.commit import Commit
from domain.tasks import (
    Priority,
    Status,
    TaskAssigned,
    TaskCommented,
    TaskDeleted,
    TaskDetailsChanged,
    TaskStatusChanged,
)
from infra import changes, generations, marks
from infra.changes import Change, OutrunError, RefusedError, Unit
from infra.generations import Bearings, Generations
from infra.personal_data import MemoryDataKeys, PersonalData
from infra.views import Key, Row
from projections import projector
from projections.projector import Projector, projections

if TYPE_CHECKING:
    from domain.event import DomainEvent
    from tests.integration.conftest import History

Items = Callable[[], dict[tuple[str, str], dict[str, Any]]]
Shown = dict[Key, dict[str, Any]]

BY_CATEGORY = {projection.category: projection for projection in projections(PersonalData(MemoryDataKeys()))}
MAIN_ROWS = {"task": "task", "user": "user"}

LATER = TaskDetailsChanged(
    title="A title",
    description="A description",
    priority=Priority.HIGH,
    due_date=datetime(2026, 8, 1, tzinfo=UTC),
)
STEPS: Mapping[str, Sequence["DomainEvent"]] = {
    "comment": [TaskCommented(comment_id="c", comment="Looked at it.")],
    "two comments": [TaskCommented(comment_id=c, comment=f"Said {c}.") for c in "ab"],
    "start": [TaskStatusChanged(old=Status.OPEN, new=Status.IN_PROGRESS)],
    "close": [TaskStatusChanged(old=Status.IN_PROGRESS, new=Status.CLOSED)],
    "assign": [TaskAssigned(user_id="bob")],
    "unassign": [TaskAssigned(previous_user_id="bob")],
    "reopen": [TaskStatusChanged(old=Status.CLOSED, new=Status.IN_PROGRESS)],
    "low": [TaskDetailsChanged(title="Another title", description="Another description", priority=Priority.LOW)],
    "due": [LATER],
    "due and assigned": [LATER, TaskAssigned(user_id="bob")],
    "due later": [LATER.model_copy(update={"due_date": datetime(2026, 9, 1, tzinfo=UTC)})],
    "give back": [TaskAssigned(user_id="ann", previous_user_id="bob")],
    "delete": [TaskDeleted()],
}


class CrashError(Exception):
    """The function dies here."""


class Views:
    """The views table in memory: the part of `infra.views` that the projector uses, with the real cutting in groups.

    Args:
        faults: what happens at each transaction, in order; afterwards nothing does.
    """

    OutrunError = OutrunError
    RefusedError = RefusedError

    def __init__(self, faults: Sequence[str] = ()) -> None:
        self.rows: Shown = {}
        self.counters: Counter[Key] = Counter()
        self.marks: dict[str, tuple[int, str]] = {}
        self.faults = list(faults)
        self.overtake: Callable[[], object] = lambda: None

    def rows_by_key(self, keys: Iterable[Key]) -> dict[Key, Row]:
        return {key: Row(**self.rows[key]) for key in keys if key in self.rows}

    def bearings(self) -> Bearings:
        return Bearings(Generations(), {(1, stream) for stream in self.marks})

    def park(self, generation: int, stream: str, version: int, error: str) -> None:
        assert generation == 1
        self.marks[stream] = (version, error)

    def apply(self, units: Iterable[Unit], still_valid: Callable[[], bool]) -> None:
        assert still_valid()
        for units_together in changes._groups(units):
            group = [change for unit in units_together for change in unit]
            fault = self.faults.pop(0) if self.faults else ""
            if fault == "crash before":
                raise CrashError
            if fault == "conflict":
                raise OutrunError
            if fault == "overtaken":
                self.overtake()
            if any(self._version(change.row.key) != change.read_version for change in group):
                raise OutrunError
            for change in group:
                self._write(change)
            if fault == "crash after":
                raise CrashError

    def _write(self, change: Change) -> None:
        assert not {row.key for row in change.added} & set(change.removed)  # DynamoDB takes an item once
        for row in (change.row, *change.added):
            self.rows[row.key] = dict(row.attribute_values)
        for key in change.removed:
            self.rows.pop(key, None)
        self.counters.update(change.moves)
        if change.unparks:
            del self.marks[change.stream]

    def _version(self, key: Key) -> int:
        return int(self.rows[key]["version"]) if key in self.rows else 0

    def shown(self) -> tuple[Shown, dict[Key, int], dict[str, tuple[int, str]]]:
        return self.rows, {key: n for key, n in self.counters.items() if n}, self.marks

    def recounted(self) -> dict[Key, int]:
        """The counters, as the sum of what every row contributes."""
        sums: Counter[Key] = Counter()
        for key, row in self.rows.items():
            category = key.pk.partition("#")[0]
            if category == "event" or MAIN_ROWS.get(category) == key.sk:
                sums.update(BY_CATEGORY[category].contributions(Row(**row)))
        return dict(sums)


@contextmanager
def using(table: Views) -> Iterator[Views]:
    with (
        patch.object(projector, "views", table),
        patch.object(projector, "changes", table),
        patch.object(projector, "counters", table),
        patch.object(marks, "park", table.park),
        patch.object(generations, "bearings", table.bearings),
        patch.object(generations, "present", Generations),
    ):
        yield table


def projected(history: "History", hints: Iterable[Commit], table: Views) -> int:
    """Projects into a table in memory. Returns how many streams moved."""
    with using(table):
        return projector_of(history).project(hints)


def projector_of(history: "History", sleep: Callable[[float], None] = lambda _seconds: None) -> Projector:
    return Projector(history.store, projections(history.people), sleep)


def replayed(history: "History") -> Views:
    """A fresh table after every commit, one by one in order."""
    table = Views()
    for commit in history.commits:
        projected(history, [commit], table)
    return table


def record(image: Mapping[str, Any], name: str = "INSERT") -> dict[str, Any]:
    keys = {name: value for name, value in image.items() if name in {"pk", "sk"}}
    change = {"Keys": keys, "OldImage" if name == "REMOVE" else "NewImage": dict(image)}
    return {"eventID": "1", "eventName": name, "eventSource": "aws:dynamodb", "dynamodb": change}


def batch(history: "History", commits: Iterable[Commit]) -> dict[str, Any]:
    return {"Records": [record(history.image(commit)) for commit in commits]}


def counter(items: Items, partition: str) -> dict[str, int]:
    return {sk: int(item["n"]["N"]) for (pk, sk), item in items().items() if pk == partition}
