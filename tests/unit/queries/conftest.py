"""The read API over a DynamoDB in memory, with a history that a projector brings into it."""

from collections.abc import Iterator

import pytest

from infra import generations
from infra.tokens import Tokens
from queries import api
from tests.in_memory import deployed
from tests.in_memory.dynamodb import InMemoryDynamoDB
from tests.integration.conftest import History
from tests.integration.read_api import KEY, Api


@pytest.fixture
def db() -> Iterator[InMemoryDynamoDB]:
    generations.forget()
    with InMemoryDynamoDB(deployed.tables()).installed() as db:
        yield db
    generations.forget()


@pytest.fixture
def asked(db: InMemoryDynamoDB, monkeypatch: pytest.MonkeyPatch) -> Api:  # noqa: ARG001
    monkeypatch.setattr(api.api, "_callers", lambda: Tokens(lambda: KEY))
    return Api(History())
