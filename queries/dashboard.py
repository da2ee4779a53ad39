"""The overview: the few numbers that one looks at first."""

from collections.abc import Sequence
from typing import Annotated

from pydantic import Field
from typing_extensions import TypedDict

from domain.tasks import Priority, Status
from infra.rest import Answer, Request
from queries import dashboard_counts as counts
from queries.dashboard_counts import EventCount, summed

DAYS = 7

SEVERITIES = [str(severity) for severity in range(6)]


class EventSums(TypedDict):
    """Events by severity (0 to 5, zeros included) and by source, the most frequent first."""

    total: int
    by_severity: dict[str, int]
    by_source: dict[str, int]


class EventsOverview(TypedDict):
    """Events by the UTC day they arrived on, which is not always the day they were published on."""

    today: EventSums
    last_7_days: Annotated[EventSums, Field(description="today so far and the six days before it")]
    by_day: Annotated[dict[str, int], Field(description="of the last seven days, oldest first, zeros included")]


class TasksOverview(TypedDict):
    """All tasks that are there now."""

    total: int
    by_status: dict[str, int]
    by_priority: dict[str, int]
    overdue: Annotated[int, Field(description="not closed, and due before now")]
    due_soon: Annotated[int, Field(description="not closed, and due from now until the end of the sixth UTC day after")]
    closed_last_7_days: Annotated[int, Field(description="closed today or on the six UTC days before, and still so")]


class Overview(TypedDict):
    """Events and tasks, counted."""

    events: EventsOverview
    tasks: TasksOverview


def get_overview(request: Request) -> Answer[Overview]:  # noqa: ARG001 - the same for everybody
    """Events of today and of the last seven days (UTC, by arrival), and tasks."""
    days = counts.last_days(DAYS)
    return Answer({"events": _events(days), "tasks": _tasks(days)})


def event_sums(found: Sequence[EventCount]) -> EventSums:
    """Events, summed."""
    return {
        "total": sum(count.n for count in found),
        "by_severity": summed(((count.severity, count.n) for count in found), SEVERITIES),
        "by_source": summed((count.source, count.n) for count in found),
    }


def _events(days: Sequence[str]) -> EventsOverview:
    week = counts.events(days[0], days[-1])
    return {
        "today": event_sums([count for count in week if count.day == days[-1]]),
        "last_7_days": event_sums(week),
        "by_day": summed(((count.day, count.n) for count in week), days),
    }


def _tasks(days: Sequence[str]) -> TasksOverview:
    tasks, due = counts.tasks(), counts.due(DAYS)
    return {
        "total": sum(count.n for count in tasks),
        "by_status": summed(((count.status, count.n) for count in tasks), list(Status)),
        "by_priority": summed(((count.priority, count.n) for count in tasks), list(Priority)),
        "overdue": due.overdue.total(),
        "due_soon": due.soon.total(),
        "closed_last_7_days": sum(closed.n for closed in counts.closed(days[0], days[-1]).values()),
    }
