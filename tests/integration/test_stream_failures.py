"""What the stream mappings gave up on: their messages, and the records that are read again from the streams."""

import base64
import json
from functools import cache
from typing import Any

import boto3
import pytest
from botocore.config import Config
from botocore.stub import Stubber

from infra.commits import to_item
from ops import functions, stream_failures
from ops.aws import SessionConfig
from ops.errors import OpsError
from ops.stream_failures import Done, NotUnderstoodError, RecordsGoneError, parse
from tests.integration.conftest import History, aws_client

NOTIFIER = "arn:aws:lambda:eu-central-1:123456789012:function:opsledger-dev-notifier"
PROJECTOR = "arn:aws:lambda:eu-central-1:123456789012:function:opsledger-dev-projector"


class Stage(SessionConfig):
    """A stage that moto plays."""

    def client(self, service: str) -> Any:
        return _streams_client() if service == "dynamodbstreams" else aws_client(service)


@cache
def _streams_client() -> Any:
    """At the address without an account, the only one that moto knows."""
    return boto3.client("dynamodbstreams", config=Config(account_id_endpoint_mode="disabled"))


@pytest.fixture
def stage(aws: None) -> Stage:  # noqa: ARG001
    return Stage("dev")


@pytest.fixture
def queue(stage: Stage) -> str:
    url: str = stage.client("sqs").create_queue(QueueName="failures")["QueueUrl"]
    return url


class Functions:
    """The deployed functions: what they were called with, and what the projector says of each stream."""

    def __init__(self) -> None:
        self.called: list[tuple[str, Any]] = []
        self.parked: dict[str, str] = {}
        self.broken = False

    def invoke(self, config: SessionConfig, function: str, payload: Any) -> Any:  # noqa: ARG002
        self.called.append((function, payload))
        if self.broken:
            raise OpsError("the function failed")
        if "redrive" in payload:
            return {stream: {"version": 1, "parked": self.parked.get(stream)} for stream in payload["redrive"]}
        return None


@pytest.fixture(autouse=True)
def deployed(monkeypatch: pytest.MonkeyPatch) -> Functions:
    deployed = Functions()
    monkeypatch.setattr(functions, "invoke", deployed.invoke)
    return deployed


@pytest.fixture
def table(stage: Stage, history: History) -> Any:
    """A table with a stream, in which are four tasks; the place of the second and third in it, as Lambda tells."""
    client = stage.client("dynamodb")
    made = client.create_table(
        TableName="streamed",
        BillingMode="PAY_PER_REQUEST",
        AttributeDefinitions=[
            {"AttributeName": "pk", "AttributeType": "S"},
            {"AttributeName": "sk", "AttributeType": "N"},
        ],
        KeySchema=[{"AttributeName": "pk", "KeyType": "HASH"}, {"AttributeName": "sk", "KeyType": "RANGE"}],
        StreamSpecification={"StreamEnabled": True, "StreamViewType": "NEW_IMAGE"},
    )
    for number in range(4):
        client.put_item(TableName="streamed", Item=to_item(history.task(str(number))))
    arn = made["TableDescription"]["LatestStreamArn"]
    streams = stage.client("dynamodbstreams")
    (shard,) = streams.describe_stream(StreamArn=arn)["StreamDescription"]["Shards"]
    iterator = streams.get_shard_iterator(StreamArn=arn, ShardId=shard["ShardId"], ShardIteratorType="TRIM_HORIZON")
    records = streams.get_records(ShardIterator=iterator["ShardIterator"])["Records"]
    return {
        "shardId": shard["ShardId"],
        "startSequenceNumber": records[1]["dynamodb"]["SequenceNumber"],
        "endSequenceNumber": records[2]["dynamodb"]["SequenceNumber"],
        "batchSize": 2,
        "streamArn": arn,
    }


