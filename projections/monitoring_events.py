"""Monitoring events: a row for each, counted by the part of the day it was received in, its source and its severity.

Beside it stands a row that says that its day and shard hold events. It depends on nothing but the event, so that it
may be put again and again, in any order; it names the day of the expiry too, so that a late event's outlives others.
"""

import json
from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Any

from domain.alerts import alert_id
from domain.commit import Commit, Recorded
from domain.judgement import TAKEN
from domain.monitoring_events import MonitoringEventRecorded, event_id
from domain.report_days import day_part
from infra.counters import COUNTED_SOURCE, EVENTS_COUNTER, CounterMoves
from infra.settings import number
from infra.views import EVENT_DAYS, Key, Row, event_key, event_sort_key, pack, shown_event, utc_day
from projections.projection import Folded, Projection

_DAY = 86_400


class MonitoringEventProjection(Projection):
    """See the module."""

    category = "event"

    def key(self, hint: Commit) -> Key:
        """See `Projection.key`. The stream has one commit, so the hint is all of it."""
        return _key(hint.stream, json.loads(hint.encoded)[0]["d"]["published_at"])

    def fold(self, row: Row | None, stream: str, events: Sequence[Recorded]) -> Folded:
        """See `Projection.fold`."""
        recorded, *more = events
        event = recorded.event
        if row or more or not isinstance(event, MonitoringEventRecorded):
            raise ValueError(f"a monitoring event is recorded once and takes no {events[-1].event.name}")
        uuid = stream.partition("#")[2]
        shown = {
            "id": event_id(event.published_at, uuid),
            **event.mapped.model_dump(mode="json"),
            **_judged(event),
            "published_at": event.published_at,
            "updated_at": int(recorded.at.timestamp()),
            "expired_at": event.expires_at,
            "detail": event.message.get("detail"),
        }
        key = _key(stream, event.published_at)
        until = (event.expires_at // _DAY + 1) * _DAY
        row = Row(
            key.pk,
            key.sk,
            version=recorded.version,
            data="",
            detail=pack(json.dumps(shown, ensure_ascii=False, separators=(",", ":"))),
            ttl=event.expires_at,
        )
        day = Row(EVENT_DAYS, f"{key.pk.partition('#')[2]}#{until}", version=0, data="", ttl=until)
        return Folded(row, (day,))

    def contributions(self, row: Row) -> CounterMoves:
        """See `Projection.contributions`. By when it was *received*, so that the row's expiry moves no counter."""
        shown = shown_event(row)
        received = day_part(datetime.fromtimestamp(shown["updated_at"], UTC))
        return {Key(EVENTS_COUNTER, f"{received}#{shown['source'][:COUNTED_SOURCE]}#{shown['severity']}"): 1}

    def stream_of(self, key: Key) -> str | None:
        """See `Projection.stream_of`. That a day has events is said by all of them."""
        return None if key.pk == EVENT_DAYS else f"{self.category}#{key.sk.partition('-')[2]}"

    def outlives(self, counter: Key, at: float) -> bool:
        """See `Projection.outlives`. With a longer retention than before: also on the days of the shorter one."""
        return counter.sk.partition("T")[0] <= utc_day(int(at) - number("EVENT_RETENTION_DAYS", 90) * _DAY)


def _judged(event: MonitoringEventRecorded) -> dict[str, Any]:
    """What was made of it, and the alert that took it."""
    judged = event.judged
    if judged is None:
        return {"alert_id": None, "verdict": None, "config_version": None}
    taken = judged.verdict in TAKEN
    return {
        "severity": judged.severity,
        "alert_id": alert_id(event.mapped.fingerprint) if taken else None,
        "verdict": judged.verdict,
        "config_version": judged.config,
    }


def _key(stream: str, published_at: int) -> Key:
    return event_key(utc_day(published_at), event_sort_key(published_at, stream.partition("#")[2]))
