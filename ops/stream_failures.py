"""What the stream mappings gave up on: their messages name records by place, and these are read again from the stream.

Lambda describes both kinds of message in "Retain discarded records for a DynamoDB event source" and "Retain discarded
batch records for a Kinesis Data Streams event source" (AWS Lambda Developer Guide). Neither holds the records, which
the streams keep for 24 hours.

A record of the table's own stream is a hint that a stream of the ledger moved: the projector goes on with it from the
events table. Records of the Kinesis stream are handed to their function once more; it knows what it has dealt with.
"""

import base64
import json
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

from ops import functions, read_side
from ops.aws import SessionConfig
from ops.errors import OpsError

MAX_PAYLOAD_BYTES = 4_000_000
"""Of the records in one call of a function; Lambda takes 6 MB ("Lambda quotas")."""

MAX_EMPTY_PAGES = 200
"""A shard may answer with nothing though more follows, but not without end."""

HIDDEN_SECONDS = 600
"""How long a message is hidden from others while it is dealt with."""

_GONE = {"ResourceNotFoundException", "TrimmedDataAccessException", "InvalidArgumentException"}
"""What AWS answers when the shard, or the place in it, is not there any more."""

Kind = Literal["table", "Kinesis"]


class NotUnderstoodError(Exception):
    """A message that is none of Lambda's about a batch of records."""


class RecordsGoneError(Exception):
    """The stream does not have all the records any more."""


@dataclass(frozen=True)
class Batch:
    """The place of the records that a mapping gave up on."""

    kind: Kind
    function: str
    stream: str
    shard: str
    first: str
    last: str

    def __str__(self) -> str:
        name = self.function.rpartition(":")[2]
        return f"{name}: {self.shard}, records {self.first} to {self.last}"


@dataclass(frozen=True)
class Done:
    """What became of a message.

    Attributes:
        batch: what it told of; None for a message that is not understood.
        records: how many records were read again.
        redriven: of the table's stream: what became of each stream of the ledger that was named.
        problem: why it is kept; empty when it was dealt with and deleted.
        gone: the records cannot be read any more.
    """

    batch: Batch | None
    records: int = 0
    redriven: Sequence[read_side.Redriven] = ()
    problem: str = ""
    gone: bool = False


def redrive(config: SessionConfig, queue: str, *, now: Callable[[], float] = time.time) -> Iterator[Done]:
    """Deal with the messages in the queue. One is deleted when all that it told of was dealt with, and not before.

    Messages that arrive while this runs stay where they are.
    """
    sqs = config.client("sqs")
    begin = int(now() * 1000)
    kept: dict[str, dict[str, Any]] = {}
    try:
        while message := _received(sqs, queue):
            known, kept[message["MessageId"]] = message["MessageId"] in kept, message
            if known or int(message["Attributes"]["SentTimestamp"]) > begin:
                continue
            done = _dealt_with(config, message["Body"])
            if not done.problem:
                sqs.delete_message(QueueUrl=queue, ReceiptHandle=message["ReceiptHandle"])
                del kept[message["MessageId"]]
            yield done
    finally:
        for message in kept.values():  # they are there for the next reader at once
            sqs.change_message_visibility(QueueUrl=queue, ReceiptHandle=message["ReceiptHandle"], VisibilityTimeout=0)


def parse(body: str) -> Batch:
    """The batch that a message tells of.

    Raises:
        NotUnderstoodError: it tells of none.
    """
    try:
        told = json.loads(body)
        kind: Kind = "table" if "DDBStreamBatchInfo" in told else "Kinesis"
        place = told["DDBStreamBatchInfo" if kind == "table" else "KinesisBatchInfo"]
        return Batch(
            kind,
            str(told["requestContext"]["functionArn"]),
            str(place["streamArn"]),
            str(place["shardId"]),
            _digits(place["startSequenceNumber"]),
            _digits(place["endSequenceNumber"]),
        )
    except (AttributeError, LookupError, TypeError, ValueError) as error:
        raise NotUnderstoodError(f"it is no message about a batch of records ({type(error).__name__})") from error


