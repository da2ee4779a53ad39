"""What a projected event costs in calls and units, by the size of its batch; counters and pointers included."""

import random
from collections.abc import Callable
from typing import NamedTuple

import pytest

from domain.tasks import Status
from infra import marks
from tests.in_memory import sizes
from tests.in_memory.dynamodb import InMemoryDynamoDB
from tests.in_memory.event_source import EventSource, EventSourceMapping, event
from tests.unit.projections.ledger import Ledger

STREAMS = 500
"""Each event is of another stream, which is what costs most."""

Work = Callable[[Ledger], None]


class PerEvent(NamedTuple):
    write_units: float
    read_units: float
    calls: float


def create(ledger: Ledger) -> None:
    ledger.create_task(by="ann", assigned_user_id="bob", due_date=None)


def start(ledger: Ledger) -> None:
    ledger.move_task(Status.IN_PROGRESS)


@pytest.fixture
def ledger(db: InMemoryDynamoDB) -> Ledger:
    """Where something happens every second, so that a batch holds what happened within a few minutes."""
    return Ledger(db, random.Random(1), pace=1)


def spent(ledger: Ledger, work: Work, batch_size: int) -> PerEvent:
    """What projecting costs. Work on tasks is done once on each of those that there are."""
    source = EventSource(ledger.db, "events", ledger.handler, EventSourceMapping(batch_size=batch_size), latest=True)
    there = len(ledger.db.changes("events"))
    for task in tuple(ledger.tasks) or [None] * STREAMS:
        ledger.tasks = [task] if task else ledger.tasks
        work(ledger)
    events = len(ledger.db.changes("events")) - there
    assert events == STREAMS
    with ledger.db.metered() as used:
        source.drain()
    assert max(map(sizes.item_bytes, ledger.db.items("views"))) <= 1024
    units = (used.write_units["views"], used.read_units["views"])
    return PerEvent(*(total / events for total in (*units, used.calls.total())))


BARS = {1: 3, 10: 0.3, 100: 0.05}
"""Calls per event, by the size of a batch: the bearings, the rows, and a transaction for each 100 items."""


@pytest.mark.parametrize(("batch_size", "units"), [(1, 6), (10, 5), (100, 3.5)])
def test_a_monitoring_event_costs_its_row_and_a_share_of_its_counter(
    ledger: Ledger, batch_size: int, units: float
) -> None:
    cost = spent(ledger, Ledger.record_event, batch_size)
    assert cost.write_units <= units
    assert cost.calls <= BARS[batch_size]


@pytest.mark.parametrize(("batch_size", "units"), [(1, 10), (10, 8), (100, 6.5)])
@pytest.mark.parametrize("work", [create, start, Ledger.comment])
def test_an_event_of_a_task_costs_its_row_its_pointer_and_a_share_of_its_counters(
    ledger: Ledger, work: Work, batch_size: int, units: float
) -> None:
    if work is not create:
        spent(ledger, create, 100)
    cost = spent(ledger, work, batch_size)
    assert cost.write_units <= units
    assert cost.calls <= BARS[batch_size]


@pytest.mark.parametrize(("work", "transactions"), [(Ledger.record_event, 2), (create, 3)])
def test_a_batch_is_one_query_one_read_of_its_rows_and_as_few_transactions_as_hold_them(
    ledger: Ledger, work: Work, transactions: int
) -> None:
    for _ in range(100):
        work(ledger)
    batch = event(ledger.db.changes("events"))

    with ledger.db.metered() as used:
        ledger.handler(batch)

    assert used.calls == {"Query": 1, "BatchGetItem": 1, "TransactWriteItems": transactions}
    assert used.calls.total() <= 100 * BARS[100]


def test_transactions_of_a_batch_share_no_more_counters_than_they_must(ledger: Ledger) -> None:
    spent(ledger, Ledger.record_event, 100)
    kinds = {item["sk"]["S"].partition("|")[0] for item in ledger.db.items("views") if "n" in item}
    batches, transactions = STREAMS / 100, 2
    shared = spent(ledger, Ledger.record_event, 100).write_units * STREAMS - 2 * STREAMS  # without the rows
    days = 8 * transactions
    assert len(kinds) == 18
    assert shared <= 2 * batches * (len(kinds) + transactions - 1 + days)


def test_a_busy_stream_is_brought_up_in_steps_with_one_look_at_the_bearings(ledger: Ledger) -> None:
    ledger.create_task(by="ann", due_date=None)
    for _ in range(99):
        ledger.comment()
    with ledger.db.metered() as used:
        ledger.handler(event(ledger.db.changes("events")))
    assert used.calls == {"Query": 1, "BatchGetItem": 2, "TransactWriteItems": 2}
    assert used.calls.total() <= 100 * BARS[100]


def test_a_duplicate_costs_one_read_of_its_row(ledger: Ledger) -> None:
    spent(ledger, create, 100)
    with ledger.db.metered() as used:
        EventSource(ledger.db, "events", ledger.handler).drain()
    assert used.write_units["views"] == 0
    assert used.calls.total() == 2 * STREAMS / 100


def test_however_many_streams_are_parked_a_batch_reads_the_marks_of_its_own(ledger: Ledger) -> None:
    ledger.db.fill("views", [marks.parked_mark(1, f"event#{n}", 0, "E" * 300).serialize() for n in range(2_000)])
    for _ in range(100):
        ledger.record_event()
    batch = event(ledger.db.changes("events"))
    ledger.handler(batch)
    with ledger.db.metered() as used:
        ledger.handler(batch)  # duplicates: nothing but reading
    assert used.calls == {"Query": 1, "BatchGetItem": 2}
    assert used.read_units["views"] <= 210
