"""The bulk of a rebuild: every stream of a ledger folded into new rows, by 1, 2, 4 and 8 segments in as many processes.

Twice. On an emulator of its own, which sorts the whole table for each page of a scan, so that its time grows faster
than the ledger. And with an `endless` ledger, whose pages are made as they are asked for and whose rows nobody keeps:
it may be as long as one likes, and what is measured is the rebuild's own time and memory.
"""

import itertools
import multiprocessing
import random
import resource
import time
import uuid
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import replace
from functools import partial
from typing import Any, NamedTuple
from unittest.mock import patch

from benchmarks import batches, local, projected
from benchmarks.report import Row
from infra.commits import to_item
from infra.replay import Segment, in_parallel
from tests.in_memory import sizes

SEGMENTS = (1, 2, 4, 8)
ENDLESS = (100_000, 1_000_000)
ON_EMULATOR = (10_000, 100_000)
PAGE_BYTES = 1024 * 1024
NEW = 2
"""The generation that is built."""

Item = dict[str, Any]


class Built(NamedTuple):
    """What one process did.

    Attributes:
        begun, ended: of one clock for all processes, in seconds.
        units: write units of the views.
        grown: MB by which the most memory that the process ever had grew.
    """

    begun: float
    ended: float
    events: int
    rows: int
    calls: int
    units: float
    grown: float


class Used:
    """Sums over the calls of this process."""

    def __init__(self) -> None:
        self.calls = 0
        self.units = 0

    def note(self, operation: str, request: Mapping[str, Any]) -> None:
        """Count a call, and the units of the rows that it puts: there is nothing that they replace."""
        self.calls += 1
        if operation == "BatchWriteItem":
            for asked in request["RequestItems"].values():
                self.units += sum(_units(one["PutRequest"]["Item"]) for one in asked)


def ledger(events: int) -> Iterator[Item]:
    """The items of so many events: about half of them monitoring events, the others of tasks with five events each."""
    chance = random.Random(1)
    reported = [[to_item(one)] for one in projected.monitoring_events(200, chance)]
    tasks = projected.Tasks(chance, due=True)
    tasks.create(40)
    for work in (projected.commented, projected.moved, projected.renamed, projected.reassigned):
        tasks.each(work)
    worked = [[to_item(commit) for commit in commits] for commits in tasks.store.streams.values()]
    streams = itertools.cycle([*reported, *worked])
    return itertools.islice(_renamed(streams), events)


def _renamed(streams: Iterable[Sequence[Item]]) -> Iterator[Item]:
    """The same streams again and again, each time with other names."""
    for number, stream in enumerate(streams):
        category = stream[0]["pk"]["S"].partition("#")[0]
        name = {"S": f"{category}#{uuid.UUID(int=number << 80, version=4)}"}
        yield from ({**item, "pk": name} for item in stream)


