"""The event source hands over what a mapping of AWS Lambda would, in the orders and the repeats that it allows."""

import base64
import json
import random
from collections.abc import Callable, Iterator
from itertools import pairwise
from typing import Any

import pytest

from projections.projector import hints_of
from tests.in_memory import deployed
from tests.in_memory.dynamodb import InMemoryDynamoDB, client
from tests.in_memory.event_source import EventSource, EventSourceMapping, Handler, anyhow, event
from tests.in_memory.faults import CrashError
from tests.in_memory.records import kinesis_record

Seen = list[list[tuple[str, int]]]
COMMIT = {
    **{name: {"S": "x"} for name in ("id", "by", "co", "ca", "e")},
    "n": {"N": "1"},
    "at": {"S": "2026-03-01T12:00:00.000Z"},
    "h": {"B": b"hash"},
}


class Clock:
    now = 1_000.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def db(clock: Clock) -> Iterator[InMemoryDynamoDB]:
    with InMemoryDynamoDB(deployed.tables(), clock=clock).installed() as db:
        yield db


def append(*streams: str, versions: int = 1, **more: Any) -> None:
    """Commits to each of some streams, one after the other."""
    for version in range(1, versions + 1):
        for stream in streams:
            item = {**COMMIT, "pk": {"S": stream}, "sk": {"N": f"{version}"}, **more}
            client().put_item(TableName="events", Item=item)


def seeing(seen: Seen, fails: Callable[[list[tuple[str, int]]], bool] = lambda _batch: False) -> Handler:
    """A function that notes the commits that it is handed, and fails for some batches."""

    def handler(event: dict[str, Any], _context: Any) -> None:
        batch = [(hint.stream, hint.version) for hint in hints_of(event)]
        seen.append(batch)
        if fails(batch):
            raise RuntimeError

    return handler


def handed(seen: Seen) -> list[tuple[str, int]]:
    return [commit for batch in seen for commit in batch]


def test_a_shard_is_handed_over_in_order_and_in_batches(db: InMemoryDynamoDB) -> None:
    append("task#1", versions=25)
    seen: Seen = []
    EventSource(db, "events", seeing(seen), EventSourceMapping(batch_size=10)).drain()
    assert [len(batch) for batch in seen] == [10, 10, 5]
    assert handed(seen) == [("task#1", version) for version in range(1, 26)]


def test_what_is_appended_meanwhile_comes_later(db: InMemoryDynamoDB) -> None:
    append("task#1")
    seen: Seen = []
    source = EventSource(db, "events", seeing(seen))
    source.drain()
    append("task#2")
    source.drain()
    assert handed(seen) == [("task#1", 1), ("task#2", 1)]


def test_a_failed_batch_comes_again_before_anything_behind_it(db: InMemoryDynamoDB) -> None:
    append("task#1", versions=4)
    seen: Seen = []
    EventSource(db, "events", seeing(seen, lambda _batch: len(seen) < 3), EventSourceMapping(batch_size=2)).drain()
    assert seen[0] == seen[1] == seen[2] == [("task#1", 1), ("task#1", 2)]
    assert seen[3:] == [[("task#1", 3), ("task#1", 4)]]


def test_a_failed_batch_is_halved_until_the_one_that_fails_is_alone(db: InMemoryDynamoDB) -> None:
    """And halving takes nothing from its retries."""
    append("task#1", versions=8)
    seen: Seen = []
    bad = ("task#1", 6)
    mapping = EventSourceMapping(bisects=True, max_retries=2)
    source = EventSource(db, "events", seeing(seen, lambda batch: bad in batch), mapping)
    source.drain()
    assert [len(batch) for batch in seen] == [8, 4, 4, 2, 1, 1, 1, 1, 2]
    assert seen[5:8] == [[bad]] * 3
    (message,) = source.destination
    assert message["requestContext"] == {"condition": "RetryAttemptsExhausted", "approximateInvokeCount": 3}
    assert message["DDBStreamBatchInfo"]["batchSize"] == 1
    (hint,) = hints_of(source.redelivered(message))
    assert (hint.stream, hint.version) == bad


def test_a_batch_comes_again_from_its_first_reported_failure(db: InMemoryDynamoDB) -> None:
    append("task#1", versions=5)
    seen: list[list[str]] = []

    def handler(event: dict[str, Any], _context: Any) -> dict[str, Any]:
        numbers = [record["dynamodb"]["SequenceNumber"] for record in event["Records"]]
        seen.append(numbers)
        failed = [numbers[4], numbers[2]] if len(seen) == 1 else []
        return {"batchItemFailures": [{"itemIdentifier": number} for number in failed]}

    EventSource(db, "events", handler, EventSourceMapping(reports_failures=True)).drain()
    assert seen[1] == seen[0][2:]
    assert len(seen) == 2


