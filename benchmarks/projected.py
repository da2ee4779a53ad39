"""What is projected: commits as the write side makes them, of monitoring events and of what people do to tasks."""

import json
import math
import random
import uuid
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, NamedTuple

from benchmarks.work import DESCRIPTION, TITLE
from commands.execution import Order, execute, new_id
from domain.commit import Commit
from domain.decider import Context
from domain.event import DomainEvent
from domain.monitoring_events import MONITORING_EVENTS, event_id, recorded
from domain.sources.envelope import delivery_uuid, parse
from domain.sources.registry import map_envelope
from domain.tasks import (
    TASKS,
    ChangeTask,
    ChangeTaskStatus,
    CommentOnTask,
    CreateTask,
    Priority,
    Status,
    Task,
    assign,
    change,
    change_status,
    comment,
    create,
)
from infra.memory_event_store import MemoryEventStore

FIXTURES = Path(__file__).parents[1] / "tests" / "fixtures" / "aws"
SAMPLES = (
    "alarm",
    "alarm-ok",
    "guardduty",
    "health",
    "log-error",
    "stack-drift",
    "stack-failed",
    "stack-resource-failed",
)
"""Messages as AWS sends them, one of each kind."""

SMALL = {
    "version": "0",
    "detail-type": "Disk",
    "account": "111122223333",
    "region": "us-east-1",
    "resources": ["arn:aws:ec2:us-east-1:111122223333:instance/i-0123456789abcdef0"],
    "detail": {"title": "The disk of db-1 is nearly full", "used": 93},
}
"""One whose row has less than 1 KB."""

RETENTION = timedelta(days=90)
PER_SECOND = 100
"""Events that are received in a second, by their own times."""

BUSY = 200
"""Events of one task in a row. A task takes 250 comments."""

PEOPLE = tuple(f"0199a000-0000-7000-8000-{number:012d}" for number in range(5))


class Work(NamedTuple):
    """Something that is done.

    Attributes:
        before: commits that are projected beforehand.
        commits: one event each.
    """

    name: str
    before: Sequence[Commit]
    commits: Sequence[Commit]


