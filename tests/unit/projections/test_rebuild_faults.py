"""What a rebuild makes of a table that is too busy, of a machine that slept, and of events that cannot be applied."""

import random
import time
import zlib
from collections.abc import Iterator
from contextvars import Context
from typing import Any
from unittest.mock import patch

import pytest

from domain.tasks import Status
from infra import generations, marks, patience
from infra.commits import from_item
from infra.generations import Phase
from infra.marks import Mark
from infra.patience import BusyError
from infra.replay import Segment
from projections import bulk, lease, progress
from projections.bulk import SegmentBuild
from projections.lease import HelpersLease, OlderReleaseError, RebuildError
from projections.progress import Progress, Saving, sums
from tests.in_memory.dynamodb import InMemoryDynamoDB, client
from tests.in_memory.faults import CrashError, Fault, at_request
from tests.unit.projections.ledger import Ledger, differences, rows_of
from tests.unit.projections.rebuilding import NAMES, Watching, expected, ledger_of_the_last_days, rebuild, shown

MANY = {"Scan", "BatchWriteItem", "BatchGetItem", "TransactWriteItems"}
"""What a rebuild asks for again and again."""


@pytest.fixture
def ledger(db: InMemoryDynamoDB) -> Ledger:
    return ledger_of_the_last_days(db)


