"""Counters recounted: each is the sum of what the rows contribute, and by how much it exceeds that is its fault.

Counter and rows move together, so what a counter exceeds them by stays the same whatever moves; only they cannot be
read in one moment. A counter that differs is therefore judged by the scans during which it stood still, and by two of
them that say the same.
"""

import time
from collections import Counter
from collections.abc import Callable, Iterable, Mapping
from itertools import chain

from infra import stored
from infra.aws_faults import INFRASTRUCTURE
from infra.counters import COUNTER_SHARDS, CounterMoves, sharded, unsharded
from infra.generations import projection_of
from infra.stored import Stored
from infra.views import Key
from projections.projection import Projection

ROUNDS = 4
"""Scans of the whole table at most, after the first, to judge the counters that differ."""


class Recount:
    """Recounts the counters of some projections. A scan of the views, and some more only where counters differ.

    Args:
        live: the generation of each.
        clock: gives seconds since the epoch.
        reached: is told how many items are read.

    Attributes:
        counters: how many there are.
        moving: how many of them moved during each scan, so that nothing can be said of them.
    """

    def __init__(
        self,
        projections: Mapping[str, Projection],
        live: Mapping[str, int],
        clock: Callable[[], float] = time.time,
        reached: Callable[[int], None] = lambda _read: None,
    ) -> None:
        self._projections = projections
        self._live = live
        self._clock = clock
        self._reached = reached
        self.counters = self.moving = 0

    def run(self, look_on: Callable[[Stored], None] = lambda _item: None) -> Mapping[Key, int]:
        """By how much each counter that is wrong exceeds what the rows contribute.

        Args:
            look_on: is shown every item of the first scan.
        """
        differing = self._scan(look_on)
        unsettled = {key: Counter[int]() for key in differing}
        wrong: dict[Key, int] = {}
        for _ in range(ROUNDS):
            if not unsettled:
                break
            before = self._parts(unsettled)
            excess = self._scan()
            after = self._parts(unsettled)
            for key in [key for key in unsettled if before[key] == after[key]]:
                by = excess.get(key, 0)
                unsettled[key][by] += 1
                if by == 0 or unsettled[key][by] == 2:
                    del unsettled[key]
                    if by:
                        wrong[key] = by
        self.moving = len(unsettled)
        return wrong

    def correct(self, wrong: Mapping[Key, int]) -> None:
        """Take off what counters exceed the rows by; they may move meanwhile."""
        stored.add((self._live[projection_of(key.pk)], sharded(key, 0), -by) for key, by in wrong.items())

    def _scan(self, look_on: Callable[[Stored], None] = lambda _item: None) -> Mapping[Key, int]:
        excess: Counter[Key] = Counter()
        counters = set()
        for read, item in enumerate(stored.scan(self._live), 1):
            look_on(item)
            if item.is_counter:
                key = unsharded(item.key)
                counters.add(key)
                excess[key] += item.number
            elif item.version:
                excess.subtract(self._contributions(item))
            if read % 1000 == 0:
                self._reached(read)
        self.counters = len(counters)
        return {key: by for key, by in excess.items() if by and not (by > 0 and self._may_exceed(key))}

    def _contributions(self, item: Stored) -> CounterMoves:
        return contributions(self._projections[item.projection], item)

    def _may_exceed(self, key: Key) -> bool:
        """Whether rows that it sums may have expired."""
        return self._projections[projection_of(key.pk)].outlives(key, self._clock())

    def _parts(self, keys: Iterable[Key]) -> Mapping[Key, list[int | None]]:
        parts = {key: [sharded(key, shard) for shard in range(COUNTER_SHARDS)] for key in keys}
        found = {part.key: part.number for part in stored.all_by_key(self._live, chain(*parts.values())).values()}
        return {key: [found.get(part) for part in of] for key, of in parts.items()}


def contributions(projection: Projection, item: Stored) -> CounterMoves:
    """What a row contributes as it stands there: nothing if it cannot be read, which the comparison of rows tells."""
    try:
        return projection.contributions(item.row())
    except INFRASTRUCTURE:
        raise
    except Exception:  # noqa: BLE001 - whatever a row was made to say
        return {}
