"""The real template and the real artifact on an emulator of their own, by the commands that a person gives."""

import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from rich.console import Console

from ops import cli, deployment, paths, queues, stack, template
from ops.aws import SessionConfig
from ops.errors import OpsError
from ops.local_stack import LocalStack

pytestmark = pytest.mark.skipif(
    not paths.EMULATOR_PYTHON.exists(), reason="`sh ops/bootstrap.sh` installs the emulator"
)


@pytest.fixture(scope="module")
def local(tmp_path_factory: pytest.TempPathFactory) -> Iterator[LocalStack]:
    with LocalStack(tmp_path_factory.mktemp("local") / "stack") as running:
        running.deploy()
        yield running


@pytest.fixture
def elsewhere(local: LocalStack, monkeypatch: pytest.MonkeyPatch) -> SessionConfig:
    """A stage "test" on "the AWS that the environment points at", which is the emulator."""
    for name, value in {
        "AWS_ENDPOINT_URL": local.config.endpoint_url or "",
        "AWS_ACCESS_KEY_ID": "000000000000",
        "AWS_SECRET_ACCESS_KEY": "local",
        "AWS_REGION": "us-east-1",
    }.items():
        monkeypatch.setenv(name, value)
    monkeypatch.delenv("AWS_PROFILE", raising=False)
    return SessionConfig("test")


def opsledger(monkeypatch: pytest.MonkeyPatch, local: LocalStack, *arguments: str) -> int:
    monkeypatch.setattr(paths, "DEV", local.folder)
    monkeypatch.setattr(sys, "argv", ["opsledger", *arguments])
    with pytest.raises(SystemExit) as end:
        cli.main()
    return int(end.value.code or 0)


def wait_for(condition: Callable[[], Any], seconds: float = 20) -> Any:
    deadline = time.monotonic() + seconds
    while not (found := condition()):
        assert time.monotonic() < deadline, "it did not happen in time"
        time.sleep(0.05)
    return found


def test_the_status_of_a_deployed_stack_names_everything(local: LocalStack) -> None:
    found = local.status()
    assert found.running
    assert found.deployed
    unnamed = {name for name, value in found.as_json().items() if value in {None, ""}}
    assert unnamed <= {"admin_email", "admin_password_file"}
    assert found.api_url.startswith(f"http://127.0.0.1:{found.port}/_aws/execute-api/")


def test_up_on_a_running_unchanged_stack_changes_nothing(
    local: LocalStack, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    before = local.emulator.running
    assert opsledger(monkeypatch, local, "up") == 0
    told = capsys.readouterr().out
    assert "up to date" in told
    assert local.status().api_url in told
    assert local.emulator.running == before


def test_up_on_another_port_than_the_running_ones_is_refused(
    local: LocalStack, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    assert opsledger(monkeypatch, local, "up", "--port", "1024") == 1
    assert "already runs on port" in capsys.readouterr().err
    assert local.emulator.running


def test_a_message_handed_in_reaches_the_function_whose_log_can_be_read(
    local: LocalStack, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    file = tmp_path / "message.json"
    file.write_text('{"source": "monitoring.test", "detail-type": "test", "id": "not-an-envelope"}')
    assert opsledger(monkeypatch, local, "send", str(file)) == 0
    assert "1 of 1 handed to the ingest queue" in capsys.readouterr().out

    def logged() -> bool:
        opsledger(monkeypatch, local, "logs", "ingest")
        return "RequestId" in capsys.readouterr().out

    wait_for(logged)


def test_what_lies_in_a_dead_letter_queue_is_moved_back_with_the_reason_that_is_known(local: LocalStack) -> None:
    sqs = local.config.client("sqs")
    source, target = (sqs.create_queue(QueueName=name)["QueueUrl"] for name in ("set-aside", "worked-off"))
    reason = {"ERROR_CODE": {"DataType": "String", "StringValue": "NO_PERMISSIONS"}}
    bodies = [f"message {n}" for n in range(12)]
    for body in bodies:
        sqs.send_message(QueueUrl=source, MessageBody=body, MessageAttributes=reason)
    moved = list(queues.redrive(sqs, source=source, target=target))
    assert sorted(message.body for message in moved) == sorted(bodies)
    assert {message.reason for message in moved} == {"NO_PERMISSIONS"}

    def held(queue: str) -> tuple[str, str]:
        found = sqs.get_queue_attributes(QueueUrl=queue, AttributeNames=["All"])["Attributes"]
        return found["ApproximateNumberOfMessages"], found["ApproximateNumberOfMessagesNotVisible"]

    assert held(source) == ("0", "0")
    assert held(target) == ("12", "0")


def test_a_deployment_shows_the_change_set_and_can_be_declined(elsewhere: SessionConfig) -> None:
    console = Console(width=160)
    with console.capture() as shown, pytest.raises(OpsError, match="nothing was deployed"):
        deployment.deploy(elsewhere, console=console, confirm=lambda: False)
    assert "AWS::DynamoDB::Table" in shown.get()
    assert stack.outputs(elsewhere) == {}


def test_a_deployment_to_the_environments_aws_returns_the_outputs(
    elsewhere: SessionConfig, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    silent = Console(quiet=True)
    outputs = deployment.deploy(elsewhere, console=silent, overrides={"LogLevel": "DEBUG"})
    assert outputs["ApiUrl"].startswith("https://")
    assert outputs["EventsTable"].startswith("opsledger-test-")
    bucket = f"opsledger-artifacts-000000000000-{elsewhere.region}"
    closed = elsewhere.client("s3").get_public_access_block(Bucket=bucket)["PublicAccessBlockConfiguration"]
    assert all(closed.values())
    assert elsewhere.client("s3").get_bucket_encryption(Bucket=bucket)["ServerSideEncryptionConfiguration"]["Rules"]

    # A template too long for a request is read from the bucket; the parameter set before keeps its value.
    long = tmp_path / "long.yaml"
    long.write_text(paths.TEMPLATE.read_text() + "# padding\n" * 6_000)
    monkeypatch.setattr(template, "lint", lambda _: None)
    console = Console(width=160)
    with console.capture() as shown:
        assert deployment.deploy(elsewhere, console=console, template_file=long) == outputs
    assert "up to date" in shown.get()

    # A deployment that fails names the culprit, and the stack is as before.
    broken = tmp_path / "broken.yaml"
    wrong = "Outputs:\n  Bad: { Value: !GetAtt IngestQueue.Nonsense }"
    broken.write_text(
        paths.TEMPLATE.read_text()
        .replace("Outputs:", wrong)
        .replace("VisibilityTimeout: 180", "VisibilityTimeout: 181")
    )
    with pytest.raises(OpsError, match="Nonsense"):
        deployment.deploy(elsewhere, console=silent, template_file=broken)
    assert stack.outputs(elsewhere) == outputs


def test_an_output_that_is_new_is_deployed_although_no_resource_changes(
    local: LocalStack, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(template, "lint", lambda _: None)
    file = tmp_path / "template.yaml"
    file.write_text(
        paths.TEMPLATE.read_text().replace("Outputs:", "Outputs:\n  New: { Value: !GetAtt IngestQueue.Arn }")
    )
    outputs = deployment.deploy(local.config, console=Console(quiet=True), template_file=file)
    assert outputs["New"].startswith("arn:")
    assert deployment.deploy(local.config, console=Console(quiet=True)) == {
        name: value for name, value in outputs.items() if name != "New"
    }
