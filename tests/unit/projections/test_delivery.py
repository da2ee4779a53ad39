"""What the projector makes of deliveries at size: nothing is lost, nothing counted twice, and no stream waits for a
poisoned one.
"""

import random
from collections.abc import Callable, Mapping
from dataclasses import replace
from datetime import timedelta
from functools import partial

import pytest

from domain import event as event_types
from domain.commit import Commit, chain_hash
from domain.tasks import Status, TaskCommented
from infra import marks
from projections.projector import hints_of
from tests.in_memory.dynamodb import InMemoryDynamoDB
from tests.in_memory.event_source import EventSource, EventSourceMapping, anyhow, event
from tests.in_memory.faults import Fault, at_random
from tests.in_memory.interleaving import interleaved, turns_of
from tests.unit.projections.ledger import DAY, Ledger, differences, fresh_fold, parked, rows_of

Source = Callable[..., EventSource]

COMMITS = 10_000
UNKNOWN = '[{"t": "task.remarked", "v": 1, "d": {"comment_id": "c", "comment": "From newer code."}}]'


def test_ten_thousand_commits_with_duplicates_and_crashes_are_each_counted_once(ledger: Ledger) -> None:
    """In any order, a fifth of them twice, three batches at a time; a process that dies is replaced."""
    ledger.work(COMMITS)
    chance = random.Random(2)
    batches = list(anyhow(ledger.db.changes("events"), chance, most=200, repeats=0.2))
    ledger.db.faults = at_random(chance, 0.05)
    failed = 0
    while batches:
        told = [batches.pop() for _ in range(min(3, len(batches)))]
        runs = [partial(ledger.handler, event(batch)) for batch in told]
        outcomes = interleaved(ledger.db, runs, turns_of(chance))
        again = [batch for batch, outcome in zip(told, outcomes, strict=True) if outcome.error]
        batches += again
        failed += len(again)
    assert failed > 10
    assert differences(rows_of(ledger.db), fresh_fold(ledger, at_once=100)) == {}


def test_a_deployed_mapping_delivers_everything_while_shards_split_and_requests_fail(
    ledger: Ledger, source_of: Source
) -> None:
    chance = random.Random(3)
    source = source_of(ledger, shards=2, repeats=0.2, short=0.3, chance=chance)
    ledger.db.faults = at_random(chance, 0.05, [Fault.THROTTLED, Fault.CONFLICT, Fault.LOST_ANSWER, Fault.PARTIAL])
    for _ in range(4):
        faults, ledger.db.faults = ledger.db.faults, iter(())
        ledger.work(300)
        ledger.db.faults = faults
        source.deliver(at_once=3)
        source.split()
    source.drain(at_once=4, most=1000)
    assert source.destination == []
    assert differences(rows_of(ledger.db), fresh_fold(ledger, at_once=100)) == {}


def test_the_last_commit_of_a_stream_brings_all_that_was_lost_before_it(ledger: Ledger) -> None:
    ledger.work(500)
    last: dict[str, Commit] = {}
    for change in ledger.db.changes("events"):
        (hint,) = hints_of(event([change]))
        last[hint.stream] = hint
    ledger.projector().project(last.values())
    assert differences(rows_of(ledger.db), fresh_fold(ledger, at_once=100)) == {}


# ---- a poisoned stream


def poisoned_among_a_thousand(ledger: Ledger) -> str:
    """A thousand tasks that all go on, and a commit in the midst of one that only newer code can read."""
    for _ in range(1000):
        ledger.create_task(assigned_user_id=None)
    poison = f"task#{ledger.tasks[500]}"
    (created,) = ledger.store.load(poison)
    remarked = replace(created, version=2, id=f"{created.id[:-1]}f", encoded=UNKNOWN)
    ledger.store.append(replace(remarked, hash=chain_hash(created.hash, remarked)))
    for task in tuple(ledger.tasks):
        ledger.tasks = [task]
        ledger.move_task(Status.IN_PROGRESS)
    return poison


def task_versions(db: InMemoryDynamoDB) -> dict[str, int]:
    """The versions that the rows of tasks show, by stream."""
    rows = (item for (_, sk), item in rows_of(db).items() if sk == "task")
    return {item["pk"]["S"].rpartition("|")[2]: int(item["version"]["N"]) for item in rows}


