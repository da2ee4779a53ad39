"""The emulator as a process of its own, in a folder and on a port of its own."""

import io
import json
import os
import time
import zipfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from ops import change_sets, emulator_gaps, paths, process_group, stack, template
from ops.aws import SessionConfig
from ops.emulator import Emulator
from ops.errors import OpsError
from ops.process_lock import ProcessLock

pytestmark = pytest.mark.skipif(
    not paths.EMULATOR_PYTHON.exists(), reason="`sh ops/bootstrap.sh` installs the emulator"
)

HANDLER = """
import os, boto3
dynamodb = boto3.client("dynamodb")
def handler(event, context):
    for record in event["Records"]:
        key = record["dynamodb"]["Keys"]["pk"]
        print(key)
        dynamodb.put_item(TableName=os.environ["SEEN"], Item={"pk": key})
        try:
            dynamodb.delete_item(TableName=os.environ["SEEN"], Key={"pk": key})
        except dynamodb.exceptions.ClientError as error:
            refusal = {"S": error.response["Error"]["Code"]}
            dynamodb.put_item(TableName=os.environ["SEEN"], Item={"pk": key, "refusal": refusal})
"""

TEMPLATE = """
Transform: AWS::Serverless-2016-10-31
Parameters:
  Note: {Type: String, Default: first}
Resources:
  Written:
    Type: AWS::DynamoDB::Table
    Properties: &table
      BillingMode: PAY_PER_REQUEST
      AttributeDefinitions: [{AttributeName: pk, AttributeType: S}]
      KeySchema: [{AttributeName: pk, KeyType: HASH}]
      StreamSpecification: {StreamViewType: NEW_IMAGE}
      TimeToLiveSpecification: {AttributeName: ttl, Enabled: true}
      KinesisStreamSpecification: {StreamArn: !GetAtt Changes.Arn}
  Seen:
    Type: AWS::DynamoDB::Table
    Properties:
      BillingMode: PAY_PER_REQUEST
      AttributeDefinitions: [{AttributeName: pk, AttributeType: S}]
      KeySchema: [{AttributeName: pk, KeyType: HASH}]
  Changes: {Type: AWS::Kinesis::Stream, Properties: {ShardCount: 1}}
  Queue: {Type: AWS::SQS::Queue}
  Projector:
    Type: AWS::Serverless::Function
    Properties:
      Runtime: python3.13
      Handler: main.handler
      CodeUri: {Bucket: code, Key: code.zip}
      Environment: {Variables: {SEEN: !Ref Seen}}
      Policies:
        - Statement: [{Effect: Allow, Action: dynamodb:PutItem, Resource: !GetAtt Seen.Arn}]
      Events:
        Changes: {Type: DynamoDB, Properties: {Stream: !GetAtt Written.StreamArn, StartingPosition: TRIM_HORIZON}}
Outputs:
  Written: {Value: !Ref Written}
  Seen: {Value: !Ref Seen}
  Note: {Value: !Ref Note}
  IngestQueueUrl: {Value: !Ref Queue}
"""


@pytest.fixture
def emulator(tmp_path: Path) -> Iterator[Emulator]:
    made = Emulator(tmp_path / "emulator")
    yield made
    made.stop()


def wait_for(condition: Callable[[], Any], seconds: float = 20) -> Any:
    deadline = time.monotonic() + seconds
    while not (found := condition()):
        assert time.monotonic() < deadline, "it did not happen in time"
        time.sleep(0.02)
    return found


def deploy(config: SessionConfig, folder: Path, **parameters: str) -> dict[str, str]:
    file = folder / "template.yaml"
    file.write_text(TEMPLATE)
    code = io.BytesIO()
    with zipfile.ZipFile(code, "w") as archive:
        archive.writestr("main.py", HANDLER)
    s3 = config.client("s3")
    s3.create_bucket(Bucket="code")
    s3.put_object(Bucket="code", Key="code.zip", Body=code.getvalue())
    source = change_sets.TemplateSource(body=TEMPLATE)
    change_set = change_sets.prepare(config, source, parameters, known={"Note"})
    change_sets.execute(config, change_set, lambda _: None)
    emulator_gaps.fill(config, template.table_features(template.load(file)))
    return stack.outputs(config)


