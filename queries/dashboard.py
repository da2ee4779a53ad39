"""The overview: the few numbers that one looks at first."""

from collections.abc import Sequence
from typing import Annotated

from pydantic import Field
from typing_extensions import TypedDict

from domain.tasks import Priority, Status
from infra import counts
from infra.alert_rows import DayCounts
from infra.counts import SEVERITIES, EventCount, summed
from infra.rest import Answer, Request
from queries.dashboard_alerts import OpenAlerts, open_sums

DAYS = 7


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


class AlertsOverview(TypedDict):
    """Alerts that are open now, and what happened to alerts today (UTC)."""

    open: OpenAlerts
    opened_today: Annotated[int, Field(description="for the first time or again")]
    resolved_today: int


class Overview(TypedDict):
    """Events, alerts and tasks, counted."""

    events: EventsOverview
    alerts: AlertsOverview
    tasks: TasksOverview


def get_overview(request: Request) -> Answer[Overview]:  # noqa: ARG001 - the same for everybody
    """Events of today and of the last seven days (UTC, by arrival), alerts, and tasks."""
    days = counts.last_days(DAYS)
    return Answer({"events": _events(days), "alerts": _alerts(days[-1]), "tasks": _tasks(days)})


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


def _alerts(today: str) -> AlertsOverview:
    done = counts.alert_days(today, today).get(today, DayCounts())
    return {"open": open_sums(counts.open_alerts()), "opened_today": done.opened, "resolved_today": done.resolved}


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
