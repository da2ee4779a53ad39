"""Two generations of the same projections, compared row by row at equal versions, and counter by counter."""

from collections import Counter
from collections.abc import Iterator, Mapping
from typing import NamedTuple

from infra.generations import Generations, projection_of
from infra.stored import Stored, by_key, in_hundreds, scan, twins
from infra.views import COUNTER_SHARDS, Key, sharded, unsharded

ROUNDS = 5
NAMED = 20
"""Differences that are told one by one; of the others the number is."""


class Comparison(NamedTuple):
    """How the generation being built compares with the live one.

    Attributes:
        rows: compared so far, at equal versions.
        moving: rows that stood at different versions and were not compared.
        changed: rows whose content differs; `added`, `missing`: in one generation only. All by their key's partition.
        counters: by how much the new value exceeds the live one.
        named: the first differing keys.
    """

    rows: int = 0
    moving: int = 0
    changed: int = 0
    added: int = 0
    missing: int = 0
    counters: Mapping[Key, int] = {}
    named: tuple[Key, ...] = ()

    @property
    def same(self) -> bool:
        return not (self.changed or self.added or self.missing or self.counters)


def compare(state: Generations) -> Iterator[Comparison]:
    """Compare the rebuilt projections' live generation with the other one. Yields what is known so far."""
    live = {name: state.live_of(name) for name in state.other}
    compared = Comparison()
    new_counters: Counter[Key] = Counter()
    for items in in_hundreds(scan(state.other)):
        rows = _rows(items, new_counters)
        there = twins(rows, live)
        differing = [row for row in rows if row.key not in there or _differ(row, there[row.key])]
        compared = _told(compared, len(rows), _still_differing(state, live, differing))
        yield compared
    live_counters: Counter[Key] = Counter()
    for items in in_hundreds(scan(live)):
        rows = _rows(items, live_counters)
        there = twins(rows, state.other)
        compared = _told(compared, 0, _still_differing(state, live, [row for row in rows if row.key not in there]))
        yield compared
    new_counters.subtract(live_counters)
    yield compared._replace(counters=_differing(state, live, [key for key, n in new_counters.items() if n]))


_Pair = tuple[Stored | None, Stored | None]
"""What stands at a key in the generation being built, and in the live one."""


def _still_differing(state: Generations, live: Mapping[str, int], rows: list[Stored]) -> dict[Key, _Pair]:
    """Of rows that differed when they were read one after the other: those that differ time after time."""
    pairs: dict[Key, _Pair] = {}
    for _ in range(ROUNDS if rows else 0):
        new, old = twins(rows, state.other), twins(rows, live)
        pairs = {row.key: (new.get(row.key), old.get(row.key)) for row in rows}
        rows = [row for row in rows if _differ(*pairs[row.key])]
        if not rows:
            break
    return {row.key: pairs[row.key] for row in rows}


def _differ(new: Stored | None, old: Stored | None) -> bool:
    return (new.content if new else None) != (old.content if old else None)


def _told(compared: Comparison, rows: int, differing: Mapping[Key, _Pair]) -> Comparison:
    there = [(key, new, old) for key, (new, old) in differing.items() if new and old]
    moving = sum(new.version != old.version for _, new, old in there)
    changed = [key for key, new, old in there if new.version == old.version]
    added = [key for key, (_, old) in differing.items() if old is None]
    missing = [key for key, (new, _) in differing.items() if new is None]
    return compared._replace(
        rows=compared.rows + rows - moving - len(added),
        moving=compared.moving + moving,
        changed=compared.changed + len(changed),
        added=compared.added + len(added),
        missing=compared.missing + len(missing),
        named=(*compared.named, *changed, *added, *missing)[:NAMED],
    )


def _differing(state: Generations, live: Mapping[str, int], keys: list[Key]) -> dict[Key, int]:
    """Of counters that differed when they were read one after the other: those that differ time after time."""
    for _ in range(ROUNDS):
        found = {key: _number(state.other, key) - _number(live, key) for key in keys}
        keys = [key for key, excess in found.items() if excess]
        if not keys:
            return {}
    return {key: found[key] for key in keys}


def _number(chosen: Mapping[str, int], key: Key) -> int:
    generation = chosen[projection_of(key.pk)]
    parts = by_key([(generation, sharded(key, shard)) for shard in range(COUNTER_SHARDS)])
    return sum(part.number for part in parts.values())


def _rows(items: list[Stored], counters: Counter[Key]) -> list[Stored]:
    for item in items:
        if item.is_counter:
            counters[unsharded(item.key)] += item.number
    return [item for item in items if not item.is_counter and not item.expired]
