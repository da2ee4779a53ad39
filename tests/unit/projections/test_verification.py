"""Verification finds what is not as the events say, names it, and reports nothing else."""

import random
from collections.abc import Callable
from datetime import timedelta

import pytest
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st

from domain.commit import chain_hash
from infra import generations, marks
from infra.commits import from_item, to_item
from infra.generations import Generations
from infra.replay import Segment
from projections.verification import SwappedError
from tests.in_memory import deployed
from tests.in_memory.dynamodb import InMemoryDynamoDB
from tests.in_memory.expressions import Item
from tests.unit.projections.ledger import KINDS, Ledger
from tests.unit.projections.verifying import change, delete, kinds, project, rows, verify

NOW = timedelta(0)


@pytest.fixture(autouse=True)
def _pointer_read_anew(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(generations, "GENERATIONS_CACHE_SECONDS", -1)


@pytest.fixture
def task(ledger: Ledger) -> str:
    """The id of a task with every kind of row beside it, among much else. All of it is shown."""
    ledger.create_task(by="ann", assigned_user_id="bob", due_date=int(ledger.now.timestamp()) + 90_000)
    ledger.comment()
    (task,), ledger.tasks = ledger.tasks, []
    ledger.work(60)
    project(ledger)
    return task


# ---- nothing is wrong


@settings(max_examples=8, deadline=None, suppress_health_check=list(HealthCheck))
@given(seed=st.integers(0, 2**32))
def test_views_that_nobody_touched_are_clean_after_any_history(seed: int) -> None:
    with InMemoryDynamoDB(deployed.tables()).installed() as db:
        generations.forget()
        ledger = Ledger(db, random.Random(seed))
        ledger.work(80)
        project(ledger)

        report = verify(ledger)

        assert report.differences == []
        checked = report.checked
        assert checked.commits == len(db.items("events"))
        assert checked.streams == len({item["pk"]["S"] for item in db.items("events")})
        # Rows that several streams share are compared for each of them.
        assert checked.rows >= len([row for row in rows(db) if "data" in row])
        assert (checked.lagging, checked.moving) == (0, 0)
    generations.forget()


def test_counters_are_counted_and_nothing_is_written(ledger: Ledger, task: str, db: InMemoryDynamoDB) -> None:
    del task
    with db.metered() as used:
        report = verify(ledger)
    assert report.checked.counters > 5
    assert not any(used.write_units.values())


def test_one_projection_alone(ledger: Ledger, task: str, db: InMemoryDynamoDB) -> None:
    for pk in (f"task#{task}", "user#"):
        change("views", rows(db, pk)[0], data={"S": "{}"})
    only = verify(ledger, only=("task",))
    assert {one.stream for one in only.differences if one.kind == "row"} == {f"task#{task}"}
    assert only.checked.streams == len({item["pk"]["S"] for item in db.items("events") if "task#" in item["pk"]["S"]})


def test_what_the_projector_has_not_shown_yet_lags_at_first_and_is_behind_later(
    ledger: Ledger, task: str, db: InMemoryDynamoDB
) -> None:
    del task
    for _ in range(3):
        ledger.record_event()
    ledger.create_task()
    (new,) = ledger.tasks[-1:]
    ledger.projector().project([from_item(item) for item in db.items("events") if item["pk"]["S"] == f"task#{new}"])
    ledger.tasks = [new]
    ledger.comment()

    early = verify(ledger, after=timedelta(seconds=-3600))  # the clocks of two machines
    assert (early.differences, early.checked.lagging) == ([], 4)

    late = kinds(verify(ledger))
    assert [kind for kind, _ in late].count("behind") == 1
    assert ("behind", f"task#{new}") in late
    assert {kind for kind, _ in late} == {"behind", "missing row"}


def test_a_deleted_person_whose_deletion_is_not_shown_yet_is_no_difference(ledger: Ledger) -> None:
    while not any("deleted" in item["e"]["S"] for item in ledger.db.items("events")):
        ledger.register()
        ledger.register()
        project(ledger)
        ledger.attempt("delete_person")
    for person in ledger.people:
        ledger.personal.erase(person)
    deleted = [item["pk"]["S"] for item in ledger.db.items("events") if "user.deleted" in item["e"]["S"]]
    found = verify(ledger, after=timedelta(seconds=1))
    assert deleted[0] not in {one.stream for one in found.differences}
    assert found.checked.lagging == 1
    project(ledger)
    assert deleted[0] not in {one.stream for one in verify(ledger).differences}


def test_what_has_expired_is_no_difference(ledger: Ledger, task: str, db: InMemoryDynamoDB) -> None:
    del task
    later = timedelta(days=91)
    assert verify(ledger, after=later).differences == []  # expired, and there
    gone = [item for item in db.items("events") if "ttl" in item]
    for item in gone[::2]:
        delete("events", item)
    for item in rows(db, "event#")[1::2]:
        delete("views", item)
    assert gone
    assert verify(ledger, after=later).differences == []  # DynamoDB takes days for it, and has no order
    for item in [*rows(db, "event#"), *rows(db, "event-days")]:
        delete("views", item)
    for item in gone:
        delete("events", item)
    assert verify(ledger, after=later).differences == []


def test_a_day_whose_last_event_has_just_expired_may_still_be_marked(ledger: Ledger, db: InMemoryDynamoDB) -> None:
    ledger.record_event()
    project(ledger)
    (row,), (mark,) = rows(db, "event#"), rows(db, "event-days")
    for item in (row, mark):
        assert item["ttl"]["N"] <= mark["ttl"]["N"]
    delete("views", row)
    delete("events", db.items("events")[0])
    expired = timedelta(seconds=int(row["ttl"]["N"]) + 1 - ledger.now.timestamp())
    assert verify(ledger, after=expired).differences == []


class Meanwhile:
    """People work and the projector projects, between any two calls of a verification."""

    def __init__(self, ledger: Ledger, often: float, seed: int) -> None:
        self.ledger = ledger
        self.chance = random.Random(seed)
        self.often = often
        self.told = len(ledger.db.changes("events"))
        self.inside = False
        self.count = 0

    def __call__(self, _operation: str) -> None:
        if self.inside or self.chance.random() > self.often:
            return
        self.inside = True
        self.count += 1
        self.ledger.attempt(self.chance.choice(KINDS))
        if self.chance.random() < 0.8:
            changes = self.ledger.db.changes("events")
            hints = [from_item(change.image) for change in changes[self.told :] if change.image]
            self.told = len(changes)
            self.ledger.projector().project(hints)
        self.inside = False


@settings(
    max_examples=15, deadline=None, phases=(Phase.explicit, Phase.generate), suppress_health_check=list(HealthCheck)
)
@given(seed=st.integers(0, 2**32), often=st.sampled_from([0.1, 0.3, 1.0]))
def test_what_moves_while_it_is_looked_at_is_no_difference(seed: int, often: float) -> None:
    with InMemoryDynamoDB(deployed.tables()).installed() as db, pytest.MonkeyPatch.context() as patch:
        patch.setattr(generations, "GENERATIONS_CACHE_SECONDS", -1)
        patch.setattr("projections.verification.STREAMS_TOGETHER", 7)
        generations.forget()
        ledger = Ledger(db, random.Random(seed), pace=5)
        ledger.work(60)
        project(ledger)
        meanwhile = Meanwhile(ledger, often, seed)
        db.before_request = meanwhile

        report = verify(ledger, after=NOW)

        db.before_request = lambda _operation: None
        assert meanwhile.count or often < 1
        assert report.differences == []
    generations.forget()


def test_a_rebuild_that_ends_meanwhile_ends_it(ledger: Ledger, task: str, db: InMemoryDynamoDB) -> None:
    del task

    def swap(_operation: str) -> None:
        db.before_request = lambda _operation: None
        generations.move(lambda _: Generations(live={"task": 2}))

    db.before_request = lambda operation: swap(operation) if operation == "Scan" else None
    with pytest.raises(SwappedError):
        verify(ledger)


# ---- something is wrong


def _row(db: InMemoryDynamoDB, task: str) -> Item:
    (row,) = rows(db, f"task#{task}", "task")
    return row


def test_a_row_that_was_changed(ledger: Ledger, task: str, db: InMemoryDynamoDB) -> None:
    row = _row(db, task)
    changed = row["data"]["S"].replace("Something has", "Nothing has")
    change("views", row, data={"S": changed}, gsi2sk={"S": "elsewhere"})
    (found,) = verify(ledger).differences
    assert (found.kind, found.where, found.stream) == ("row", f"task#{task} / task", f"task#{task}")
    assert found.detail == "differs in data, gsi2sk"


def test_nothing_is_said_of_what_stands_in_a_row(ledger: Ledger, db: InMemoryDynamoDB) -> None:
    ledger.register()
    project(ledger)
    (row,) = rows(db, "user#")
    change("views", row, data={"S": row["data"]["S"].replace("User 0", "Somebody Else")})
    (found,) = verify(ledger).differences
    assert found.detail == "differs in data"
    assert "user0@example.com" not in str(found.as_json())


def test_rows_that_were_deleted(ledger: Ledger, task: str, db: InMemoryDynamoDB) -> None:
    row, (comment,), pointer = _row(db, task), rows(db, f"task#{task}", "comment#"), _pointer(db, task)
    delete("views", comment)
    delete("views", pointer)
    assert kinds(verify(ledger)) == sorted(
        [("missing row", f"task#{task} / comment#000000"), ("missing row", _named(pointer))]
    )
    delete("views", row)
    found = kinds(verify(ledger))
    assert ("missing row", f"task#{task} / task") in found
    assert [kind for kind, _ in found].count("counter") == 2  # by status, and by due day


def test_a_row_that_no_event_explains(ledger: Ledger, task: str, db: InMemoryDynamoDB) -> None:
    pointer = _pointer(db, task)
    change("views", pointer, pk={"S": "1|due#closed"})  # of a stream that says otherwise
    change("views", pointer, sk={"S": "2026-03-01T00:00:00.000Z#unknown"})  # of a stream that is not there
    change("views", _row(db, task), sk={"S": "another"}, version={"N": "0"})
    (mark, *_) = rows(db, "event-days")
    change("views", mark, sk={"S": "2020-01-01#0#1"}, ttl=None)
    found = verify(ledger).differences
    assert {one.kind for one in found} == {"unexplained row"}
    assert {(one.where, one.stream) for one in found} == {
        (f"due#closed / {pointer['sk']['S']}", f"task#{task}"),
        ("due#open / 2026-03-01T00:00:00.000Z#unknown", "task#unknown"),
        (f"task#{task} / another", f"task#{task}"),
        ("event-days / 2020-01-01#0#1", None),
    }


def test_a_row_that_is_newer_than_its_stream(ledger: Ledger, task: str, db: InMemoryDynamoDB) -> None:
    change("views", _row(db, task), version={"N": "9"})
    (found,) = verify(ledger).differences
    assert (found.kind, found.where) == ("row too new", f"task#{task}")
    assert found.detail == "it shows version 9, and the stream ends with 2"


@pytest.mark.parametrize("version", [None, {"N": "0"}, {"S": "2"}])
def test_a_row_without_a_version(
    ledger: Ledger, task: str, db: InMemoryDynamoDB, version: dict[str, str] | None
) -> None:
    change("views", _row(db, task), version=version)
    found = kinds(verify(ledger))
    assert ("row", f"task#{task} / task") in found


@pytest.mark.parametrize(("by", "told"), [(3, "it is 3 too high"), (-2, "it is 2 too low")])
def test_a_counter_that_was_bent(ledger: Ledger, task: str, db: InMemoryDynamoDB, by: int, told: str) -> None:
    del task
    counter = rows(db, "counter#tasks")[0]
    change("views", counter, n={"N": str(int(counter["n"]["N"]) + by)})
    (found,) = verify(ledger).differences
    assert (found.kind, found.detail) == ("counter", told)
    assert found.where == f"{counter['pk']['S'][2:]} / {counter['sk']['S'].rpartition('|')[0]}"


def test_a_counter_is_judged_by_the_moments_in_which_it_stands_still(
    ledger: Ledger, task: str, db: InMemoryDynamoDB
) -> None:
    del task
    bent, busy = (
        next(item for item in rows(db, name) if item["n"]["N"] != "0") for name in ("counter#tasks", "counter#users")
    )
    change("views", bent, n={"N": "77"})
    moves = iter(range(100, 10_000))

    def move(operation: str) -> None:
        if operation == "Scan":
            db.fill("views", [{**busy, "n": {"N": str(next(moves))}}])

    db.before_request = move
    report = verify(ledger)
    assert [kind for kind, where in kinds(report) if bent["pk"]["S"][2:] in where] == ["counter"]
    assert not [where for _, where in kinds(report) if "counter#users" in where]
    assert report.checked.moving == 1


def test_a_login_that_was_forgotten_or_made_up(ledger: Ledger, db: InMemoryDynamoDB) -> None:
    ledger.register()
    for _ in range(3):
        ledger.log_in()
    project(ledger)
    (register,) = rows(db, "login#")
    change("views", register, n={"N": str(int(register["n"]["N"]) - 1)})
    (low,) = verify(ledger).differences
    change("views", register, n={"N": str(int(register["n"]["N"]) + 1)})
    (high,) = verify(ledger).differences
    assert (low.kind, low.detail) == ("register", "it is too low")
    assert (high.kind, high.detail) == ("register", "it is higher than any event says")


def _pointer(db: InMemoryDynamoDB, task: str) -> Item:
    (pointer,) = (item for item in rows(db, "due#open") if item["sk"]["S"].endswith(task))
    return pointer


def _named(item: Item) -> str:
    return f"{item['pk']['S'][2:]} / {item['sk']['S']}"


# ---- the ledger itself


def _altered(ledger: Ledger, stream: str) -> None:
    first = next(item for item in ledger.db.items("events") if item["pk"]["S"] == stream)
    change("events", first, by={"S": "somebody else"})


def _removed(ledger: Ledger, stream: str) -> None:
    first = next(item for item in ledger.db.items("events") if item["pk"]["S"] == stream)
    delete("events", first)


def _inserted(ledger: Ledger, stream: str) -> None:
    *_, last = ledger.store.load(stream)
    item = to_item(last)
    change("events", item, sk={"N": "3"}, h={"B": chain_hash(b"made up", last)})


@pytest.mark.parametrize(("tamper", "told"), [(_altered, "altered"), (_removed, "missing"), (_inserted, "altered")])
def test_commits_that_were_tampered_with(
    ledger: Ledger, task: str, tamper: Callable[[Ledger, str], None], told: str
) -> None:
    stream = f"task#{task}"
    tamper(ledger, stream)
    found = [one for one in verify(ledger).differences if one.kind == "chain"]
    assert [(one.where, told in one.detail) for one in found] == [(stream, True)]


def test_an_item_that_is_no_commit(ledger: Ledger, task: str, db: InMemoryDynamoDB) -> None:
    db.fill("events", [{"pk": {"S": f"task#{task}"}, "sk": {"N": "9"}}])
    (found,) = verify(ledger).differences
    assert (found.kind, found.where, found.detail) == ("chain", f"task#{task}", "an item of it is no commit")


def test_streams_of_no_projection_have_a_chain_too(ledger: Ledger, task: str, db: InMemoryDynamoDB) -> None:
    del task
    item = db.items("events")[0]
    change("events", item, pk={"S": "heartbeat#1"}, sk={"N": "1"})
    assert kinds(verify(ledger)) == [("chain", "heartbeat#1")]
    assert kinds(verify(ledger, only=("task",))) == []


def test_a_parked_stream_and_one_that_nobody_has_tried(ledger: Ledger, task: str) -> None:
    stream = f"task#{task}"
    *_, last = ledger.store.load(stream)
    unknown = to_item(last) | {"e": {"S": '[{"t": "task.not-known", "v": 1, "d": {}}]'}, "sk": {"N": "3"}}
    commit = from_item(unknown)
    change("events", unknown, h={"B": chain_hash(last.hash, commit)})
    assert kinds(verify(ledger)) == [("behind", stream)]
    project(ledger)
    assert marks.parked()
    (found,) = verify(ledger).differences
    assert (found.kind, found.where) == ("parked", stream)
    assert found.detail == "shown up to version 2 of 3; `opsledger parked` tells why"


# ---- a part of the streams


def test_segments_are_parts_of_it(ledger: Ledger, task: str, db: InMemoryDynamoDB) -> None:
    change("views", _row(db, task), data={"S": "{}"})
    reports = [verify(ledger, Segment(number, 4)) for number in range(4)]
    whole = verify(ledger)
    assert sum(report.checked.streams for report in reports) == whole.checked.streams
    found = [one for report in reports for one in report.differences if one.kind == "row"]
    assert found == [one for one in whole.differences if one.kind == "row"]
    assert max(report.checked.streams for report in reports) < whole.checked.streams
