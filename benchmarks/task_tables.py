"""Tables full of open tasks: commits as the write side makes them, rows and counters as the projection makes them.

The tables are those of the template but without streams, and are filled directly: nothing else happens in them.
"""

import os
import uuid
from collections import Counter
from collections.abc import Iterable, Iterator
from datetime import UTC, datetime, timedelta
from itertools import islice
from typing import Any

from benchmarks import local
from benchmarks.work import DESCRIPTION
from commands.execution import Order, execute, new_id
from domain.commit import Commit
from domain.decider import Context
from domain.monitoring_events import event_id
from domain.tasks import TASKS, CreateTask, Priority, create
from infra import clients
from infra.commits import to_item
from infra.memory_event_store import MemoryEventStore
from ops import paths, template

TABLES = {
    "EventsTable": "EVENTS_TABLE",
    "ViewsTable": "VIEWS_TABLE",
    "OutboxTable": "OUTBOX_TABLE",
    "GuardsTable": "GUARDS_TABLE",
}
PEOPLE = 10
ADMIN = new_id()
FIRST = datetime.now(UTC).replace(microsecond=0) - timedelta(days=100)
SPAN = timedelta(days=99)
"""The tasks are made evenly in this time."""

PARTS = ("BillingMode", "AttributeDefinitions", "KeySchema", "GlobalSecondaryIndexes")


def make_tables() -> None:
    """Make the tables in the emulator that this process talks to, and name them as the template does."""
    defined = template.load(paths.TEMPLATE)["Resources"]
    for logical_id, variable in TABLES.items():
        properties = defined[logical_id]["Properties"]
        os.environ[variable] = f"bench-{logical_id}"
        wanted: dict[str, Any] = {part: properties[part] for part in PARTS if part in properties}
        clients.dynamodb().create_table(TableName=f"bench-{logical_id}", **wanted)


class FilledTables:
    """So many open tasks.

    Priorities, ten assignees and due dates go round: every second task has one, every eighth is overdue. Twenty are
    about one event. So the page of each list is full, or has the same tasks, whatever their number.
    """

    def __init__(self, tasks: int) -> None:
        self.people = [new_id() for _ in range(PEOPLE)]
        self.event = event_id(int(FIRST.timestamp()), str(uuid.uuid4()))
        self.made: list[str] = []
        _write(commit for number in range(tasks) for commit in self._task(number, FIRST + SPAN * number / tasks))

    def _task(self, number: int, at: datetime) -> Iterator[Commit]:
        at = at.replace(microsecond=0)
        task_id, store = new_id(), MemoryEventStore()
        overdue = number % 8 == 0
        due = at + timedelta(hours=1) if overdue else datetime.now(UTC) + timedelta(days=1 + number % 300)
        command = CreateTask(
            title=f"Disk {number} is nearly full",
            description=DESCRIPTION,
            priority=list(Priority)[number % len(Priority)],
            assigned_user_id=self.people[number % PEOPLE],
            due_date=int(due.timestamp()) if number % 2 == 0 else None,
        )
        order = Order(by=ADMIN, at=at, correlation_id=task_id, causation_id=task_id)
        about = self.event if number < 200 and number % 10 == 7 else None
        context = Context(at=at, by=ADMIN)
        execute(store, TASKS, task_id, lambda _: create(command, context, event_id=about), order, creates=True)
        self.made.append(task_id)
        return iter(store.streams[TASKS.stream(task_id)])


def _write(commits: Iterator[Commit]) -> None:
    """Commits, rows and counters, in batches. Every commit is a stream of its own here."""
    from infra.counters import CounterRow  # noqa: PLC0415 - the table's name is read when this is imported
    from infra.views import Key, Row  # noqa: PLC0415 - the table's name is read when this is imported
    from projections.tasks import TaskProjection  # noqa: PLC0415

    projection = TaskProjection()
    sums: Counter[Key] = Counter()
    while some := list(islice(commits, 500)):
        local.fill(clients.dynamodb(), os.environ["EVENTS_TABLE"], map(to_item, some))
        with Row.batch_write() as batch:
            for row in _rows(projection, some, sums):
                batch.save(row)
    with CounterRow.batch_write() as batch:
        for key, n in sums.items():
            batch.save(CounterRow(key.pk, key.sk, n=n))


def _rows(projection: Any, commits: Iterable[Commit], sums: Any) -> Iterator[Any]:
    for commit in commits:
        folded = projection.fold(None, commit.stream, list(commit.recorded()))
        sums.update(projection.contributions(folded.row))
        yield folded.row
        yield from folded.added
