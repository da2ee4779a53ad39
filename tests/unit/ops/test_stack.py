from typing import Any

import pytest

from ops import stack
from ops.aws import SessionConfig
from ops.errors import OpsError

OUTPUTS = {
    "ApiId": "abc123",
    "ApiUrl": "https://abc123.execute-api.eu-west-1.amazonaws.com/dev",
    "EventBusName": "default",
    "IngestQueueUrl": "http://localhost:4566/000000000000/ingest",
    "StreamFailureQueueUrl": "http://localhost:4566/000000000000/failures",
    "EventsTable": "events",
    "EventsStream": "commits",
}


def test_a_local_stage_answers_on_the_emulators_present_address() -> None:
    found = stack.describe(SessionConfig.local(4570), OUTPUTS, pid=7, admin_email="admin@example.com")
    assert found.api_url == "http://127.0.0.1:4570/_aws/execute-api/abc123/local"
    assert found.endpoint_url == "http://127.0.0.1:4570"
    assert found.ingest_queue_url == "http://127.0.0.1:4570/000000000000/ingest"
    assert found.stream_failure_queue_url == "http://127.0.0.1:4570/000000000000/failures"
    assert (found.port, found.pid, found.running, found.deployed) == (4570, 7, True, True)


def test_a_stage_on_aws_keeps_awss_addresses(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AWS_REGION", "eu-west-1")
    found = stack.describe(SessionConfig("dev"), OUTPUTS)
    assert found.api_url == OUTPUTS["ApiUrl"]
    assert found.ingest_queue_url == OUTPUTS["IngestQueueUrl"]
    assert (found.region, found.endpoint_url, found.port) == ("eu-west-1", "", None)


def test_scripts_find_every_name_they_need() -> None:
    found = stack.describe(SessionConfig.local(4570), OUTPUTS).as_json()
    for name in (
        *("api_url", "endpoint_url", "stage", "region", "event_bus", "ingest_queue_url", "admin_email"),
        *("admin_password_file", "events_table", "views_table", "guards_table", "outbox_table", "events_stream"),
    ):
        assert name in found


def test_an_emulator_without_a_stack_runs_but_is_not_deployed() -> None:
    found = stack.describe(SessionConfig.local(4570), {})
    assert found.running
    assert not found.deployed
    assert not found.api_url


def test_a_stage_that_is_not_deployed_says_how_to_deploy_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(stack, "outputs", lambda _: dict[str, Any]())
    with pytest.raises(OpsError, match="make deploy stage=prod"):
        stack.required_output(SessionConfig("prod"), "IngestQueueUrl")
    with pytest.raises(OpsError, match="make up"):
        stack.required_output(SessionConfig.local(1), "IngestQueueUrl")
