"""Projecting batches of commits: calls and units, counted exactly, and times.

Calls and units are counted on a DynamoDB in memory that charges by AWS's rules, and do not depend on the machine.
Times are those of the projector's function on an emulator of its own, on tables without streams.
"""

import contextlib
import os
import time
from collections.abc import Iterable, Iterator, Sequence
from itertools import islice
from typing import Any, NamedTuple

from benchmarks import local, projected
from benchmarks.api_calls import watched
from benchmarks.projected import Work
from benchmarks.report import Cost, Row, row
from domain.commit import Commit
from infra.commits import to_item
from tests.in_memory import deployed, sizes
from tests.in_memory.dynamodb import InMemoryDynamoDB
from tests.in_memory.records import dynamodb_record
from tests.in_memory.tables import Change

SIZES = (1, 10, 100)
COUNTED = 500
"""Events of each work; their calls and units are the same in every run but for chance in priorities and people."""

BARS = {"monitoring event": 3.5, "task": 6.5}
"""Write units of an event in a batch of 100, by the first words of a work."""

CALLS_BAR = 0.05

TABLES = tuple(deployed.TABLES.values())
PARTS = ("BillingMode", "AttributeDefinitions", "KeySchema", "GlobalSecondaryIndexes")


class Timed(NamedTuple):
    """Seconds of each batch: all of them, and those without waiting for DynamoDB."""

    whole: list[float]
    own: list[float]


def counted(size: int, events: int = COUNTED) -> dict[str, tuple[Cost, int]]:
    """What an event costs in batches of this size, by work, and the bytes of the largest row. In an own process."""
    from infra import generations  # noqa: PLC0415 - reads the names of tables
    from projections.projector import handler  # noqa: PLC0415

    name_tables()
    found = {}
    for work in projected.works(events):
        generations.forget()
        with InMemoryDynamoDB(deployed.tables()).installed() as db:
            db.fill("events", map(to_item, (*work.before, *work.commits)))
            for batch in batches(work.before, max(SIZES)):
                handler(batch, None)
            with db.metered() as used, silence():
                for batch in batches(work.commits, size):
                    handler(batch, None)
            units = used.calls.total(), used.write_units["views"], sum(used.read_units.values())
            largest = max(map(sizes.item_bytes, db.items("views")))
            found[work.name] = Cost(*(round(total / events, 3) for total in units)), largest
    generations.forget()
    return found


def timed(size: int, events: int) -> dict[str, Timed]:
    """How long batches of this size take, by work, on an emulator of its own. In an own process."""
    name_tables()
    with local.emulator():
        from infra import clients  # noqa: PLC0415 - after the environment says where the emulator is
        from projections.projector import handler  # noqa: PLC0415

        make_tables(clients.dynamodb())
        return {work.name: _timed(handler, work, size) for work in projected.works(events)}


def _timed(handler: Any, work: Work, size: int) -> Timed:
    with silence():
        for batch in batches(work.before, max(SIZES)):
            handler(batch, None)
        taken = Timed([], [])
        for batch in batches(work.commits, size):
            with watched() as watch:
                begun = time.perf_counter()
                handler(batch, None)
                seconds = time.perf_counter() - begun
            taken.whole.append(seconds)
            taken.own.append(seconds - watch.waited)
    return taken


def rows(counts: dict[int, dict[str, tuple[Cost, int]]], times: dict[int, dict[str, Timed]]) -> list[Row]:
    """Both together, for each work and each size of batches; per event."""
    found = []
    for name in next(iter(counts.values())):
        for size, of_size in counts.items():
            cost, largest = of_size[name]
            system = f"batches of {size}"
            note = f"largest row {largest} B{_judged(name, cost) if size == 100 else ''}"
            if size in times:
                taken = times[size][name]
                note += f"; own time {1000 * sum(taken.own) / (size * len(taken.own)):.2f} ms an event"
                found.append(row(name, system, taken.whole, cost, note, each=size))
            else:
                found.append(Row(name, system, None, None, None, cost.calls, cost.wcu, cost.rcu, note))
    return found


def _judged(name: str, cost: Cost) -> str:
    units = next(bar for word, bar in BARS.items() if word in name)
    told = [f"{'within' if cost.wcu <= units else 'OVER'} {units} units"]
    told.append(f"{'within' if cost.calls <= CALLS_BAR else 'OVER'} {CALLS_BAR} calls")
    return f"; {', '.join(told)}"


def batches(commits: Sequence[Commit], size: int) -> Iterator[dict[str, Any]]:
    """What Lambda calls the projector with."""
    remaining = enumerate(commits)
    while some := list(islice(remaining, size)):
        yield {"Records": [dynamodb_record(change(number, commit)) for number, commit in some]}


def change(number: int, commit: Commit) -> Change:
    item = to_item(commit)
    return Change(number, "INSERT", {name: item[name] for name in ("pk", "sk")}, item, commit.at.timestamp())


def make_tables(client: Any, names: Iterable[str] = TABLES) -> None:
    """The template's tables, without streams, as they are named in this process."""
    for name in names:
        properties = deployed.tables()[name]
        client.create_table(TableName=name, **{part: properties[part] for part in PARTS if part in properties})


def name_tables() -> None:
    os.environ |= {f"{name.upper()}_TABLE": name for name in deployed.TABLES.values()}
    os.environ |= {"DATA_KEY_ARN": "none", "STAGE": "local"}


@contextlib.contextmanager
def silence() -> Iterator[None]:
    """Throw away what functions log."""
    with open(os.devnull, "w") as nowhere, contextlib.redirect_stdout(nowhere):  # noqa: PTH123
        yield
