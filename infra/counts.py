"""What dashboards and reports sum: counters with their keys taken apart, and the days that they are about.

Days are UTC dates (`2026-01-31`). Where a range is asked for, it may also begin or end with a part of a day
(`domain.report_days`). A key without the parts that it should have is passed over, so that a counter that other code
left behind breaks no dashboard.
"""

import json
from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator, Sequence
from datetime import UTC, datetime, timedelta
from typing import NamedTuple

from domain.commit import timestamp
from infra.alert_rows import DayCounts
from infra.counters import (
    ALERTS_COUNTER,
    ALERTS_DAYS_COUNTER,
    EVENTS_COUNTER,
    LOGGED_IN,
    LOGINS_COUNTER,
    TASKS_CLOSED_COUNTER,
    TASKS_COUNTER,
    TASKS_DUE_COUNTER,
    USERS_COUNTER,
    counters,
)
from infra.task_keys import DUE_OPEN
from infra.views import Row

SEVERITIES = [str(severity) for severity in range(6)]


class EventCount(NamedTuple):
    """Monitoring events that arrived on a day."""

    day: str
    source: str
    severity: str
    n: int


class AlertCount(NamedTuple):
    """Alerts that are open now."""

    severity: str
    acknowledged: bool
    source: str
    n: int


class TaskCount(NamedTuple):
    """Tasks that are there now."""

    status: str
    priority: str
    assigned_user_id: str | None
    n: int


class UserCount(NamedTuple):
    """Users that are there now; `activity` is `active` or `inactive`."""

    role: str
    activity: str
    n: int


class Users(NamedTuple):
    """Users that are there now, and how many of them have ever logged in."""

    counts: Sequence[UserCount]
    logged_in: int


class Due(NamedTuple):
    """Tasks that are not closed and have a due date, by the id of the person they are assigned to."""

    overdue: Counter[str | None]
    soon: Counter[str | None]


class Closed(NamedTuple):
    """Tasks that were closed on a day, and still are; `seconds` is the sum of their times from creation to close."""

    n: int = 0
    seconds: int = 0

    @property
    def mean_seconds(self) -> int | None:
        return round(self.seconds / self.n) if self.n else None


def now() -> datetime:
    return datetime.now(UTC)


def last_days(days: int) -> list[str]:
    """The last days, oldest first; today is one of them."""
    today = now().date()
    return [str(today - timedelta(days=back)) for back in reversed(range(days))]


def events(first: str, last: str) -> list[EventCount]:
    """Events by the day they *arrived*, from one day to another, both included. One read per megabyte of counters."""
    found = _counted(EVENTS_COUNTER, 3, first, last)
    return [EventCount(_day(part), "#".join(source), severity, n) for (part, *source, severity), n in found]


def open_alerts() -> list[AlertCount]:
    found = _counted(ALERTS_COUNTER, 3)
    return [AlertCount(severity, ack == "acknowledged", "#".join(source), n) for (severity, ack, *source), n in found]


def alert_days(first: str, last: str) -> dict[str, DayCounts]:
    """What happened to alerts by day; days on which nothing happened are left out."""
    days: dict[str, DayCounts] = {}
    for (part, name, *_), n in _counted(ALERTS_DAYS_COUNTER, 2, first, last):
        if name in DayCounts._fields:
            day = _day(part)
            known = days.get(day, DayCounts())
            days[day] = known._replace(**{name: getattr(known, name) + n})
    return days


def tasks() -> list[TaskCount]:
    found = _counted(TASKS_COUNTER, 2)
    return [TaskCount(status, priority, "#".join(who) or None, n) for (status, priority, *who), n in found]


def due(days: int) -> Due:
    """Tasks that are overdue, and tasks that are due from now on until the end of the last of `days` days.

    They are counted by the day they are due. Those that became overdue today are looked up: one more read per megabyte,
    or some 2,500, of them.
    """
    moment = now()
    today = str(moment.date())
    overdue: Counter[str | None] = Counter()
    soon: Counter[str | None] = Counter()
    for (day, *who), n in _counted(TASKS_DUE_COUNTER, 2, "0", str(moment.date() + timedelta(days=days - 1))):
        (overdue if day < today else soon)["#".join(who) or None] += n
    for row in Row.query(DUE_OPEN, Row.sk.between(f"{today}T", timestamp(moment))):
        assignee = json.loads(row.data)["assigned_user_id"]
        overdue[assignee] += 1
        soon[assignee] -= 1
    return Due(overdue, soon)


def closed(first: str, last: str) -> dict[str, Closed]:
    """Tasks that were closed by day; days without any are left out."""
    days: dict[str, Closed] = {}
    for (part, kind, *_), n in _counted(TASKS_CLOSED_COUNTER, 2, first, last):
        day = _day(part)
        known = days.get(day, Closed())
        if kind == "count":
            days[day] = known._replace(n=known.n + n)
        elif kind == "seconds":
            days[day] = known._replace(seconds=known.seconds + n)
    return days


def users() -> Users:
    found = list(_counted(USERS_COUNTER, 1))
    by_role = [UserCount(key[0], key[1], n) for key, n in found if len(key) > 1]
    return Users(by_role, sum(n for key, n in found if key == [LOGGED_IN]))


def logins(first: str, last: str) -> dict[str, int]:
    """Logins by day; days without any are left out."""
    return summed((day, n) for (day, *_), n in _counted(LOGINS_COUNTER, 1, first, last))


def summed(counts: Iterable[tuple[str, int]], always: Iterable[str] = ()) -> dict[str, int]:
    """Sums by name: first those that are there even at zero, then the others, largest first.

    Args:
        always: names that are there even at zero.
    """
    sums: Counter[str] = Counter(dict.fromkeys(always, 0))
    fixed = len(sums)
    for name, n in counts:
        sums[name] += n
    names = list(sums)
    others = sorted(names[fixed:], key=lambda name: (-sums[name], name))
    return {name: sums[name] for name in [*names[:fixed], *others]}


def by_source_and_severity(found: Iterable[EventCount | AlertCount]) -> dict[str, dict[str, int]]:
    sums: defaultdict[str, Counter[str]] = defaultdict(Counter)
    for count in found:
        sums[count.source][count.severity] += count.n
    return {source: dict(sorted(severities.items())) for source, severities in sums.items()}


def _day(part: str) -> str:
    return part.partition("T")[0]


def _counted(pk: str, parts: int, first: str = "!", last: str = "~") -> Iterator[tuple[list[str], int]]:
    """The counters of a partition whose keys begin with a day, or word, of the range: at least so many parts, and n."""
    for row in counters(pk, first, f"{last}~"):  # `~` comes after the `#` between the parts of a key
        key = row.sk.split("#")
        if len(key) >= parts:
            yield key, int(row.n)
