"""How long it takes from appending a commit to being able to read its row, on a deployed stack of its own.

Commits arrive evenly, 100 a second; all consumers run. A reader asks for all rows that are not there yet, strongly
consistently, again and again. The lag of one is from sending the append to the answer that has the row, so that it
includes the append and half a turn of the reader.
"""

import os
import random
import tempfile
import threading
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from benchmarks import local, projected
from benchmarks.report import Row, row
from domain.commit import Commit
from infra.commits import to_item
from ops.local_stack import LocalStack

A_SECOND = 100
TASKS_SHARE = 10
"""One in so many commits makes a task; the others are monitoring events."""

WARM_UP_SECONDS = 3
SECONDS = 60
PATIENCE_SECONDS = 30.0
BAR_MS = 250

Place = tuple[str, str]


def rows(seconds: int = SECONDS) -> list[Row]:
    """The lag of monitoring events and of tasks. In an own process."""
    with _deployed():
        from infra import clients  # noqa: PLC0415 - after the environment says where the stack is

        client = clients.dynamodb()
        _arrive(client, WARM_UP_SECONDS)
        lags = _arrive(client, seconds)
    every = sorted(lag for of_kind in lags.values() for lag in of_kind)
    found = []
    for name, of_kind in {**lags, "all": every}.items():
        one = row("lag", name, of_kind, None)
        judged = "within" if (one.p99_ms or 0) < BAR_MS else "OVER"
        note = f"of {len(of_kind):,}; slowest {1000 * max(of_kind):.0f} ms; p99 {judged} {BAR_MS} ms"
        found.append(Row("lag", name, one.p50_ms, one.p99_ms, None, None, None, None, note))
    return found


def _arrive(client: Any, seconds: int) -> dict[str, list[float]]:
    """Let commits arrive, and return how long each took to be readable, in seconds, by kind."""
    commits = list(_mixed(A_SECOND * seconds))
    places = {_place(commit): commit.stream.partition("#")[0] for commit in commits}
    sent: dict[Place, float] = {}
    writer = threading.Thread(target=_append, args=(client, commits, sent))
    lags: dict[str, list[float]] = {"event": [], "task": []}
    writer.start()
    read: set[Place] = set()
    end = time.monotonic() + seconds + PATIENCE_SECONDS
    while len(read) < len(places):
        waiting = [place for place in list(sent) if place not in read][:100]
        for place in _there(client, waiting):
            lags[places[place]].append(time.monotonic() - sent[place])
            read.add(place)
        if time.monotonic() > end:
            raise RuntimeError(f"{len(places) - len(read)} of {len(places)} rows cannot be read yet")
        time.sleep(0.002)  # lets the writer in
    writer.join()
    return lags


def _mixed(count: int) -> Iterator[Commit]:
    chance = random.Random()
    made = projected.Tasks(chance).create(count // TASKS_SHARE)
    reported = projected.monitoring_events(count - len(made), chance)
    for number in range(count):
        yield made.pop() if number % TASKS_SHARE == 0 else reported.pop()


def _append(client: Any, commits: Sequence[Commit], sent: dict[Place, float]) -> None:
    begun = time.monotonic()
    for number, commit in enumerate(commits):
        time.sleep(max(0.0, begun + number / A_SECOND - time.monotonic()))
        place = _place(commit)
        item = to_item(commit)
        sent[place] = time.monotonic()
        client.put_item(TableName=os.environ["EVENTS_TABLE"], Item=item)


def _place(commit: Commit) -> Place:
    """Where a commit's row stands in the first generation."""
    from projections.monitoring_events import MonitoringEventProjection  # noqa: PLC0415 - reads the name of the table
    from projections.tasks import TaskProjection  # noqa: PLC0415

    kinds = (MonitoringEventProjection(), TaskProjection())
    key = next(kind.key(commit) for kind in kinds if commit.stream.startswith(f"{kind.category}#"))
    return f"1|{key.pk}", key.sk


def _there(client: Any, places: Sequence[Place]) -> list[Place]:
    if not places:
        return []
    keys = [{"pk": {"S": pk}, "sk": {"S": sk}} for pk, sk in places]
    asked = {"Keys": keys, "ConsistentRead": True, "ProjectionExpression": "pk, sk"}
    answer = client.batch_get_item(RequestItems={os.environ["VIEWS_TABLE"]: asked})
    return [(item["pk"]["S"], item["sk"]["S"]) for items in answer["Responses"].values() for item in items]


@contextmanager
def _deployed() -> Iterator[None]:
    """A stack of its own, which this process's clients talk to."""
    with tempfile.TemporaryDirectory(prefix="opsledger-bench-") as folder, LocalStack(Path(folder) / "stack") as stack:
        stack.deploy()
        local.use(str(stack.config.endpoint_url))
        status = stack.status()
        os.environ |= {"EVENTS_TABLE": status.events_table, "VIEWS_TABLE": status.views_table, "STAGE": "local"}
        yield
