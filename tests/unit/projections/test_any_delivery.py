"""Whatever people do at once, however their commits are delivered, and whatever fails on the way: what the views show
in the end is a fresh fold of the event store.
"""

import random
from collections.abc import Callable, Sequence
from contextlib import ExitStack
from functools import partial
from typing import Any

from botocore.exceptions import BotoCoreError, ClientError
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule
from pynamodb.exceptions import PynamoDBException

from infra.commits import from_item
from infra.event_store import ConflictError
from projections.projector import OutrunTooOftenError
from tests.in_memory import deployed
from tests.in_memory.dynamodb import InMemoryDynamoDB
from tests.in_memory.event_source import EventSource, EventSourceMapping, anyhow, event
from tests.in_memory.faults import CrashError, Fault
from tests.in_memory.interleaving import interleaved, turns_of
from tests.unit.projections.ledger import KINDS, Ledger, differences, fresh_fold, parked, rows_of

EXPECTED = (BotoCoreError, ClientError, PynamoDBException, ConflictError, OutrunTooOftenError, CrashError)
"""How a process ends that met a fault. Anything else is a fault of its own."""

FAULTS = st.lists(st.sampled_from([None, None, *Fault]), max_size=40)
SEEDS = st.integers(0, 2**32)


class AnyDelivery(RuleBasedStateMachine):
    """An account with people, a stream of what they do, and projectors that are fed from it."""

    def __init__(self) -> None:
        super().__init__()
        self.open = ExitStack()
        self.errors: list[BaseException] = []

    @initialize(seed=SEEDS, attempts=st.integers(1, 3), parallelization=st.integers(1, 4))
    def begin(self, seed: int, attempts: int, parallelization: int) -> None:
        self.db = self.open.enter_context(InMemoryDynamoDB(deployed.tables(), attempts=attempts).installed())
        self.ledger = Ledger(self.db, random.Random(seed))
        mapping = EventSourceMapping(batch_size=10, bisects=True, parallelization=parallelization)
        chance = random.Random(seed)
        self.source = EventSource(
            self.db, "events", self.ledger.handler, mapping, shards=2, repeats=0.2, short=0.5, chance=chance
        )

    # ---- what people do

    @rule(kinds=st.lists(st.sampled_from(KINDS), min_size=1, max_size=8))
    def one_after_the_other(self, kinds: Sequence[str]) -> None:
        for kind in kinds:
            self.ledger.attempt(kind)

    @rule(kinds=st.lists(st.sampled_from(KINDS), min_size=2, max_size=4), seed=SEEDS, faults=FAULTS)
    def at_once(self, kinds: Sequence[str], seed: int, faults: Sequence[Fault | None]) -> None:
        self.run([partial(self.ledger.attempt, kind) for kind in kinds], seed, faults)

    # ---- how it is delivered

    @rule(lanes=st.integers(1, 4), faults=FAULTS)
    def deliver(self, lanes: int, faults: Sequence[Fault | None]) -> None:
        self.db.faults = iter(faults)
        self.source.deliver(at_once=lanes)
        self.db.faults = iter(())

    @rule()
    def split_a_shard(self) -> None:
        if len(self.source.shards) < 8:
            self.source.split()

    @rule(seed=SEEDS, faults=FAULTS)
    def deliver_anyhow(self, seed: int, faults: Sequence[Fault | None]) -> None:
        chance = random.Random(seed)
        batches = list(anyhow(self.db.changes("events"), chance, most=chance.choice([2, 20]), losses=0.5))[:4]
        self.run([partial(self.ledger.handler, event(batch)) for batch in batches], seed, faults)

    # ---- what must hold

    @invariant()
    def nothing_is_parked(self) -> None:
        """Every event here can be applied; no fault on the way makes it look otherwise."""
        assert parked(rows_of(self.db)) == []

    @invariant()
    def processes_end_by_faults_only(self) -> None:
        assert [error for error in (*self.errors, *self.source.errors) if not isinstance(error, EXPECTED)] == []

    def run(self, actors: Sequence[Callable[[], Any]], seed: int, faults: Sequence[Fault | None]) -> None:
        self.db.faults = iter(faults)
        outcomes = interleaved(self.db, actors, turns_of(random.Random(seed)))
        self.db.faults = iter(())
        self.errors += [outcome.error for outcome in outcomes if outcome.error]

    def teardown(self) -> None:
        with self.open:
            if hasattr(self, "db"):
                self.heal()
                assert differences(rows_of(self.db), fresh_fold(self.ledger)) == {}

    def heal(self) -> None:
        """The last commit of each stream is enough, whatever was lost."""
        last = {commit.stream: commit for commit in sorted(map(from_item, self.db.items("events")), key=_version)}
        self.ledger.projector().project(last.values())


class AnyDeliveryDrained(AnyDelivery):
    """The same, with the mapping's own means: what failed comes again until it does not."""

    def heal(self) -> None:
        self.source.drain(at_once=3, most=2000)


def _version(commit: Any) -> int:
    return int(commit.version)


SETTINGS = settings(
    max_examples=40, stateful_step_count=20, deadline=None, suppress_health_check=[HealthCheck.too_slow]
)
AnyDelivery.TestCase.settings = SETTINGS
AnyDeliveryDrained.TestCase.settings = SETTINGS


TestHealedByTheLastCommits = AnyDelivery.TestCase
TestHealedByTheMapping = AnyDeliveryDrained.TestCase
