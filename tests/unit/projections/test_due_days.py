"""Past days on which no task is due any more leave the counters, and nothing else does."""

import random
from collections import Counter
from collections.abc import Mapping
from dataclasses import replace
from datetime import timedelta
from functools import partial

import pytest
from botocore.exceptions import EndpointConnectionError
from hypothesis import given
from hypothesis import strategies as st

from commands.schedules import send_heartbeat
from domain.commit import Commit
from domain.tasks import Status
from infra import generations
from infra.counters import TASKS_DUE_COUNTER
from infra.memory_event_store import MemoryEventStore
from infra.views import utc_day
from projections import due_days
from tests.in_memory import deployed
from tests.in_memory.dynamodb import InMemoryDynamoDB
from tests.in_memory.event_source import event
from tests.in_memory.interleaving import interleaved, turns_of
from tests.unit.projections.ledger import DAY, Ledger, differences, fresh_fold, rows_of


def beat(ledger: Ledger, minute: int = 0) -> Commit:
    """A heartbeat of the present hour."""
    store = MemoryEventStore()
    (commit,) = store.load(send_heartbeat(store))
    return replace(commit, at=ledger.now.replace(minute=minute))


def stored(db: InMemoryDynamoDB) -> Mapping[str, int]:
    """What is stored of due days, zeros too, by day and part."""
    parts = [item for item in db.items("views") if item["pk"]["S"].endswith(TASKS_DUE_COUNTER)]
    return {item["sk"]["S"]: int(item["n"]["N"]) for item in parts}


def days(db: InMemoryDynamoDB) -> Mapping[str, int]:
    """The same, summed by day."""
    sums: Counter[str] = Counter()
    for part, n in stored(db).items():
        sums[part.partition("#")[0]] += n
    return sums


def due_in(ledger: Ledger, days: int) -> str:
    """Create a task that is due in some days. Returns the day."""
    due = int(ledger.now.timestamp()) + days * DAY
    ledger.create_task(assigned_user_id=None, due_date=due)
    return utc_day(due)


def close(ledger: Ledger) -> None:
    """Close the task that was created last."""
    others, ledger.tasks = ledger.tasks, ledger.tasks[-1:]
    for status in (Status.IN_PROGRESS, Status.CLOSED):
        ledger.move_task(status)
    ledger.tasks = others


def test_past_days_without_tasks_go_and_all_other_days_stay(db: InMemoryDynamoDB, ledger: Ledger) -> None:
    due_in(ledger, 1)
    overdue, future = due_in(ledger, 2), due_in(ledger, 200)
    ledger.handler(event(db.changes("events")))
    close(ledger)
    ledger.tasks = ledger.tasks[:1]
    close(ledger)
    ledger.handler(event(db.changes("events")))
    ledger.now += timedelta(days=100)
    before = rows_of(db)
    assert sorted(days(db).values()) == [0, 0, 1]

    due_days.tidy([beat(ledger)])

    assert days(db) == {future: 0, overdue: 1}
    assert rows_of(db) == before  # where zero is as good as none


def test_parts_that_make_zero_together_go_together(db: InMemoryDynamoDB, ledger: Ledger) -> None:
    """Two processes moved it: one up, the other one down."""
    due_in(ledger, 1)
    ledger.handler(event(db.changes("events")))
    (part,) = (item for item in db.items("views") if item["pk"]["S"].endswith(TASKS_DUE_COUNTER))
    other = {**part, "sk": {"S": f"{part['sk']['S']}0"}, "n": {"N": "-1"}}
    db.fill("views", [other])
    assert sorted(stored(db).values()) == [-1, 1]
    ledger.now += timedelta(days=3)
    due_days.tidy([beat(ledger)])
    assert stored(db) == {}


def test_a_task_that_is_reopened_is_counted_again(db: InMemoryDynamoDB, ledger: Ledger) -> None:
    day = due_in(ledger, 1)
    ledger.handler(event(db.changes("events")))
    close(ledger)
    ledger.handler(event(db.changes("events")))
    ledger.now += timedelta(days=3)
    due_days.tidy([beat(ledger)])
    assert stored(db) == {}
    ledger.move_task(Status.IN_PROGRESS)
    ledger.handler(event(db.changes("events")))
    assert days(db) == {day: 1}
    assert differences(rows_of(db), fresh_fold(ledger)) == {}


@given(seed=st.integers(0, 2**32))
def test_a_task_that_moves_meanwhile_is_counted(seed: int) -> None:
    """Whatever the order of the requests of the one who tidies and of those who project."""
    chance = random.Random(seed)
    with InMemoryDynamoDB(deployed.tables()).installed() as db:
        generations.forget()
        ledger = Ledger(db, chance)
        for _ in range(2):
            due_in(ledger, 1)
            ledger.handler(event(db.changes("events")))
            close(ledger)
            ledger.move_task(Status.IN_PROGRESS)
            ledger.tasks.clear()
        changes = db.changes("events")[1:]
        ledger.now += timedelta(days=3)
        actors = [partial(due_days.tidy, [beat(ledger)]) for _ in range(2)]
        actors += [partial(ledger.handler, event([change])) for change in changes]
        interleaved(db, actors, turns_of(chance))
        ledger.handler(event(db.changes("events")))
        assert differences(rows_of(db), fresh_fold(ledger)) == {}
    generations.forget()


def test_it_is_done_in_the_first_minute_of_an_hour_and_costs_nothing_else(db: InMemoryDynamoDB, ledger: Ledger) -> None:
    asked: list[str] = []
    db.before_request = asked.append
    due_days.tidy([beat(ledger, minute) for minute in range(1, 60)])
    due_days.tidy([])
    assert asked == []
    due_days.tidy([beat(ledger, 0)])
    assert [operation for operation in asked if operation != "GetItem"] == ["Query"]  # and which generation is live


def test_a_fault_is_left_to_the_next_hour(
    db: InMemoryDynamoDB, ledger: Ledger, caplog: pytest.LogCaptureFixture
) -> None:
    def refuse(_operation: str) -> None:
        raise EndpointConnectionError(endpoint_url="views")

    db.before_request = refuse
    due_days.tidy([beat(ledger)])
    assert "past due days not tidied" in caplog.text