def monitoring_events(count: int, chance: random.Random, kinds: int = 0) -> list[Commit]:
    """What AWS reports.

    Args:
        kinds: how many combinations of source and severity; 0 for the samples as they are, whose rows are larger.
    """
    messages = [json.loads((FIXTURES / f"{name}.json").read_text()) for name in SAMPLES]
    if kinds:
        messages = [{**SMALL, "source": f"monitoring.service-{number}"} for number in range(math.ceil(kinds / 5))]
    store = MemoryEventStore()
    begun = datetime.now(UTC).replace(microsecond=0)
    for number in range(count):
        at = begun + timedelta(seconds=number // PER_SECOND)
        chosen, name = chance.choice(messages), str(uuid.UUID(int=chance.getrandbits(128), version=4))
        message = {**chosen, "id": name, "time": at.strftime("%Y-%m-%dT%H:%M:%SZ")}
        if "communicationId" in chosen["detail"]:  # by which notices of Health are told apart
            message["detail"] = {**chosen["detail"], "communicationId": name}
        envelope = parse(json.dumps(message))
        mapped = map_envelope(envelope, received_at=at)
        if kinds:
            mapped = mapped.model_copy(update={"severity": chance.randrange(5)})
        expires_at = int((at + RETENTION).timestamp())
        event = recorded(envelope.raw, mapped, int(at.timestamp()), expires_at)
        aggregate_id = str(delivery_uuid(envelope))
        _do(store, MONITORING_EVENTS, aggregate_id, lambda _, event=event: [event], at, "system:ingest", expires_at)
    return [commit for commits in store.streams.values() for commit in commits]


@dataclass
class Tasks:
    """Tasks and what is done to them. Creators, assignees and priorities are mixed.

    Attributes:
        due: whether they have a due date, in one of the next thirty days.
        from_events: whether they are made from a monitoring event.
        own: whether they are assigned to their creator, or else to somebody else.
    """

    chance: random.Random
    due: bool = False
    from_events: bool = False
    own: bool = False
    store: MemoryEventStore = field(default_factory=MemoryEventStore)
    at: datetime = field(default_factory=lambda: datetime.now(UTC).replace(microsecond=0))
    ids: list[str] = field(default_factory=list)

    def create(self, count: int) -> list[Commit]:
        """Make so many."""
        made = []
        for _ in range(count):
            by = self.chance.choice(PEOPLE)
            others = [person for person in PEOPLE if person != by]
            due = self.at + timedelta(days=self.chance.randint(1, 30)) if self.due else None
            command = CreateTask(
                title=TITLE,
                description=DESCRIPTION,
                priority=self.chance.choice(list(Priority)),
                assigned_user_id=by if self.own else self.chance.choice(others),
                due_date=int(due.timestamp()) if due else None,
            )
            about = event_id(int(self.at.timestamp()), str(uuid.uuid4())) if self.from_events else None
            context = Context(at=self.at, by=by)
            self.ids.append(new_id())
            made.append(self._done(self.ids[-1], lambda _, c=command, x=context, e=about: create(c, x, event_id=e), by))
        return made

    def each(self, decide: "Deciding") -> list[Commit]:
        """Do something to each of them."""
        return [self._done(task_id, decide(self)) for task_id in self.ids]

    def busy(self, count: int, decide: "Deciding") -> list[Commit]:
        """Do something BUSY times to the first of them, then to the next, so many times in all."""
        return [self._done(self.ids[number // BUSY], decide(self)) for number in range(count)]

    def _done(self, task_id: str, decide: Callable[[Any], Sequence[DomainEvent]], by: str = PEOPLE[0]) -> Commit:
        self.at += timedelta(milliseconds=1000 // PER_SECOND)
        _do(self.store, TASKS, task_id, decide, self.at, by)
        return self.store.streams[TASKS.stream(task_id)][-1]


Deciding = Callable[[Tasks], Callable[[Task], Sequence[DomainEvent]]]


def commented(_: Tasks) -> Callable[[Task], Sequence[DomainEvent]]:
    return lambda task: comment(task, CommentOnTask(comment="Old logs; they are being moved."), new_id())


def moved(_: Tasks) -> Callable[[Task], Sequence[DomainEvent]]:
    """Begun, closed, begun again."""
    return lambda task: change_status(
        task, ChangeTaskStatus(status=Status.CLOSED if task.status is Status.IN_PROGRESS else Status.IN_PROGRESS)
    )


def reassigned(tasks: Tasks) -> Callable[[Task], Sequence[DomainEvent]]:
    """To somebody who neither has it nor made it."""

    def decide(task: Task) -> Sequence[DomainEvent]:
        others = [person for person in PEOPLE if person not in {task.assigned_user_id, task.created_by}]
        return assign(task, tasks.chance.choice(others))

    return decide


def renamed(tasks: Tasks) -> Callable[[Task], Sequence[DomainEvent]]:
    return lambda task: change(task, ChangeTask(title=f"{TITLE} {new_id()}"), Context(at=tasks.at, by=PEOPLE[0]))


def works(count: int) -> list[Work]:
    """Every kind of event that is measured, so many of each."""
    chance = random.Random(1)
    found = [
        Work("monitoring event, row up to 1 KB", (), monitoring_events(count, chance, kinds=15)),
        Work("monitoring event, as AWS sends them", (), monitoring_events(count, chance)),
    ]
    for name, kind in {
        "own": {"own": True},
        "for another": {},
        "with a due date": {"due": True},
        "from an event": {"from_events": True},
        "from an event, with a due date": {"due": True, "from_events": True},
    }.items():
        found.append(Work(f"task created, {name}", (), Tasks(chance, **kind).create(count)))
    for name, deciding, due in (
        ("renamed", renamed, False),
        ("status changed", moved, False),
        ("status changed, with a due date", moved, True),
        ("reassigned", reassigned, False),
        ("reassigned, with a due date", reassigned, True),
        ("commented", commented, False),
    ):
        tasks = Tasks(chance, due=due)
        found.append(Work(f"task {name}", tasks.create(count), tasks.each(deciding)))
    for name, deciding in (("commented", commented), ("status changed", moved)):
        tasks = Tasks(chance)
        before = tasks.create(math.ceil(count / BUSY))
        found.append(Work(f"one busy task {name}", before, tasks.busy(count, deciding)))
    return found


def _do(  # noqa: PLR0917 - what `execute` takes
    store: MemoryEventStore,
    decider: Any,
    aggregate_id: str,
    decide: Callable[[Any], Sequence[DomainEvent]],
    at: datetime,
    by: str,
    expires_at: int | None = None,
) -> None:
    order = Order(by=by, at=at, correlation_id=aggregate_id, causation_id=aggregate_id)
    execute(store, decider, aggregate_id, decide, order, expires_at=expires_at)
