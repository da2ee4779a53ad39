"""Verify: whether the views are what the events say, and the events what was written.

Counters are recounted from the rows, rows from the streams, and each stream's hash chain is recomputed. It reads only,
and may run while others write: nothing is reported for having moved while it was looked at.
"""

import hashlib
import time
from collections import defaultdict
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from itertools import islice
from typing import TYPE_CHECKING

from domain.commit import Commit
from infra import generations, stored
from infra.commits import Item, NotACommitError, from_item
from infra.event_store import EventStore
from infra.replay import WHOLE, Segment, stored_streams
from infra.stored import Stored
from infra.views import Key
from projections.differences import Difference, Report, named
from projections.examination import Examination, Look, not_a_commit
from projections.projection import Projection
from projections.recount import Recount

if TYPE_CHECKING:
    from mypy_boto3_dynamodb import DynamoDBClient

STREAMS_TOGETHER = 100

OUTLIVES_SECONDS = 86_400
"""A row that several streams share goes up to a day after the last of these expired: it is not unexplained then."""


class SwappedError(Exception):
    """A rebuild made another generation live meanwhile; what was looked at is being removed. Verify again."""


@dataclass(frozen=True)
class Ledger:
    """What is verified, and repaired.

    Attributes:
        projections: by category.
        all_categories: check also the hash chains of streams that none of these projections is for.
        live: the generation of each projection.
        clock: gives seconds since the epoch.
    """

    store: EventStore
    client: "DynamoDBClient"
    events_table: str
    projections: Mapping[str, Projection]
    all_categories: bool
    live: Mapping[str, int]
    clock: Callable[[], float] = time.time

    @classmethod
    def of(
        cls,
        store: EventStore,
        client: "DynamoDBClient",
        events_table: str,
        projections: Iterable[Projection],
        *,
        all_categories: bool = True,
        clock: Callable[[], float] = time.time,
    ) -> "Ledger":
        """With the generations that are live now."""
        by_category = {projection.category: projection for projection in projections}
        state, _ = generations.read()
        live = {name: state.live_of(name) for name in by_category}
        return cls(store, client, events_table, by_category, all_categories, live, clock)

    def examination(self) -> Examination:
        return Examination(self.store, self.projections, self.live, self.clock)

    def recount(self, reached: Callable[[int], None]) -> Recount:
        return Recount(self.projections, self.live, self.clock, reached)


class Verification:
    """One check.

    Args:
        segment: of the streams, to look at a part of them only. DynamoDB cuts them by their names' digest. Rows that no
            stream explains, and registers that are too high, are found by looking at all of them only.
        reached: is told the phase, and how much of it is done.
    """

    def __init__(
        self,
        ledger: Ledger,
        *,
        segment: Segment = WHOLE,
        reached: Callable[[str, int], None] = lambda _phase, _done: None,
    ) -> None:
        self._ledger = ledger
        self._segment = segment
        self._reached = reached
        self._examination = ledger.examination()
        self._unexplained: set[bytes] = set()
        self._registers: dict[Key, int] = {}
        self._raised: dict[Key, int] = {}
        self._found: dict[Difference, None] = {}
        self._report = Report()

    def run(self) -> Report:
        """Check everything.

        Raises:
            SwappedError: a rebuild ended meanwhile.
        """
        recount = self._ledger.recount(lambda read: self._reached("counters", read))
        wrong = recount.run(self._note)
        checked = self._report.checked
        checked.counters, checked.moving = recount.counters, recount.moving
        self._check_streams()
        if self._unexplained:
            self._check_unexplained()
        self._check_registers()
        self._tell(*miscounted(wrong))
        state, _ = generations.read()
        if any(state.live_of(name) != live for name, live in self._ledger.live.items()):
            raise SwappedError("a rebuild ended meanwhile")
        self._report.differences = list(self._found)
        return self._report

    # ---- streams and their rows

    def _check_streams(self) -> None:
        client, table = self._ledger.client, self._ledger.events_table
        streams = (
            (stream, commits)
            for stream, items in stored_streams(client, table, self._segment, consistent=True)
            if self._is_wanted(stream) and (commits := self._commits(stream, items))
        )
        while some := dict(islice(streams, STREAMS_TOGETHER)):
            self._report.checked.streams += len(some)
            self._report.checked.commits += sum(map(len, some.values()))
            for stream, look in self._examination.together(some).items():
                self._take(self._examination.alone(stream) if look.differences else look)
            self._reached("streams", self._report.checked.streams)

    def _is_wanted(self, stream: str) -> bool:
        return self._ledger.all_categories or stream.partition("#")[0] in self._ledger.projections

    def _commits(self, stream: str, items: Iterable[Item]) -> list[Commit]:
        found = []
        for item in items:
            try:
                found.append(from_item(item))
            except NotACommitError:
                self._tell(not_a_commit(stream))
        return found

    def _take(self, look: Look) -> None:
        self._tell(*look.differences)
        checked = self._report.checked
        checked.rows += look.rows
        checked.lagging += look.lagging
        checked.moving += look.moving
        self._unexplained.difference_update(map(_digest, look.keys))
        for key, number in look.raised:
            self._raised[key] = max(number, self._raised.get(key, 0))

    # ---- what no stream explains

    def _note(self, item: Stored) -> None:
        """Keys of rows are noted before the streams are read: what comes later is none of them."""
        if self._segment.of > 1 or item.is_counter:
            return
        if item.is_register:
            self._registers[item.key] = item.number
        else:
            self._unexplained.add(_digest(item.key))

    def _check_unexplained(self) -> None:
        by_stream: defaultdict[str, set[Key]] = defaultdict(set)
        for item in stored.scan(self._ledger.live):
            if _digest(item.key) not in self._unexplained:
                continue
            stream = self._ledger.projections[item.projection].stream_of(item.key)
            if stream:
                by_stream[stream].add(item.key)
            elif not self._examination.expired(item.ttl and item.ttl - OUTLIVES_SECONDS):
                told = "no event explains it; since several may share it, it is left to expire"
                self._tell(Difference("unexplained row", named(item.key), told, None, item.key))
        for stream, keys in by_stream.items():
            self._tell(*self._examination.alone(stream, keys).differences)

    def _check_registers(self) -> None:
        high = [key for key, number in self._registers.items() if number > self._raised.get(key, 0)]
        for key in self._examination.there(high):
            self._report.registers[key] = self._raised.get(key, 0)
            self._tell(Difference("register", named(key), "it is higher than any event says", None, key))

    def _tell(self, *differences: Difference) -> None:
        self._found.update(dict.fromkeys(differences))


def miscounted(wrong: Mapping[Key, int]) -> list[Difference]:
    """What is to be told of counters.

    Args:
        wrong: by how much each exceeds what the rows contribute.
    """
    return [
        Difference("counter", named(key), f"it is {abs(by):,} too {'high' if by > 0 else 'low'}", None, key)
        for key, by in wrong.items()
    ]


def _digest(key: Key) -> bytes:
    """Of millions of keys, what need be kept of each."""
    return hashlib.blake2b("\0".join(key).encode(), digest_size=10).digest()
