"""A table's changes in the shapes in which AWS Lambda hands them to a function.

From "Using AWS Lambda with Amazon DynamoDB" and "Using Kinesis Data Streams to capture changes to DynamoDB".
"""

import base64
import json
from collections.abc import Callable, Mapping
from typing import Any

from tests.in_memory import sizes
from tests.in_memory.expressions import Item
from tests.in_memory.tables import Change

Render = Callable[[Change], dict[str, Any]]
TABLE_ARN = "arn:aws:dynamodb:eu-central-1:123456789012:table/events"
STREAM_ARN = f"{TABLE_ARN}/stream/2026-01-01T00:00:00.000"


def dynamodb_record(change: Change) -> dict[str, Any]:
    """As the table's own stream tells it."""
    told = _change(change)
    told["dynamodb"] |= {"SequenceNumber": sequence_number(change), "StreamViewType": "NEW_IMAGE"}
    return {**told, "eventVersion": "1.1", "eventSourceARN": STREAM_ARN}


def kinesis_record(change: Change) -> dict[str, Any]:
    """As a Kinesis data stream tells it that DynamoDB fills."""
    told = {**_change(change), "recordFormat": "application/json", "tableName": "events"}
    told["dynamodb"]["ApproximateCreationDateTime"] *= 1000
    return {
        "eventSource": "aws:kinesis",
        "eventName": "aws:kinesis:record",
        "kinesis": {
            "partitionKey": json.dumps(change.keys, sort_keys=True),
            "sequenceNumber": sequence_number(change),
            "data": base64.b64encode(json.dumps(told).encode()).decode(),
        },
    }


def sequence_number(change: Change) -> str:
    """Numbers of the same length, so that they are in order as texts too."""
    return f"{change.number:021d}"


def _change(change: Change) -> dict[str, Any]:
    service = {"type": "Service", "principalId": "dynamodb.amazonaws.com"}
    told: dict[str, Any] = {
        "ApproximateCreationDateTime": int(change.at),
        "Keys": change.keys,
        "SizeBytes": sizes.item_bytes(change.image) + sizes.item_bytes(change.keys),
    }
    if change.image:
        told["NewImage"] = _textual(change.image)
    return {
        "eventID": f"{change.number:032x}",
        "eventName": change.name,
        "eventSource": "aws:dynamodb",
        "awsRegion": "eu-central-1",
        "dynamodb": told,
        **({"userIdentity": service} if change.expired else {}),
    }


def _textual(item: Item) -> dict[str, Mapping[str, Any]]:
    """Binary goes as base64 text."""
    return {
        name: {"B": base64.b64encode(value["B"]).decode()} if "B" in value else value for name, value in item.items()
    }
