"""Alarms through a deployed local stack: how fast they are drained, and whether each is counted, once."""

import json
import os
import tempfile
import time
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from benchmarks import local
from benchmarks.alarms import alarm, open_alerts
from benchmarks.report import Row
from ops.local_stack import LocalStack

SENDERS = (1, 8)
WARM_UP = 50
FINGERPRINTS = (1, 1_000)
PATIENCE_SECONDS = 1_800.0


def rows(alerts: int, events: int) -> list[Row]:
    """Events per second from the first one's hand-over until all are counted, with so many open alerts."""
    with _deployed() as (sqs, queue, dynamodb):
        from infra.commits import to_item  # noqa: PLC0415

        commits = list(open_alerts(alerts))
        with _told_to_nobody(dynamodb):
            local.fill(dynamodb, os.environ["EVENTS_TABLE"], map(to_item, commits))
            _shown(dynamodb, commits[-1].stream)
        found, expected = [], alerts + WARM_UP
        _send(sqs, queue, [alarm(number) for number in range(WARM_UP)], 1)
        _drained(sqs, queue)
        for senders in SENDERS:
            bodies = [alarm(number % alerts) for number in range(events)]
            expected += events
            begun = time.monotonic()
            _send(sqs, queue, bodies, senders)
            taken = _drained(sqs, queue) - begun
            note = f"{alerts:,} open alerts; {events:,} events in {taken:.1f} s, {_verdict(dynamodb, expected)}"
            found.append(_row("whole local stack", f"{senders} senders", events / taken, note))
        return found


def storms(events: int) -> list[Row]:
    """So many events on few and on many fingerprints, sent at once: nothing lost, nothing counted twice."""
    found = []
    with _deployed() as (sqs, queue, dynamodb):
        expected = 0
        for fingerprints in FINGERPRINTS:
            first = expected  # numbers of alarms that no storm before had
            bodies = [alarm(first + number % fingerprints) for number in range(events)]
            expected += events
            begun = time.monotonic()
            _send(sqs, queue, bodies, max(SENDERS))
            taken = _drained(sqs, queue) - begun
            note = f"{events:,} in {taken:.1f} s, {_verdict(dynamodb, expected)}"
            found.append(_row("storm", f"{fingerprints:,} fingerprints", events / taken, note))
    return found


def _row(work: str, system: str, per_s: float, note: str) -> Row:
    return Row(work, system, None, None, round(per_s, 1), None, None, None, note)


def _send(sqs: Any, queue: str, bodies: Sequence[str], senders: int) -> None:
    def send(some: Sequence[str]) -> None:
        entries = [{"Id": str(place), "MessageBody": body} for place, body in enumerate(some)]
        if failed := sqs.send_message_batch(QueueUrl=queue, Entries=entries).get("Failed"):
            raise RuntimeError(f"{len(failed)} messages were not taken")

    with ThreadPoolExecutor(senders) as pool:
        list(pool.map(send, [bodies[place : place + 10] for place in range(0, len(bodies), 10)]))


@contextmanager
def _told_to_nobody(dynamodb: Any) -> Iterator[None]:
    """Without the stream to the notifier, which would take many minutes to decide on alerts that stand open already."""
    table = os.environ["EVENTS_TABLE"]
    found = dynamodb.describe_kinesis_streaming_destination(TableName=table)["KinesisDataStreamDestinations"]
    for one in found:
        dynamodb.disable_kinesis_streaming_destination(TableName=table, StreamArn=one["StreamArn"])
    yield
    for one in found:
        dynamodb.enable_kinesis_streaming_destination(TableName=table, StreamArn=one["StreamArn"])


def _shown(dynamodb: Any, stream: str) -> None:
    """Wait until the views have an alert's row."""
    key = {"pk": {"S": f"1|{stream}"}, "sk": {"S": "alert"}}
    end = time.monotonic() + PATIENCE_SECONDS
    while "Item" not in dynamodb.get_item(TableName=os.environ["VIEWS_TABLE"], Key=key):
        if time.monotonic() > end:
            raise RuntimeError(f"{stream} is still not shown")
        time.sleep(0.5)


def _drained(sqs: Any, queue: str) -> float:
    """Wait until the queue has nothing left, neither waiting nor being worked on. Returns when that was.

    The queue is asked and not the table: counting it takes the emulator as long as many events.
    """
    end = time.monotonic() + PATIENCE_SECONDS
    while any(_waiting(sqs, queue)):
        if time.monotonic() > end:
            raise RuntimeError(f"{sum(_waiting(sqs, queue))} messages are still in the queue")
        time.sleep(0.1)
    return time.monotonic()


def _waiting(sqs: Any, queue: str) -> list[int]:
    names = ["ApproximateNumberOfMessages", "ApproximateNumberOfMessagesNotVisible"]
    return [int(n) for n in sqs.get_queue_attributes(QueueUrl=queue, AttributeNames=names)["Attributes"].values()]


def _verdict(dynamodb: Any, expected: int) -> str:
    """Whether so many occurrences are counted, in all alerts together."""
    counted = commits = 0
    for item in _alert_items(dynamodb):
        commits += 1
        counted += sum(event["d"].get("seen", {}).get("count", 0) for event in json.loads(item["e"]["S"]))
    exact = "each counted once" if counted == expected else f"{counted:,} COUNTED OF {expected:,}"
    return f"{exact}; {commits:,} commits of alerts"


def _alert_items(dynamodb: Any) -> Iterator[Any]:
    pages = dynamodb.get_paginator("scan").paginate(
        TableName=os.environ["EVENTS_TABLE"],
        ConsistentRead=True,
        FilterExpression="begins_with(pk, :alert)",
        ExpressionAttributeValues={":alert": {"S": "alert#"}},
        ProjectionExpression="pk, e",
    )
    for page in pages:
        yield from page["Items"]


@contextmanager
def _deployed() -> Iterator[tuple[Any, str, Any]]:
    """A stack of its own: a client of SQS, the ingest queue, a client of DynamoDB."""
    with tempfile.TemporaryDirectory(prefix="opsledger-bench-") as folder, LocalStack(Path(folder) / "stack") as stack:
        stack.deploy()
        local.use(str(stack.config.endpoint_url))
        status = stack.status()
        os.environ |= {"EVENTS_TABLE": status.events_table, "VIEWS_TABLE": status.views_table, "STAGE": "local"}
        yield stack.config.client("sqs"), status.ingest_queue_url, local.default_client()
