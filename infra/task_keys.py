"""Where tasks stand in the views table: the keys of their index entries and pointers. `infra.views` has the plan."""

from datetime import datetime
from typing import NamedTuple

from domain.commit import timestamp
from domain.tasks import Priority, Status, Task

DUE_OPEN = "due#open"
DUE_CLOSED = "due#closed"
"""Tasks with a due date, in its order: those to be done, and those that are closed."""


def task_place(at: datetime, task_id: str) -> str:
    """A task's place in an order of time (UTC, to the millisecond); its id tells those of the same moment apart."""
    return f"{timestamp(at)}#{task_id}"


def tasks_partition(status: Status, priority: Priority) -> str:
    return f"tasks#{status}#{priority}"


def assignee_partition(user_id: str, status: Status) -> str:
    return f"assignee#{user_id}#{status}"


def creator_partition(user_id: str) -> str:
    """Tasks that a person created and does not have; those that they have are found as assigned to them."""
    return f"creator#{user_id}"


def event_partition(event_id: str) -> str:
    """Tasks made from a monitoring event."""
    return f"from#{event_id}"


class Pointer(NamedTuple):
    """A row that points to a task; `data` is JSON with what a list filters by before it fetches the task."""

    pk: str
    sk: str
    data: dict[str, str | None]


def pointers(task_id: str, task: Task) -> list[Pointer]:
    """The rows that point to a task as it is now."""
    if task.is_deleted:
        return []
    created = task_place(task.created_at, task_id)
    found = []
    if task.assigned_user_id != task.created_by:
        found.append(Pointer(creator_partition(task.created_by), created, {}))
    if task.event_id:
        found.append(Pointer(event_partition(task.event_id), created, {}))
    if task.due_date:
        known = {name: getattr(task, name) for name in ("assigned_user_id", "created_by", "event_id")}
        partition = DUE_CLOSED if task.status is Status.CLOSED else DUE_OPEN
        found.append(Pointer(partition, task_place(task.due_date, task_id), known))
    return found
