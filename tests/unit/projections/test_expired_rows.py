"""Rows that expired, of streams that the projector is asked for once more."""

from datetime import timedelta

import pytest

from projections.projector import hints_of
from projections.sessions import ROW_KEPT_SECONDS
from tests.in_memory.dynamodb import InMemoryDynamoDB
from tests.in_memory.event_source import event
from tests.unit.projections.ledger import Ledger, rows_of

LONG_AGO = timedelta(days=8, seconds=ROW_KEPT_SECONDS)


def logins(db: InMemoryDynamoDB) -> int:
    return sum(int(item["n"]["N"]) for key, item in rows_of(db).items() if "counter#logins" in key[0])


@pytest.fixture
def sessions(ledger: Ledger, db: InMemoryDynamoDB) -> list[str]:
    """Those of some logins, shown."""
    ledger.register()
    for _ in range(5):
        ledger.log_in()
    ledger.projector().project(hints_of(event(db.changes("events"))))
    assert logins(db) == 5
    return [f"session#{one}" for one in ledger.sessions]


def test_a_session_that_has_expired_is_not_counted_once_more(
    ledger: Ledger, db: InMemoryDynamoDB, sessions: list[str]
) -> None:
    ledger.now += LONG_AGO
    assert db.expire("views", ledger.now.timestamp()) == 5

    assert ledger.projector().catch_up(sessions) == 0

    assert logins(db) == 5


def test_a_session_whose_row_was_lost_comes_back_though_its_first_events_are_old(
    ledger: Ledger, db: InMemoryDynamoDB, sessions: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("projections.projector.MAX_STEP_EVENTS", 2)
    ledger.sessions = ledger.sessions[:1]
    for _ in range(9):
        ledger.now += timedelta(days=6)
        ledger.refresh()
    assert db.expire("views", ledger.now.timestamp()) == 5

    assert ledger.projector().catch_up(sessions) == 1

    assert [key for key in rows_of(db) if key[0].startswith("1|session#")] == [(f"1|{sessions[0]}", "session")]
