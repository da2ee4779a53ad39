"""What the `eventsourcing` library would cost in the path of a command: `python -m benchmarks.library_path [--json]`.

Both sides keep their streams in memory, so that only decoding and folding are measured. Imports are cold: new
processes, with byte-code, less what bare Python takes.
"""

import argparse
import os
import random
import statistics
import subprocess
import sys
import time
from collections.abc import Callable, Iterable
from typing import Any

from eventsourcing.popo import POPOAggregateRecorder

from benchmarks.library import Stored
from benchmarks.report import Row, row, show
from benchmarks.work import Thunk, history
from domain.decider import fold
from domain.tasks import TASKS

LENGTHS = (10, 100)
SAMPLES = 2000
IMPORTS = {
    "eventsourcing": "import eventsourcing.application",
    "opsledger": "import commands.execution, domain.registry",
    "pydantic": "import pydantic; pydantic.BaseModel",
}


def works(length: int) -> dict[str, Thunk]:
    """Loading one task of so many events, each way; and the library's way taken apart."""
    stored = Stored(POPOAggregateRecorder())
    task_id = stored.make(length)
    commits = history("t", length)
    recorder = stored.events.recorder
    rows = recorder.select_events(task_id)
    events: list[Any] = [stored.mapper.to_domain_event(one) for one in rows]

    def mutate() -> object:
        task = None
        for one in events:
            task = one.mutate(task)
        return task

    def own_projector(task: Any, given: Iterable[Any]) -> Any:
        for one in given:
            task = one.mutate(task)
        return task

    return {
        "opsledger: decode and evolve": lambda: fold(TASKS, commits),
        "eventsourcing: repository": lambda: stored.get(task_id),
        "eventsourcing: own projector": lambda: stored.repository.get(task_id, projector_func=own_projector),
        "eventsourcing: mapper alone": lambda: [stored.mapper.to_domain_event(one) for one in rows],
        "eventsourcing: mutate alone": mutate,
    }


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.library_path", description=__doc__)
    parser.add_argument("--json", action="store_true", help="print rows for a program")
    options = parser.parse_args()
    rows: list[Row] = []
    for length in LENGTHS:
        ways = works(length)
        seconds = take_turns(ways, SAMPLES * 10 // length)
        for name, times in seconds.items():
            each = statistics.median(times) * 1e6 / length
            rows.append(row(f"fold-{length}", name, times, None, f"{each:.1f} µs per event", each=length))
    seconds = take_turns({name: _importing(text) for name, text in {"": "pass", **IMPORTS}.items()}, 11)
    bare = statistics.median(seconds.pop(""))
    for name, times in seconds.items():
        more = (statistics.median(times) - bare) * 1000
        rows.append(row("import", name, times, None, f"{more:.0f} ms over bare Python"))
    show("The eventsourcing library in the path", rows, as_json=options.json)


def take_turns(ways: dict[str, Thunk], samples: int) -> dict[str, list[float]]:
    """The times of each way, in seconds; the first tenth is not counted."""
    seconds: dict[str, list[float]] = {name: [] for name in ways}
    turn = list(ways)
    for _ in range(samples + samples // 10):
        random.shuffle(turn)
        for name in turn:
            begun = time.perf_counter()
            ways[name]()
            seconds[name].append(time.perf_counter() - begun)
    return {name: times[samples // 10 :] for name, times in seconds.items()}


def _importing(text: str) -> Callable[[], object]:
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(path for path in sys.path if path) or "."}
    return lambda: subprocess.run([sys.executable, "-c", text], check=True, env=environment)  # noqa: S603 - the texts are ours


if __name__ == "__main__":
    main()
