"""Quiet hours by the clock on the wall: over midnight, and when the clock is put forward or back."""

from datetime import UTC, date, datetime, time, timedelta
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from domain.monitoring_rules import QuietHours
from domain.quiet_hours import quiet_until

ZONES = ("UTC", "Europe/Berlin", "America/New_York", "Asia/Kolkata", "Australia/Lord_Howe", "Pacific/Apia")
BERLIN = ZoneInfo("Europe/Berlin")


def hours(start: str, end: str, timezone: str | None = "Europe/Berlin", least: int | None = None) -> QuietHours:
    return QuietHours.model_validate({"from": start, "to": end, "timezone": timezone, "except_min_severity": least})


def berlin(day: int, clock: str, month: int = 6, fold: int = 0) -> datetime:
    at = datetime.combine(date(2026, month, day), time.fromisoformat(clock), BERLIN)
    return at.replace(fold=fold).astimezone(UTC)


@pytest.mark.parametrize(
    ("start", "end", "at", "until"),
    [
        ("22:00", "07:00", berlin(1, "21:59:59"), None),
        ("22:00", "07:00", berlin(1, "22:00"), berlin(2, "07:00")),
        ("22:00", "07:00", berlin(2, "00:00"), berlin(2, "07:00")),
        ("22:00", "07:00", berlin(2, "06:59:59"), berlin(2, "07:00")),
        ("22:00", "07:00", berlin(2, "07:00"), None),
        ("12:00", "13:30", berlin(1, "12:00"), berlin(1, "13:30")),
        ("12:00", "13:30", berlin(1, "13:30"), None),
        ("12:00", "13:30", berlin(1, "11:59:59"), None),
        ("00:00", "06:00", berlin(1, "00:00"), berlin(1, "06:00")),
        ("18:00", "00:00", berlin(1, "23:59"), berlin(2, "00:00")),
    ],
)
def test_hours_of_a_day_and_over_midnight(start: str, end: str, at: datetime, until: datetime | None) -> None:
    assert quiet_until(hours(start, end), at, 3, "UTC") == until


def test_the_night_in_which_the_clock_is_put_forward_is_an_hour_shorter() -> None:
    began = berlin(28, "22:00", month=3)
    assert quiet_until(hours("22:00", "07:00"), began, 3, "UTC") == began + timedelta(hours=8)


def test_the_night_in_which_it_is_put_back_is_an_hour_longer() -> None:
    began = berlin(24, "22:00", month=10)
    assert quiet_until(hours("22:00", "07:00"), began, 3, "UTC") == began + timedelta(hours=10)


def test_an_end_that_the_clock_leaps_over_comes_as_much_later() -> None:
    until = quiet_until(hours("22:00", "02:30"), berlin(29, "01:00", month=3), 3, "UTC")
    assert until == berlin(29, "03:30", month=3)


def test_an_end_that_comes_twice_ends_the_hours_twice() -> None:
    quiet = hours("22:00", "02:30")
    assert quiet_until(quiet, berlin(25, "02:15", month=10), 3, "UTC") == berlin(25, "02:30", month=10)
    assert quiet_until(quiet, berlin(25, "02:45", month=10), 3, "UTC") is None
    again = berlin(25, "02:15", month=10, fold=1)
    assert quiet_until(quiet, again, 3, "UTC") == berlin(25, "02:30", month=10, fold=1)


def test_without_a_time_zone_of_their_own_they_are_in_that_of_the_settings() -> None:
    at = datetime(2026, 6, 1, 20, 30, tzinfo=UTC)
    quiet = hours("22:00", "07:00", timezone=None)
    assert quiet_until(quiet, at, 3, "UTC") is None
    assert quiet_until(quiet, at, 3, "Europe/Berlin") == datetime(2026, 6, 2, 5, 0, tzinfo=UTC)


@pytest.mark.parametrize(("severity", "is_quiet"), [(3, True), (4, False), (5, False), (None, True)])
def test_what_is_severe_enough_does_not_wait(severity: int | None, *, is_quiet: bool) -> None:
    until = quiet_until(hours("22:00", "07:00", least=4), berlin(1, "23:00"), severity, "UTC")
    assert (until is not None) is is_quiet


clocks = st.times().map(lambda at: f"{at:%H:%M}")


@given(
    start=clocks,
    end=clocks,
    zone=st.sampled_from(ZONES),
    at=st.integers(0, 2 * 366 * 86_400).map(
        lambda seconds: datetime(2026, 1, 1, tzinfo=UTC) + timedelta(seconds=seconds)
    ),
)
def test_the_hours_end_later_within_a_day_and_the_clock_is_past_them_then(
    start: str, end: str, zone: str, at: datetime
) -> None:
    if start == end:
        return
    quiet = hours(start, end, zone)
    until = quiet_until(quiet, at, None, "UTC")
    local = f"{at.astimezone(ZoneInfo(zone)):%H:%M}"
    assert (until is not None) is (start <= local < end if start < end else local >= start or local < end)
    if until is not None:
        assert at < until <= at + timedelta(hours=26)
        shown = until.astimezone(ZoneInfo(zone))
        # As it should be, or as much later as the clock leapt.
        assert f"{shown:%H:%M}" == end or shown.replace(fold=1).utcoffset() != (shown - timedelta(hours=2)).utcoffset()
