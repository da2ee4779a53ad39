"""The projections: `python -m benchmarks.projections [--json] [--quick] [--only batches|keys|lag|rebuild|price]`.

Calls and units of each kind of event by the size of its batch, and their times; the load on each partition key of the
views; the lag from an append to the readable row; the bulk of a rebuild; dollars per million events. Each part has
processes of its own, and an emulator or a stack where it needs one.
"""

import argparse
import multiprocessing
import os
from collections.abc import Callable, Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import fields, replace
from typing import Any, TypeVar

from benchmarks import batches, key_plan, lag, prices, rebuilds
from benchmarks.prices import Prices
from benchmarks.report import Row, show

TIMED = {1: 200, 10: 1_000, 100: 4_000}
"""Events of each kind that are timed, by the size of their batches."""

QUICK = 20
"""With `--quick` so many times fewer."""

Result = TypeVar("Result")


def of_batches(options: argparse.Namespace) -> list[Row]:
    """Every kind of event, in batches of each size."""
    counts = {size: _in_own_process(batches.counted, size) for size in batches.SIZES}
    times = {size: _in_own_process(batches.timed, size, max(size, TIMED[size] // options.fewer)) for size in counts}
    return batches.rows(counts, times)


def of_keys(_: argparse.Namespace) -> list[Row]:
    """See `key_plan`."""
    return _in_own_process(key_plan.rows)


def of_lag(options: argparse.Namespace) -> list[Row]:
    """See `lag`."""
    return _in_own_process(lag.rows, max(3, lag.SECONDS // options.fewer))


def of_rebuilds(options: argparse.Namespace) -> list[Row]:
    """See `rebuilds`. With the ratio of each ledger's time by one segment to that of the smallest."""
    endless = [rebuilds.endless(size, options.segments) for size in options.events]
    on_emulator = [_in_own_process(rebuilds.on_emulator, size, options.segments) for size in options.emulator_events]
    return [one for found in (endless, on_emulator) for one in _grown(found)]


def _grown(by_size: Sequence[Sequence[Row]]) -> list[Row]:
    """With what a row takes, compared with the first of the sizes."""
    return [
        replace(one, note=f"{one.note}; {(least.per_s or 0) / (one.per_s or 1):.2f} x the smallest's time for a row")
        for rows in by_size
        for one, least in zip(rows, by_size[0], strict=True)
    ]


def of_price(options: argparse.Namespace) -> list[Row]:
    """See `prices`."""
    return _in_own_process(prices.rows, replace(Prices(), **dict(options.price)))


def _in_own_process(part: Callable[..., Result], *arguments: Any) -> Result:
    """The names of tables and the emulator's address are read from the environment once in a process."""
    with ProcessPoolExecutor(1, multiprocessing.get_context("spawn")) as executor:
        return executor.submit(part, *arguments).result()


def _price(text: str) -> tuple[str, float]:
    name, _, dollars = text.partition("=")
    if name not in {field.name for field in fields(Prices)}:
        raise argparse.ArgumentTypeError(f"no price is called {name}")
    return name, float(dollars)


def main() -> None:
    parts = {"batches": of_batches, "keys": of_keys, "lag": of_lag, "rebuild": of_rebuilds, "price": of_price}
    parser = argparse.ArgumentParser(prog="python -m benchmarks.projections", description=__doc__)
    parser.add_argument("--json", action="store_true", help="print rows for a program")
    parser.add_argument("--quick", action="store_true", help="fewer and smaller: a try, no result")
    parser.add_argument("--only", choices=parts, help="one part")
    parser.add_argument("--events", type=int, nargs="+", help="sizes of the ledgers that are rebuilt without emulator")
    parser.add_argument("--emulator-events", type=int, nargs="+", help="sizes of those on the emulator")
    parser.add_argument("--segments", type=int, nargs="+", default=rebuilds.SEGMENTS, help="of a rebuild")
    parser.add_argument("--price", type=_price, action="append", default=[], help="such as write_unit=0.7")
    options = parser.parse_args()
    options.fewer = QUICK if options.quick else 1
    options.events = options.events or [size // options.fewer for size in rebuilds.ENDLESS]
    options.emulator_events = options.emulator_events or [size // options.fewer for size in rebuilds.ON_EMULATOR]
    os.environ["LOG_LEVEL"] = "WARNING"
    chosen = [options.only] if options.only else list(parts)
    show("Projections", [one for name in chosen for one in parts[name](options)], as_json=options.json)


if __name__ == "__main__":
    main()
