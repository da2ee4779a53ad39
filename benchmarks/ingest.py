"""Ingest: `python -m benchmarks.ingest [--json] [--quick] [--only handler|stack|storm]`.

Alarms of 1 KB each, recorded and taken by their alerts: through the handler on a table without streams, and through
the whole local stack, with some and with many open alerts; then storms, of which everything is counted afterwards.
"""

import argparse
import multiprocessing
import os
import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from contextlib import redirect_stdout
from io import StringIO
from typing import Any

from benchmarks import ingest_stack, local
from benchmarks.alarms import alarm, open_alerts
from benchmarks.capacity import metered
from benchmarks.report import Row, row, show

ALERTS = (1_000, 50_000)
BATCHES = (1, 10, 100)
EVENTS = 2_000
COUNTED = 20


def handler(fewer: int) -> list[Row]:
    """Through the handler, with each number of open alerts."""
    return [one for alerts in _sizes(fewer) for one in _in_own_process(_handled, alerts, EVENTS // fewer)]


def _handled(alerts: int, events: int) -> list[Row]:
    with local.emulator(), redirect_stdout(StringIO()):  # the handler writes its metrics there
        os.environ |= {"EVENTS_TABLE": local.EVENTS, "LOG_LEVEL": "ERROR"}
        from commands import ingest  # noqa: PLC0415 - after the environment says where the table is
        from infra import clients  # noqa: PLC0415
        from infra.commits import to_item  # noqa: PLC0415

        client = clients.dynamodb()
        local.fill(client, local.EVENTS, map(to_item, open_alerts(alerts)))

        def hand_over(bodies: Sequence[str]) -> float:
            batch = _batch(bodies)
            begun = time.perf_counter()
            answer = ingest.handler(batch, None)
            taken = time.perf_counter() - begun
            if answer["batchItemFailures"]:
                raise RuntimeError(f"{len(answer['batchItemFailures'])} messages were not taken")
            return taken

        hand_over([alarm(0)])  # the config, the connection
        found = []
        for name, numbers in (("other alerts", _round(alerts)), ("one alert", iter(lambda: 1, 0))):
            for size in BATCHES:
                batches = [[alarm(next(numbers)) for _ in range(size)] for _ in range(max(3, events // size))]
                with metered(client) as meter:
                    for bodies in batches[: COUNTED // size + 1]:
                        hand_over(bodies)
                cost = meter.cost(size * (COUNTED // size + 1))
                seconds = [hand_over([alarm(next(numbers)) for _ in range(size)]) for _ in batches]
                work = f"batches of {size}, {name}"
                found.append(row(work, f"{alerts:,} open alerts", seconds, cost, "per event", each=size))
        return found


def _batch(bodies: Sequence[str]) -> dict[str, Any]:
    sent = {"SentTimestamp": str(int(time.time() * 1000))}
    return {
        "Records": [
            {"messageId": f"m{place}", "receiptHandle": "", "body": body, "attributes": sent}
            for place, body in enumerate(bodies)
        ]
    }


def _round(alerts: int) -> Iterator[int]:
    """Alert after alert, so that the process has never written to the next one before."""
    while True:
        yield from range(alerts)


def stack(fewer: int) -> list[Row]:
    """Through the deployed stack, with 1 and 8 senders."""
    return [one for alerts in _sizes(fewer) for one in _in_own_process(ingest_stack.rows, alerts, EVENTS // fewer)]


def storm(fewer: int) -> list[Row]:
    """Storms on 1 and on 1,000 fingerprints."""
    return _in_own_process(ingest_stack.storms, 10_000 // fewer)


def _sizes(fewer: int) -> Sequence[int]:
    return [size // fewer for size in ALERTS]


def _in_own_process(part: Callable[..., list[Row]], *arguments: Any) -> list[Row]:
    """The names of tables and the emulator's address are read from the environment once in a process."""
    with ProcessPoolExecutor(1, multiprocessing.get_context("spawn")) as executor:
        return executor.submit(part, *arguments).result()


def main() -> None:
    parts = {"handler": handler, "stack": stack, "storm": storm}
    parser = argparse.ArgumentParser(prog="python -m benchmarks.ingest", description=__doc__)
    parser.add_argument("--json", action="store_true", help="print rows for a program")
    parser.add_argument("--quick", action="store_true", help="fewer events and alerts: a try, no result")
    parser.add_argument("--only", choices=parts, help="one part")
    options = parser.parse_args()
    chosen = [options.only] if options.only else list(parts)
    found = [one for name in chosen for one in parts[name](10 if options.quick else 1)]
    show("Ingest", found, as_json=options.json)


if __name__ == "__main__":
    main()
