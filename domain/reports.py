"""Daily reports: the figures of 24 hours beside those of the 24 hours before. Made once, and never changed."""

from collections.abc import Mapping
from datetime import date, datetime

from domain.alerts import AlertState
from domain.commit import Recorded
from domain.decider import Decider
from domain.errors import FieldFault, InvalidError
from domain.event import DomainEvent, event_type
from domain.report_days import Window
from domain.value import Value

MAX_SOURCES = 30
"""Sources that a report names. Anybody may send `monitoring.*` events, and a commit has a limit."""

MAX_NOISY = 10


class Compared(Value):
    """A number, and what it was the day before. None where there is nothing to tell, such as a mean of nothing."""

    value: int | None = None
    before: int | None = None


class SourceFigures(Value):
    """Monitoring events of one source; `by_severity`, without zeros, is of the report's own 24 hours."""

    source: str
    total: Compared
    by_severity: Mapping[str, int]


class EventFigures(Value):
    """Monitoring events, by when they arrived.

    Attributes:
        by_severity: from "0" to "5", zeros included.
        by_source: the most frequent first, those that had any on either day.
        other_sources: the sum of those that have no place among them; None if all have.
    """

    total: Compared
    by_severity: Mapping[str, Compared]
    by_source: tuple[SourceFigures, ...]
    other_sources: Compared | None = None


class NoisyAlert(Value):
    """An alert, and how often its problem occurred in the report's 24 hours."""

    alert_id: str
    title: str
    source: str
    account: str | None = None
    region: str | None = None
    severity: int
    state: AlertState
    occurrences: int


class AlertFigures(Value):
    """Alerts. One that opens, or is resolved, several times is counted each time.

    Attributes:
        still_open: when the report was made; before: when the report of the day before was.
        seconds_to_acknowledge: the mean from opening to acknowledgement, by the time of the latter.
        seconds_to_resolve: likewise.
        noisiest: those with the most occurrences, of the alerts that are open or were resolved since the report's 24
            hours began.
        looked_at: how many alerts were looked at for it, where there were more; else None.
    """

    opened: Compared
    acknowledged: Compared
    resolved: Compared
    still_open: Compared
    seconds_to_acknowledge: Compared
    seconds_to_resolve: Compared
    noisiest: tuple[NoisyAlert, ...] = ()
    looked_at: int | None = None


class TaskFigures(Value):
    """Tasks.

    Attributes:
        opened: created, and not deleted until the report was made.
        closed: and still so when the report was made.
        overdue: when the report was made; before: when the report of the day before was.
    """

    opened: Compared
    closed: Compared
    overdue: Compared


class Figures(Value):
    events: EventFigures
    alerts: AlertFigures
    tasks: TaskFigures


class Report(Value):
    """A report as its event tells it. Times are UTC; `ends_at` is not included."""

    starts_at: datetime
    ends_at: datetime
    made_at: datetime
    figures: Figures


@event_type("report.made", 1)
class ReportMade(DomainEvent):
    """The daily report of the day that `ends_at` falls on."""

    starts_at: datetime
    ends_at: datetime
    figures: Figures


def report_id(day: date) -> str:
    return f"daily-{day}"


def day_of(text: str) -> date:
    """The day that somebody asks for.

    Raises:
        InvalidError: it is no date.
    """
    try:
        day = date.fromisoformat(text)
    except ValueError:
        day = None
    if day is None or str(day) != text:
        raise InvalidError(FieldFault("day", "must be a date such as 2026-01-31"))
    return day


def make(report: Report | None, window: Window, figures: Figures) -> list[DomainEvent]:
    """Nothing if it was made already: the figures of a day stay what they are."""
    return [] if report else [ReportMade(starts_at=window.starts_at, ends_at=window.ends_at, figures=figures)]


def evolve(report: Report | None, recorded: Recorded) -> Report:
    event = recorded.event
    if report is not None or not isinstance(event, ReportMade):
        raise ValueError(f"a report is made once and takes no {event.name}")
    return Report(starts_at=event.starts_at, ends_at=event.ends_at, made_at=recorded.at, figures=event.figures)


REPORTS: Decider[Report] = Decider("report", evolve, Report)
