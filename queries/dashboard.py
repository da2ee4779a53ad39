"""The dashboard: sums of counters, in a handful of reads whatever the volume."""

from collections import Counter
from collections.abc import Iterable
from datetime import UTC, datetime, timedelta

from typing_extensions import TypedDict

from domain.tasks import Priority, Status
from infra.rest import Answer, Request
from infra.views import EVENTS_COUNTER, TASKS_COUNTER, CounterRow, counters

DAYS = 7


class EventSums(TypedDict):
    total: int
    by_severity: dict[str, int]
    by_source: dict[str, int]


class EventsOverview(TypedDict):
    today: EventSums
    last_7_days: EventSums
    by_day: dict[str, int]


class TasksOverview(TypedDict):
    total: int
    by_status: dict[str, int]
    by_priority: dict[str, int]


class Overview(TypedDict):
    events: EventsOverview
    tasks: TasksOverview


def get_overview(request: Request) -> Answer[Overview]:  # noqa: ARG001 - the same for everybody
    """Events of today and of the last seven days (UTC, by arrival), and tasks."""
    today = datetime.now(UTC).date()
    first = today - timedelta(days=DAYS - 1)
    week = list(counters(EVENTS_COUNTER, f"{first}#", f"{today}$"))
    tasks = list(counters(TASKS_COUNTER, "!", "~"))
    return Answer(
        {
            "events": {
                "today": _events(row for row in week if row.sk.startswith(f"{today}#")),
                "last_7_days": _events(week),
                "by_day": {
                    str(day): sum(int(row.n) for row in week if row.sk.startswith(f"{day}#"))
                    for day in (first + timedelta(days=n) for n in range(DAYS))
                },
            },
            "tasks": {
                "total": sum(int(row.n) for row in tasks),
                "by_status": _summed(tasks, slice(0, 1), [status.value for status in Status]),
                "by_priority": _summed(tasks, slice(1, 2), [priority.value for priority in Priority]),
            },
        }
    )


def _events(rows: Iterable[CounterRow]) -> EventSums:
    rows = list(rows)
    return {
        "total": sum(int(row.n) for row in rows),
        "by_severity": _summed(rows, slice(-1, None), [str(severity) for severity in range(6)]),
        "by_source": _summed(rows, slice(1, -1), []),
    }


def _summed(rows: Iterable[CounterRow], part: slice, always: Iterable[str]) -> dict[str, int]:
    """Sums by one part of the counters' keys (a source may hold the `#` between the parts).

    Args:
        always: names that are there even at zero.
    """
    sums: Counter[str] = Counter(dict.fromkeys(always, 0))
    for row in rows:
        sums["#".join(row.sk.split("#")[part])] += int(row.n)
    return dict(sums)
