"""Daily reports, from the event store: each is one event that never changes."""

from domain.errors import NotFoundError
from domain.report_shape import ReportShown, shown
from domain.reports import REPORTS, day_of, report_id
from infra import history
from infra.rest import Answer, Request
from queries import wiring


def get_daily_report(request: Request, day: str) -> Answer[ReportShown]:  # noqa: ARG001 - the same for everybody
    """The report of a day: the 24 hours until 09:00 UTC of that date, beside the 24 hours before."""
    stream = REPORTS.stream(report_id(day_of(day)))
    found = history.load(wiring.store(), REPORTS, stream)
    if found.state is None:
        raise NotFoundError(f"There is no report of {day}. A day's report is made soon after 09:00 UTC.")
    return Answer(shown(found.state), found.version, stream)