def built(events: int, segment: Segment) -> Built:
    """Fold one segment, in this process, when all others are ready too.

    Args:
        events: of an endless ledger; 0 for the one that stands in the table.

    Raises:
        RuntimeError: some streams could not be folded.
    """
    from infra import clients  # noqa: PLC0415 - reads the environment
    from infra.personal_data import MemoryDataKeys, PersonalData  # noqa: PLC0415
    from projections.bulk import SegmentBuild  # noqa: PLC0415
    from projections.projector import projections  # noqa: PLC0415

    every = projections(PersonalData(MemoryDataKeys()))
    build = SegmentBuild(every, {one.category: NEW for one in every}, segment, lambda: None)
    client, used = clients.dynamodb(), Used()
    answering = _answers(events // segment.of, used) if events else _counted(used)
    with patch("botocore.client.BaseClient._make_api_call", answering):
        _all_ready.wait()
        before, begun = _most_memory(), time.monotonic()
        reached = build.run(client, "events")
        ended, after = time.monotonic(), _most_memory()
    if reached.left:
        raise RuntimeError(f"{reached.left} streams could not be folded")
    return Built(begun, ended, reached.events, reached.rows, used.calls, used.units, after - before)


def endless(events: int, segments: Sequence[int] = SEGMENTS) -> list[Row]:
    """Rebuilds of a ledger that has so many events and is nowhere."""
    return [_row("", events, events, of)[0] for of in segments]


def on_emulator(events: int, segments: Sequence[int] = SEGMENTS) -> list[Row]:
    """Rebuilds of a ledger that stands in a table of an emulator.

    Raises:
        RuntimeError: rows were put twice that are not shared by segments.
    """
    found = []
    with local.emulator() as address:
        client = local.default_client()
        batches.make_tables(client)
        local.fill(client, "events", ledger(events))
        for of in segments:
            one, put = _row(address, events, 0, of)
            rows = {
                "FilterExpression": "begins_with(pk, :own)",
                "ExpressionAttributeValues": {":own": {"S": f"{NEW}|"}},
            }
            there = _count(client, "scan", **rows)
            days = {
                "KeyConditionExpression": "pk = :pk",
                "ExpressionAttributeValues": {":pk": {"S": f"{NEW}|event-days"}},
            }
            shared = _count(client, "query", **days)
            if put - there > shared * (of - 1):
                raise RuntimeError(f"{there} rows are there of {put} that were put")
            note = f"{one.note}; {put - there} rows put by more than one segment"
            found.append(replace(one, note=note.replace(" 0 rows", " no rows")))
            client.delete_table(TableName="views")
            batches.make_tables(client, {"views"})
    return found


def _count(client: Any, operation: str, **more: Any) -> int:
    pages = client.get_paginator(operation).paginate(TableName="views", Select="COUNT", **more)
    return sum(page["Count"] for page in pages)


def _row(address: str, events: int, made: int, of: int) -> tuple[Row, int]:
    """One rebuild, and how many rows it put."""
    context = multiprocessing.get_context("spawn")
    prepared = address, context.Barrier(of)
    with ProcessPoolExecutor(of, context, initializer=_prepare, initargs=prepared) as executor:
        done = list(in_parallel(executor, of, partial(built, made)))
    seconds = max(one.ended for one in done) - min(one.begun for one in done)
    put = sum(one.rows for one in done)
    read = sum(one.events for one in done)
    note = (
        f"rows/s; {read / seconds:,.0f} events/s; {seconds:.1f} s for {put:,} rows"
        f"; memory of a process grew by {max(one.grown for one in done):.1f} MB"
    )
    calls, units = (round(sum(each) / put, 3) for each in zip(*((one.calls, one.units) for one in done), strict=True))
    work = f"rebuild, {events:,} events, {'emulator' if address else 'own time'}"
    return Row(work, f"{of} segments", None, None, round(put / seconds, 1), calls, units, None, note), put


def _prepare(address: str, all_ready: Any) -> None:
    global _all_ready  # noqa: PLW0603 - the process's one; a barrier can only be inherited
    _all_ready = all_ready
    batches.name_tables()
    local.use(address or "http://127.0.0.1:9")  # where nobody listens
    import projections.projector  # noqa: F401, PLC0415 - so that loading it is not measured


_all_ready: Any = None


def _counted(used: Used) -> Callable[..., Any]:
    """What clients do anyway, counted."""
    from botocore.client import BaseClient  # noqa: PLC0415

    passed_on = vars(BaseClient)["_make_api_call"]

    def call(client: Any, operation: str, request: Item) -> Any:
        used.note(operation, request)
        return passed_on(client, operation, request)

    return call


def _answers(events: int, used: Used) -> Callable[..., Any]:
    """What an endless ledger answers."""
    pages = _pages(ledger(events))

    def call(_client: Any, operation: str, request: Item) -> Item:
        used.note(operation, request)
        told = {"ResponseMetadata": {"HTTPStatusCode": 200, "HTTPHeaders": {}, "RetryAttempts": 0}}
        nothing: Item = {"Items": [], "Count": 0, "ScannedCount": 0, "UnprocessedItems": {}}
        return {**told, **(next(pages) if operation == "Scan" else nothing)}

    return call


def _pages(items: Iterator[Item]) -> Iterator[Item]:
    """As a scan gives them: a MB each."""
    page: list[Item] = []
    size = 0
    for item in items:
        page.append(item)
        size += sizes.item_bytes(item)
        if size >= PAGE_BYTES:
            yield {"Items": page, "LastEvaluatedKey": {}}
            page, size = [], 0
    yield {"Items": page}


def _units(item: Item) -> int:
    """Of the row, and of its entry in each index."""
    copies = 1 + sum(name in item for name in ("gsi1pk", "gsi2pk"))
    return copies * sizes.write_units(sizes.item_bytes(item))


def _most_memory() -> float:
    """MB; Linux tells it in KB."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