def read(config: SessionConfig, batch: Batch) -> list[dict[str, Any]]:
    """The records of a batch, as the stream's own API gives them.

    Raises:
        RecordsGoneError: some of them are not there any more.
    """
    if batch.kind == "table":
        client = config.client("dynamodbstreams")
        place = {"StreamArn": batch.stream, "SequenceNumber": batch.first}
    else:
        client = config.client("kinesis")
        place = {"StreamName": batch.stream.rpartition("/")[2], "StartingSequenceNumber": batch.first}
    records: list[dict[str, Any]] = []
    empty = 0
    try:
        begin = client.get_shard_iterator(**place, ShardId=batch.shard, ShardIteratorType="AT_SEQUENCE_NUMBER")
        iterator = begin["ShardIterator"]
        while iterator and empty < MAX_EMPTY_PAGES and not (records and _number(records[-1]) >= int(batch.last)):
            page = client.get_records(ShardIterator=iterator)
            records += page["Records"]
            empty = 0 if page["Records"] else empty + 1
            iterator = page.get("NextShardIterator")
    except client.exceptions.ClientError as error:
        if error.response["Error"]["Code"] not in _GONE:
            raise
        raise RecordsGoneError from error
    wanted = [record for record in records if _number(record) <= int(batch.last)]
    if not wanted or _number(wanted[0]) != int(batch.first) or _number(wanted[-1]) != int(batch.last):
        raise RecordsGoneError
    return wanted


def _received(sqs: Any, queue: str) -> dict[str, Any] | None:
    """One message: each may take as long as a function may run."""
    messages: list[dict[str, Any]] = sqs.receive_message(
        QueueUrl=queue,
        MaxNumberOfMessages=1,
        WaitTimeSeconds=1,
        VisibilityTimeout=HIDDEN_SECONDS,
        MessageSystemAttributeNames=["SentTimestamp"],
    ).get("Messages", [])
    return messages[0] if messages else None


def _dealt_with(config: SessionConfig, body: str) -> Done:
    batch = None
    try:
        batch = parse(body)
        records = read(config, batch)
        if batch.kind == "table":
            return Done(batch, len(records), tuple(read_side.redrive(config, _streams(records))))
        for event in _kinesis_events(batch, records):
            functions.invoke(config, batch.function, event)
        return Done(batch, len(records))
    except RecordsGoneError:
        return Done(batch, problem="the stream does not have these records any more", gone=True)
    except (NotUnderstoodError, OpsError) as error:
        return Done(batch, problem=str(error))


def _streams(records: Sequence[Mapping[str, Any]]) -> list[str]:
    """The streams of the ledger that were appended to. What expired is no news."""
    named = [one["dynamodb"]["Keys"]["pk"]["S"] for one in records if one["eventName"] == "INSERT"]
    return list(dict.fromkeys(named))


def _kinesis_events(batch: Batch, records: Sequence[Mapping[str, Any]]) -> Iterator[dict[str, Any]]:
    """The records as Lambda hands them to a function ("Using Lambda to process records from Kinesis Data Streams")."""
    event: list[dict[str, Any]] = []
    size = 0
    for record in records:
        data = base64.b64encode(record["Data"]).decode()
        if event and size + len(data) > MAX_PAYLOAD_BYTES:
            yield {"Records": event}
            event, size = [], 0
        size += len(data)
        event.append(
            {
                "kinesis": {
                    "kinesisSchemaVersion": "1.0",
                    "partitionKey": record["PartitionKey"],
                    "sequenceNumber": record["SequenceNumber"],
                    "data": data,
                    "approximateArrivalTimestamp": record["ApproximateArrivalTimestamp"].timestamp(),
                },
                "eventSource": "aws:kinesis",
                "eventVersion": "1.0",
                "eventID": f"{batch.shard}:{record['SequenceNumber']}",
                "eventName": "aws:kinesis:record",
                "eventSourceARN": batch.stream,
            }
        )
    yield {"Records": event}


def _digits(number: str) -> str:
    """A sequence number as it is; raises ValueError if it is none."""
    if not number.isdecimal():
        raise ValueError(number)
    return number


def _number(record: Mapping[str, Any]) -> int:
    return int(record["SequenceNumber"] if "SequenceNumber" in record else record["dynamodb"]["SequenceNumber"])
