"""A rebuild in this process, on a ledger in memory; and what its views show, whichever generation is live."""

import random
from concurrent.futures import Future, ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from typing import Any

from infra import counters, generations
from infra.commits import from_item
from infra.generations import Generations
from infra.personal_data import MemoryDataKeys, PersonalData
from infra.replay import Segment
from infra.views import Key
from projections.bulk import SegmentBuild
from projections.comparison import Comparison
from projections.progress import Progress
from projections.projector import projections
from projections.rebuild import Rebuild
from tests.in_memory import deployed
from tests.in_memory.dynamodb import InMemoryDynamoDB, client
from tests.unit.projections.ledger import Ledger, rows_of

NAMES = tuple(projection.category for projection in projections(PersonalData(MemoryDataKeys())))


def ledger_of_the_last_days(db: InMemoryDynamoDB) -> Ledger:
    """Nothing in it has expired."""
    ledger = Ledger(db, random.Random(1), pace=100)
    ledger.now = datetime.now(UTC) - timedelta(days=3)
    return ledger


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


def rebuild(
    ledger: Ledger, watching: Watching | None = None, *, owner: str = "me", abort: bool = False, **more: Any
) -> Any:
    """Carry one out, or abort the one that was interrupted."""
    projector = ledger.projector()

    def build(state: Generations, segment: Segment) -> Progress:
        chosen = [projector.projections[name] for name in state.other]
        return SegmentBuild(chosen, state.other, segment, lambda: None).run(client(), "events")

    work = Rebuild(
        projector,
        more.pop("names", NAMES),
        build,
        Inline(1),
        owner=owner,
        watcher=watching or Watching(),
        settle=more.pop("settle", lambda _watcher: None),
        pause=more.pop("pause", lambda _seconds: None),
        **more,
    )
    return work.abort() if abort else work.run()


def shown(db: InMemoryDynamoDB) -> dict[Any, Any]:
    """The live rows without generations, and the counters as sums."""
    live = generations.read()[0]
    found: dict[Any, Any] = {}
    for (pk, sk), item in rows_of(db).items():
        generation, bar, name = pk.partition("|")
        if not bar or int(generation) != live.live_of(generations.projection_of(name)):
            continue
        if name.startswith("counter#"):
            key = counters.unsharded(Key(name, sk))
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
