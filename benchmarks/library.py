"""The `eventsourcing` library's own way: an aggregate class, its mapper, repository and projector.

`eventsourcing-dynamodb` 0.1.0 stores its events. It is not required by the project: `--packages` names a folder that
holds it (`pip install --no-deps --target FOLDER eventsourcing-dynamodb==0.1.0`).
"""

import importlib
from collections.abc import Mapping
from typing import Any
from uuid import UUID

from eventsourcing.application import Repository
from eventsourcing.domain import Aggregate, event
from eventsourcing.persistence import AggregateRecorder, DatetimeAsISO, EventStore, JSONTranscoder, Mapper, UUIDAsHex

from benchmarks import local
from benchmarks.work import ANN, CHANGED_AT, DESCRIPTION, LOADS, TITLE, Thunk, Work

NAME = "eventsourcing-dynamodb"


class LibraryTask(Aggregate):
    """A task as that library's guide would write it, with the fields that the works touch."""

    @event("Created")
    def __init__(self, title: str, description: str, priority: str, created_by: str) -> None:
        self.title = title
        self.description = description
        self.priority = priority
        self.created_by = created_by
        self.status = "open"
        self.assigned_user_id: str | None = None
        self.comments: list[tuple[str, str]] = []

    @event("DetailsChanged")
    def change(self, title: str, description: str, priority: str) -> None:
        self.title = title
        self.description = description
        self.priority = priority

    @event("Assigned")
    def assign(self, user_id: str) -> None:
        self.assigned_user_id = user_id

    @event("StatusChanged")
    def set_status(self, new: str) -> None:
        self.status = new

    @event("Commented")
    def comment(self, comment_id: str, comment: str) -> None:
        self.comments.append((comment_id, comment))


class Stored:
    """Aggregates behind a recorder."""

    def __init__(self, recorder: AggregateRecorder) -> None:
        transcoder = JSONTranscoder()
        transcoder.register(UUIDAsHex())
        transcoder.register(DatetimeAsISO())
        self.mapper: Mapper[UUID] = Mapper(transcoder)
        self.events: EventStore[UUID] = EventStore(self.mapper, recorder)
        self.repository: Repository[UUID] = Repository(self.events)

    def create(self) -> LibraryTask:
        return LibraryTask(title=TITLE, description=DESCRIPTION, priority="high", created_by=ANN)

    def save(self, task: LibraryTask) -> None:
        self.events.put(task.collect_events())

    def get(self, task_id: UUID) -> LibraryTask:
        return self.repository.get(task_id)

    def make(self, events: int) -> UUID:
        """Store a task with so many events. Returns its id."""
        task = self.create()
        for number in range(1, events):
            task.change(f"{TITLE} ({number})", DESCRIPTION, "high")
        self.save(task)
        return task.id


class Library:
    """The library on DynamoDB.

    Raises:
        ImportError: the package is not there.
    """

    def __init__(self) -> None:
        boto3: Any = importlib.import_module("boto3")
        recorders: Any = importlib.import_module("eventsourcing_dynamodb.recorders")
        resource = boto3.resource("dynamodb")
        self.client: Any = resource.meta.client
        self._stored = Stored(recorders.DynamoAggregateRecorder(local.LIBRARY, resource))
        self._loads = {length: self._stored.make(length) for length in LOADS}

    @property
    def works(self) -> Mapping[str, Work]:
        loads = {f"load-{length}": self._load(task_id) for length, task_id in self._loads.items()}
        return {"create": self.create, "change": self.change, "five-events": self.five_events, **loads}

    def create(self, _: int) -> Thunk:
        def run() -> None:
            self._stored.save(self._stored.create())

        return run

    def change(self, number: int) -> Thunk:
        task_id = self._stored.make(CHANGED_AT)

        def run() -> None:
            task = self._stored.get(task_id)
            task.change(f"{TITLE} ({number + 1000})", DESCRIPTION, "high")
            self._stored.save(task)

        return run

    def five_events(self, number: int) -> Thunk:
        def run() -> None:
            task = self._stored.create()
            task.assign(ANN)
            task.set_status("in_progress")
            task.comment(f"a{number}", "Looking at it.")
            task.comment(f"b{number}", "Old logs; they are being moved.")
            self._stored.save(task)

        return run

    def _load(self, task_id: UUID) -> Work:
        return lambda _: lambda: self._stored.get(task_id)
