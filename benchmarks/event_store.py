"""The event store beside what a user would pick instead: `python -m benchmarks.event_store [--json] [--quick]`.

Everything runs on one emulator in one run, the systems taking turns execution by execution, so that ratios hold on a
noisy machine. Calls and units are counted in executions of their own.
"""

import argparse
import random
import sys
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Protocol

from benchmarks import bare, item_per_event, local, opsledger, replays
from benchmarks.capacity import metered
from benchmarks.report import Cost, Row, not_run, row, show
from benchmarks.work import CHANGED_AT, Work

SAMPLES = {"load-100": 200, "load-1000": 60}
"""Timed executions of a work; of every other one, DEFAULT_SAMPLES."""

DEFAULT_SAMPLES = 500
QUICK = 15
"""With `--quick` so many times fewer."""

WARM_UP = 20
COUNTED = 3
LIBRARY = "eventsourcing-dynamodb"

NOTES = {
    ("create", opsledger.NAME): "decision, encoding and hashing included",
    ("create", bare.NAME): "the same item, made beforehand",
    (
        "create",
        LIBRARY,
    ): "0.1.0, with eventsourcing 9.5 although it asks for 9.3; unconditional writes",
    ("change", opsledger.NAME): f"of a stream of {CHANGED_AT} commits",
    ("change", LIBRARY): "reads eventually consistent",
    ("five-events", opsledger.NAME): "one item",
    ("five-events", item_per_event.NAME): "one transaction of five items",
    ("five-events", LIBRARY): "a batch: not atomic, not conditional",
    ("load-1000", opsledger.NAME): "from the newest snapshot on; bare-boto3 reads the same items",
    ("load-1000", item_per_event.NAME): "every event",
    (
        "change-unique",
        opsledger.NAME,
    ): "a user's address, with sealing; commit and two guards in one transaction",
}


class System(Protocol):
    """What is measured."""

    client: Any

    @property
    def works(self) -> Mapping[str, Work]:
        """By name, those that it can do."""


def measure(work: str, systems: Mapping[str, System], samples: int) -> list[Row]:
    """Do one work with every system that can, taking turns in random order."""
    doing = {name: system.works[work] for name, system in systems.items() if work in system.works}
    costs = {name: _cost(systems[name], made) for name, made in doing.items()}
    seconds: dict[str, list[float]] = {name: [] for name in doing}
    turn = list(doing)
    for number in range(-WARM_UP, samples):
        random.shuffle(turn)
        for name in turn:
            thunk = doing[name](WARM_UP + COUNTED + number)
            begun = time.perf_counter()
            thunk()
            taken = time.perf_counter() - begun
            if number >= 0:
                seconds[name].append(taken)
    return [row(work, name, seconds[name], costs[name], NOTES.get((work, name), "")) for name in doing]


def _cost(system: System, work: Work) -> Cost:
    """The mean cost of a few executions; making them ready does not count."""
    thunks = [work(number) for number in range(COUNTED)]
    with metered(system.client) as meter:
        for thunk in thunks:
            thunk()
    return meter.cost(COUNTED)


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.event_store", description=__doc__)
    parser.add_argument("--json", action="store_true", help="print rows for a program")
    parser.add_argument("--quick", action="store_true", help="fewer executions and a smaller table: a try, no result")
    parser.add_argument("--packages", type=Path, help="folder that holds eventsourcing-dynamodb 0.1.0")
    options = parser.parse_args()
    fewer = QUICK if options.quick else 1
    rows: list[Row] = []
    with local.emulator() as address:
        ours = opsledger.Opsledger()
        systems: dict[str, System] = {
            opsledger.NAME: ours,
            bare.NAME: bare.Bare(ours),
            item_per_event.NAME: item_per_event.ItemPerEvent(),
        }
        missing = _add_library(systems, options.packages)
        for work in ours.works:
            rows += measure(work, systems, max(4, SAMPLES.get(work, DEFAULT_SAMPLES) // fewer))
            if work == "create" and missing:
                rows.append(not_run(work, LIBRARY, missing))
        rows += replays.rows(address, streams=1000 // fewer, repeats=2 if options.quick else 5)
    show("Event store", rows, as_json=options.json)


def _add_library(systems: dict[str, System], packages: Path | None) -> str:
    """Add the library's way if it is there. Returns what is missing."""
    if packages:
        sys.path.append(str(packages))
    try:
        from benchmarks import library  # noqa: PLC0415 - it may not be there

        systems[LIBRARY] = library.Library()
    except ImportError as error:
        return f"not run: {error}; see --packages"
    return ""


if __name__ == "__main__":
    main()
