"""A repair puts right what a verification found: after it, views equal a fresh fold of the events."""

import random
from collections.abc import Callable, Sequence
from contextlib import suppress
from datetime import timedelta
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import Phase as Step
from hypothesis import strategies as st

from domain.alerts import alert_id
from domain.errors import StateConflictError
from domain.judgement import Verdict
from infra import generations, marks
from infra.changes import MAX_TRANSACTION_ITEMS
from infra.commits import from_item
from infra.generations import Generations, Phase
from infra.views import Row
from projections import repair as repairs
from projections.alerts import AlertProjection
from projections.projection import Folded
from projections.recount import Recount
from projections.repair import RepairError
from projections.tasks import TaskProjection
from tests.in_memory import deployed
from tests.in_memory.dynamodb import InMemoryDynamoDB
from tests.in_memory.expressions import Item
from tests.in_memory.sizes import MAX_ITEM_BYTES
from tests.unit.projections.ledger import KINDS, Ledger, differences, fresh_fold, rows_of
from tests.unit.projections.verifying import change, delete, kinds, project, repair, rows, verify


@pytest.fixture(autouse=True)
def _pointer_read_anew(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(generations, "GENERATIONS_CACHE_SECONDS", -1)


def altered(item: Item, chance: random.Random) -> None:
    """Content that is readable or not, an index entry, a number."""
    if "n" in item:
        change("views", item, n={"N": str(chance.randrange(50))})
        return
    (name, value), *_ = chance.sample(
        [
            ("data", {"S": "{}"}),
            ("data", {"S": item["data"]["S"].replace("open", "closed").replace("true", "false")}),
            ("gsi1pk", {"S": "1|tasks#open#low"}),
            ("gsi2sk", {"S": "elsewhere"}),
            ("version", None),
            ("version", {"N": str(chance.randrange(12))}),
        ],
        1,
    )
    change("views", item, **{name: value})


def copied(item: Item, chance: random.Random) -> None:
    """A row or a counter that nothing explains. A mark of a day is left out: it would have to stay till it expires."""
    if not item["pk"]["S"].endswith("event-days"):
        change("views", item, sk={"S": f"{item['sk']['S']}{chance.randrange(10)}"})


def removed(item: Item, _chance: random.Random) -> None:
    delete("views", item)


DAMAGES = (altered, copied, removed)
QUICKLY = (Step.explicit, Step.generate)
"""Without shrinking, which takes minutes here."""


@settings(max_examples=25, deadline=None, phases=QUICKLY, suppress_health_check=list(HealthCheck))
@given(
    seed=st.integers(0, 2**32),
    damages=st.lists(st.tuples(st.sampled_from(DAMAGES), st.integers(0, 2**32)), min_size=1, max_size=12),
    live=st.booleans(),
)
def test_whatever_was_damaged_is_found_and_repaired(
    seed: int, damages: list[tuple[Callable[[Item, random.Random], None], int]], *, live: bool
) -> None:
    with InMemoryDynamoDB(deployed.tables()).installed() as db, pytest.MonkeyPatch.context() as patch:
        patch.setattr(generations, "GENERATIONS_CACHE_SECONDS", -1)
        patch.setattr(repairs, "PART", 2)
        generations.forget()
        ledger = Ledger(db, random.Random(seed))
        ledger.work(40)
        project(ledger)
        for damage, place in damages:
            items = [item for item in db.items("views") if "|" in item["pk"]["S"]]
            damage(items[place % len(items)], random.Random(place))
        damaged = differences(rows_of(db), fresh_fold(ledger))
        report = verify(ledger)
        assert bool(report.differences) == bool(damaged), (damaged, report)
        if live:
            db.before_request = working(ledger, random.Random(seed))

        repair(ledger, report)

        db.before_request = lambda _operation: None
        assert live or report.differences == []
        project(ledger)
        left = verify(ledger)
        if live:  # the projector went on from damaged rows before they were repaired, and counters that move are left
            repair(ledger, left)
        assert differences(rows_of(db), fresh_fold(ledger)) == {}
        assert verify(ledger).differences == []
    generations.forget()


def working(ledger: Ledger, chance: random.Random) -> Callable[[str], None]:
    """People go on working on what is not damaged, and the projector projects what they do."""
    inside = False

    def meanwhile(_operation: str) -> None:
        nonlocal inside
        if inside or chance.random() < 0.7:
            return
        inside = True
        before = len(ledger.db.changes("events"))
        ledger.attempt(chance.choice(KINDS))
        ledger.projector().project([from_item(change.image) for change in ledger.db.changes("events")[before:]])
        inside = False

    return meanwhile


def test_what_was_repaired_is_told(ledger: Ledger, db: InMemoryDynamoDB) -> None:
    ledger.work(30)
    project(ledger)
    row = rows(db, "task#")[0]
    change("views", row, data={"S": row["data"]["S"].replace('"title":"', '"title":"Not ')})
    report = verify(ledger)
    found = kinds(report)
    repair(ledger, report)
    assert kinds(report) == []
    assert [(one.kind, one.where) for one in report.repaired] == found
    assert report.as_json()["repaired"][0]["kind"] == "row"


def test_views_that_were_lost_come_back(ledger: Ledger, db: InMemoryDynamoDB) -> None:
    ledger.work(60)
    report = verify(ledger)
    repair(ledger, report)
    assert report.differences == []
    assert differences(rows_of(db), fresh_fold(ledger)) == {}


def test_a_stream_with_more_rows_than_a_transaction_takes(ledger: Ledger, db: InMemoryDynamoDB) -> None:
    ledger.create_task()
    for _ in range(130):
        ledger.comment()
    project(ledger)
    for comment in rows(db, "task#", "comment#"):
        delete("views", comment)
    report = verify(ledger)
    assert len(report.differences) == 130
    repair(ledger, report)
    assert report.differences == []
    assert differences(rows_of(db), fresh_fold(ledger)) == {}


@pytest.fixture
def long_alert(ledger: Ledger) -> str:
    """The stream of an alert that moves more counters than a transaction takes, and is shown."""
    for _ in range(40):
        ledger.take_events(Verdict.PROBLEM, "disk")
        for handle in (ledger.acknowledge_alert, ledger.resolve_alert):
            with suppress(StateConflictError):  # on some days it did not open
                handle("disk")
        ledger.now += timedelta(days=1)
    project(ledger)
    stream = f"alert#{alert_id('disk')}"
    row = Row.get(stream, "alert")
    assert len(AlertProjection().contributions(row)) > MAX_TRANSACTION_ITEMS
    return stream


def test_a_row_that_was_lost_with_more_counters_than_a_transaction_takes(
    ledger: Ledger, db: InMemoryDynamoDB, long_alert: str
) -> None:
    ledger.create_task()
    project(ledger)
    (row,) = rows(db, long_alert)
    delete("views", row)
    delete("views", rows(db, "task#", "task")[0])
    report = verify(ledger)
    repair(ledger, report)
    assert report.differences == []
    assert differences(rows_of(db), fresh_fold(ledger)) == {}


def test_a_row_comes_back_with_all_its_counters(
    ledger: Ledger, db: InMemoryDynamoDB, long_alert: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    for item in rows(db):
        delete("views", item)
    report = verify(ledger)
    assert ("missing row", f"{long_alert} / alert") in kinds(report)
    monkeypatch.setattr(Recount, "correct", lambda _recount, wrong: pytest.fail(f"{wrong} did not move with it"))
    repair(ledger, report)
    assert report.differences == []
    assert differences(rows_of(db), fresh_fold(ledger)) == {}


def test_more_unexplained_rows_of_a_stream_than_a_transaction_takes(ledger: Ledger, db: InMemoryDynamoDB) -> None:
    ledger.create_task()
    ledger.comment()
    project(ledger)
    (comment,) = rows(db, "task#", "comment#")
    for number in range(130):
        change("views", comment, sk={"S": f"{comment['sk']['S']}{number}"})
    report = verify(ledger)
    assert len(report.differences) == 130
    repair(ledger, report)
    assert report.differences == []
    assert differences(rows_of(db), fresh_fold(ledger)) == {}


def test_a_row_that_is_refused_is_left_and_holds_up_no_other_stream(
    ledger: Ledger, db: InMemoryDynamoDB, monkeypatch: pytest.MonkeyPatch
) -> None:
    ledger.create_task()
    ledger.create_task()
    fold = TaskProjection.fold
    refused = f"task#{min(ledger.tasks)}"

    def fattened(self: TaskProjection, row: Row | None, stream: str, events: Sequence[Any]) -> Folded:
        folded = fold(self, row, stream, events)
        if stream == refused:
            folded.row.detail = b"x" * MAX_ITEM_BYTES
        return folded

    monkeypatch.setattr(TaskProjection, "fold", fattened)
    report = verify(ledger)

    repair(ledger, report)

    assert {one.stream for one in report.differences} == {refused}
    left = next(one for one in report.differences if one.where == f"{refused} / task")
    assert (left.kind, left.detail) == ("missing row", "there is none; DynamoDB refuses what should be there")
    assert [row["pk"]["S"] for row in rows(db, "task#", "task")] == [f"1|task#{max(ledger.tasks)}"]


def test_a_repair_that_is_outrun_begins_again(ledger: Ledger, db: InMemoryDynamoDB) -> None:
    ledger.create_task()
    project(ledger)
    (row,) = rows(db, "task#", "task")
    change("views", row, data={"S": row["data"]["S"].replace("Task 0", "Another")})
    report = verify(ledger)

    def overtake(operation: str) -> None:
        if operation == "TransactWriteItems":
            db.before_request = lambda _operation: None
            ledger.comment()
            project(ledger)

    db.before_request = overtake
    repair(ledger, report)
    assert report.differences == []
    assert differences(rows_of(db), fresh_fold(ledger)) == {}


def test_the_ledger_is_never_touched_and_what_depends_on_a_broken_chain_neither(
    ledger: Ledger, db: InMemoryDynamoDB
) -> None:
    ledger.create_task()
    ledger.comment()
    project(ledger)
    (row,) = rows(db, "task#", "task")
    stream = row["pk"]["S"][2:]
    change("views", row, data={"S": row["data"]["S"].replace("Task 0", "Another")})
    first = next(item for item in db.items("events") if item["pk"]["S"] == stream)
    change("events", first, by={"S": "somebody else"})
    before, views = db.items("events"), rows_of(db)
    report = verify(ledger)
    assert {"chain", "row"} <= {one.kind for one in report.differences}
    found = kinds(report)

    repair(ledger, report)

    assert kinds(report) == found
    assert db.items("events") == before
    assert rows_of(db) == views


def test_a_parked_stream_is_shown_as_soon_as_its_events_can_be_applied(ledger: Ledger, db: InMemoryDynamoDB) -> None:
    ledger.create_task()
    project(ledger)
    ledger.comment()
    (stream,) = (item["pk"]["S"] for item in db.items("events") if item["sk"]["N"] == "2")
    marks.park(1, stream, 1, "UnreadableEventError: by older code")
    report = verify(ledger)
    assert kinds(report) == [("parked", stream)]
    repair(ledger, report)
    assert report.differences == []
    assert marks.parked() == []


def test_a_row_without_a_version_holds_up_no_other_stream(ledger: Ledger, db: InMemoryDynamoDB) -> None:
    ledger.create_task()
    project(ledger)
    (row,) = rows(db, "task#", "task")
    change("views", row, version=None)
    ledger.comment()
    ledger.record_event()
    project(ledger)
    (parked,) = marks.parked()
    assert f"1|{parked.stream}" == row["pk"]["S"]
    assert len(rows(db, "event#")) == 1
    report = verify(ledger)
    repair(ledger, report)
    assert report.differences == []
    assert differences(rows_of(db), fresh_fold(ledger)) == {}


def test_what_stands_beside_a_damaged_row_is_judged_all_the_same(ledger: Ledger, db: InMemoryDynamoDB) -> None:
    ledger.register()
    ledger.log_in()
    ledger.record_event()
    ledger.create_task(by="ann", assigned_user_id="bob", due_date=int(ledger.now.timestamp()) + 90_000)
    project(ledger)
    for row in [*rows(db, "session#"), *rows(db, "event#"), *rows(db, "task#")]:
        change("views", row, version={"N": "9"})
    change("views", rows(db, "due#open")[0], pk={"S": "1|due#closed"})
    report = verify(ledger)
    assert [kind for kind, _ in kinds(report)] == ["row too new"] * 3 + ["unexplained row"]
    repair(ledger, report)
    assert report.differences == []
    assert differences(rows_of(db), fresh_fold(ledger)) == {}


@pytest.mark.parametrize("by", [-5, 5])
def test_a_last_login(ledger: Ledger, db: InMemoryDynamoDB, by: int) -> None:
    ledger.register()
    ledger.log_in()
    project(ledger)
    (register,) = rows(db, "login#")
    change("views", register, n={"N": str(int(register["n"]["N"]) + by)})
    change("views", register, pk={"S": "1|login#nobody"})
    report = verify(ledger)
    assert [kind for kind, _ in kinds(report)] == ["register", "register"]
    repair(ledger, report)
    assert verify(ledger).differences == []
    assert differences(rows_of(db), fresh_fold(ledger)) == {}


def test_while_a_rebuild_is_under_way_nothing_is_repaired(ledger: Ledger, db: InMemoryDynamoDB) -> None:
    ledger.work(5)
    report = verify(ledger)
    generations.move(lambda _: Generations(other={"task": 2}, phase=Phase.BULK))
    with pytest.raises(RepairError, match="rebuild"):
        repair(ledger, report)
    assert not rows(db)
