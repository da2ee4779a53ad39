"""The works: what is done to a task or a user, the same for every system."""

from collections.abc import Callable, Sequence

from commands.execution import Order, execute, new_id, now
from domain.commit import Commit
from domain.event import DomainEvent
from domain.tasks import (
    TASKS,
    ChangeTask,
    CreateTask,
    Priority,
    Task,
    TaskAssigned,
    TaskCommented,
    TaskStatusChanged,
    change,
    create,
)
from domain.tasks import Status as TaskStatus
from infra.memory_event_store import MemoryEventStore

ANN = "0199a000-0000-7000-8000-00000000000a"
TITLE = "The disk of db-1 is nearly full"
DESCRIPTION = "Alarm disk-db-1 is in ALARM: 93 % used. Find what grows, and make room before the night's backup."

CHANGED_AT = 5
"""Commits of a stream before it is changed: some 2.5 KB, far from a snapshot."""

LOADS = (10, 100, 1000)

Thunk = Callable[[], object]
"""One execution of a work, made ready: only this is timed."""

Work = Callable[[int], Thunk]
"""From the number of an execution to the execution. What a system was given beforehand is made ready here."""


def order() -> Order:
    """A command's surroundings, as the API makes them for a request."""
    correlation = new_id()
    return Order(by=ANN, at=now(), correlation_id=correlation, causation_id=correlation)


def created(order: Order) -> Callable[[Task | None], Sequence[DomainEvent]]:
    """Decide to make a task."""
    command = CreateTask(title=TITLE, description=DESCRIPTION, priority=Priority.HIGH)
    return lambda _: create(command, order.context)


def renamed(number: int, order: Order) -> Callable[[Task | None], Sequence[DomainEvent]]:
    """Decide to change a task: one event."""
    command = ChangeTask(title=f"{TITLE} ({number})")
    return lambda task: change(task, command, order.context)


def five(order: Order) -> Callable[[Task | None], Sequence[DomainEvent]]:
    """Decide five events at once: a task made, assigned, begun and commented on twice."""
    command = CreateTask(title=TITLE, description=DESCRIPTION, priority=Priority.HIGH)
    return lambda _: [
        *create(command, order.context),
        TaskAssigned(user_id=ANN),
        TaskStatusChanged(old=TaskStatus.OPEN, new=TaskStatus.IN_PROGRESS),
        TaskCommented(comment_id=new_id(), comment="Looking at it."),
        TaskCommented(comment_id=new_id(), comment="Old logs; they are being moved."),
    ]


def history(task_id: str, commits: int) -> list[Commit]:
    """A task's stream of so many commits of one event, as the write side makes it, snapshots included."""
    store = MemoryEventStore()
    for number in range(commits):
        one = order()
        decide = renamed(number, one) if number else created(one)
        execute(store, TASKS, task_id, decide, one, creates=number == 0)
    return store.streams[TASKS.stream(task_id)]