def test_records_that_are_too_old_are_not_handed_over(db: InMemoryDynamoDB, clock: Clock) -> None:
    append("task#1", versions=3)
    clock.now += 61
    append("task#2")
    seen: Seen = []
    source = EventSource(db, "events", seeing(seen), EventSourceMapping(max_age=60))
    source.drain()
    assert handed(seen) == [("task#2", 1)]
    (message,) = source.destination
    assert message["DDBStreamBatchInfo"]["batchSize"] == 3


def test_a_crash_of_the_function_is_a_failure_like_any_other(db: InMemoryDynamoDB) -> None:
    append("task#1")
    left = [CrashError()]

    def handler(_event: dict[str, Any], _context: Any) -> None:
        if left:
            raise left.pop()

    source = EventSource(db, "events", handler)
    source.drain()
    assert source.invocations == 2
    assert [type(error) for error in source.errors] == [CrashError]


def test_a_handled_batch_may_come_again(db: InMemoryDynamoDB) -> None:
    append("task#1", versions=50)
    seen: Seen = []
    EventSource(db, "events", seeing(seen), EventSourceMapping(batch_size=5), repeats=0.5).drain()
    assert len(seen) > 10
    assert sorted(set(handed(seen))) == [("task#1", version) for version in range(1, 51)]


def test_expiries_are_told_and_can_be_filtered(db: InMemoryDynamoDB) -> None:
    append("event#1", ttl={"N": "1"})
    db.expire("events", 2)
    told: list[dict[str, Any]] = []

    def handler(event: dict[str, Any], _context: Any) -> None:
        told.extend(event["Records"])

    EventSource(db, "events", handler).drain()
    assert [record["eventName"] for record in told] == ["INSERT", "REMOVE"]
    assert told[1]["userIdentity"] == {"type": "Service", "principalId": "dynamodb.amazonaws.com"}
    assert "NewImage" not in told[1]["dynamodb"]
    told.clear()
    properties = deployed.resources()["ProjectorFunction"]["Properties"]["Events"]["Commits"]["Properties"]
    EventSource(db, "events", handler, EventSourceMapping.deployed(properties)).drain()
    assert [record["eventName"] for record in told] == ["INSERT"]


def test_children_of_a_split_shard_begin_when_it_is_finished(db: InMemoryDynamoDB) -> None:
    streams = [f"task#{n}" for n in range(20)]
    append(*streams)
    seen: Seen = []
    source = EventSource(db, "events", seeing(seen), EventSourceMapping(batch_size=3), shards=2, short=0.5)
    source.split()
    append(*streams, sk={"N": "2"})
    source.split()
    append(*streams, sk={"N": "3"})
    source.drain(at_once=3)
    assert sorted(handed(seen)) == sorted((stream, version) for stream in streams for version in (1, 2, 3))
    for stream in streams:
        versions = [version for each, version in handed(seen) if each == stream]
        assert all(before <= after for before, after in pairwise(versions))


def test_with_a_parallelization_factor_only_an_item_keeps_its_order(db: InMemoryDynamoDB) -> None:
    append("task#1", versions=40)
    seen: Seen = []
    mapping = EventSourceMapping(batch_size=5, parallelization=4)
    EventSource(db, "events", seeing(seen), mapping, chance=random.Random(2)).drain()
    versions = [version for _, version in handed(seen)]
    assert sorted(versions) == list(range(1, 41))
    assert versions != sorted(versions)


def test_a_function_that_never_succeeds_is_given_up(db: InMemoryDynamoDB) -> None:
    append("task#1")
    with pytest.raises(AssertionError, match="after 7 invocations"):
        EventSource(db, "events", seeing([], lambda _batch: True)).drain(most=7)


def test_anyhow_leaves_out_repeats_and_shuffles(db: InMemoryDynamoDB) -> None:
    append(*(f"task#{n}" for n in range(200)))
    changes = db.changes("events")
    batches = list(anyhow(changes, random.Random(1), most=7, repeats=0.5, losses=0.2))
    told = [change.number for batch in batches for change in batch]
    assert max(map(len, batches)) == 7
    assert 100 < len(set(told)) < 200
    assert len(told) > len(set(told))
    assert told != sorted(told)


def test_records_hold_the_item_in_both_shapes(db: InMemoryDynamoDB) -> None:
    append("task#1")
    (record,) = event(db.changes("events"))["Records"]
    (hint,) = hints_of({"Records": [record]})
    assert hint.hash == b"hash"
    (record,) = event(db.changes("events"), kinesis_record)["Records"]
    told = json.loads(base64.b64decode(record["kinesis"]["data"]))
    assert told["eventName"] == "INSERT"
    assert told["dynamodb"]["NewImage"]["h"] == {"B": base64.b64encode(b"hash").decode()}
