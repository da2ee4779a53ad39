"""The test case that the `eventsourcing` library has for its own recorders, on our stores."""

import warnings
from collections.abc import Iterator
from typing import Any

import boto3
import pytest
from moto import mock_aws

# The library's own modules warn at import; what they do there is theirs.
with warnings.catch_warnings():
    warnings.simplefilter("ignore")
    from eventsourcing.tests.persistence import AggregateRecorderTestCase

from infra.event_store import DynamoDBEventStore
from infra.memory_event_store import MemoryEventStore
from infra.recorder import CommitRecorder


class TestOnMemory(AggregateRecorderTestCase):
    def create_recorder(self) -> CommitRecorder:
        return CommitRecorder(MemoryEventStore())


class TestOnDynamoDB(AggregateRecorderTestCase):
    @pytest.fixture(autouse=True)
    def _table(self, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
        for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"):
            monkeypatch.setenv(name, "testing")
        monkeypatch.delenv("AWS_ENDPOINT_URL", raising=False)
        with mock_aws():
            self.client: Any = boto3.client("dynamodb", region_name="eu-central-1")
            self.client.create_table(
                TableName="events",
                BillingMode="PAY_PER_REQUEST",
                AttributeDefinitions=[
                    {"AttributeName": "pk", "AttributeType": "S"},
                    {"AttributeName": "sk", "AttributeType": "N"},
                ],
                KeySchema=[
                    {"AttributeName": "pk", "KeyType": "HASH"},
                    {"AttributeName": "sk", "KeyType": "RANGE"},
                ],
            )
            yield

    def create_recorder(self) -> CommitRecorder:
        return CommitRecorder(DynamoDBEventStore(self.client, "events"))


del AggregateRecorderTestCase  # pytest would collect it, too
