"""Tasks: work for a person, made by hand, from a monitoring event or from an alert."""

from datetime import UTC, datetime
from enum import StrEnum
from itertools import pairwise
from typing import Annotated, Any

from pydantic import Field, StringConstraints

from domain.commit import Recorded
from domain.decider import Context, Decider
from domain.errors import FieldFault, InvalidError, NotFoundError, StateConflictError
from domain.event import DomainEvent, event_type
from domain.text import ONE_LINE, PRINTABLE, TRIMMED
from domain.value import Value

Title = Annotated[str, TRIMMED, StringConstraints(min_length=3, max_length=200), PRINTABLE, ONE_LINE]
Description = Annotated[str, TRIMMED, StringConstraints(min_length=10, max_length=5000), PRINTABLE]
CommentText = Annotated[str, TRIMMED, StringConstraints(min_length=1, max_length=5000), PRINTABLE]
MAX_COMMENTS = 250
"""Of 5,000 characters each they still fit into one answer, which Lambda limits to 6 MB."""

UserId = Annotated[str, StringConstraints(min_length=1, max_length=64, strict=True)]
UnixSeconds = Annotated[int, Field(strict=True, ge=0, le=253_402_300_799, description="seconds since the epoch")]


class Status(StrEnum):
    OPEN = "open"
    IN_PROGRESS = "in_progress"
    CLOSED = "closed"


class Priority(StrEnum):
    CRITICAL = "critical"
    HIGH = "high"
    MEDIUM = "medium"
    LOW = "low"


# open <-> in_progress <-> closed
_NEXT = {
    Status.OPEN: {Status.IN_PROGRESS},
    Status.IN_PROGRESS: {Status.OPEN, Status.CLOSED},
    Status.CLOSED: {Status.IN_PROGRESS},
}

_PRIORITY_BY_SEVERITY = (
    Priority.LOW,
    Priority.LOW,
    Priority.MEDIUM,
    Priority.HIGH,
    Priority.CRITICAL,
    Priority.CRITICAL,
)


class EventDetails(Value):
    """What a task keeps of the monitoring event, or of the alert, it was made from; the event itself expires."""

    source: str
    detail_type: str
    title: str
    severity: int
    account: str | None = None
    region: str | None = None
    resource: str | None = None
    console_url: str | None = None
    published_at: int


class Comment(Value):
    id: str
    user_id: str
    comment: str
    created_at: datetime


class Task(Value):
    """A task as its events tell it."""

    title: str
    description: str
    status: Status = Status.OPEN
    priority: Priority
    assigned_user_id: str | None = None
    event_id: str | None = None
    alert_id: str | None = None
    event_details: EventDetails | None = None
    due_date: datetime | None = None
    created_at: datetime
    created_by: str
    updated_at: datetime
    closed_at: datetime | None = None
    comments: tuple[Comment, ...] = ()
    comment_count: int = 0
    is_deleted: bool = False


# ---- events


@event_type("task.created", 1)
class TaskCreated(DomainEvent):
    title: str
    description: str
    priority: Priority
    assigned_user_id: str | None = None
    due_date: datetime | None = None
    event_id: str | None = None
    alert_id: str | None = None
    event_details: EventDetails | None = None


@event_type("task.details-changed", 1)
class TaskDetailsChanged(DomainEvent):
    """All details as they now are, not only those that changed."""

    title: str
    description: str
    priority: Priority
    due_date: datetime | None = None


@event_type("task.status-changed", 1)
class TaskStatusChanged(DomainEvent):
    old: Status
    new: Status


@event_type("task.assigned", 1)
class TaskAssigned(DomainEvent):
    user_id: str | None = None
    previous_user_id: str | None = None


@event_type("task.commented", 1)
class TaskCommented(DomainEvent):
    comment_id: str
    comment: str


@event_type("task.deleted", 1)
class TaskDeleted(DomainEvent):
    """Nobody sees it any more but in its history."""


# ---- commands


class CreateTask(Value):
    title: Title
    description: Description
    priority: Priority = Priority.MEDIUM
    assigned_user_id: UserId | None = None
    due_date: UnixSeconds | None = None


class CreateTaskFromEvent(Value):
    """As `CreateTask`; what is left out is taken from the monitoring event, or from the alert."""

    title: Title | None = None
    description: Description | None = None
    priority: Priority | None = None
    assigned_user_id: UserId | None = None
    due_date: UnixSeconds | None = None


class ChangeTask(Value):
    """Changes the fields that are sent; null clears `assigned_user_id` and `due_date`."""

    title: Title | None = None
    description: Description | None = None
    priority: Priority | None = None
    assigned_user_id: UserId | None = None
    due_date: UnixSeconds | None = None


class ChangeTaskStatus(Value):
    status: Status


class CommentOnTask(Value):
    comment: CommentText


# ---- rules


def create(
    command: CreateTask,
    context: Context,
    *,
    event_id: str | None = None,
    alert_id: str | None = None,
    event_details: EventDetails | None = None,
) -> list[DomainEvent]:
    return [
        TaskCreated(
            title=command.title,
            description=command.description,
            priority=command.priority,
            assigned_user_id=command.assigned_user_id,
            due_date=_due_date(command.due_date, context),
            event_id=event_id,
            alert_id=alert_id,
            event_details=event_details,
        )
    ]


