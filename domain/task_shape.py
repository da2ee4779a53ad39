"""How a task looks to the outside, the same whichever side answers. Times are Unix seconds."""

from collections.abc import Iterable, Mapping
from datetime import datetime
from typing import Annotated, Any

from pydantic import Field
from typing_extensions import TypedDict

from domain.event import DomainEvent
from domain.tasks import Comment, EventDetails, Priority, Status, Task

Names = Mapping[str, str]
"""People's names by user id. Tasks hold ids only."""


class PersonShown(TypedDict):
    """A person. The name is null in answers to writes, and when it is not known (any more)."""

    id: str
    name: str | None


class CommentShown(TypedDict):
    id: str
    user_id: Annotated[str, Field(description="`system:reactions` for what a task learns of its alert")]
    user_name: str | None
    comment: str
    created_at: int


class EventDetailsShown(TypedDict):
    """What a task keeps of the monitoring event, or of the alert, it was made from; the event itself expires."""

    source: str
    detail_type: str
    title: str
    severity: int
    account: str | None
    region: str | None
    resource: str | None
    console_url: str | None
    published_at: int


class TaskShown(TypedDict):
    """A task without its comments. Times are Unix seconds."""

    id: str
    title: str
    description: str
    status: Status
    priority: Priority
    assigned_user: PersonShown | None
    event_id: Annotated[str | None, Field(description="of the monitoring event it was made from")]
    alert_id: Annotated[str | None, Field(description="of the alert it was made from")]
    event_details: EventDetailsShown | None
    due_date: int | None
    created_at: int
    updated_at: int
    created_by: str
    closed_at: int | None
    comment_count: int


class TaskWithComments(TaskShown):
    """A task with its comments, oldest first."""

    comments: list[CommentShown]


def shown(task_id: str, task: Task, names: Names | None = None) -> TaskShown:
    """A task without its comments.

    Args:
        names: of those the task mentions; a name that is missing is shown as null.
    """
    names = names or {}
    assignee = task.assigned_user_id
    return {
        "id": task_id,
        "title": task.title,
        "description": task.description,
        "status": task.status,
        "priority": task.priority,
        "assigned_user": {"id": assignee, "name": names.get(assignee)} if assignee else None,
        "event_id": task.event_id,
        "alert_id": task.alert_id,
        "event_details": _details(task.event_details) if task.event_details else None,
        "due_date": _unix_or_none(task.due_date),
        "created_at": _unix(task.created_at),
        "updated_at": _unix(task.updated_at),
        "created_by": task.created_by,
        "closed_at": _unix_or_none(task.closed_at),
        "comment_count": task.comment_count,
    }


def shown_with_comments(
    task_id: str, task: Task, comments: Iterable[Comment], names: Names | None = None
) -> TaskWithComments:
    said = [shown_comment(comment, names) for comment in comments]
    return {**shown(task_id, task, names), "comments": said}


def shown_comment(comment: Comment, names: Names | None = None) -> CommentShown:
    return {
        "id": comment.id,
        "user_id": comment.user_id,
        "user_name": (names or {}).get(comment.user_id),
        "comment": comment.comment,
        "created_at": _unix(comment.created_at),
    }


def shown_changes(event: DomainEvent) -> dict[str, Any]:
    """What an event of a task says, without the fields that it leaves empty."""
    fields = event.model_dump(mode="json", exclude_none=True)
    times = {name: value for name, value in event if isinstance(value, datetime)}
    return fields | {name: _unix(at) for name, at in times.items()}


def _details(details: EventDetails) -> EventDetailsShown:
    return {
        "source": details.source,
        "detail_type": details.detail_type,
        "title": details.title,
        "severity": details.severity,
        "account": details.account,
        "region": details.region,
        "resource": details.resource,
        "console_url": details.console_url,
        "published_at": details.published_at,
    }


def _unix(at: datetime) -> int:
    return int(at.timestamp())


def _unix_or_none(at: datetime | None) -> int | None:
    return None if at is None else _unix(at)