@pytest.fixture
def kinesis(stage: Stage) -> Any:
    """A Kinesis stream with five records; the place of the second to the fourth, as Lambda tells."""
    client = stage.client("kinesis")
    client.create_stream(StreamName="commits", ShardCount=1)
    numbers = [
        client.put_record(StreamName="commits", Data=f"record {number}".encode(), PartitionKey="k")["SequenceNumber"]
        for number in range(5)
    ]
    described = client.describe_stream(StreamName="commits")["StreamDescription"]
    return {
        "shardId": described["Shards"][0]["ShardId"],
        "startSequenceNumber": numbers[1],
        "endSequenceNumber": numbers[3],
        "batchSize": 3,
        "streamArn": described["StreamARN"],
    }


def message(function: str, kind: str, place: Any) -> str:
    return json.dumps(
        {
            "requestContext": {
                "requestId": "c9b8fa9f-5a7f-xmpl-af9c-0c604cde93a5",
                "functionArn": function,
                "condition": "RecordAgeExceeded",
                "approximateInvokeCount": 1,
            },
            "responseContext": {"statusCode": 200, "executedVersion": "$LATEST", "functionError": "Unhandled"},
            "version": "1.0",
            "timestamp": "2026-03-01T00:38:06.021Z",
            kind: place,
        }
    )


def send(stage: Stage, queue: str, *bodies: str) -> None:
    for body in bodies:
        stage.client("sqs").send_message(QueueUrl=queue, MessageBody=body)


def left(stage: Stage, queue: str) -> int:
    """How many messages a reader would get at once."""
    received = stage.client("sqs").receive_message(QueueUrl=queue, MaxNumberOfMessages=10, VisibilityTimeout=0)
    return len(received.get("Messages", []))


def redriven(stage: Stage, queue: str) -> list[Done]:
    return list(stream_failures.redrive(stage, queue))


# ---- the table's stream


def test_the_streams_of_the_records_are_redriven_and_the_message_goes(
    stage: Stage, queue: str, table: Any, deployed: Functions
) -> None:
    send(stage, queue, message(PROJECTOR, "DDBStreamBatchInfo", table))

    (done,) = redriven(stage, queue)

    assert deployed.called == [("opsledger-dev-projector", {"redrive": ["task#1", "task#2"]})]
    assert (done.records, [one.stream for one in done.redriven], done.problem) == (2, ["task#1", "task#2"], "")
    assert left(stage, queue) == 0


def test_a_stream_that_is_parked_is_dealt_with_for_it_can_be_redriven_by_its_name(
    stage: Stage, queue: str, table: Any, deployed: Functions
) -> None:
    deployed.parked = {"task#1": "ValueError"}
    send(stage, queue, message(PROJECTOR, "DDBStreamBatchInfo", table))
    (done,) = redriven(stage, queue)
    assert [one.parked for one in done.redriven] == ["ValueError", None]
    assert left(stage, queue) == 0


def test_a_message_stays_while_the_projector_fails(stage: Stage, queue: str, table: Any, deployed: Functions) -> None:
    deployed.broken = True
    send(stage, queue, message(PROJECTOR, "DDBStreamBatchInfo", table))
    (done,) = redriven(stage, queue)
    assert done.problem == "the function failed; left are task#1, task#2"
    assert left(stage, queue) == 1


def test_a_message_stays_when_the_last_of_its_records_is_not_there(
    stage: Stage, queue: str, table: Any, deployed: Functions
) -> None:
    send(stage, queue, message(PROJECTOR, "DDBStreamBatchInfo", {**table, "endSequenceNumber": "9" * 30}))
    (done,) = redriven(stage, queue)
    assert done.gone
    assert deployed.called == []
    assert left(stage, queue) == 1


@pytest.mark.parametrize("code", ["ResourceNotFoundException", "TrimmedDataAccessException"])
def test_a_message_stays_when_its_shard_or_its_place_there_is_gone(
    stage: Stage, queue: str, table: Any, deployed: Functions, code: str
) -> None:
    send(stage, queue, message(PROJECTOR, "DDBStreamBatchInfo", table))
    with Stubber(_streams_client()) as stubbed:
        stubbed.add_client_error("get_shard_iterator", code)
        (done,) = redriven(stage, queue)
    assert done.gone
    assert deployed.called == []
    assert left(stage, queue) == 1


