"""The `eventsourcing` library's own test case for recorders, on our stores; on the emulator it runs in `tests/e2e`."""

from collections.abc import Iterator
from typing import Any

import boto3
import pytest
from moto import mock_aws

from infra.event_store import DynamoDBEventStore
from infra.memory_event_store import MemoryEventStore
from infra.recorder import CommitRecorder
from tests.contract import recorder
from tests.contract.aws import tables


class TestOnMemory(recorder.AggregateRecorderTestCase):
    def create_recorder(self) -> CommitRecorder:
        return CommitRecorder(MemoryEventStore())


class TestOnMoto(recorder.AggregateRecorderTestCase):
    @pytest.fixture(autouse=True)
    def _table(self) -> Iterator[None]:
        with mock_aws():
            self.client: Any = boto3.Session("test", "test", region_name="eu-central-1").client("dynamodb")
            with tables(self.client, "events"):
                yield

    def create_recorder(self) -> CommitRecorder:
        return CommitRecorder(DynamoDBEventStore(self.client, "events"))
