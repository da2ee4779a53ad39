"""The days of reports: 24 hours that end at 09:00 UTC, whatever the clocks of people do, named by the date they end on.

What is counted by day is counted in two parts, cut at that hour: so the same counters give a UTC day and a report's.
"""

from datetime import UTC, date, datetime, time, timedelta
from typing import NamedTuple

HOUR = 9
"""UTC. A counter's key holds it, so that another hour asks for a rebuild of the views."""


class Window(NamedTuple):
    """A time; its end is not included."""

    starts_at: datetime
    ends_at: datetime

    @property
    def parts(self) -> tuple[str, str]:
        """The first and the last part of a day that it consists of."""
        return day_part(self.starts_at), day_part(self.ends_at - timedelta(microseconds=1))

    @property
    def before(self) -> "Window":
        """The 24 hours before."""
        return Window(self.starts_at - timedelta(days=1), self.starts_at)


def window(day: date) -> Window:
    """What the report of a day is about."""
    ends_at = datetime.combine(day, time(HOUR), UTC)
    return Window(ends_at - timedelta(days=1), ends_at)


def last_ended(at: datetime) -> date:
    """The day of the last report whose time is over."""
    return (at.astimezone(UTC) - timedelta(hours=HOUR)).date()


def day_part(at: datetime) -> str:
    """The part of a UTC day that a time falls into, by when it begins: `2026-01-31T00` or `2026-01-31T09`."""
    utc = at.astimezone(UTC)
    return f"{utc.date()}T{HOUR if utc.hour >= HOUR else 0:02}"
