"""How a daily report looks to the outside, the same in the API and on the command line. Times are Unix seconds."""

from typing import Annotated

from pydantic import Field
from typing_extensions import TypedDict

from domain.alerts import AlertState
from domain.reports import Compared, Report, SourceFigures


class ComparedShown(TypedDict):
    """A number and what it was the day before; null where there is nothing to tell, such as a mean of nothing."""

    value: int | None
    before: int | None


class SourceEventsShown(TypedDict):
    """Monitoring events of one source."""

    source: str
    total: ComparedShown
    by_severity: Annotated[dict[str, int], Field(description="of the report's own 24 hours, without zeros")]


class EventsReported(TypedDict):
    """Monitoring events, by when they arrived."""

    total: ComparedShown
    by_severity: Annotated[dict[str, ComparedShown], Field(description="0 to 5, zeros included")]
    by_source: Annotated[list[SourceEventsShown], Field(description="at most 30, the most frequent first")]
    other_sources: Annotated[ComparedShown | None, Field(description="the sum of further ones; null if there are none")]


class NoisyAlertShown(TypedDict):
    """An alert and how often its problem occurred in the report's 24 hours."""

    alert_id: str
    title: str
    source: str
    account: str | None
    region: str | None
    severity: int
    state: Annotated[AlertState, Field(description="when the report was made")]
    occurrences: int


class AlertsReported(TypedDict):
    """Alerts. One that opens, or is resolved, several times is counted each time."""

    opened: Annotated[ComparedShown, Field(description="for the first time or again")]
    acknowledged: ComparedShown
    resolved: ComparedShown
    still_open: Annotated[
        ComparedShown, Field(description="when the report was made; before: when that of the day before was")
    ]
    seconds_to_acknowledge: Annotated[ComparedShown, Field(description="the mean from opening to acknowledgement")]
    seconds_to_resolve: Annotated[ComparedShown, Field(description="the mean from opening to resolution")]
    noisiest: Annotated[
        list[NoisyAlertShown],
        Field(description="at most 10, of the alerts that are open or were resolved since the 24 hours began"),
    ]
    looked_at: Annotated[
        int | None, Field(description="how many alerts were looked at for the noisiest; null if it was all of them")
    ]


class TasksReported(TypedDict):
    """Tasks."""

    opened: Annotated[ComparedShown, Field(description="created, and not deleted until the report was made")]
    closed: Annotated[ComparedShown, Field(description="and still so when the report was made")]
    overdue: Annotated[
        ComparedShown, Field(description="when the report was made; before: when that of the day before was")
    ]


class ReportShown(TypedDict):
    """A daily report: 24 hours beside the 24 hours before. It never changes."""

    day: Annotated[str, Field(description="the UTC date on which its 24 hours end, at 09:00")]
    starts_at: int
    ends_at: Annotated[int, Field(description="not included")]
    made_at: int
    events: EventsReported
    alerts: AlertsReported
    tasks: TasksReported


def shown(report: Report) -> ReportShown:
    """A report as the API and the command line show it."""
    events, alerts, tasks = report.figures.events, report.figures.alerts, report.figures.tasks
    return {
        "day": str(report.ends_at.date()),
        "starts_at": int(report.starts_at.timestamp()),
        "ends_at": int(report.ends_at.timestamp()),
        "made_at": int(report.made_at.timestamp()),
        "events": {
            "total": _compared(events.total),
            "by_severity": {name: _compared(n) for name, n in events.by_severity.items()},
            "by_source": [_source(one) for one in events.by_source],
            "other_sources": _compared(events.other_sources) if events.other_sources else None,
        },
        "alerts": {
            "opened": _compared(alerts.opened),
            "acknowledged": _compared(alerts.acknowledged),
            "resolved": _compared(alerts.resolved),
            "still_open": _compared(alerts.still_open),
            "seconds_to_acknowledge": _compared(alerts.seconds_to_acknowledge),
            "seconds_to_resolve": _compared(alerts.seconds_to_resolve),
            "noisiest": [
                {
                    "alert_id": one.alert_id,
                    "title": one.title,
                    "source": one.source,
                    "account": one.account,
                    "region": one.region,
                    "severity": one.severity,
                    "state": one.state,
                    "occurrences": one.occurrences,
                }
                for one in alerts.noisiest
            ],
            "looked_at": alerts.looked_at,
        },
        "tasks": {
            "opened": _compared(tasks.opened),
            "closed": _compared(tasks.closed),
            "overdue": _compared(tasks.overdue),
        },
    }


def _source(one: SourceFigures) -> SourceEventsShown:
    return {"source": one.source, "total": _compared(one.total), "by_severity": dict(one.by_severity)}


def _compared(number: Compared) -> ComparedShown:
    return {"value": number.value, "before": number.before}
