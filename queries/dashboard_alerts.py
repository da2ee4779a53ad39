"""The dashboard of alerts."""

from collections.abc import Sequence
from typing import Annotated

from pydantic import Field
from typing_extensions import TypedDict

from infra import counts
from infra.alert_rows import DayCounts
from infra.counts import SEVERITIES, AlertCount, by_source_and_severity, summed
from infra.request import Query, QueryNumber
from infra.rest import Answer, Request

MAX_DAYS = 60
"""As many as the rows of alerts keep day by day; see `projections.alerts`."""

MeanToAcknowledge = Annotated[
    int | None,
    Field(description="seconds from opening to acknowledgement, by the day of the latter; null without any"),
]
MeanToResolve = Annotated[
    int | None,
    Field(description="seconds from opening to resolution, by the day of the latter; null without any"),
]


class AlertPeriod(Query):
    """Which days."""

    days: Annotated[
        QueryNumber, Field(ge=1, le=MAX_DAYS, description="how many UTC days; today, as far as it is over, is the last")
    ] = 30


class OpenAlerts(TypedDict):
    """Alerts that are open now."""

    total: int
    unacknowledged: Annotated[int, Field(description="since they last opened")]
    by_severity: Annotated[dict[str, int], Field(description="0 to 5, zeros included")]
    by_source: Annotated[dict[str, int], Field(description="the most frequent first")]


class OpenAlertsBySource(OpenAlerts):
    """Alerts that are open now, also by source and severity together."""

    by_source_and_severity: Annotated[dict[str, dict[str, int]], Field(description="without zeros")]


class AlertsOfDay(TypedDict):
    """What happened to alerts. One that opens, or is resolved, several times is counted each time."""

    opened: Annotated[int, Field(description="for the first time or again")]
    acknowledged: int
    resolved: int
    mean_seconds_to_acknowledge: MeanToAcknowledge
    mean_seconds_to_resolve: MeanToResolve


class AlertsStats(AlertsOfDay):
    """What happened to alerts in a number of days, and those that are open now."""

    first_day: str
    last_day: Annotated[str, Field(description="today")]
    by_day: Annotated[dict[str, AlertsOfDay], Field(description="oldest first, days without any included")]
    open: OpenAlertsBySource


def get_alerts_stats(request: Request, query: AlertPeriod) -> Answer[AlertsStats]:  # noqa: ARG001 - the same for all
    """Alerts opened, acknowledged and resolved by day, how long that took, and those that are open now."""
    days = counts.last_days(query.days)
    found = counts.alert_days(days[0], days[-1])
    there = counts.open_alerts()
    return Answer(
        {
            **_shown(DayCounts.total(found.values())),
            "first_day": days[0],
            "last_day": days[-1],
            "by_day": {day: _shown(found.get(day, DayCounts())) for day in days},
            "open": {**open_sums(there), "by_source_and_severity": by_source_and_severity(there)},
        }
    )


def open_sums(found: Sequence[AlertCount]) -> OpenAlerts:
    """Open alerts, summed."""
    return {
        "total": sum(count.n for count in found),
        "unacknowledged": sum(count.n for count in found if not count.acknowledged),
        "by_severity": summed(((count.severity, count.n) for count in found), SEVERITIES),
        "by_source": summed((count.source, count.n) for count in found),
    }


def _shown(day: DayCounts) -> AlertsOfDay:
    return {
        "opened": day.opened,
        "acknowledged": day.acknowledged,
        "resolved": day.resolved,
        "mean_seconds_to_acknowledge": _mean(day.acknowledge_seconds, day.acknowledged),
        "mean_seconds_to_resolve": _mean(day.resolve_seconds, day.resolved),
    }


def _mean(seconds: int, n: int) -> int | None:
    return round(seconds / n) if n else None
