"""A ledger in memory, and the projector's event source as it is deployed."""

import random
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from infra import generations
from tests.in_memory import deployed
from tests.in_memory.dynamodb import InMemoryDynamoDB
from tests.in_memory.event_source import EventSource, EventSourceMapping
from tests.unit.projections.ledger import Ledger
from tests.unit.projections.telling import Telling


@pytest.fixture
def db() -> Iterator[InMemoryDynamoDB]:
    generations.forget()
    with InMemoryDynamoDB(deployed.tables()).installed() as db:
        yield db
    generations.forget()


@pytest.fixture
def ledger(db: InMemoryDynamoDB) -> Ledger:
    return Ledger(db, random.Random(1))


@pytest.fixture
def world(db: InMemoryDynamoDB, monkeypatch: pytest.MonkeyPatch) -> Telling:
    return Telling(db, monkeypatch)


@pytest.fixture
def source_of(db: InMemoryDynamoDB) -> Callable[..., EventSource]:
    """Makes the source of a ledger's projector, with the settings of the template."""
    properties = deployed.resources()["ProjectorFunction"]["Properties"]["Events"]["Commits"]["Properties"]

    def make(ledger: Ledger, **more: Any) -> EventSource:
        return EventSource(db, "events", ledger.handler, EventSourceMapping.deployed(properties), **more)

    return make
