"""Two generations of the same projections, compared row by row and counter by counter, while both go on moving.

The projector moves both in one transaction, so at any moment they are alike, but for streams that the rebuild has
brought further than the projector. So what differs when it is read one after the other is read again, both generations
at one moment, and again after a pause in which the projector catches up. What still differs is a difference.
"""

from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping
from itertools import islice
from typing import Any, NamedTuple

from infra.counters import COUNTER_SHARDS, sharded, unsharded
from infra.generations import Generations, projection_of
from infra.stored import Stored, in_hundreds, scan, together, twins
from infra.views import Key

PAUSES = (0.0, 0.5, 1.0, 2.0, 4.0, 8.0)
"""Seconds before what differs is read once more: as long as a projector that keeps up may be behind."""

MAX_SUSPECTS = 10_000
"""Rows that are read again. Where more differ, it is not because they move."""

KEYS_TOGETHER = 10
"""Keys that are read at one moment. A transaction that holds one of their items keeps all from being read."""

NAMED = 20
"""Differences that are told one by one; of the others the number is."""


class Comparison(NamedTuple):
    """How the generation being built compares with the live one.

    Attributes:
        rows: compared so far, at equal versions.
        moving: rows and counters that were not compared: rows that the live generation does not bring as far as the
            one being built, what never held still, and rows at unequal versions beyond MAX_SUSPECTS.
        behind: rows that the one being built does not bring as far as the live one, because an event cannot be
            applied: to make them live would take reads back in time.
        changed: rows whose content differs; `added`, `missing`: in one generation only.
        counters: by how much the new value exceeds the live one.
        named: the first differing keys of rows.
    """

    rows: int = 0
    moving: int = 0
    behind: int = 0
    changed: int = 0
    added: int = 0
    missing: int = 0
    counters: Mapping[Key, int] = {}
    named: tuple[Key, ...] = ()

    @property
    def same(self) -> bool:
        return not (self.behind or self.changed or self.added or self.missing or self.counters)


def compare(
    state: Generations, pause: Callable[[float], None], hold_lease: Callable[[], object] = lambda: None
) -> Iterator[Comparison]:
    """Compare the rebuilt projections' live generation with the other one, both of which the projector moves.

    Args:
        pause: waits for so many seconds.
        hold_lease: called before each call of many; what it raises ends it.

    Yields:
        What is known so far; the last one is the result.
    """
    live = {name: state.live_of(name) for name in state.other}
    suspects: dict[Key, _Pair | None] = {}
    compared = Comparison()
    sums: Counter[Key] = Counter()
    for items in in_hundreds(scan(state.other, before=hold_lease)):
        rows = _rows(items, sums)
        there = twins(rows, live)
        compared = compared._replace(rows=compared.rows + len(rows))
        compared = _suspect(suspects, compared, {row.key: (row, there.get(row.key)) for row in rows})
        yield compared
    live_sums: Counter[Key] = Counter()
    for items in in_hundreds(scan(live, before=hold_lease)):
        rows = _rows(items, live_sums)
        there = {key: row for key, row in twins(rows, state.other).items() if not row.expired}
        # The others were compared above.
        compared = _suspect(suspects, compared, {row.key: (None, row) for row in rows if row.key not in there})
        yield compared
    sums.subtract(live_sums)
    excesses: dict[Key, int | None] = {key: excess for key, excess in sums.items() if excess}
    for seconds in PAUSES:
        if not (suspects or excesses):
            break
        yield compared
        pause(seconds)
        suspects = _still_differing(state, live, _held(suspects, hold_lease))
        excesses = _still_exceeding(state, live, _held(excesses, hold_lease))
    told = {key: excess for key, excess in excesses.items() if excess}
    compared = _told(compared, suspects)
    yield compared._replace(counters=told, moving=compared.moving + len(excesses) - len(told))


_Pair = tuple[Stored | None, Stored | None]
"""What stands at a key in the generation being built, and in the live one."""


def _suspect(suspects: dict[Key, _Pair | None], compared: Comparison, pairs: Mapping[Key, _Pair]) -> Comparison:
    """Set aside what differs, as long as there is room; else it is told at once.

    The two were not read at one moment: what is at unequal versions then is taken to be moving.
    """
    differing = {key: pair for key, pair in pairs.items() if _differ(*pair)}
    room = dict(list(differing.items())[: max(0, MAX_SUSPECTS - len(suspects))])
    suspects.update(room)
    beyond = {key: None if _are_apart(*pair) else pair for key, pair in differing.items() if key not in room}
    return _told(compared, beyond)


def _still_differing(state: Generations, live: Mapping[str, int], suspects: Iterable[Key]) -> dict[Key, _Pair | None]:
    """Of suspects those that differ at one moment; None for those that could not be read so."""
    found: dict[Key, _Pair | None] = {}
    for keys in _several(suspects):
        there = together([(of[projection_of(key.pk)], key) for key in keys for of in (state.other, live)])
        for key in keys:
            name = projection_of(key.pk)
            pair = there and (there.get((state.other[name], key)), there.get((live[name], key)))
            if there is None or (pair and _differ(*pair)):
                found[key] = pair or None
    return found


def _still_exceeding(state: Generations, live: Mapping[str, int], counters: Iterable[Key]) -> dict[Key, int | None]:
    """By how much counters exceed the live ones at one moment; None for those that could not be read so."""
    found: dict[Key, int | None] = {}
    for key in counters:
        name = projection_of(key.pk)
        parts = [sharded(key, shard) for shard in range(COUNTER_SHARDS)]
        there = together([(of[name], part) for part in parts for of in (state.other, live)])
        if there is None:
            found[key] = None
            continue
        excess = sum(part.number * (1 if place[0] == state.other[name] else -1) for place, part in there.items())
        if excess:
            found[key] = excess
    return found


def _held(keys: Iterable[Key], hold_lease: Callable[[], object]) -> Iterator[Key]:
    for key in keys:
        hold_lease()
        yield key


def _several(keys: Iterable[Key]) -> Iterator[list[Key]]:
    remaining = iter(keys)
    while some := list(islice(remaining, KEYS_TOGETHER)):
        yield some


def _are_apart(new: Stored | None, old: Stored | None) -> bool:
    return new is not None and old is not None and new.version != old.version


def _differ(new: Stored | None, old: Stored | None) -> bool:
    return _content(new) != _content(old)


def _content(item: Stored | None) -> Mapping[str, Any] | None:
    return None if item is None or item.expired else item.content


def _told(compared: Comparison, differing: Mapping[Key, _Pair | None]) -> Comparison:
    pairs = {key: pair for key, pair in differing.items() if pair}
    there = [(key, new, old) for key, (new, old) in pairs.items() if new and old]
    moving = len(differing) - len(pairs) + sum(new.version > old.version for _, new, old in there)
    behind = [key for key, new, old in there if new.version < old.version]
    changed = [key for key, new, old in there if new.version == old.version]
    added = [key for key, (_, old) in pairs.items() if old is None]
    missing = [key for key, (new, _) in pairs.items() if new is None]
    return compared._replace(
        rows=compared.rows - moving - len(behind) - len(added),
        moving=compared.moving + moving,
        behind=compared.behind + len(behind),
        changed=compared.changed + len(changed),
        added=compared.added + len(added),
        missing=compared.missing + len(missing),
        named=(*compared.named, *behind, *changed, *added, *missing)[:NAMED],
    )


def _rows(items: list[Stored], counters: Counter[Key]) -> list[Stored]:
    for item in items:
        if item.is_counter:
            counters[unsharded(item.key)] += item.number
    return [item for item in items if not item.is_counter and not item.expired]
