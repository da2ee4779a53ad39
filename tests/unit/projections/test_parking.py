"""A stream that cannot be projected is parked where it cannot go on: what is readable before that is shown, and no
other stream of its batch notices.
"""

import json
import random
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from functools import partial
from typing import Any

import pytest
from botocore.exceptions import ClientError
from hypothesis import given, settings
from hypothesis import strategies as st
from pynamodb.exceptions import TransactWriteError

from domain import event as event_types
from domain.commit import Commit, chain_hash, encode_events
from domain.event import encode
from domain.tasks import TaskCommented
from infra import changes, counters, generations, marks, personal_data
from infra.aws_faults import INFRASTRUCTURE
from infra.changes import Change, OutrunError, RefusedError
from infra.commits import from_item
from infra.generations import Generations, Phase
from infra.marks import Parked
from infra.personal_data import ERASED, DynamoDBDataKeys
from infra.views import Row
from projections.projection import Folded
from projections.projector import MAX_STEP_EVENTS, hints_of
from projections.tasks import TaskProjection
from tests.in_memory import deployed
from tests.in_memory.dynamodb import InMemoryDynamoDB, client
from tests.in_memory.event_source import event
from tests.in_memory.faults import Fault
from tests.in_memory.kms import InMemoryKms
from tests.in_memory.refusals import cancelled
from tests.in_memory.sizes import MAX_ITEM_BYTES
from tests.unit.projections.ledger import Ledger, Rows, differences, fresh_fold, rows_of
from tests.unit.projections.verifying import kinds, repair, verify

UNKNOWN = '[{"t": "task.remarked", "v": 1, "d": {"comment_id": "c", "comment": "From newer code."}}]'
COMMENT = encode_events([encode(TaskCommented(comment_id="c", comment="Looked at it."))])


def append(ledger: Ledger, stream: str, encoded: str) -> None:
    """A commit of whatever text, at a stream's end."""
    *_, last = ledger.store.load(stream)
    commit = replace(last, version=last.version + 1, id=f"{last.id[:-3]}{last.version:03}", encoded=encoded)
    ledger.store.append(replace(commit, hash=chain_hash(last.hash, commit)))


def new_task(ledger: Ledger) -> str:
    ledger.create_task(by="ann", assigned_user_id="bob", due_date=None)
    return f"task#{ledger.tasks[-1]}"


def shown(stream: str) -> int:
    """The version that a task's row shows, read in the generation that is live."""
    return int(Row.get(stream, "task").version)


def hints(ledger: Ledger) -> list[Commit]:
    return hints_of(event(ledger.db.changes("events")))


def without_marks(db: InMemoryDynamoDB) -> Rows:
    return {key: row for key, row in rows_of(db).items() if key[0] != marks.STATE}


def fold_of(ledger: Ledger, wanted: Callable[[Commit], bool]) -> Rows:
    """What views show that were told of some commits only, and find no others in the store."""
    db = InMemoryDynamoDB(deployed.tables())
    items = [item for item in ledger.db.items("events") if wanted(from_item(item))]
    db.fill("events", items)
    with db.installed():
        ledger.projector().project(map(from_item, items))
    generations.forget()
    return rows_of(db)


# ---- what code cannot read


@settings(max_examples=60, deadline=None)
@given(
    before=st.integers(0, 4),
    after=st.integers(0, 3),
    told=st.sets(st.integers(0, 6)),
    seed=st.integers(0, 9),
)
def test_what_is_readable_before_a_bad_commit_is_shown_and_the_stream_parked_there(
    *, before: int, after: int, told: set[int], seed: int
) -> None:
    """Whichever of its commits are told of besides the last one; the others are filled in from the store."""
    with InMemoryDynamoDB(deployed.tables()).installed() as db:
        ledger = Ledger(db, random.Random(seed))
        bad = new_task(ledger)
        for encoded in [COMMENT] * before + [UNKNOWN] + [COMMENT] * after:
            append(ledger, bad, encoded)
        others = [new_task(ledger) for _ in range(2)]
        commits = [hint for hint in hints(ledger) if hint.stream == bad]
        batch = [hint for place, hint in enumerate(commits[:-1]) if place in told] + commits[-1:]

        ledger.projector().project([*batch, *(hint for hint in hints(ledger) if hint.stream in others)])

        assert shown(bad) == before + 1
        assert [(mark.stream, mark.version) for mark in marks.parked()] == [(bad, before + 1)]
        assert marks.parked()[0].error.startswith("UnreadableEventError: no code for the event 'task.remarked'")
        assert without_marks(db) == fold_of(ledger, lambda commit: commit.stream != bad or commit.version <= before + 1)

        with pytest.MonkeyPatch.context() as fixed:
            fixed.setitem(event_types._types, "task.remarked", TaskCommented)
            ledger.projector().project(commits[-1:])
            assert differences(rows_of(db), fresh_fold(ledger)) == {}


