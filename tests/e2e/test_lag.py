"""Heartbeats through the deployed streams, and a stream that is parked, seen, and gone on with after the fix."""

import json
from collections.abc import Iterator
from functools import partial
from typing import Any

import pytest

from commands.execution import new_id, now
from domain.commit import Commit, encode_events, sealed
from domain.event import StoredEvent
from infra.commits import to_item
from infra.event_store import DynamoDBEventStore
from infra.heartbeats import CONSUMERS, PARTITION, lags
from infra.marks import Mark
from infra.read_side import ReadSide
from ops import read_side, stream_failures
from ops.functions import invoke
from tests.e2e.system import Api, Person, Slack, System, alarm, unique, wait_for

FUNCTIONS = ("projector", "notifier", "reactions")


def sent_at(system: System) -> float:
    """Send a heartbeat, as happens every minute. Returns a time before it, in seconds since the epoch."""
    before = now().timestamp()
    invoke(system.stack.config, f"{system.status.stack_name}-schedules", {})
    return before


def lines_with(system: System, function: str, text: str) -> list[str]:
    return [line for line in system.logged(function) if text in line]


def test_a_heartbeat_reaches_every_consumer_within_seconds(system: System, measured: list[str]) -> None:
    before = sent_at(system)

    def heard() -> dict[str, float]:
        found = system.client("dynamodb").query(
            TableName=system.status.views_table,
            KeyConditionExpression="pk = :pk",
            ExpressionAttributeValues={":pk": {"S": PARTITION}},
        )
        marks = [Mark.from_raw_data(item) for item in found["Items"]]
        return {lag.consumer: lag.heard_at for lag in lags(lambda _: marks)}

    wait_for(heard, lambda times: len(times) == 3 and min(times.values()) >= before)

    lag = read_side.look(system.stack.config).lag
    assert all(seconds is not None and seconds < 60 for seconds in lag.values())
    measured.append(f"lag of a heartbeat: {', '.join(f'{name} {seconds} s' for name, seconds in lag.items())}")


def test_health_tells_an_admin_the_lag_and_nobody_else_anything(system: System, admin: Api, person: Person) -> None:
    sent_at(system)
    told = wait_for(lambda: admin.get("/health"), lambda body: None not in body["lag"].values())
    assert set(told) == {"status", "lag", "parked", "rebuild"}
    assert set(told["lag"]) == set(CONSUMERS)
    for other in (system.api, person.api, system.api.as_caller("no.valid.token")):
        assert other.get("/health") == {"status": "ok"}


def test_a_heartbeat_is_measured_and_complained_of_by_nobody(system: System) -> None:
    sent_at(system)
    for function in FUNCTIONS:
        lines = wait_for(partial(lines_with, system, function, "ProjectionLag"))
        told = json.loads(lines[-1])
        assert (told["consumer"], told["stage"]) == (function, "local")
        assert 0 <= told["ProjectionLag"][0] < 60
    assert wait_for(lambda: lines_with(system, "projector", "ParkedStreams"))
    assert not [line for line in system.logged("schedules") if "AccessDenied" in line]


# ---- a stream that cannot be projected


@pytest.fixture
def task(admin: Api) -> str:
    """The stream of a new task that is listed."""
    body = {"title": unique("Parked"), "description": "Its stream breaks, and is mended."}
    answer = admin.call("POST", "/tasks", body)
    assert answer.status == 201, answer
    wait_for(lambda: admin.call("GET", f"/tasks/{answer.body['id']}").status, lambda status: status == 200)
    return f"task#{answer.body['id']}"


def unreadable(store: DynamoDBEventStore, stream: str) -> Commit:
    """A commit at the end of a stream, as newer code than the one that is deployed would append it."""
    last = next(iter(store.load_back(stream)))
    return sealed(
        last.hash,
        stream=stream,
        version=last.last_version + 1,
        count=1,
        id=new_id(),
        at=now(),
        by="system:test",
        correlation_id="test",
        causation_id="test",
        command=None,
        encoded=encode_events([StoredEvent("task.not-known-yet", 1, {})]),
    )


