"""How a task looks to the outside, the same whichever side answers. Times are Unix seconds."""

from collections.abc import Mapping
from datetime import datetime
from typing import Any

from domain.tasks import Comment, Task

Names = Mapping[str, str]
"""People's names by user id. Tasks hold ids only."""


def shown(task_id: str, task: Task, names: Names | None = None) -> dict[str, Any]:
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
        "status": task.status.value,
        "priority": task.priority.value,
        "assigned_user": {"id": assignee, "name": names.get(assignee)} if assignee else None,
        "event_id": task.event_id,
        "event_details": task.event_details.model_dump(mode="json") if task.event_details else None,
        "due_date": _unix(task.due_date),
        "created_at": _unix(task.created_at),
        "updated_at": _unix(task.updated_at),
        "created_by": task.created_by,
        "closed_at": _unix(task.closed_at),
        "comment_count": task.comment_count,
    }


def shown_comment(comment: Comment, names: Names | None = None) -> dict[str, Any]:
    return {
        "id": comment.id,
        "user_id": comment.user_id,
        "user_name": (names or {}).get(comment.user_id),
        "comment": comment.comment,
        "created_at": _unix(comment.created_at),
    }


def _unix(at: datetime | None) -> int | None:
    return None if at is None else int(at.timestamp())
