"""What a million monitoring events cost on AWS, from the message on the event bus to its row and its decision.

Units, calls, sizes are counted on the real code; `Prices` says what AWS asks for them, and what is assumed.
"""

import math
import random
from dataclasses import dataclass
from typing import Any

from benchmarks import batches, projected
from benchmarks.report import Row
from infra.commits import to_item
from tests.in_memory import deployed, sizes
from tests.in_memory.dynamodb import InMemoryDynamoDB

MILLION = 1_000_000
EVENTS = 500
HOURS_A_MONTH = 730


@dataclass(frozen=True)
class Prices:
    """List prices in dollars, us-east-1, without free allowances, as they were known in 2025.

    They were not compared with AWS's pricing pages since: do so before relying on a sum. Each can be given on the
    command line. Lambda reads DynamoDB Streams for nothing ("Evaluate your DynamoDB streams usage", Developer Guide).

    Attributes:
        write_unit, read_unit: DynamoDB on demand, standard table class, per million.
        storage, backup: DynamoDB, per GB and month; the second for point-in-time recovery.
        capture_unit: DynamoDB to Kinesis, per million KB begun.
        shard_hour: Kinesis, provisioned; `payload_unit`: per million records of up to 25 KB.
        request: Lambda, per million invocations; `gb_second`: Lambda on arm64.
        queue_request: SQS standard queue, per million.
        bus_event: EventBridge, per million; AWS's own events cost nothing, and these are all.
        logs: CloudWatch Logs, per GB taken in.
        call_ms: assumed, not measured: how long a call to DynamoDB takes inside of AWS.
        log_bytes: assumed: what an invocation logs, with Lambda's own lines.
        retention_months: how long a monitoring event and its row are kept.
    """

    write_unit: float = 0.625
    read_unit: float = 0.125
    storage: float = 0.25
    backup: float = 0.20
    capture_unit: float = 0.10
    shard_hour: float = 0.015
    payload_unit: float = 0.014
    request: float = 0.20
    gb_second: float = 0.0000133334
    queue_request: float = 0.40
    bus_event: float = 0.0
    logs: float = 0.50
    call_ms: float = 10.0
    log_bytes: float = 1_000.0
    retention_months: float = 3.0


def rows(prices: Prices, batch_size: int = 100, queue_batch: int = 10, own_ms: float = 1.0) -> list[Row]:
    """Dollars per million events, by part of the path, and their sum.

    Args:
        batch_size: events that the stream's readers get at once; `queue_batch`: that the ingest gets at once.
        own_ms: processor time that the projector takes for an event, at 512 MB. See the times of batches.
    """
    chance = random.Random(1)
    commits = projected.monitoring_events(EVENTS, chance)
    items = [to_item(commit) for commit in commits]
    cost, _ = batches.counted(batch_size, EVENTS)["monitoring event, as AWS sends them"]
    appended = _mean(sizes.write_units(sizes.item_bytes(item)) for item in items)
    captured = _mean(_capture_units(batch) for batch in batches.batches(commits, 1))
    kept, viewed = _mean(map(sizes.item_bytes, items)) / 1e9, _row_bytes(commits) / 1e9

    def function(calls: float, per: int, processor_ms: float = 0.0) -> float:
        """Dollars for a function that gets so many events at once and makes so many calls for each of them."""
        seconds = (calls * prices.call_ms + processor_ms) / 1000
        logged = prices.log_bytes / 1e9 * prices.logs * MILLION
        return prices.request / per + seconds * 0.5 * prices.gb_second * MILLION + logged / per

    units = f"{cost.wcu} write units, {cost.rcu} read units, {cost.calls} calls an event"
    parts = {
        "event bus": (prices.bus_event, "AWS's own events"),
        "ingest queue": (
            prices.queue_request * (1 + 2 / queue_batch),
            f"sent singly, taken and deleted by {queue_batch}",
        ),
        "ingest": (function(1, queue_batch, own_ms), f"a call an event, {queue_batch} events at once"),
        "events table": (prices.write_unit * appended, f"{appended:.2f} write units an event"),
        "table stream": (0.0, "reads by Lambda cost nothing"),
        "Kinesis": (prices.capture_unit * captured + prices.payload_unit, f"{captured:.2f} capture units an event"),
        "projector": (function(cost.calls, batch_size, own_ms), f"{batch_size} events at once"),
        "views": (prices.write_unit * cost.wcu + prices.read_unit * cost.rcu, units),
        "reactions": (function(0, batch_size), "they read, and find nothing to do"),
    }
    whole = sum(dollars for dollars, _ in parts.values())
    storage = (kept * (prices.storage + prices.backup) + viewed * prices.storage) * MILLION * prices.retention_months
    shard = prices.shard_hour * HOURS_A_MONTH
    # Units of a commit up to 1 KB (benchmarks/ingest.py), its row (infra/views.py), a decision (docs/notifications.md).
    alert = (
        prices.write_unit * (1 + 2 + 2)
        + prices.read_unit * (1 + 1)
        + prices.capture_unit
        + prices.payload_unit
        + function(3, batch_size, own_ms)
    )
    found = [_row(name, dollars, note) for name, (dollars, note) in parts.items()]
    return [
        *found,
        _row("to its row", whole, "dollars per million monitoring events"),
        _row("an alert", alert, "that recurs with each: its commit, its row, and the decision that nobody is told"),
        _row("the whole path", whole + alert, "dollars per million monitoring events that an alert takes"),
        _row("and keeping them", storage, f"event and row, for {prices.retention_months:.0f} months, with backup"),
        _row("and the Kinesis shard", shard, "dollars a month, whether or not there are events"),
    ]


def _row(name: str, dollars: float, note: str) -> Row:
    return Row("price", name, *[None] * 6, note, dollars=round(dollars, 4))


def _capture_units(batch: dict[str, Any]) -> int:
    """One per KB begun of what is captured: the keys and the new image."""
    return math.ceil(batch["Records"][0]["dynamodb"]["SizeBytes"] / 1024)


def _row_bytes(commits: Any) -> float:
    """Of what the views keep of an event."""
    from infra import generations  # noqa: PLC0415
    from projections.projector import handler  # noqa: PLC0415

    generations.forget()
    with InMemoryDynamoDB(deployed.tables()).installed() as db, batches.silence():
        for batch in batches.batches(commits, 100):
            handler(batch, None)
        total = sum(map(sizes.item_bytes, db.items("views")))
    generations.forget()
    return total / len(commits)


def _mean(numbers: Any) -> float:
    found = list(numbers)
    return sum(found) / len(found)
