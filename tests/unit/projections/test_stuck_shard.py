"""One shard of the events table's stream is stuck, the others are not: the lag shows it."""

from datetime import timedelta
from types import SimpleNamespace
from typing import Any

import pytest

from commands import schedules
from infra import heartbeats, read_side
from projections.projector import hints_of
from tests.in_memory.dynamodb import InMemoryDynamoDB
from tests.in_memory.event_source import EventSource, EventSourceMapping
from tests.unit.projections.ledger import START, Ledger

MINUTES = 20


def test_the_lag_shows_a_shard_that_is_stuck_until_it_goes_on(
    ledger: Ledger, db: InMemoryDynamoDB, monkeypatch: pytest.MonkeyPatch
) -> None:
    ledger.create_task()
    stuck = {f"task#{ledger.tasks[0]}"}

    def projector(event: dict[str, Any], _context: object) -> None:
        hints = hints_of(event)
        if stuck & {hint.stream for hint in hints}:
            raise ConnectionError
        ledger.projector().project(hints)
        heartbeats.hear("projector", hints)

    def hearing(consumer: str) -> EventSource:
        return EventSource(db, "events", lambda event, _: heartbeats.hear(consumer, hints_of(event)))

    source = EventSource(db, "events", projector, EventSourceMapping(bisects=True), shards=4)
    others = [hearing(consumer) for consumer in ("notifier", "reactions")]
    for minute in range(MINUTES):
        now = START + timedelta(minutes=minute)
        monkeypatch.setattr(schedules, "now", lambda now=now: now)
        monkeypatch.setattr(heartbeats, "time", SimpleNamespace(time=lambda now=now: now.timestamp() + 1))
        schedules.send_heartbeat(ledger.store)
        for other in others:
            other.drain()
        for _ in range(20):
            source.deliver()

    found = read_side.look()
    (lag,) = (lag for lag in heartbeats.lags() if lag.consumer == "projector")
    assert START.timestamp() < lag.heard_at, "the other shards go on"
    assert found.status == "degraded"
    assert found.lag["projector"] == now.timestamp() + 1 - (lag.missing_since or 0) > 120
    assert (found.lag["notifier"], found.lag["reactions"]) == (1, 1)

    stuck.clear()
    source.drain()
    assert read_side.look().status == "ok"