def test_a_poisoned_stream_delays_no_other_and_stands_in_the_parked_rows(
    monkeypatch: pytest.MonkeyPatch, db: InMemoryDynamoDB, ledger: Ledger, source_of: Source
) -> None:
    with monkeypatch.context() as newer:
        newer.setitem(event_types._types, "task.remarked", TaskCommented)
        poison = poisoned_among_a_thousand(ledger)
    source = source_of(ledger)

    source.drain()

    assert source.invocations == 21  # no batch came again
    assert [mark.error[:20] for mark in marks.parked()] == ["UnreadableEventError"]
    assert parked(rows_of(db)) == [poison]
    assert source.destination == []
    assert {task for task, version in task_versions(db).items() if version < 2} == {poison}
    assert task_versions(db)[poison] == 1
    assert [(mark.generation, mark.version) for mark in marks.parked()] == [(1, 1)]

    monkeypatch.setitem(event_types._types, "task.remarked", TaskCommented)
    (hint, *_) = ledger.store.load_back(poison)
    ledger.projector().project([hint])

    assert parked(rows_of(db)) == []
    assert task_versions(db)[poison] == 3
    assert differences(rows_of(db), fresh_fold(ledger, at_once=100)) == {}


def test_what_a_poisoned_stream_showed_stays_and_what_follows_waits_in_order(
    monkeypatch: pytest.MonkeyPatch, db: InMemoryDynamoDB, ledger: Ledger, source_of: Source
) -> None:
    ledger.create_task(assigned_user_id=None)
    source = source_of(ledger)
    source.drain()
    before = rows_of(db)
    stream = f"task#{ledger.tasks[0]}"
    (created,) = ledger.store.load(stream)
    remarked = replace(created, version=2, id=f"{created.id[:-1]}f", encoded=UNKNOWN)
    ledger.store.append(replace(remarked, hash=chain_hash(created.hash, remarked)))
    with monkeypatch.context() as newer:
        newer.setitem(event_types._types, "task.remarked", TaskCommented)
        for status in (Status.IN_PROGRESS, Status.CLOSED, Status.IN_PROGRESS):
            ledger.move_task(status)
    source.drain()
    assert task_versions(db) == {stream: 1}
    assert parked(rows_of(db)) == [stream]
    assert {key: row for key, row in rows_of(db).items() if key[0] != marks.STATE} == before

    monkeypatch.setitem(event_types._types, "task.remarked", TaskCommented)
    ledger.move_task(Status.OPEN)
    source.drain()
    assert task_versions(db) == {stream: 6}
    assert differences(rows_of(db), fresh_fold(ledger)) == {}


# ---- expiry


def test_expiry_of_commits_changes_nothing_that_is_shown(db: InMemoryDynamoDB, ledger: Ledger) -> None:
    """Neither by its records, whether they are filtered or not, nor for the streams that go on."""
    ledger.work(300)
    source = EventSource(db, "events", ledger.handler, EventSourceMapping())
    source.drain()
    before = rows_of(db)

    gone = db.expire("events", ledger.now.timestamp() + 91 * DAY)
    source.drain()

    assert gone == len(ledger.events) > 100
    assert [change.expired for change in db.changes("events")].count(True) == gone
    assert rows_of(db) == before


def test_expiry_of_rows_bends_no_counter(db: InMemoryDynamoDB, ledger: Ledger) -> None:
    for _ in range(100):
        ledger.record_event()
    ledger.handler(event(db.changes("events")))
    counters = counters_of(db)

    assert db.expire("views", ledger.now.timestamp() + 92 * DAY) >= 100

    assert counters_of(db) == counters
    assert sum(counters.values()) == 100


@pytest.mark.parametrize("told_again", ["by its record", "by a redrive"])
def test_an_expired_event_that_is_told_of_again_is_not_counted_again(
    db: InMemoryDynamoDB, ledger: Ledger, told_again: str
) -> None:
    """Its row is gone; its commit may still stand in the store for some days."""
    for _ in range(10):
        ledger.record_event()
    ledger.handler(event(db.changes("events")))
    counters = counters_of(db)
    ledger.now += timedelta(days=92)
    db.expire("views", ledger.now.timestamp())
    ledger.create_task(assigned_user_id=None)  # what else there is goes on

    if told_again == "by its record":
        ledger.handler(event(db.changes("events")))
    else:
        ledger.projector().catch_up([f"event#{event_id}" for event_id in ledger.events])
        ledger.projector().catch_up([f"task#{ledger.tasks[0]}"])

    assert events_in(counters_of(db)) == events_in(counters) != {}
    assert list(task_versions(db).values()) == [1]
    assert not [sk for pk, sk in rows_of(db) if "event#" in pk and "counter#" not in pk]


def events_in(counters: Mapping[tuple[str, str], int]) -> dict[tuple[str, str], int]:
    return {key: n for key, n in counters.items() if "events" in key[0]}


def counters_of(db: InMemoryDynamoDB) -> dict[tuple[str, str], int]:
    return {key: int(item["n"]["N"]) for key, item in rows_of(db).items() if "n" in item}
