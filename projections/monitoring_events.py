"""Monitoring events: a row for each, counted by the day it was received, its source and its severity.

Beside it stands a row that says that its day and shard hold events. It depends on nothing but the event, so that it
may be put again and again, in any order; it names the day of the expiry too, so that a late event's outlives others.
"""

import json
from collections.abc import Sequence

from domain.commit import Commit, Recorded
from domain.monitoring_events import MonitoringEventRecorded, event_id
from infra.settings import number
from infra.views import (
    EVENT_DAYS,
    EVENTS_COUNTER,
    CounterMoves,
    Key,
    Row,
    event_key,
    event_sort_key,
    pack,
    utc_day,
)
from projections.projection import Folded, Projection

_DAY = 86_400

_COUNTED_SOURCE = 200
"""Characters of a source that its counter's key keeps: a sort key has at most 1,024 bytes (DynamoDB quotas), and a
message that was handed in by hand may name any source."""


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
            "published_at": event.published_at,
            "updated_at": int(recorded.at.timestamp()),
            "expired_at": event.expires_at,
        }
        key = _key(stream, event.published_at)
        until = (event.expires_at // _DAY + 1) * _DAY
        row = Row(
            key.pk,
            key.sk,
            version=recorded.version,
            data=json.dumps(shown, ensure_ascii=False, separators=(",", ":")),
            detail=pack(json.dumps(event.message.get("detail"), ensure_ascii=False, separators=(",", ":"))),
            ttl=event.expires_at,
        )
        day = Row(EVENT_DAYS, f"{key.pk.partition('#')[2]}#{until}", version=0, data="", ttl=until)
        return Folded(row, (day,))

    def contributions(self, row: Row) -> CounterMoves:
        """See `Projection.contributions`. By the day *received*, so that the row's expiry moves no counter."""
        shown = json.loads(row.data)
        received = utc_day(shown["updated_at"])
        return {Key(EVENTS_COUNTER, f"{received}#{shown['source'][:_COUNTED_SOURCE]}#{shown['severity']}"): 1}

    def outlives(self, counter: Key, at: float) -> bool:
        """See `Projection.outlives`. With a longer retention than before: also on the days of the shorter one."""
        return counter.sk.partition("#")[0] <= utc_day(int(at) - number("EVENT_RETENTION_DAYS", 90) * _DAY)


def _key(stream: str, published_at: int) -> Key:
    return event_key(utc_day(published_at), event_sort_key(published_at, stream.partition("#")[2]))
