"""Quiet hours: the times of day at which people are not told, by their own clock."""

from collections.abc import Iterator
from datetime import UTC, datetime, time, timedelta
from zoneinfo import ZoneInfo

from domain.monitoring_rules import QuietHours


def quiet_until(hours: QuietHours, at: datetime, severity: int | None, timezone: str) -> datetime | None:
    """When the quiet hours end in which a moment falls; None if it falls in none.

    What counts is the clock on the wall. When it is put back it may pass the end twice, and each of them is one. An
    end that it leaps over comes as much later as it leaps.

    Args:
        at: UTC.
        severity: of what is to be told, 0 to 5; None for what has none.
        timezone: that of the global settings, for hours without one of their own.

    Returns:
        UTC, after `at`.
    """
    if hours.except_min_severity is not None and severity is not None and severity >= hours.except_min_severity:
        return None
    zone = ZoneInfo(hours.timezone or timezone)
    local = at.astimezone(zone)
    start, end = time.fromisoformat(hours.start), time.fromisoformat(hours.end)
    now = local.time()
    if not (start <= now < end if start < end else now >= start or now < end):
        return None
    days = (local.date(), local.date() + timedelta(days=1))
    return min(one for day in days for one in _instants(datetime.combine(day, end, zone)) if one > at)


def _instants(wall: datetime) -> Iterator[datetime]:
    """The moments, in UTC, at which a clock shows a time: two when it is put back, a later one when it leaps over."""
    first = wall.replace(fold=0).astimezone(UTC)
    second = wall.replace(fold=1).astimezone(UTC)
    yield first
    if second > first:
        yield second
