"""The REST API: `python -m benchmarks.api [--json] [--quick] [--only routes|growth|start]`.

Every route through the handler and through the local gateway; lists and changes of tasks with more and more open
tasks; the functions' cold start and size. Each part has a process of its own, and an emulator.
"""

import argparse
import multiprocessing
import os
import random
import tempfile
from collections.abc import Callable
from concurrent.futures import ProcessPoolExecutor
from dataclasses import replace
from pathlib import Path
from typing import Any

from benchmarks import api_growth, cold_start
from benchmarks.api_calls import Api, Handlers, watched
from benchmarks.api_routes import MAKERS, PACKAGED, SLOW, Maker, World, deployed
from benchmarks.report import Cost, Row, not_run, row, show

SAMPLES = 100
SLOW_SAMPLES = 20
WARM_UP = 5
COUNTED = 3
SIZES = (1_000, 10_000, 50_000)
QUICK_SIZES = (100, 1_000)
QUICK = 10
"""With `--quick` so many times fewer."""


def routes(fewer: int) -> list[Row]:
    """Every route of both functions, on one deployed stack."""
    with tempfile.TemporaryDirectory(prefix="opsledger-bench-") as folder, deployed(Path(folder)) as world:
        handlers = Handlers()
        found: list[Row] = []
        for route in handlers.routes:
            if route in MAKERS:
                samples = (SLOW_SAMPLES if route in SLOW else SAMPLES) // fewer
                found += _route(route, MAKERS[route], world, handlers, samples)
            else:
                found.append(not_run(route, "handler", "not measured"))
        return found


def _route(route: str, maker: Maker, world: World, handlers: Handlers, samples: int) -> list[Row]:
    apis: dict[str, Api] = {"gateway": world.gateway}
    if route not in PACKAGED:
        apis = {"handler": handlers, **apis}
    seconds: dict[str, list[float]] = {name: [] for name in apis}
    done = 0
    turn = list(apis)
    for number in range(-WARM_UP, samples):
        random.shuffle(turn)
        for name in turn:
            done += 1
            taken = apis[name].call(maker(world, apis[name], done)).seconds
            if number >= 0:
                seconds[name].append(taken)
    costs = {} if route in PACKAGED else {"handler": _cost(maker, world, handlers, done)}
    return [row(route, name, times, costs.get(name)) for name, times in seconds.items()]


def _cost(maker: Maker, world: World, handlers: Handlers, done: int) -> Cost:
    asks = [maker(world, handlers, done + number) for number in range(1, COUNTED + 1)]
    with watched() as watch:
        for ask in asks:
            handlers.call(ask)
    return watch.cost(COUNTED)


def growth(fewer: int) -> list[Row]:
    """The works of `api_growth` with each number of tasks, compared with the smallest."""
    sizes = QUICK_SIZES if fewer > 1 else SIZES
    by_size = [_in_own_process(api_growth.rows, size, _samples(size) // fewer) for size in sizes]
    smallest = by_size[0]
    return [
        replace(one, note=f"{(one.p50_ms or 0) / (least.p50_ms or 1):.2f} x {sizes[0]:,}")
        for place, least in enumerate(smallest)
        for one in (rows[place] for rows in by_size)
    ]


def _samples(size: int) -> int:
    """Fewer for large tables: the emulator takes seconds for a query that DynamoDB answers at once."""
    return max(QUICK, SAMPLES * SIZES[0] // max(size, SIZES[0]))


def start(fewer: int) -> list[Row]:
    """See `cold_start`."""
    return cold_start.rows(cold_start.SAMPLES // fewer)


def _in_own_process(part: Callable[..., list[Row]], *arguments: Any) -> list[Row]:
    """The names of tables and the emulator's address are read from the environment once in a process."""
    with ProcessPoolExecutor(1, multiprocessing.get_context("spawn")) as executor:
        return executor.submit(part, *arguments).result()


def main() -> None:
    parts = {"routes": lambda fewer: _in_own_process(routes, fewer), "growth": growth, "start": start}
    parser = argparse.ArgumentParser(prog="python -m benchmarks.api", description=__doc__)
    parser.add_argument("--json", action="store_true", help="print rows for a program")
    parser.add_argument("--quick", action="store_true", help="fewer executions and tasks: a try, no result")
    parser.add_argument("--only", choices=parts, help="one part")
    options = parser.parse_args()
    os.environ["LOG_LEVEL"] = "WARNING"
    chosen = [options.only] if options.only else list(parts)
    found = [one for name in chosen for one in parts[name](QUICK if options.quick else 1)]
    show("REST API", found, as_json=options.json)


if __name__ == "__main__":
    main()
