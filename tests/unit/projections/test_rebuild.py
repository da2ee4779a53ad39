"""A rebuild ends equal to a fresh fold of the events, and can be declined, tried only, or gone on with."""

from collections.abc import Iterator
from contextvars import Context
from typing import Any
from unittest.mock import patch

import pytest

from domain.tasks import Status
from infra import generations, marks, stored
from infra.commits import from_item
from infra.generations import Phase
from projections import bulk, comparison
from projections import rebuild as rebuild_module
from projections.bulk import SegmentBuild
from projections.lease import Lease, RebuildError, UnderWayError
from projections.progress import Progress
from projections.projector import MAX_PASSES
from tests.in_memory.dynamodb import InMemoryDynamoDB
from tests.in_memory.faults import CrashError, Fault
from tests.unit.projections.ledger import Ledger, differences, rows_of
from tests.unit.projections.rebuilding import NAMES, Watching, expected, ledger_of_the_last_days, rebuild, shown


@pytest.fixture
def ledger(db: InMemoryDynamoDB) -> Ledger:
    return ledger_of_the_last_days(db)


@pytest.fixture(autouse=True)
def _fresh(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    monkeypatch.setattr(generations, "GENERATIONS_CACHE_SECONDS", -1)
    monkeypatch.setattr(bulk, "ROWS_TOGETHER", 7)
    monkeypatch.setattr(bulk, "CHECKPOINT_SECONDS", -1)
    generations.forget()
    yield
    generations.forget()


def test_a_rebuild_ends_equal(ledger: Ledger, db: InMemoryDynamoDB) -> None:
    ledger.work(300)
    ledger.projector().project([from_item(item) for item in db.items("events")])
    before = shown(db)
    watching = Watching()

    outcome = rebuild(ledger, watching, segments=3)

    assert outcome.swapped
    assert outcome.compared.same, outcome.compared
    assert differences(shown(db), before) == {}
    assert differences(shown(db), expected(ledger)) == {}
    assert generations.read()[0].live == dict.fromkeys(NAMES, 2)
    assert not [pk for pk, _ in rows_of(db) if pk.startswith("1|")]
    assert not [pk for pk, _ in rows_of(db) if pk.startswith(("touched#", "rebuild"))]


def test_views_that_were_lost_come_back(ledger: Ledger, db: InMemoryDynamoDB) -> None:
    ledger.work(200)

    outcome = rebuild(ledger)

    assert outcome.swapped
    assert outcome.compared.added
    assert differences(shown(db), expected(ledger)) == {}


def test_a_dry_run_changes_nothing(ledger: Ledger, db: InMemoryDynamoDB) -> None:
    ledger.work(100)
    ledger.projector().project([from_item(item) for item in db.items("events")])
    before = rows_of(db)

    outcome = rebuild(ledger, dry_run=True)

    assert not outcome.swapped
    assert outcome.compared.same
    assert differences({k: v for k, v in rows_of(db).items() if k[0] != "projections"}, before) == {}


def test_who_declines_keeps_what_was_live(ledger: Ledger, db: InMemoryDynamoDB) -> None:
    ledger.work(50)

    outcome = rebuild(ledger, Watching(accepts=False))

    assert not outcome.swapped
    assert outcome.compared.added
    assert shown(db) == {}
    assert generations.read()[0].live == {}


def test_two_rebuilds_at_once_are_refused(ledger: Ledger, db: InMemoryDynamoDB) -> None:
    ledger.work(20)
    db.faults = iter([None] * 30 + [Fault.CRASH_AFTER])
    with pytest.raises(CrashError):
        rebuild(ledger, owner="one")

    with pytest.raises(RebuildError, match="under way"):
        rebuild(ledger, owner="two")

    assert rebuild(ledger, owner="one").swapped


@pytest.mark.parametrize("phase", [None, Phase.BULK])
def test_of_two_that_take_it_at_the_same_moment_one_has_it(
    db: InMemoryDynamoDB,  # noqa: ARG001
    phase: Phase | None,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    generations.move(lambda state: state.model_copy(update={"phase": phase, "owner": "killed", "owned_until": 1.0}))
    one, two = Lease("one"), Lease("two")
    move = generations.move

    def outrun(change: Any) -> Any:
        monkeypatch.setattr(generations, "move", move)
        two.take()
        return move(change)

    monkeypatch.setattr(generations, "move", outrun)
    with pytest.raises(UnderWayError):
        one.take()
    two.hold()
    one.release()
    assert generations.read()[0].owner == "two"

    two.release()
    one.take()
    one.end()
    two.take()


def test_one_projection_can_be_rebuilt_alone(ledger: Ledger, db: InMemoryDynamoDB) -> None:
    ledger.work(100)
    ledger.projector().project([from_item(item) for item in db.items("events")])

    rebuild(ledger, names=("task",))

    assert generations.read()[0].live == {"task": 2}
    assert differences(shown(db), expected(ledger)) == {}


def projected(ledger: Ledger, only: str = "") -> None:
    """The views are told of every commit, or of those of some streams, once more."""
    items = [item for item in ledger.db.items("events") if only in item["pk"]["S"]]
    ledger.projector().project(map(from_item, items))


def a_task(ledger: Ledger) -> str:
    ledger.create_task()
    return f"task#{ledger.tasks[-1]}"


def test_a_stream_with_an_item_that_is_no_commit_is_parked_and_holds_up_no_other(
    ledger: Ledger, db: InMemoryDynamoDB
) -> None:
    ledger.work(30)
    stream, by_hand, after = a_task(ledger), "task#by-hand", a_task(ledger)
    projected(ledger)
    (row,) = [row for (pk, _), row in shown(db).items() if pk == stream and "version" in row]
    db.fill("events", [{"pk": {"S": stream}, "sk": {"N": "2"}}, {"pk": {"S": by_hand}, "sk": {"N": "1"}}])

    outcome = rebuild(ledger)

    assert outcome.swapped
    assert outcome.compared.same, outcome.compared
    assert sum(segment.left for segment in outcome.segments.values()) == 2
    assert {(one.generation, one.stream, one.version) for one in marks.parked()} == {(2, stream, 1), (2, by_hand, 0)}
    assert shown(db)[stream, "task"] == row
    assert (after, "task") in shown(db)


def test_marks_of_parked_streams_go_with_their_generation(ledger: Ledger) -> None:
    stream = a_task(ledger)
    projected(ledger)
    marks.park(1, stream, 1, "code that is mended by now")

    rebuild(ledger)

    assert marks.parked() == []


class Busy(Watching):
    """When the bulk is done all tasks change; while they are caught up with, one after the other changes once more."""

    def __init__(self, ledger: Ledger) -> None:
        super().__init__()
        self.moves = 0
        self._ledger = ledger
        self._waiting = list(ledger.tasks)
        self._inside = False

    def reached(self, phase: str, done: int, total: int | None) -> None:
        super().reached(phase, done, total)
        if phase == "bulk":
            for task_id in self._waiting:
                self._move(task_id)
            self._ledger.db.before_request = self._before

    def _before(self, operation: str) -> None:
        if operation != "TransactWriteItems" or self._inside or not self._waiting:
            return
        self._inside = True
        self._move(self._waiting.pop())
        self.moves += 1
        self._inside = False

    def _move(self, task_id: str) -> None:
        wanted = Status.CLOSED if self._inside else Status.IN_PROGRESS
        with patch.object(Ledger, "_some", lambda *_: task_id):
            self._ledger.move_task(wanted)
        Context().run(projected, self._ledger, task_id)


def test_streams_that_move_while_they_are_caught_up_with_do_not_end_the_rebuild(
    ledger: Ledger, db: InMemoryDynamoDB, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(rebuild_module, "MAX_NOTES", 0)  # all is caught up with while the projector moves both
    for _ in range(10):
        a_task(ledger)
    projected(ledger)
    busy = Busy(ledger)

    outcome = rebuild(ledger, busy, segments=1)

    assert busy.moves > MAX_PASSES
    assert outcome.compared.same, outcome.compared
    assert differences(shown(db), expected(ledger)) == {}


def test_what_a_killed_bulk_had_written_is_no_obstacle(
    ledger: Ledger, db: InMemoryDynamoDB, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Between the rows that were written and what was saved of the progress: the rows are there, and not known of."""
    monkeypatch.setattr(bulk, "CHECKPOINT_SECONDS", 1000)
    for _ in range(10):
        ledger.create_task(due_date=int(ledger.now.timestamp()) + 86_400)
    projected(ledger)

    class Killed(SegmentBuild):
        def _save(self, reached: Progress) -> Progress:
            if reached.rows:
                raise CrashError
            return super()._save(reached)

    with patch("tests.unit.projections.rebuilding.SegmentBuild", Killed), pytest.raises(CrashError):
        rebuild(ledger, segments=1)
    assert [pk for pk, _ in rows_of(db) if pk == "2|due#open"]
    for task_id in ledger.tasks:
        with patch.object(Ledger, "_some", lambda *_, task_id=task_id: task_id):
            ledger.move_task(Status.IN_PROGRESS)
            ledger.move_task(Status.CLOSED)
    projected(ledger)

    outcome = rebuild(ledger)

    assert outcome.compared.same, outcome.compared
    assert differences(shown(db), expected(ledger)) == {}


def test_what_the_projector_has_not_shown_yet_is_no_difference_once_it_has(
    ledger: Ledger, db: InMemoryDynamoDB
) -> None:
    ledger.work(50)
    projected(ledger)
    ledger.work(30)

    outcome = rebuild(ledger, pause=lambda _seconds: Context().run(projected, ledger))

    assert outcome.compared.same, outcome.compared
    assert outcome.compared.moving == 0
    assert differences(shown(db), expected(ledger)) == {}


def test_what_the_projector_never_shows_is_a_difference(ledger: Ledger) -> None:
    ledger.work(50)
    projected(ledger)
    new = a_task(ledger)

    outcome = rebuild(ledger)

    assert (new, "task") in outcome.compared.named
    assert outcome.compared.counters


def test_what_differs_beyond_those_that_are_read_again_is_told_once(
    ledger: Ledger, db: InMemoryDynamoDB, monkeypatch: pytest.MonkeyPatch
) -> None:
    for _ in range(3):
        ledger.create_task()
    projected(ledger)
    monkeypatch.setattr(comparison, "MAX_SUSPECTS", 0)
    changed, missing = (row for (pk, sk), row in rows_of(db).items() if sk == "task" and pk != f"1|{moving_of(ledger)}")
    db.fill("views", [{**changed, "x": {"S": "x"}}, {**missing, "pk": {"S": "1|task#gone"}}])
    twins = stored.twins

    def moved_meanwhile(rows: Any, chosen: Any) -> Any:
        monkeypatch.setattr(comparison, "twins", twins)
        with patch.object(Ledger, "_some", lambda *_: ledger.tasks[0]):
            ledger.move_task(Status.IN_PROGRESS)
        Context().run(projected, ledger)
        return twins(rows, chosen)

    monkeypatch.setattr(comparison, "twins", moved_meanwhile)
    watching = Watching(accepts=False)

    rebuild(ledger, watching)

    compared = watching.compared
    assert compared is not None
    assert (compared.changed, compared.missing, compared.behind, compared.moving) == (1, 1, 0, 1)
    assert compared.rows >= 1


def moving_of(ledger: Ledger) -> str:
    return f"task#{ledger.tasks[0]}"


def test_what_cannot_be_read_at_one_moment_is_not_compared(ledger: Ledger, monkeypatch: pytest.MonkeyPatch) -> None:
    ledger.work(50)
    projected(ledger)
    a_task(ledger)
    monkeypatch.setattr(comparison, "together", lambda _places: None)  # transactions hold these items all the time

    outcome = rebuild(ledger)

    assert outcome.compared.same
    assert outcome.compared.moving
    assert outcome.swapped
