"""The figures of a daily report, from counters and from the rows of alerts.

What happened within 24 hours is the same whenever it is asked for, once the views have caught up with it. What is still
open, and overdue, is so at the moment of asking.
"""

from collections import Counter
from collections.abc import Iterable, Iterator
from heapq import nlargest
from itertools import islice

from domain.alerts import AlertState
from domain.commit import timestamp
from domain.report_days import Window
from domain.reports import (
    MAX_NOISY,
    MAX_SOURCES,
    AlertFigures,
    Compared,
    EventFigures,
    Figures,
    NoisyAlert,
    SourceFigures,
    TaskFigures,
)
from domain.tasks import Priority, Status
from infra import counts
from infra.alert_keys import SHARDS, alert_key, alerts_partition
from infra.alert_rows import DayCounts, content_of
from infra.counts import SEVERITIES, EventCount, by_source_and_severity
from infra.task_keys import tasks_partition
from infra.views import Row, rows_by_key

MAX_ALERTS_READ = 2_000
"""Rows of alerts that are looked at for the noisiest, the gravest first: 20 calls."""


def figures(window: Window, previous: Figures | None) -> Figures:
    """The figures of a report, now. At most 90 queries and 20 reads of rows, plus one for each megabyte.

    Args:
        previous: of the report of the day before, if there is one.
    """
    return Figures(
        events=_events(counts.events(*window.parts), counts.events(*window.before.parts)),
        alerts=_alerts(window, previous.alerts if previous else None),
        tasks=_tasks(window, previous.tasks if previous else None),
    )


def _events(now: list[EventCount], before: list[EventCount]) -> EventFigures:
    by_severity = [_sums((one.severity, one.n) for one in found) for found in (now, before)]
    by_source = [_sums((one.source, one.n) for one in found) for found in (now, before)]
    grades = by_source_and_severity(now)
    names = sorted(
        {name for sums in by_source for name in sums}, key=lambda name: (*(-sums[name] for sums in by_source), name)
    )
    named, others = names[:MAX_SOURCES], names[MAX_SOURCES:]
    return EventFigures(
        total=_compared(by_source, names),
        by_severity={name: _compared(by_severity, [name]) for name in SEVERITIES},
        by_source=tuple(
            SourceFigures(source=name, total=_compared(by_source, [name]), by_severity=grades.get(name, {}))
            for name in named
        ),
        other_sources=_compared(by_source, others) if others else None,
    )


def _sums(found: Iterable[tuple[str, int]]) -> Counter[str]:
    sums: Counter[str] = Counter()
    for name, n in found:
        sums[name] += n
    return sums


def _compared(days: Iterable[Counter[str]], names: Iterable[str]) -> Compared:
    """The sums of some names, on the report's day and the day before."""
    names = list(names)
    now, before = (sum(day[name] for name in names) for day in days)
    return Compared(value=now, before=before)


def _alerts(window: Window, previous: AlertFigures | None) -> AlertFigures:
    now, before = _happened(window), _happened(window.before)
    alerts = list(islice(_alert_ids(window), MAX_ALERTS_READ + 1))
    return AlertFigures(
        opened=Compared(value=now.opened, before=before.opened),
        acknowledged=Compared(value=now.acknowledged, before=before.acknowledged),
        resolved=Compared(value=now.resolved, before=before.resolved),
        still_open=Compared(
            value=sum(one.n for one in counts.open_alerts()), before=previous.still_open.value if previous else None
        ),
        seconds_to_acknowledge=Compared(
            value=_mean(now.acknowledge_seconds, now.acknowledged),
            before=_mean(before.acknowledge_seconds, before.acknowledged),
        ),
        seconds_to_resolve=Compared(
            value=_mean(now.resolve_seconds, now.resolved), before=_mean(before.resolve_seconds, before.resolved)
        ),
        noisiest=tuple(nlargest(MAX_NOISY, _noisy(alerts[:MAX_ALERTS_READ], window), key=_noise)),
        looked_at=MAX_ALERTS_READ if len(alerts) > MAX_ALERTS_READ else None,
    )


def _happened(window: Window) -> DayCounts:
    return DayCounts.total(counts.alert_days(*window.parts).values())


def _mean(seconds: int, n: int) -> int | None:
    return round(seconds / n) if n else None


def _alert_ids(window: Window) -> Iterator[str]:
    """Alerts that are open, or were resolved since the time began: the gravest first, of these the newest."""
    since = Row.sk >= timestamp(window.starts_at)
    for severity in reversed(SEVERITIES):
        for shard in range(SHARDS):
            for state, condition in ((AlertState.OPEN, None), (AlertState.RESOLVED, since)):
                partition = alerts_partition(state, int(severity), shard)
                for row in Row.query(partition, condition, scan_index_forward=False, limit=MAX_ALERTS_READ + 1):
                    yield row.sk.partition("#")[2]


def _noisy(alerts: Iterable[str], window: Window) -> Iterator[NoisyAlert]:
    first, last = window.parts
    for row in rows_by_key(map(alert_key, alerts)).values():
        content = content_of(row)
        alert, face = content.alert, content.alert.face
        occurrences = sum(n for part, n in content.occurred.items() if first <= part <= last)
        if occurrences:
            yield NoisyAlert(
                alert_id=row.pk.partition("#")[2],
                title=face.title,
                source=face.source,
                account=face.account,
                region=face.region,
                severity=alert.severity,
                state=alert.state,
                occurrences=occurrences,
            )


def _noise(alert: NoisyAlert) -> tuple[int, int, str]:
    return alert.occurrences, alert.severity, alert.alert_id


def _tasks(window: Window, previous: TaskFigures | None) -> TaskFigures:
    return TaskFigures(
        opened=Compared(value=_created(window), before=_created(window.before)),
        closed=Compared(value=_closed(window), before=_closed(window.before)),
        overdue=Compared(value=counts.due(1).overdue.total(), before=previous.overdue.value if previous else None),
    )


def _created(window: Window) -> int:
    """From the index: a task's place in it begins with its time, so that one at the very end is after that."""
    within = Row.gsi1sk.between(timestamp(window.starts_at), timestamp(window.ends_at))
    partitions = (tasks_partition(status, priority) for status in Status for priority in Priority)
    return sum(Row.by_status.count(partition, within) for partition in partitions)


def _closed(window: Window) -> int:
    return sum(one.n for one in counts.closed(*window.parts).values())
