"""Replaying everything: all streams, whole and in order, by 1, 2, 4 and 8 segments."""

import multiprocessing
import time
import tracemalloc
from collections.abc import Callable, Iterator
from concurrent.futures import Executor, ProcessPoolExecutor, ThreadPoolExecutor
from contextlib import ExitStack, contextmanager
from functools import partial
from typing import Any

from benchmarks import bare, item_per_event, local, opsledger
from benchmarks.capacity import metered
from benchmarks.report import Row, row
from benchmarks.work import history
from commands.execution import new_id
from domain.decider import fold
from domain.tasks import TASKS
from infra import clients
from infra.commits import to_item
from infra.replay import Segment, in_parallel, replay

SEGMENTS = (1, 2, 4, 8)
COMMITS = 20

Reader = Callable[[Segment], int]
"""Reads a segment and says how many events were in it."""


def read_commits(segment: Segment) -> int:
    """opsledger: every stream, its commits in order."""
    streams = replay(clients.dynamodb(), local.REPLAYED, segment)
    return sum(commit.count for _, commits in streams for commit in commits)


def read_states(segment: Segment) -> int:
    """opsledger: and its state folded."""
    read = 0
    for _, commits in replay(clients.dynamodb(), local.REPLAYED, segment):
        fold(TASKS, commits)
        read += sum(commit.count for commit in commits)
    return read


def read_items(table: str, segment: Segment) -> int:
    """Nothing made of the items."""
    client: Any = clients.dynamodb() if table == local.PER_EVENT_REPLAYED else _default()
    return sum(len(page["Items"]) for page in pages(client, table, segment))


def pages(client: Any, table: str, segment: Segment) -> Iterator[dict[str, Any]]:
    request = {"TableName": table, "Segment": segment.number, "TotalSegments": segment.of}
    while True:
        page = client.scan(**request)
        yield page
        if "LastEvaluatedKey" not in page:
            return
        request["ExclusiveStartKey"] = page["LastEvaluatedKey"]


def rows(address: str, *, streams: int, repeats: int) -> list[Row]:
    """Fill the tables and replay them.

    Args:
        streams: of COMMITS commits each.
        repeats: of every work, taken in turn.
    """
    _fill(streams)
    readers: dict[str, Reader] = {
        opsledger.NAME: read_commits,
        "threads": read_commits,
        "states": read_states,
        bare.NAME: partial(read_items, local.REPLAYED),
        item_per_event.NAME: partial(read_items, local.PER_EVENT_REPLAYED),
    }
    events = streams * COMMITS
    seconds: dict[tuple[int, str], list[float]] = {}
    with ExitStack() as stack:
        processes: Executor = stack.enter_context(_processes(address))
        threads: Executor = stack.enter_context(ThreadPoolExecutor(max(SEGMENTS)))
        for reader in readers.values():
            sum(in_parallel(processes, max(SEGMENTS), reader))  # clients and connections
        for _ in range(repeats):
            for segments in SEGMENTS:
                for name, reader in readers.items():
                    executor = threads if name == "threads" else processes
                    begun = time.perf_counter()
                    read = sum(in_parallel(executor, segments, reader))
                    seconds.setdefault((segments, name), []).append(time.perf_counter() - begun)
                    if read != events:
                        raise RuntimeError(f"{name} read {read} of {events} events by {segments} segments")
    found = []
    for segments in SEGMENTS:
        rates = {name: events * repeats / sum(seconds[segments, name]) for name in ("threads", "states")}
        note = f"events/s, a process each; as threads {rates['threads']:,.0f}; states folded too {rates['states']:,.0f}"
        if segments == 1:
            note += f"; {_memory(streams)}; {_client_side(streams)}"
        for name in (opsledger.NAME, bare.NAME, item_per_event.NAME):
            with metered(clients.dynamodb(), _default()) as meter:
                for number in range(segments):
                    readers[name](Segment(number, segments))
            told = note if name == opsledger.NAME else ""
            found.append(row(f"replay-{segments}", name, seconds[segments, name], meter.cost(), told, each=events))
    return found


def _memory(streams: int) -> str:
    """How much memory a replay takes at its peak, of the whole table and of a quarter of it."""
    peaks = []
    for share in (4, 1):
        tracemalloc.start()
        read_commits(Segment(0, share))
        peaks.append(f"{tracemalloc.get_traced_memory()[1] / 1e6:.1f} MB for {streams * COMMITS // share:,} commits")
        tracemalloc.stop()
    return "peak memory " + ", ".join(peaks)


def _client_side(streams: int) -> str:
    """How fast commits are made of pages that are there already: what one core can do."""
    kept = list(pages(clients.dynamodb(), local.REPLAYED, Segment(0, 1)))

    class Given:
        def __init__(self) -> None:
            self._pages = iter(kept)

        def scan(self, **_: Any) -> Any:
            return next(self._pages)

    client: Any = Given()
    begun = time.perf_counter()
    for _ in replay(client, local.REPLAYED):
        pass
    return f"commits from pages in memory {streams * COMMITS / (time.perf_counter() - begun):,.0f}/s"


def _fill(streams: int) -> None:
    client = clients.dynamodb()
    for _ in range(streams):
        commits = history(new_id(), COMMITS)
        local.fill(client, local.REPLAYED, map(to_item, commits))
        local.fill(client, local.PER_EVENT_REPLAYED, item_per_event.items_of(commits))


_kept: list[Any] = []


def _default() -> Any:
    if not _kept:
        _kept.append(local.default_client())
    return _kept[0]


@contextmanager
def _processes(address: str) -> Iterator[Executor]:
    context = multiprocessing.get_context("spawn")
    with ProcessPoolExecutor(max(SEGMENTS), context, initializer=local.use, initargs=(address,)) as executor:
        yield executor