def test_a_shard_that_answers_with_nothing_for_ever_is_given_up(stage: Stage, table: Any) -> None:
    batch = parse(message(PROJECTOR, "DDBStreamBatchInfo", table))
    with Stubber(_streams_client()) as stubbed:
        stubbed.add_response("get_shard_iterator", {"ShardIterator": "i"})
        for _ in range(stream_failures.MAX_EMPTY_PAGES):
            stubbed.add_response("get_records", {"Records": [], "NextShardIterator": "i"})
        with pytest.raises(RecordsGoneError):
            stream_failures.read(stage, batch)


# ---- the Kinesis stream


def test_records_of_kinesis_are_handed_to_their_function_as_lambda_hands_them(
    stage: Stage, queue: str, kinesis: Any, deployed: Functions
) -> None:
    send(stage, queue, message(NOTIFIER, "KinesisBatchInfo", kinesis))

    (done,) = redriven(stage, queue)

    ((function, event),) = deployed.called
    assert function == NOTIFIER
    datas = [base64.b64decode(record["kinesis"]["data"]) for record in event["Records"]]
    assert datas == [b"record 1", b"record 2", b"record 3"]
    assert {record["eventSource"] for record in event["Records"]} == {"aws:kinesis"}
    assert json.dumps(event)
    assert (done.records, done.problem, left(stage, queue)) == (3, "", 0)


def test_records_that_are_too_large_for_one_call_come_in_several(
    stage: Stage, queue: str, kinesis: Any, deployed: Functions, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(stream_failures, "MAX_PAYLOAD_BYTES", 25)
    send(stage, queue, message(NOTIFIER, "KinesisBatchInfo", kinesis))
    redriven(stage, queue)
    assert [len(event["Records"]) for _, event in deployed.called] == [2, 1]


def test_kinesis_begins_with_what_it_still_has_and_that_is_not_enough(stage: Stage, kinesis: Any) -> None:
    batch = parse(message(NOTIFIER, "KinesisBatchInfo", kinesis))
    later = {"Data": b"record 2", "PartitionKey": "k", "SequenceNumber": str(int(batch.first) + 1)}
    last = {"Data": b"record 3", "PartitionKey": "k", "SequenceNumber": batch.last}
    with Stubber(stage.client("kinesis")) as stubbed:
        stubbed.add_response("get_shard_iterator", {"ShardIterator": "i"})
        stubbed.add_response("get_records", {"Records": [later, last], "NextShardIterator": "i"})
        with pytest.raises(RecordsGoneError):
            stream_failures.read(stage, batch)


# ---- messages


def test_every_message_is_looked_at_once_and_those_that_are_kept_are_there_for_others_at_once(
    stage: Stage, queue: str, table: Any, kinesis: Any
) -> None:
    odd = "not about records"
    good = [message(PROJECTOR, "DDBStreamBatchInfo", table), message(NOTIFIER, "KinesisBatchInfo", kinesis)]
    send(stage, queue, odd, *good, odd)
    done = redriven(stage, queue)
    assert sorted(bool(one.problem) for one in done) == [False, False, True, True]
    assert left(stage, queue) == 2


def test_a_message_that_comes_meanwhile_is_left_for_the_next_time(stage: Stage, queue: str) -> None:
    send(stage, queue, "odd")
    assert list(stream_failures.redrive(stage, queue, now=lambda: 0)) == []
    assert left(stage, queue) == 1


@pytest.mark.parametrize(
    "body", ["", "[]", "7", "{}", '{"KinesisBatchInfo": {}}', '{"DDBStreamBatchInfo": {"shardId": "s"}}', "null"]
)
def test_what_is_no_message_of_lambda_is_said_to_be_none(body: str) -> None:
    with pytest.raises(NotUnderstoodError):
        parse(body)


def test_a_batch_is_told_by_its_function_and_place(stage: Stage, table: Any) -> None:
    batch = parse(message(PROJECTOR, "DDBStreamBatchInfo", table))
    assert str(batch).startswith("opsledger-dev-projector: shardId-")
    assert len(stream_failures.read(stage, batch)) == 2
