"""Alerts: a row for each, also for one that has not opened yet, and a pointer beside it for the list of its state.

Open alerts are counted by severity, acknowledgement and source. What happened to alerts is counted by part of a day; a
counter is the sum of what rows contribute, so a row keeps what happened to its alert part by part, for its newest days.
"""

import json
from collections.abc import Mapping, Sequence
from datetime import datetime

from domain.alerts import (
    ALERTS,
    Alert,
    AlertAcknowledged,
    AlertOpened,
    AlertReopened,
    AlertResolved,
    AlertState,
    Seen,
)
from domain.commit import Commit, Recorded
from domain.report_days import day_part
from infra.alert_keys import alert_key, pointer
from infra.alert_rows import AlertRow, DayCounts, alert_row, content_of
from infra.counters import ALERTS_COUNTER, ALERTS_DAYS_COUNTER, COUNTED_SOURCE, CounterMoves
from infra.views import Key, Row
from projections.projection import Folded, Projection

LAST_EVENTS = 10
"""Monitoring events that a row names. Their ids hardly pack: with twenty, most rows would have more than 1 KB."""

DAYS_KEPT = 60
"""Days of a row. What is merged into its `earlier` happened on days that are at least as far back."""

PARTS_OCCURRED = 4
"""Parts of days whose occurrences a row tells: those of a report's 24 hours, until the next one's are over."""

_OF_THE_WRITE_SIDE = {"recent": (), "older": (), "older_at": None, "forgotten_at": None, "ended": None, "waiting": ()}
"""What a row leaves out: what tells whether an occurrence was counted, and which are waiting."""


class AlertProjection(Projection):
    """See the module."""

    category = ALERTS.category

    def key(self, hint: Commit) -> Key:
        """See `Projection.key`."""
        return alert_key(hint.stream.partition("#")[2])

    def fold(self, row: Row | None, stream: str, events: Sequence[Recorded]) -> Folded:
        """See `Projection.fold`."""
        alert_id = stream.partition("#")[2]
        before = content_of(row) if row else None
        after = _folded(before, events)
        there = _pointer(alert_id, before.alert) if before else {}
        wanted = _pointer(alert_id, after.alert)
        return Folded(
            alert_row(alert_id, after, events[-1].version),
            tuple(Row(*key, version=0, data=data) for key, data in wanted.items() if there.get(key) != data),
            tuple(key for key in there if key not in wanted),
        )

    def contributions(self, row: Row) -> CounterMoves:
        """See `Projection.contributions`."""
        content = content_of(row)
        by_part = {**content.days, "earlier": content.earlier}
        counted = {
            Key(ALERTS_DAYS_COUNTER, f"{part}#{name}"): n
            for part, counts in by_part.items()
            for name, n in counts._asdict().items()
            if n
        }
        alert = content.alert
        if alert.state is AlertState.OPEN:
            acknowledged = "acknowledged" if alert.acknowledged_at else "new"
            counted[Key(ALERTS_COUNTER, f"{alert.severity}#{acknowledged}#{alert.face.source[:COUNTED_SOURCE]}")] = 1
        return counted


def _folded(before: AlertRow | None, events: Sequence[Recorded]) -> AlertRow:
    alert = before.alert if before else None
    days = dict(before.days) if before else {}
    occurred = dict(before.occurred) if before else {}
    seen: list[str] = list(before.events) if before else []
    for recorded in events:
        alert = ALERTS.evolve(alert, recorded)
        counts, part = _counts(alert, recorded), day_part(recorded.at)
        if any(counts):
            days[part] = DayCounts.total([days.get(part, DayCounts()), counts])
        told: Seen | None = getattr(recorded.event, "seen", None)
        if told:
            seen.extend(told.ids)
        if told and told.count:
            occurred[part] = occurred.get(part, 0) + told.count
    assert alert is not None  # noqa: S101 - there is at least one event
    kept_days = sorted({_date(part) for part in days})[-DAYS_KEPT:]
    past = [counts for part, counts in days.items() if _date(part) not in kept_days]
    return AlertRow(
        alert=alert.model_copy(update=_OF_THE_WRITE_SIDE),
        events=tuple(sorted(set(seen), key=_published, reverse=True)[:LAST_EVENTS]),
        days={part: days[part] for part in sorted(days) if _date(part) in kept_days},
        earlier=DayCounts.total([before.earlier if before else DayCounts(), *past]),
        occurred={part: occurred[part] for part in sorted(occurred)[-PARTS_OCCURRED:]},
    )


def _date(part: str) -> str:
    return part.partition("T")[0]


def _counts(alert: Alert, recorded: Recorded) -> DayCounts:
    """What an event adds to its part of a day. `alert` is as the event left it."""
    match recorded.event:
        case AlertOpened() | AlertReopened():
            return DayCounts(opened=1)
        case AlertResolved():
            return DayCounts(resolved=1, resolve_seconds=_seconds(alert.opened_at, recorded.at))
        case AlertAcknowledged():
            return DayCounts(acknowledged=1, acknowledge_seconds=_seconds(alert.opened_at, recorded.at))
    return DayCounts()


def _seconds(since: datetime | None, at: datetime) -> int:
    """Never less than none: the clocks of two processes may differ."""
    return max(0, int((at - since).total_seconds())) if since else 0


def _published(event_id: str) -> tuple[str, str]:
    """By the time that a monitoring event's id begins with, whatever its number of digits."""
    return event_id.partition("-")[0].zfill(12), event_id


def _pointer(alert_id: str, alert: Alert) -> Mapping[Key, str]:
    """The data of the pointer to an alert, by key; nothing if it never opened."""
    found = pointer(alert_id, alert)
    return {Key(found.pk, found.sk): json.dumps(found.data, separators=(",", ":"))} if found else {}