def refusal_seen(config: SessionConfig, tables: dict[str, str], key: str) -> str:
    """Write a row, wait until the function saw it in the stream, and tell why it could not delete its own row."""
    dynamodb = config.client("dynamodb")
    dynamodb.put_item(TableName=tables["Written"], Item={"pk": {"S": key}})

    def seen() -> str:
        item = dynamodb.get_item(TableName=tables["Seen"], Key={"pk": {"S": key}}).get("Item", {})
        return str(item.get("refusal", {}).get("S", ""))

    return str(wait_for(seen))


def test_a_restart_keeps_the_data_and_the_functions_alive(emulator: Emulator, tmp_path: Path) -> None:
    first = emulator.start()
    config = SessionConfig.local(first.port)
    tables = deploy(config, tmp_path, Note="kept")

    # The role allows one action on one table; the emulator holds the function to it.
    assert refusal_seen(config, tables, "before") == "AccessDeniedException"

    # What the emulator's CloudFormation reads over was done by hand, once.
    dynamodb = config.client("dynamodb")
    expiry = dynamodb.describe_time_to_live(TableName=tables["Written"])["TimeToLiveDescription"]
    assert expiry == {"TimeToLiveStatus": "ENABLED", "AttributeName": "ttl"}
    emulator_gaps.fill(config, template.table_features(template.load(tmp_path / "template.yaml")))
    destinations = dynamodb.describe_kinesis_streaming_destination(TableName=tables["Written"])
    assert len(destinations["KinesisDataStreamDestinations"]) == 1

    assert emulator.stop()
    assert emulator.running is None
    assert not emulator.ended_unsaved
    assert not process_group.is_alive(first.pid), "a function's worker is left"

    second = emulator.start()  # on another port
    config = SessionConfig.local(second.port)
    assert "Item" in config.client("dynamodb").get_item(TableName=tables["Written"], Key={"pk": {"S": "before"}})
    assert refusal_seen(config, tables, "after") == "AccessDeniedException"
    queue = stack.required_output(config, "IngestQueueUrl")
    config.client("sqs").send_message(QueueUrl=queue, MessageBody="on the new port")

    # Nothing changed: no change set. A parameter that is not named keeps its value.
    same = change_sets.prepare(config, change_sets.TemplateSource(body=TEMPLATE), {}, known={"Note"})
    assert not same.needed
    assert stack.outputs(config)["Note"] == "kept"


def test_a_busy_port_is_told_with_its_owner_and_nothing_is_started(emulator: Emulator, tmp_path: Path) -> None:
    running = emulator.start()
    other = Emulator(tmp_path / "other")
    with pytest.raises(OpsError, match=rf"port {running.port} is already in use by .*\(pid {running.pid}\)"):
        other.start(running.port)
    assert other.running is None
    with pytest.raises(OpsError, match="already runs"):
        Emulator(emulator.folder).start()
    assert emulator.running == running


def test_a_broken_state_is_named_and_nothing_is_started(emulator: Emulator) -> None:
    emulator.start()
    emulator.stop()
    (emulator.state / "eventbridge.json").write_text('{"cut off')
    with pytest.raises(OpsError, match=r"eventbridge\.json"):
        emulator.start()
    assert emulator.running is None
    emulator.wipe()
    assert emulator.start().pid


def test_an_emulator_that_died_is_noticed_and_its_number_is_not_killed(emulator: Emulator) -> None:
    started = emulator.start()
    os.kill(started.pid, 9)
    wait_for(lambda: emulator.running is None and emulator.ended_unsaved)
    # Someone else may have the number by now. Ours would be this test's own process.
    lock = ProcessLock(emulator.folder / "process.json")
    lock.path.write_text(json.dumps({"pid": os.getpid(), "port": started.port}))
    assert emulator.stop() is False


def test_nothing_of_the_callers_environment_reaches_a_function(
    emulator: Emulator, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("AWS_PROFILE", "production")
    monkeypatch.setenv("SOME_TOKEN", "secret")
    environment = emulator._environment(4570)
    assert "SOME_TOKEN" not in environment
    assert environment["AWS_SHARED_CREDENTIALS_FILE"] == os.devnull
    assert "AWS_PROFILE" not in environment