def park_others(count: int, generation: int = 1) -> None:
    for number in range(count):
        marks.park(generation, f"event#{number:03}", 0, "ValueError")


@pytest.mark.parametrize("others", [22, 23, 24, 25, 40])
def test_its_mark_goes_with_the_fix_however_many_others_are_parked(
    ledger: Ledger, monkeypatch: pytest.MonkeyPatch, others: int
) -> None:
    """Also when there are more marks before its own than are read before each batch."""
    stream, well = new_task(ledger), new_task(ledger)
    append(ledger, stream, UNKNOWN)
    ledger.projector().project(hints(ledger))
    park_others(others)
    assert stream in [mark.stream for mark in marks.parked()]

    monkeypatch.setitem(event_types._types, "task.remarked", TaskCommented)
    append(ledger, well, COMMENT)
    ledger.projector().project(hints(ledger))

    assert (shown(stream), shown(well)) == (2, 2)
    assert [mark.stream for mark in marks.parked()] == [f"event#{number:03}" for number in range(others)]


def test_among_many_marks_those_of_each_generation_go_with_its_rows(
    ledger: Ledger, monkeypatch: pytest.MonkeyPatch
) -> None:
    generations.move(lambda _: Generations(other={"task": 2}, phase=Phase.BOTH))
    stream = new_task(ledger)
    append(ledger, stream, UNKNOWN)
    ledger.projector().project(hints(ledger))
    park_others(40)
    marks.park(3, stream, 0, "ValueError")

    monkeypatch.setitem(event_types._types, "task.remarked", TaskCommented)
    ledger.projector().project(hints(ledger))

    assert [mark.generation for mark in marks.parked() if mark.stream == stream] == [3]


def test_what_was_told_of_before_an_item_that_was_put_by_hand_is_shown(ledger: Ledger) -> None:
    stream = new_task(ledger)
    for encoded in (COMMENT, COMMENT, COMMENT):
        append(ledger, stream, encoded)
    told = hints(ledger)
    del told[2]
    client().put_item(TableName="events", Item={"pk": {"S": stream}, "sk": {"N": "3"}, "note": {"S": "What is this?"}})

    ledger.projector().project(told)

    assert [(mark.stream, mark.version) for mark in marks.parked()] == [(stream, 2)]
    assert shown(stream) == 2


