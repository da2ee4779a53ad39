"""Where tasks stand in the views table: the keys of their index entries and pointers. `infra.views` has the plan."""

from collections.abc import Mapping
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


def origin_partition(origin_id: str) -> str:
    """Tasks made from a monitoring event, or from an alert."""
    return f"from#{origin_id}"


class Pointer(NamedTuple):
    """A row that points to a task, or an alert; `data` is JSON with what a list filters by before it fetches that."""

    pk: str
    sk: str
    data: Mapping[str, str | int | None]


def pointers(task_id: str, task: Task) -> list[Pointer]:
    """The rows that point to a task as it is now."""
    if task.is_deleted:
        return []
    created = task_place(task.created_at, task_id)
    found = []
    if task.assigned_user_id != task.created_by:
        found.append(Pointer(creator_partition(task.created_by), created, {}))
    found += [Pointer(origin_partition(origin), created, {}) for origin in (task.event_id, task.alert_id) if origin]
    if task.due_date:
        known = {name: getattr(task, name) for name in ("assigned_user_id", "created_by", "event_id", "alert_id")}
        partition = DUE_CLOSED if task.status is Status.CLOSED else DUE_OPEN
        found.append(Pointer(partition, task_place(task.due_date, task_id), known))
    return found
