"""The environment that the projector's code works in, when the command line runs it."""

import os
from collections.abc import Iterator
from typing import Any
from unittest.mock import patch

import pytest

from infra import clients
from ops import stack, views_of_stage
from ops.aws import SessionConfig
from ops.emulator import REGION
from ops.errors import OpsError

OUTPUTS = {
    "EventsTable": "events",
    "ViewsTable": "views",
    "KeysTable": "keys",
    "OutboxTable": "outbox",
    "DataKeyArn": "arn:key",
    "DeliveryQueueUrl": "http://localhost:4566/000000000000/delivery",
}


@pytest.fixture(autouse=True)
def stage(monkeypatch: pytest.MonkeyPatch) -> Iterator[dict[str, str]]:
    """A deployed stage's outputs; after the test, the environment is as it was."""
    outputs = dict(OUTPUTS)
    described: Any = {"Parameters": [{"ParameterKey": "EventRetentionDays", "ParameterValue": "30"}]}
    monkeypatch.setattr(stack, "outputs", lambda _: outputs)
    monkeypatch.setattr(views_of_stage, "describe_stack", lambda _: described)
    monkeypatch.setattr(clients, "dynamodb", lambda: "client")
    with patch.dict(os.environ):
        yield outputs


def test_the_local_stack_and_nothing_of_this_machine(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AWS_PROFILE", "production")
    monkeypatch.setenv("AWS_ENDPOINT_URL_DYNAMODB", "https://elsewhere.example")
    monkeypatch.setenv("AWS_SESSION_TOKEN", "t")

    connected = views_of_stage.projector_of(SessionConfig.local(4566))

    assert connected.events_table == "events"
    assert os.environ["VIEWS_TABLE"] == "views"
    assert os.environ["EVENT_RETENTION_DAYS"] == "30"
    assert os.environ["AWS_ENDPOINT_URL"] == "http://127.0.0.1:4566"
    assert os.environ["AWS_DEFAULT_REGION"] == REGION
    assert not {"AWS_PROFILE", "AWS_ENDPOINT_URL_DYNAMODB", "AWS_SESSION_TOKEN"} & set(os.environ)


def test_a_deployed_stage_with_the_operators_own_credentials(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AWS_PROFILE", "production")
    monkeypatch.setattr(SessionConfig, "region", "eu-central-1")

    views_of_stage.projector_of(SessionConfig("dev"))

    assert os.environ["AWS_PROFILE"] == "production"
    assert os.environ["AWS_DEFAULT_REGION"] == "eu-central-1"
    assert "AWS_ENDPOINT_URL" not in os.environ


def test_a_stage_that_is_not_deployed(stage: dict[str, str]) -> None:
    stage.clear()
    with pytest.raises(OpsError, match="not deployed"):
        views_of_stage.projector_of(SessionConfig.local(4566))


def test_one_stage_a_process(stage: dict[str, str]) -> None:
    stage["ViewsTable"] = "other"
    with pytest.raises(RuntimeError, match="works on the table views already"):
        views_of_stage.projector_of(SessionConfig.local(4566))
