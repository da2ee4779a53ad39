"""How many write units fall on each partition key of the views, when so many events a second arrive.

The keys and units are those of the transactions that the projector really sends, to a DynamoDB in memory. A partition
takes 1,000 write units a second ("Best practices for designing and using partition keys effectively", DynamoDB
Developer Guide). An entry of an index falls on the index's own partition.
"""

import random
import zlib
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any, NamedTuple

from benchmarks import batches, projected
from benchmarks.report import Row
from domain.commit import Commit
from infra.commits import to_item
from tests.in_memory import deployed, sizes
from tests.in_memory.dynamodb import InMemoryDynamoDB, client
from tests.in_memory.operations import Answer, Request
from tests.in_memory.tables import Stored

EVENTS_A_SECOND = 3_000
PEOPLES_EVENTS_A_SECOND = 30
LIMIT = 1_000


class Load(NamedTuple):
    """What arrives in one second.

    Attributes:
        readers: processes that project at once: one per shard of the table's stream, of which a table has one for
            each of its partitions. Each moves its own part of every counter.
    """

    name: str
    commits: Sequence[Commit]
    before: Sequence[Commit] = ()
    readers: int = 4


class Tally(InMemoryDynamoDB):
    """Sums the write units of transactions on the views by the partition key that they fall on."""

    def __init__(self, tables: Mapping[str, Mapping[str, Any]]) -> None:
        super().__init__(tables)
        self.units: Counter[str] = Counter()

    def call(self, client: Any, operation: str, request: Request) -> Answer:
        """See `InMemoryDynamoDB.call`."""
        views = self._tables["views"]
        items = [next(iter(one.items())) for one in request.get("TransactItems", ())]
        places = [views.place_of(_key(kind, item)) for kind, item in items]
        before = [views.find(place) for place in places]
        answer = super().call(client, operation, request)
        for place, old in zip(places, before, strict=True):
            new = views.find(place)
            self.units[place[0]] += 2 * sizes.write_units(max(_size(old), _size(new)))
            for name, index in views.indexes.items():
                self._tally(f"{name} ", index.place(old), index.place(new), old, new)
        return answer

    def _tally(self, index: str, was: Any, place: Any, old: Stored | None, new: Stored | None) -> None:
        if was and was == place:
            if old and new and old.item != new.item:
                self.units[index + place[0]] += sizes.write_units(max(old.size, new.size))
            return
        for where, stored in ((was, old), (place, new)):
            if where:
                self.units[index + where[0]] += sizes.write_units(_size(stored))


def tallied(load: Load, batch_size: int) -> Tally:
    """The units of one second of a load, by key."""
    from infra import changes, counters, generations  # noqa: PLC0415 - reads the names of tables
    from infra.event_store import DynamoDBEventStore  # noqa: PLC0415
    from infra.personal_data import MemoryDataKeys, PersonalData  # noqa: PLC0415
    from projections.projector import Projector, hints_of, projections  # noqa: PLC0415

    generations.forget()
    tally = Tally(deployed.tables())
    lanes: list[list[Commit]] = [[] for _ in range(load.readers)]
    for commit in load.commits:
        lanes[zlib.crc32(commit.stream.encode()) % load.readers].append(commit)
    with tally.installed():
        store, folding = DynamoDBEventStore(client(), "events"), projections(PersonalData(MemoryDataKeys()))
        tally.fill("events", map(to_item, (*load.before, *load.commits)))
        Projector(store, folding).project(load.before)
        tally.units.clear()
        with tally.metered() as used:
            for number, lane in enumerate(lanes):
                with _moving(changes, number % counters.COUNTER_SHARDS):
                    projector = Projector(store, folding)
                    for batch in batches.batches(lane, batch_size):
                        projector.project(hints_of(batch))
    generations.forget()
    if sum(tally.units.values()) != used.write_units["views"]:
        raise RuntimeError(f"{sum(tally.units.values())} units tallied of {used.write_units['views']}")
    return tally


def loads(events: int = EVENTS_A_SECOND) -> list[Load]:
    """Seconds in which so many monitoring events arrive."""
    chance = random.Random(1)
    people = projected.Tasks(chance, due=True, from_events=True)
    some = max(1, events * PEOPLES_EVENTS_A_SECOND // EVENTS_A_SECOND // 3)
    before = people.create(some)
    peoples = [*people.create(some), *people.each(projected.moved)[:some], *people.each(projected.commented)[:some]]
    return [
        Load("rows up to 1 KB, of 15 kinds", projected.monitoring_events(events, chance, kinds=15)),
        Load("rows up to 1 KB, of 60 kinds", projected.monitoring_events(events, chance, kinds=60)),
        Load("as AWS sends them", projected.monitoring_events(events, chance)),
        Load(
            "rows up to 1 KB, of 15 kinds, and people at work",
            [*projected.monitoring_events(events, chance, kinds=15), *peoples],
            before,
        ),
    ]


def rows(sizes_: Sequence[int] = (100, 50, 25)) -> list[Row]:
    """The most loaded keys of each load."""
    batches.name_tables()
    found = []
    for load in loads():
        for size in sizes_:
            for name, units in families(tallied(load, size).units).items():
                note = f"units a second on its busiest key: {'within' if units <= LIMIT else 'OVER'} {LIMIT:,}"
                found.append(Row(load.name, f"batches of {size}: {name}", *[None] * 4, units, None, note))
    return found


def families(units: Mapping[str, int]) -> dict[str, int]:
    """The most loaded key of each kind of keys, the heaviest first."""
    heaviest: Counter[str] = Counter()
    for key, number in units.items():
        kind = key.replace("1|", "").split("#")
        name = "#".join(kind[:2]) if kind[0] == "counter" else kind[0]
        heaviest[name] = max(heaviest[name], number)
    return dict(heaviest.most_common())


def _key(kind: str, item: Mapping[str, Any]) -> Any:
    told = item["Item"] if kind == "Put" else item["Key"]
    return {name: told[name] for name in ("pk", "sk")}


def _size(stored: Stored | None) -> int:
    return stored.size if stored else 0


@contextmanager
def _moving(changes: Any, part: int) -> Iterator[None]:
    """Have this process move that part of each counter."""
    before = changes._shard  # noqa: SLF001
    changes._shard = lambda: part  # noqa: SLF001
    try:
        yield
    finally:
        changes._shard = before  # noqa: SLF001
