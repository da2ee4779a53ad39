"""Rebuilds under live writes, killed at any point, end equal to a fresh fold, and no read goes back in time."""

import random
from contextvars import Context
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st

from infra import generations
from infra.commits import from_item
from projections import bulk
from tests.in_memory import deployed
from tests.in_memory.dynamodb import InMemoryDynamoDB
from tests.in_memory.faults import CrashError, Fault
from tests.unit.projections.ledger import KINDS, Ledger, differences
from tests.unit.projections.rebuilding import Watching, expected, rebuild, shown


class Meanwhile:
    """What goes on while a rebuild runs: people work, the projector projects, and readers read.

    It happens between two calls of the rebuild, so that each projector's batch is dealt with before the pointer's next
    move is relied on, as the wait for that has it.
    """

    def __init__(self, ledger: Ledger, chance: random.Random, often: float) -> None:
        self.ledger = ledger
        self.db = ledger.db
        self.chance = chance
        self.often = often
        self.told = len(self.db.changes("events"))
        self.versions: dict[tuple[str, str], int] = {}
        self._inside = False

    def __call__(self, _operation: str) -> None:
        if self._inside or self.chance.random() > self.often:
            return
        self._inside = True
        faults, self.db.faults = self.db.faults, iter(())
        try:
            Context().run(self._happen)  # other processes know nothing of the generations chosen in this one
        finally:
            self._inside, self.db.faults = False, faults

    def pause(self, _seconds: float) -> None:
        """The projector keeps up."""
        Context().run(self.project)

    def _happen(self) -> None:
        self.ledger.attempt(self.chance.choice(KINDS))
        if self.chance.random() < 0.7:
            self.project()
        self.read()

    def project(self) -> None:
        """Some of what is new, and some of it again."""
        items = self.db.items("events")
        hints = [from_item(item) for item in self.chance.sample(items, min(3, len(items)))]
        while self.told < len(self.db.changes("events")):
            hints.append(from_item(self.db.changes("events")[self.told].image))
            self.told += 1
        self.ledger.projector().project(hints)

    def read(self) -> None:
        """No row is older than when it was last read, and none that was there is gone."""
        rows = {key: row for key, row in shown(self.db).items() if isinstance(row, dict)}
        now = {key: int(row["version"]["N"]) for key, row in rows.items() if "version" in row}
        for key, version in self.versions.items():
            assert version == 0 or now.get(key, 0) >= version, f"{key} went back from {version} to {now.get(key)}"
        self.versions = now


@settings(
    max_examples=10,
    deadline=None,
    phases=[Phase.explicit, Phase.generate],  # to shrink one takes minutes
    suppress_health_check=list(HealthCheck),
)
@given(
    seed=st.integers(0, 2**32), often=st.sampled_from([0.02, 0.2, 0.6]), kills=st.lists(st.integers(1, 60), max_size=6)
)
def test_a_rebuild_under_live_writes_that_is_killed_ends_equal(seed: int, often: float, kills: list[int]) -> None:
    with InMemoryDynamoDB(deployed.tables()).installed() as db, pytest.MonkeyPatch.context() as patch:
        patch.setattr(bulk, "ROWS_TOGETHER", 7)
        patch.setattr(bulk, "CHECKPOINT_SECONDS", -1)
        rebuild_under_live_writes(db, random.Random(seed), often, kills)


def rebuild_under_live_writes(db: InMemoryDynamoDB, chance: random.Random, often: float, kills: list[int]) -> None:
    generations.forget()
    ledger = Ledger(db, chance, pace=100)
    ledger.now = datetime.now(UTC) - timedelta(days=3)
    ledger.work(40)
    ledger.projector().project([from_item(item) for item in db.items("events")])
    meanwhile = Meanwhile(ledger, random.Random(chance.getrandbits(32)), often)
    db.before_request = meanwhile
    watching = Watching()
    for kill in [*kills, None]:
        if kill:
            fault = chance.choice([Fault.CRASH_BEFORE, Fault.CRASH_AFTER])
            db.faults = iter([None] * kill + [fault])
        try:
            rebuild(ledger, watching, segments=2, pause=meanwhile.pause)
        except CrashError:
            continue
        finally:
            db.faults = iter(())
        break
    db.before_request = lambda _operation: None
    meanwhile.project()

    assert watching.compared is None or watching.compared.same, watching.compared
    assert generations.read()[0].phase is None
    assert differences(shown(db), expected(ledger)) == {}