@pytest.fixture(autouse=True)
def _fresh(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    monkeypatch.setattr(generations, "GENERATIONS_CACHE_SECONDS", -1)
    monkeypatch.setattr(time, "sleep", lambda _seconds: None)
    generations.forget()
    yield
    generations.forget()


def projected(ledger: Ledger) -> None:
    ledger.projector().project(map(from_item, ledger.db.items("events")))


class Busy:
    """A table that is too busy for some of the requests."""

    def __init__(self, db: InMemoryDynamoDB, rate: float) -> None:
        self.met = 0
        self._chance = random.Random(7)
        self._rate = rate
        self._operation = ""
        db.before_request = self._note
        db.faults = iter(self._next, object())

    def _note(self, operation: str) -> None:
        self._operation = operation

    def _next(self) -> Fault | None:
        if self._operation not in MANY or self._chance.random() > self._rate:
            return None
        self.met += 1
        return self._chance.choice([Fault.THROTTLED, Fault.PARTIAL, Fault.UNSENT])


def test_a_table_that_is_too_busy_is_waited_for(ledger: Ledger, db: InMemoryDynamoDB) -> None:
    ledger.work(150)
    projected(ledger)
    busy = Busy(db, 0.3)

    outcome = rebuild(ledger, segments=2, pause=lambda _seconds: None)

    db.faults, db.before_request = iter(()), lambda _operation: None
    assert busy.met > 10
    assert outcome.swapped
    assert differences(shown(db), expected(ledger)) == {}


def test_a_table_that_takes_nothing_is_not_waited_for_without_end(
    ledger: Ledger, db: InMemoryDynamoDB, monkeypatch: pytest.MonkeyPatch
) -> None:
    ledger.work(20)
    monkeypatch.setattr(patience, "PATIENCE_SECONDS", -1)
    played = db.call

    def takes_nothing(client: Any, operation: str, request: Any) -> Any:
        if operation == "BatchWriteItem":
            return {"UnprocessedItems": request["RequestItems"]}
        return played(client, operation, request)

    monkeypatch.setattr(db, "call", takes_nothing)
    with pytest.raises(BusyError):
        rebuild(ledger)


def test_a_machine_that_slept_overwrites_nothing_that_others_made_live(
    ledger: Ledger, db: InMemoryDynamoDB, monkeypatch: pytest.MonkeyPatch
) -> None:
    for _ in range(20):
        ledger.create_task()
    projected(ledger)
    generations.move(
        lambda state: state.model_copy(
            update={
                "other": dict.fromkeys(NAMES, 2),
                "phase": Phase.BULK,
                "owner": "asleep",
                "owned_until": time.time() + 20,
            }
        )
    )
    clock = [0.0]
    now = time.time
    slept: list[str] = []

    def others_go_on() -> None:
        generations.move(lambda state: state.model_copy(update={"owned_until": 0.0}))  # 20 seconds later
        assert rebuild(ledger, owner="awake").swapped
        for task_id in ledger.tasks:
            with patch.object(Ledger, "_some", lambda *_, task_id=task_id: task_id):
                ledger.move_task(Status.IN_PROGRESS)
        projected(ledger)
        clock[0] = 3600

    def sleeps(operation: str) -> None:
        if operation == "Scan" and not slept:
            slept.append(operation)
            Context().run(others_go_on)

    db.before_request = sleeps
    monkeypatch.setattr(time, "time", lambda: now() + clock[0])
    projections = ledger.projector().projections
    asleep = SegmentBuild(
        [projections[name] for name in NAMES], dict.fromkeys(NAMES, 2), Segment(0, 1), HelpersLease("asleep").hold
    )
    with pytest.raises(RebuildError, match="Somebody else"):
        asleep.run(client(), "events")

    monkeypatch.setattr(time, "time", now)
    assert differences(shown(db), expected(ledger)) == {}


@pytest.mark.usefixtures("db")
def test_whose_owner_is_not_heard_of_any_more_does_not_go_on(monkeypatch: pytest.MonkeyPatch) -> None:
    generations.move(lambda state: state.model_copy(update={"phase": Phase.BULK, "owner": "killed"}))
    monkeypatch.setattr(lease, "LEASE_SECONDS", 0.01)
    with pytest.raises(RebuildError, match="not heard of"):
        HelpersLease("killed").hold()


def test_rows_that_cannot_be_brought_as_far_as_the_live_ones_are_a_difference(
    ledger: Ledger, db: InMemoryDynamoDB
) -> None:
    ledger.create_task()
    stream = f"task#{ledger.tasks[0]}"
    with patch.object(Ledger, "_some", lambda *_: ledger.tasks[0]):
        ledger.move_task(Status.IN_PROGRESS)
    projected(ledger)
    (second,) = [item for item in db.items("events") if item["pk"]["S"] == stream and item["sk"]["N"] == "2"]
    db.fill("events", [{**second, "e": {"S": second["e"]["S"].replace('"v":1', '"v":99')}}])
    watching = Watching(accepts=False)

    rebuild(ledger, watching)

    assert watching.compared is not None
    assert (watching.compared.behind, watching.compared.moving, watching.compared.same) == (1, 0, False)
    assert (stream, "task") in watching.compared.named


def test_an_interrupted_rebuild_can_be_aborted(ledger: Ledger, db: InMemoryDynamoDB) -> None:
    ledger.work(100)
    projected(ledger)
    before = shown(db)
    with patch("projections.rebuild.compare", side_effect=CrashError), pytest.raises(CrashError):
        rebuild(ledger)
    assert [pk for pk, _ in rows_of(db) if pk.startswith("2|")]

    assert rebuild(ledger, abort=True) is False

    assert generations.read()[0].phase is None
    assert generations.read()[0].live == {}
    assert shown(db) == before
    assert not [pk for pk, _ in rows_of(db) if not pk.startswith("1|") and pk != marks.STATE]


def test_one_that_is_live_already_is_not_taken_back(ledger: Ledger, db: InMemoryDynamoDB) -> None:
    ledger.work(50)
    projected(ledger)
    with patch("infra.stored.remove", side_effect=CrashError), pytest.raises(CrashError):
        rebuild(ledger)

    assert rebuild(ledger, abort=True) is True

    assert generations.read()[0].live == dict.fromkeys(NAMES, 2)
    assert differences(shown(db), expected(ledger)) == {}


def test_no_rebuild_cannot_be_aborted(ledger: Ledger) -> None:
    with pytest.raises(RebuildError, match="No rebuild"):
        rebuild(ledger, abort=True)


# ---- how far it is


@pytest.mark.parametrize("phase", Phase)
def test_what_an_older_release_began_is_ended_or_can_be_aborted(ledger: Ledger, phase: Phase) -> None:
    ledger.create_task()
    projected(ledger)
    is_live = phase in {Phase.SWAPPED, Phase.REMOVING}
    begun = {"live" if is_live else "other": dict.fromkeys(NAMES, 2)}
    generations.move(lambda state: state.model_copy(update={"other": dict.fromkeys(NAMES, 1), "phase": phase, **begun}))
    packed = zlib.compress(b'{"after":null,"sums":{},"streams":0}').hex()
    Mark("rebuild", "000001#0", version=0, data=packed).save()
    if is_live:
        outcome = rebuild(ledger)
        assert (outcome.swapped, outcome.segments) == (True, {})
    else:
        with pytest.raises(OlderReleaseError, match="--abort"):
            rebuild(ledger)
        assert rebuild(ledger, abort=True) is False
    assert generations.read()[0].phase is None
    assert not list(Mark.query("rebuild"))


MANY_SUMS = {
    f"counter#events-{number}": {f"source-{number}#{key:08x}": key for key in range(30_000)} for number in range(4)
}
SEGMENT = Segment(3, 4)


def test_sums_of_any_size_are_saved_in_pieces_that_an_item_takes(db: InMemoryDynamoDB) -> None:
    saving = Saving(SEGMENT, lambda: None)
    saving.save(Progress(items=1), {})
    assert sums(SEGMENT) == {}

    saving.save(Progress(items=7), MANY_SUMS)

    assert sums(SEGMENT) == MANY_SUMS
    assert progress.progress(4) == {3: Progress(items=7)}
    assert max(len(mark.data) for mark in Mark.query("rebuild-sums")) <= 300_000
    assert len(list(Mark.query("rebuild-sums"))) > 2
    progress.forget_progress()
    assert not rows_of(db)


def test_what_was_saved_last_is_whole_wherever_the_next_save_ends(db: InMemoryDynamoDB) -> None:
    Saving(SEGMENT, lambda: None).save(Progress(items=7), MANY_SUMS)
    more = {"counter#events": {"later": 1}}
    ended = 0
    for number in range(10):
        db.faults = at_request(number, Fault.CRASH_BEFORE)
        try:
            Saving(SEGMENT, lambda: None).save(Progress(items=8), more)
        except CrashError:
            ended += 1
            db.faults = iter(())
            assert progress.progress(4) == {3: Progress(items=7)}
            assert sums(SEGMENT) == MANY_SUMS
            continue
        break
    db.faults = iter(())
    assert ended > 1
    assert sums(SEGMENT) == more


def test_bulk_goes_on_with_the_sums_that_were_saved(ledger: Ledger, db: InMemoryDynamoDB) -> None:
    ledger.work(100)
    projected(ledger)
    with patch.object(bulk, "ROWS_TOGETHER", 7), patch.object(bulk, "CHECKPOINT_SECONDS", -1):
        db.faults = iter([None] * 60 + [Fault.CRASH_AFTER])
        with pytest.raises(CrashError):
            rebuild(ledger, segments=1)
        assert sums(Segment(0, 1))
        assert rebuild(ledger).compared.same
    assert differences(shown(db), expected(ledger)) == {}