def test_the_error_told_is_that_of_the_commit_at_which_the_stream_stands(
    ledger: Ledger, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Not that of a later one, which may be found first."""
    stream = new_task(ledger)
    append(ledger, stream, UNKNOWN)

    def fails(*_: Any) -> Folded:
        raise ZeroDivisionError("the first")

    monkeypatch.setattr(TaskProjection, "fold", fails)
    ledger.projector().project(hints(ledger))

    (mark,) = marks.parked()
    assert (mark.version, mark.error) == (0, "ZeroDivisionError: the first")


def test_a_fault_of_the_infrastructure_before_a_bad_commit_raises_and_parks_nothing(
    ledger: Ledger, monkeypatch: pytest.MonkeyPatch
) -> None:
    stream = new_task(ledger)
    append(ledger, stream, UNKNOWN)

    def throttled(*_: Any) -> Folded:
        raise ClientError({"Error": {"Code": "ThrottlingException", "Message": "slow down"}}, "Decrypt")

    with monkeypatch.context() as busy:
        busy.setattr(TaskProjection, "fold", throttled)
        with pytest.raises(ClientError):
            ledger.projector().project(hints(ledger))
    assert rows_of(ledger.db) == {}

    ledger.projector().project(hints(ledger))
    assert shown(stream) == 1


# ---- what KMS refuses


@pytest.fixture
def kms(ledger: Ledger, monkeypatch: pytest.MonkeyPatch) -> InMemoryKms:
    """Wraps the keys of the ledger's people, which no process keeps in memory."""
    kms = InMemoryKms()
    ledger.personal._keys = DynamoDBDataKeys(client(), "keys", lambda: kms, "key")
    monkeypatch.setattr(personal_data, "DATA_KEY_CACHE_SECONDS", 0.0)
    return kms


def person(ledger: Ledger) -> dict[str, Any]:
    """What the row of the newest user shows."""
    shown: dict[str, Any] = json.loads(Row.get(f"user#{ledger.people[-1]}", "user").data)
    return shown


def test_a_person_whose_key_kms_will_not_unwrap_is_parked_and_holds_up_no_other_stream(
    ledger: Ledger, kms: InMemoryKms
) -> None:
    task = new_task(ledger)
    ledger.register()
    kms.refusal = "KMSInvalidStateException"

    ledger.projector().project(hints(ledger))

    assert shown(task) == 1
    (mark,) = marks.parked()
    assert (mark.stream, mark.version) == (f"user#{ledger.people[-1]}", 0)
    assert mark.error.startswith("UnwrapError: ")
    assert kinds(verify(ledger)) == [("parked", mark.stream)]

    kms.refusal = None
    ledger.projector().catch_up([mark.stream])
    assert marks.parked() == []
    assert kinds(verify(ledger)) == []


def test_verifying_goes_on_where_a_key_cannot_be_unwrapped(ledger: Ledger, kms: InMemoryKms) -> None:
    new_task(ledger)
    ledger.register()
    ledger.projector().project(hints(ledger))
    before = rows_of(ledger.db)
    kms.refusal = "DisabledException"

    report = verify(ledger)

    assert kinds(report) == [("unreadable", f"user#{ledger.people[-1]}")]
    repair(ledger, report)
    assert rows_of(ledger.db) == before


def test_people_whose_wrapping_key_was_deleted_are_shown_as_erased(ledger: Ledger, kms: InMemoryKms) -> None:
    ledger.register()
    ledger.projector().project(hints(ledger))
    name = person(ledger)["full_name"]
    kms.refusal = "NotFoundException"
    assert name != ERASED

    repair(ledger, verify(ledger))

    assert (person(ledger)["email"], person(ledger)["full_name"]) == (ERASED, ERASED)
    assert kinds(verify(ledger)) == []


# ---- what DynamoDB refuses


@pytest.fixture
def fattened(monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[[str], None]]:
    """Makes the row of a stream larger than an item may be, until the code is fixed."""
    fold = TaskProjection.fold
    fat: set[str] = set()

    def folded(self: TaskProjection, row: Row | None, stream: str, events: Sequence[Any]) -> Folded:
        done = fold(self, row, stream, events)
        if stream in fat:
            done.row.detail = b"x" * MAX_ITEM_BYTES
        return done

    monkeypatch.setattr(TaskProjection, "fold", folded)
    yield fat.add
    fat.clear()


@pytest.mark.parametrize("place", [0, 17, 59])
def test_an_item_that_is_too_large_parks_its_stream_and_the_rest_of_the_batch_goes_on(
    ledger: Ledger, fattened: Callable[[str], None], monkeypatch: pytest.MonkeyPatch, place: int
) -> None:
    """In one transaction with others, whose rows and counters are what they would be without it."""
    streams = sorted(new_task(ledger) for _ in range(60))
    bad = streams[place]
    fattened(bad)

    ledger.projector().project(hints(ledger))

    (mark,) = marks.parked()
    assert (mark.generation, mark.stream, mark.version) == (1, bad, 0)
    assert mark.error.startswith("RefusedError: ")
    assert "maximum allowed size" in mark.error
    assert without_marks(ledger.db) == fold_of(ledger, lambda commit: commit.stream != bad)
    assert {shown(stream) for stream in streams if stream != bad} == {1}

    monkeypatch.undo()
    ledger.projector().catch_up([bad])
    assert marks.parked() == []
    assert differences(rows_of(ledger.db), fresh_fold(ledger, at_once=100)) == {}


def test_a_row_that_grows_too_large_stays_as_it_was(ledger: Ledger, fattened: Callable[[str], None]) -> None:
    bad, other = new_task(ledger), new_task(ledger)
    ledger.projector().project(hints(ledger))
    fattened(bad)
    for stream in (bad, other):
        append(ledger, stream, COMMENT)

    ledger.projector().project(hints(ledger))

    assert [(mark.stream, mark.version) for mark in marks.parked()] == [(bad, 1)]
    assert (shown(bad), shown(other)) == (1, 2)


# The codes are those of "CancellationReasons" and of "Errors" of TransactWriteItems in the DynamoDB API Reference.
NONE, INVALID = {"Code": "None"}, {"Code": "ValidationError", "Message": "Item size to update has exceeded the maximum"}
CONFLICT, BUSY = {"Code": "TransactionConflict"}, {"Code": "ThrottlingError"}
FAILED = {"Code": "ConditionalCheckFailed"}


def units(*streams: str) -> list[Sequence[Change]]:
    return [[Change(1, stream, 0, Row(stream, "task", version=1, data="{}"), (), {})] for stream in streams]


def answering(db: InMemoryDynamoDB, *answers: Sequence[dict[str, str]] | None) -> None:
    """Have the next transactions cancelled for these reasons, or carried out (None)."""
    left = iter(answers)

    def answer(operation: str) -> None:
        reasons = next(left, None) if operation == "TransactWriteItems" else None
        if reasons:
            raise cancelled(reasons)

    db.before_request = answer


def test_the_stream_that_is_refused_is_found_within_its_transaction(db: InMemoryDynamoDB) -> None:
    answering(db, [NONE, INVALID, NONE], None, [INVALID])

    with pytest.raises(RefusedError, match="ValidationError") as caught:
        changes.apply(units("task#1", "task#2", "task#3"))

    assert caught.value.stream == "task#2"
    assert [pk for pk, _ in rows_of(db)] == ["1|task#1"]


def test_units_written_by_themselves_are_written_only_while_they_are_valid(db: InMemoryDynamoDB) -> None:
    answering(db, [NONE, INVALID])
    valid = iter([True, True, False])

    with pytest.raises(OutrunError):
        changes.apply(units("task#1", "task#2"), partial(next, valid))

    assert [pk for pk, _ in rows_of(db)] == ["1|task#1"]


@pytest.mark.parametrize(
    ("reasons", "error"),
    [
        ([FAILED, NONE], OutrunError),
        ([CONFLICT, NONE], OutrunError),
        ([CONFLICT, FAILED], OutrunError),
        ([BUSY, NONE], TransactWriteError),
        ([BUSY, FAILED], TransactWriteError),
    ],
)
def test_what_passes_by_itself_is_no_refusal(
    db: InMemoryDynamoDB, reasons: Sequence[dict[str, str]], error: type[Exception]
) -> None:
    answering(db, reasons)

    with pytest.raises(error):
        changes.apply(units("task#1", "task#2"))

    assert rows_of(db) == {}


@pytest.mark.parametrize("fault", [Fault.UNSENT, Fault.LOST_ANSWER])
@pytest.mark.parametrize(
    "write",
    [
        partial(changes.apply, units("task#1")),
        partial(counters.raise_to, counters.last_login("ann"), 1),
        lambda: marks.unpark(Parked(1, "task#1", 1, "", 0, 0)),
    ],
)
def test_a_connection_that_breaks_is_a_fault_of_the_infrastructure(
    db: InMemoryDynamoDB, write: Callable[[], object], fault: Fault
) -> None:
    generations.present()
    db.faults = iter([fault])

    with pytest.raises(INFRASTRUCTURE):
        write()


# ---- in two generations


def test_a_stream_far_behind_fits_into_transactions_of_two_generations(ledger: Ledger) -> None:
    generations.move(lambda _: Generations(other={"task": 2}, phase=Phase.BOTH))
    stream = new_task(ledger)
    for _ in range(2 * MAX_STEP_EVENTS):
        append(ledger, stream, COMMENT)

    ledger.projector().project(hints(ledger))

    assert marks.parked() == []
    for generation in (1, 2):
        with generations.chosen({"task": generation}):
            assert shown(stream) == 2 * MAX_STEP_EVENTS + 1


def test_a_stream_is_parked_in_each_generation_that_it_cannot_be_projected_in(ledger: Ledger) -> None:
    generations.move(lambda _: Generations(other={"task": 2}, phase=Phase.BOTH))
    stream = new_task(ledger)
    append(ledger, stream, UNKNOWN)

    ledger.projector().project(hints(ledger))

    assert [mark[:3] for mark in marks.parked()] == [(1, stream, 1), (2, stream, 1)]
