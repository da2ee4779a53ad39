"""A rebuild ends equal to a fresh fold of the events, and can be declined, tried only, or gone on with."""

import random
from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from infra import generations
from infra.commits import from_item
from infra.generations import Generations
from infra.replay import Segment
from projections import bulk
from projections.bulk import Progress, SegmentBuild
from projections.comparison import Comparison
from projections.rebuild import Rebuild, RebuildError
from tests.in_memory import deployed
from tests.in_memory.dynamodb import InMemoryDynamoDB, client
from tests.in_memory.faults import CrashError, Fault
from tests.unit.projections.ledger import Ledger, differences, rows_of

NAMES = ("event", "task", "user", "session", "aws-config", "monitoring-config")


class Watching:
    """Lets everything pass."""

    def __init__(self, *, accepts: bool = True) -> None:
        self.seen: list[tuple[str, int]] = []
        self.compared: Comparison | None = None
        self._accepts = accepts

    def reached(self, phase: str, done: int, total: int | None) -> None:  # noqa: ARG002
        self.seen.append((phase, done))

    def accepts(self, compared: Comparison) -> bool:
        self.compared = compared
        return self._accepts


class Inline(ThreadPoolExecutor):
    """Runs what it is given at once, in this thread."""

    def submit(self, function: Any, /, *args: Any, **more: Any) -> Any:
        future: Future[Any] = Future()
        try:
            future.set_result(function(*args, **more))
        except Exception as error:  # noqa: BLE001
            future.set_exception(error)
        return future


def rebuild(ledger: Ledger, watching: Watching | None = None, *, owner: str = "me", **more: Any) -> Any:
    projector = ledger.projector()

    def build(state: Generations, segment: Segment) -> Progress:
        chosen = [projector.projections[name] for name in state.other]
        return SegmentBuild(chosen, state.other, segment, lambda: None).run(client(), "events")

    return Rebuild(
        projector,
        more.pop("names", NAMES),
        build,
        Inline(1),
        owner=owner,
        watcher=watching or Watching(),
        settle=more.pop("settle", lambda _watcher: None),
        **more,
    ).run()


def shown(db: InMemoryDynamoDB) -> dict[Any, Any]:
    """The live rows without generations, and the counters as sums."""
    live = generations.read()[0]
    found: dict[Any, Any] = {}
    for (pk, sk), item in rows_of(db).items():
        generation, bar, name = pk.partition("|")
        if not bar or int(generation) != live.live_of(generations.projection_of(name)):
            continue
        if name.startswith("counter#"):
            key = (name, sk.rpartition("|")[0])
            found[key] = found.get(key, 0) + int(item["n"]["N"])
            continue
        found[name, sk] = {
            attribute: value["S"].partition("|")[2] if attribute in {"pk", "gsi1pk", "gsi2pk"} else value
            for attribute, value in item.items()
        }
    return {key: value for key, value in found.items() if value != 0}


def expected(ledger: Ledger) -> dict[Any, Any]:
    fresh = InMemoryDynamoDB(deployed.tables())
    fresh.fill("events", ledger.db.items("events"))
    commits = sorted(map(from_item, fresh.items("events")), key=lambda commit: (commit.stream, commit.version))
    with fresh.installed():
        generations.forget()
        ledger.projector().project(commits)
        found = shown(fresh)
    generations.forget()
    return found


@pytest.fixture
def ledger(db: InMemoryDynamoDB) -> Ledger:
    """Of the last days: nothing in it has expired."""
    ledger = Ledger(db, random.Random(1), pace=100)
    ledger.now = datetime.now(UTC) - timedelta(days=3)
    return ledger


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
    db.faults = iter([None] * 12 + [Fault.CRASH_AFTER])
    with pytest.raises(CrashError):
        rebuild(ledger, owner="one")

    with pytest.raises(RebuildError, match="under way"):
        rebuild(ledger, owner="two")

    assert rebuild(ledger, owner="one").swapped


def test_one_projection_can_be_rebuilt_alone(ledger: Ledger, db: InMemoryDynamoDB) -> None:
    ledger.work(100)
    ledger.projector().project([from_item(item) for item in db.items("events")])

    rebuild(ledger, names=("task",))

    assert generations.read()[0].live == {"task": 2}
    assert differences(shown(db), expected(ledger)) == {}
