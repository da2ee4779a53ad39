"""The event store on memory and on moto; on the emulator the same runs in `tests/e2e/test_event_store.py`."""

import base64
import contextlib
import sys
from collections.abc import Iterator
from dataclasses import replace
from typing import Any, ClassVar

import boto3
import pytest
from moto import mock_aws

from domain.commit import CommandKey, chain_hash
from infra.commits import NotACommitError, from_item, to_item
from infra.event_store import EventStore
from infra.memory_event_store import MemoryEventStore
from tests.contract.aws import NewClient
from tests.contract.commits import STREAM, commit
from tests.contract.dynamodb_event_store import DynamoDBContract
from tests.contract.event_store import EventStoreContract


@pytest.fixture(scope="module")
def new_client() -> Iterator[NewClient]:
    """Clients of an AWS account without anything in it. They share what is slow to make."""
    with mock_aws():
        session: Any = boto3.Session("test", "test", region_name="eu-central-1")
        yield session.client


class TestOnMemory(EventStoreContract):
    @pytest.fixture
    def store(self) -> EventStore:
        return MemoryEventStore()

    @staticmethod
    @contextlib.contextmanager
    def eager_threads() -> Iterator[None]:
        """Threads take turns a thousand times as often as they would."""
        before = sys.getswitchinterval()
        sys.setswitchinterval(5e-6)
        yield
        sys.setswitchinterval(before)


class TestOnMoto(DynamoDBContract):
    is_real: ClassVar = False
    raced_streams: ClassVar = 2


# ---- the item


def test_an_item_holds_nothing_but_the_attributes_of_the_layout() -> None:
    full = commit(command=CommandKey("key with blanks", "digest"), expires_at=7, snapshot=b"\x00\xff")
    assert to_item(full) == {
        "pk": {"S": STREAM},
        "sk": {"N": "1"},
        "n": {"N": "1"},
        "id": {"S": full.id},
        "cmd": {"S": "digest key with blanks"},
        "at": {"S": "2026-04-01T12:00:00.123Z"},
        "by": {"S": "ada"},
        "co": {"S": "co"},
        "ca": {"S": "ca"},
        "e": {"S": full.encoded},
        "h": {"B": full.hash},
        "s": {"B": b"\x00\xff"},
        "ttl": {"N": "7"},
    }
    assert from_item(to_item(full)) == full


def test_a_record_of_a_stream_carries_the_hash_as_base64_and_is_the_same_commit() -> None:
    first = commit()
    image = {**to_item(first), "h": {"B": base64.b64encode(first.hash).decode()}}
    assert from_item(image) == first


def test_what_is_no_commit_is_an_error() -> None:
    with pytest.raises(NotACommitError, match="KeyError"):
        from_item({"pk": {"S": "guard"}, "sk": {"N": "1"}})


def test_a_commit_read_back_keeps_its_place_in_the_chain() -> None:
    first = commit()
    second = commit(first, "two")
    loaded = [from_item(to_item(each)) for each in (first, second)]
    assert chain_hash(loaded[0].hash, loaded[1]) == loaded[1].hash
    assert chain_hash(loaded[0].hash, replace(loaded[1], by="eve")) != loaded[1].hash
