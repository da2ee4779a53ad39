"""What a task learns of the alert that it was made from: that it was resolved, which may close it, or opened again.

The news come late, twice, and in any order. Each is told once, and what is said is true when it is said.
"""

from datetime import datetime, timedelta
from typing import NamedTuple, TypeAlias

from domain.alerts import Alert, AlertReopened, AlertResolved, Ending
from domain.event import DomainEvent
from domain.monitoring_config import ResolvedAlertPolicy
from domain.tasks import MAX_COMMENTS, Status, Task, TaskCommented, close

MAX_TOLD = 20
"""News of its alert that a task takes. An alert that comes and goes must not take the room of people's comments."""

Happened: TypeAlias = AlertResolved | AlertReopened


class News(NamedTuple):
    """What happened to an alert.

    Attributes:
        id: of the commit that holds the event; it becomes the comment's.
        at: when it was appended.
        by: who did it; see `Commit`.
    """

    id: str
    at: datetime
    by: str
    event: Happened


def tell(task: Task | None, news: News, alert: Alert, policy: ResolvedAlertPolicy, teller: str) -> list[DomainEvent]:
    """What becomes of a task by news of its alert. Nothing, if it was closed, deleted, or made after that.

    Args:
        alert: as it is now, which may be later than the news.
        teller: the actor on whose behalf this is decided.
    """
    if task is None or task.is_deleted or task.status is Status.CLOSED or policy is ResolvedAlertPolicy.NOTHING:
        return []
    if news.at < task.created_at or any(said.id == news.id for said in task.comments):
        return []
    text = _text(news, alert)
    if text is None:
        return []
    # An alert that has opened again since then is no reason to close anything.
    closes = policy is ResolvedAlertPolicy.CLOSE and alert.resolved_at == news.at
    told = sum(said.user_id == teller for said in task.comments)
    events: list[DomainEvent] = []
    if told < MAX_TOLD and task.comment_count < MAX_COMMENTS:
        comment = f"{text} That closes this task." if closes else text
        events.append(TaskCommented(comment_id=news.id, comment=comment))
    return [*events, *close(task)] if closes else events


def _text(news: News, alert: Alert) -> str | None:
    """What to say; None where it is not true any more."""
    if isinstance(news.event, AlertReopened):
        return "The alert opened again." if alert.opened_at == news.at else None
    text = f"The alert was resolved {_reason(news.event, news.by, alert)}"
    if alert.resolved_at != news.at:
        return f"{text}. It has opened again since then."
    lasted = f", {_lasted(news.at - alert.opened_at)} after it opened" if alert.opened_at else ""
    return f"{text}{lasted}."


def _reason(event: AlertResolved, by: str, alert: Alert) -> str:
    match event.ending:
        case Ending.SOURCE:
            return f"by its source, {alert.face.source}"
        case Ending.PERSON:
            return f"by the user {by}"
        case Ending.MINOR:
            return "because the problem is less severe now than what is watched for"


def _lasted(time: timedelta) -> str:
    seconds = int(time.total_seconds())
    for unit, length in (("days", 86_400), ("h", 3_600), ("min", 60)):
        if seconds >= 2 * length:
            return f"{seconds // length} {unit}"
    return f"{seconds} s"
