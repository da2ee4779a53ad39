"""The dashboard of monitoring events."""

from typing import Annotated

from pydantic import Field

from infra import counts
from infra.counts import by_source_and_severity, summed
from infra.request import Query, QueryNumber
from infra.rest import Answer, Request
from queries.dashboard import EventSums, event_sums

MAX_DAYS = 90


class Period(Query):
    """Which days."""

    days: Annotated[
        QueryNumber, Field(ge=1, le=MAX_DAYS, description="how many UTC days; today, as far as it is over, is the last")
    ] = 30


class EventsStats(EventSums):
    """Events by the UTC day they arrived on, which is not always the day they were published on."""

    first_day: str
    last_day: Annotated[str, Field(description="today")]
    total_before: Annotated[int, Field(description="in as many days before `first_day`")]
    change: Annotated[int, Field(description="`total` less `total_before`; today is not over yet")]
    by_source_and_severity: Annotated[dict[str, dict[str, int]], Field(description="without zeros")]
    by_day: Annotated[dict[str, int], Field(description="oldest first, zeros included")]


def get_events_stats(request: Request, query: Period) -> Answer[EventsStats]:  # noqa: ARG001 - the same for everybody
    """Events of a number of days by source, severity and day, beside as many days before."""
    days = counts.last_days(2 * query.days)
    before, period = days[: query.days], days[query.days :]
    found = counts.events(before[0], period[-1])
    present = [count for count in found if count.day >= period[0]]
    sums = event_sums(present)
    total_before = sum(count.n for count in found) - sums["total"]
    return Answer(
        {
            **sums,
            "first_day": period[0],
            "last_day": period[-1],
            "total_before": total_before,
            "change": sums["total"] - total_before,
            "by_source_and_severity": by_source_and_severity(present),
            "by_day": summed(((count.day, count.n) for count in present), period),
        }
    )