def from_event(command: CreateTaskFromEvent, details: EventDetails, text: str | None) -> CreateTask:
    """The complete command for a task about a monitoring event: what the person left out comes from the event.

    Args:
        text: what the event says, or the alert; None if that is no more than the title.
    """
    # Led by the facts, so that it is never too short to be a description.
    told = f"{details.source}: {details.detail_type}, severity {details.severity}.\n\n{text or details.title}"
    title = _cut(" ".join(_shown(details.title).split()), 200)
    return CreateTask(
        title=command.title or (title if len(title) >= 3 else f"Monitoring event {title}"),
        description=command.description or _cut(_shown(told), 5000),
        priority=command.priority or _PRIORITY_BY_SEVERITY[details.severity],
        assigned_user_id=command.assigned_user_id,
        due_date=command.due_date,
    )


def change(task: Task | None, command: ChangeTask, context: Context) -> list[DomainEvent]:
    task = existing(task)
    sent = command.model_fields_set
    nulls = [name for name in ("title", "description", "priority") if name in sent and getattr(command, name) is None]
    if nulls:
        raise InvalidError(*(FieldFault(name, "cannot be null") for name in nulls))
    due_date = task.due_date
    if "due_date" in sent:
        wanted = None if command.due_date is None else _from_unix(command.due_date)
        due_date = wanted if wanted == task.due_date else _due_date(command.due_date, context)
    changed = TaskDetailsChanged(
        title=command.title or task.title,
        description=command.description or task.description,
        priority=command.priority or task.priority,
        due_date=due_date,
    )
    events: list[DomainEvent] = []
    if any(getattr(changed, name) != getattr(task, name) for name in TaskDetailsChanged.model_fields):
        events.append(changed)
    if "assigned_user_id" in sent:
        events.extend(assign(task, command.assigned_user_id))
    return events


def change_status(task: Task | None, command: ChangeTaskStatus) -> list[DomainEvent]:
    task = existing(task)
    if command.status is task.status:
        return []
    if command.status not in _NEXT[task.status]:
        allowed = " or ".join(sorted(_NEXT[task.status]))
        raise StateConflictError(f"A task that is {task.status} can become {allowed}, not {command.status}.")
    return [TaskStatusChanged(old=task.status, new=command.status)]


def close(task: Task | None) -> list[DomainEvent]:
    """Every step that closes it, from wherever it is."""
    task = existing(task)
    way = (Status.OPEN, Status.IN_PROGRESS, Status.CLOSED)
    ahead = way[way.index(task.status) :]
    return [TaskStatusChanged(old=old, new=new) for old, new in pairwise(ahead)]


def assign(task: Task | None, user_id: str | None) -> list[DomainEvent]:
    task = existing(task)
    if user_id == task.assigned_user_id:
        return []
    return [TaskAssigned(user_id=user_id, previous_user_id=task.assigned_user_id)]


def comment(task: Task | None, command: CommentOnTask, comment_id: str) -> list[DomainEvent]:
    if existing(task).comment_count >= MAX_COMMENTS:
        raise StateConflictError(f"A task takes {MAX_COMMENTS} comments; go on in a new one.")
    return [TaskCommented(comment_id=comment_id, comment=command.comment)]


def delete(task: Task | None) -> list[DomainEvent]:
    existing(task)
    return [TaskDeleted()]


def is_overdue(task: Task, at: datetime) -> bool:
    """Not closed, and due before that time."""
    return task.status is not Status.CLOSED and task.due_date is not None and task.due_date < at


def existing(task: Task | None) -> Task:
    """Raises NotFoundError for a stream without events, and for a task that was deleted."""
    if task is None or task.is_deleted:
        raise NotFoundError("There is no such task.")
    return task


def evolve(task: Task | None, recorded: Recorded) -> Task:
    event, at, by = recorded.event, recorded.at, recorded.by
    if task is None and isinstance(event, TaskCreated):
        return Task(**dict(event), created_at=at, created_by=by, updated_at=at)
    if task is None:
        raise ValueError(f"{event.name} before task.created")
    match event:
        case TaskDetailsChanged():
            return _with(task, at, **dict(event))
        case TaskStatusChanged():
            return _with(task, at, status=event.new, closed_at=at if event.new is Status.CLOSED else None)
        case TaskAssigned():
            return _with(task, at, assigned_user_id=event.user_id)
        case TaskCommented():
            said = Comment(id=event.comment_id, user_id=by, comment=event.comment, created_at=at)
            return _with(task, at, comments=(*task.comments, said), comment_count=task.comment_count + 1)
        case TaskDeleted():
            return _with(task, at, is_deleted=True)
    raise ValueError(f"a task does not know the event {event.name}")


TASKS: Decider[Task] = Decider("task", evolve, Task, schema=3)


def _with(task: Task, at: datetime, **changes: Any) -> Task:
    return task.model_copy(update={**changes, "updated_at": at})


def _from_unix(seconds: int) -> datetime:
    return datetime.fromtimestamp(seconds, UTC)


def _due_date(seconds: int | None, context: Context) -> datetime | None:
    if seconds is None:
        return None
    due = _from_unix(seconds)
    if due <= context.at:
        raise InvalidError(FieldFault("due_date", "must be in the future"))
    return due


def _shown(text: str) -> str:
    """Without the characters that a task's texts may not hold."""
    return "".join(c if c.isprintable() or c == "\n" else " " for c in text).strip()


def _cut(text: str, limit: int) -> str:
    return text if len(text) <= limit else text[: limit - 1].rstrip() + "…"