def test_a_stream_is_parked_seen_and_shown_again_after_the_fix(system: System, admin: Api, task: str) -> None:
    config, client = system.stack.config, system.client("dynamodb")
    store = DynamoDBEventStore(client, system.status.events_table)
    broken = unreadable(store, task)
    client.put_item(TableName=system.status.events_table, Item=to_item(broken))

    def parked() -> ReadSide:
        return read_side.look(config)

    found = wait_for(parked, lambda found: task in [one.stream for one in found.parked])
    (one,) = (one for one in found.parked if one.stream == task)
    assert (one.version, found.status) == (broken.version - 1, "degraded")
    assert "task.not-known-yet" in one.error
    assert admin.get("/health")["parked"] >= 1

    # Others go on, and the task is shown as it was before.
    other = admin.call("POST", "/tasks", {"title": unique("Other"), "description": "Goes on as if nothing were."})
    wait_for(lambda: admin.call("GET", f"/tasks/{other.body['id']}").status, lambda status: status == 200)
    assert admin.call("GET", f"/tasks/{task.partition('#')[2]}").status == 200

    (still,) = read_side.redrive(config, [task])
    assert still.parked
    assert "task.not-known-yet" in still.parked
    (again,) = (one for one in parked().parked if one.stream == task)
    assert again.since == one.since < again.tried

    # The fix: code that knows the event, or here, what a restored ledger would be: one without it.
    item = to_item(broken)
    client.delete_item(TableName=system.status.events_table, Key={"pk": item["pk"], "sk": item["sk"]})
    (healed,) = read_side.redrive(config, [task])
    assert (healed.version, healed.parked) == (broken.version - 1, None)
    assert task not in [one.stream for one in parked().parked]

    closed = admin.call("PUT", f"/tasks/{task.partition('#')[2]}/status", {"status": "in_progress"})
    assert closed.status == 200, closed
    wait_for(lambda: admin.get(f"/tasks/{task.partition('#')[2]}")["status"], lambda status: status == "in_progress")


# ---- records that the readers of the streams gave up on


def read_on(client: Any, begin: dict[str, str]) -> Iterator[dict[str, Any]]:
    """The records of a shard, page by page, to its end as it is now."""
    page = client.get_records(ShardIterator=begin["ShardIterator"])
    while page["Records"]:
        yield from page["Records"]
        page = client.get_records(ShardIterator=page["NextShardIterator"])


def given_up(system: System, function: str, kind: str, place: dict[str, str]) -> stream_failures.Done:
    """What becomes of a message as Lambda leaves it when it drops records."""
    arn = system.client("lambda").get_function_configuration(FunctionName=f"{system.status.stack_name}-{function}")
    message = {"requestContext": {"functionArn": arn["FunctionArn"], "condition": "RecordAgeExceeded"}, kind: place}
    queue = system.status.stream_failure_queue_url
    system.client("sqs").send_message(QueueUrl=queue, MessageBody=json.dumps(message))
    (done,) = stream_failures.redrive(system.stack.config, queue)
    assert done.problem or system.waiting(queue) == 0
    return done


def test_a_record_that_the_projector_gave_up_on_is_read_again_and_its_stream_redriven(
    system: System, task: str
) -> None:
    streams, table = system.client("dynamodbstreams"), system.status.events_table
    arn = system.client("dynamodb").describe_table(TableName=table)["Table"]["LatestStreamArn"]
    (shard,) = streams.describe_stream(StreamArn=arn)["StreamDescription"]["Shards"]
    begin = streams.get_shard_iterator(StreamArn=arn, ShardId=shard["ShardId"], ShardIteratorType="TRIM_HORIZON")
    of_task = (r["dynamodb"] for r in read_on(streams, begin) if r["dynamodb"]["Keys"]["pk"]["S"] == task)
    number = next(of_task)["SequenceNumber"]

    place = {"streamArn": arn, "shardId": shard["ShardId"], "startSequenceNumber": number, "endSequenceNumber": number}
    done = given_up(system, "projector", "DDBStreamBatchInfo", place)

    assert (done.records, done.redriven) == (1, (read_side.Redriven(task, 1, None),))


def test_records_that_the_notifier_gave_up_on_are_handed_to_it_again_and_tell_nobody_twice(
    system: System, admin: Api, slack: Slack
) -> None:
    name = unique("given-up")
    system.hand_in(alarm(name))
    wait_for(lambda: slack.received(name))
    kinesis = system.client("kinesis")
    described = kinesis.describe_stream(StreamName=system.status.events_stream)["StreamDescription"]
    shard = described["Shards"][0]["ShardId"]
    begin = kinesis.get_shard_iterator(
        StreamName=system.status.events_stream, ShardId=shard, ShardIteratorType="TRIM_HORIZON"
    )
    of_alerts = (record for record in read_on(kinesis, begin) if b'"alert#' in record["Data"])
    number = next(record["SequenceNumber"] for record in of_alerts if name.encode() in record["Data"])
    decided = len(admin.notifications(name))

    place = {
        "streamArn": described["StreamARN"],
        "shardId": shard,
        "startSequenceNumber": number,
        "endSequenceNumber": number,
    }
    done = given_up(system, "notifier", "KinesisBatchInfo", place)

    assert (done.records, done.problem) == (1, "")
    system.settle()
    assert len(admin.notifications(name)) == decided == 1
    assert len(slack.received(name)) == 1
