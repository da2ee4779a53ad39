"""What the emulator's CloudFormation reads over, done by hand when deploying to it.

Everything is taken from the template and from the stack's own resources; nothing is named here a second time.
"""

import base64
import json
from collections.abc import Iterable, Mapping
from typing import Any

from ops.aws import SessionConfig
from ops.change_sets import CAPABILITIES, ChangeSet, TemplateSource
from ops.errors import OpsError
from ops.stack_events import follow
from ops.template import TableFeatures


def fill(config: SessionConfig, tables: Iterable[TableFeatures]) -> None:
    """Turn on the tables' Kinesis destinations and expiry. Doing it again changes nothing."""
    physical = _physical_ids(config)
    dynamodb, kinesis = config.client("dynamodb"), config.client("kinesis")
    for table in tables:
        name = physical.get(table.logical_id)
        if name is None:  # behind a Condition that is false here
            continue
        if table.ttl_attribute is not None:
            _expire(dynamodb, name, table.ttl_attribute)
        stream = physical.get(table.stream_logical_id or "")
        if stream is not None:
            arn = kinesis.describe_stream_summary(StreamName=stream)["StreamDescriptionSummary"]["StreamARN"]
            _send_changes_to(dynamodb, name, arn)


def answer_for_the_gateway(config: SessionConfig, responses: Mapping[str, Mapping[str, Any]], api: str) -> None:
    """Let the gateway's own answers look as the template says. Doing it again changes nothing.

    Args:
        responses: `GatewayResponses` of the template's API, by type.
        api: its logical id. Its stage has the name of ours.
    """
    gateway, api_id = config.client("apigateway"), _physical_ids(config)[api]
    changed = False
    for kind, told in responses.items():
        headers = told.get("ResponseParameters", {}).get("Headers", {})
        wanted: dict[str, Any] = {
            "responseParameters": {f"gatewayresponse.header.{name}": _here(value) for name, value in headers.items()},
            "responseTemplates": told.get("ResponseTemplates", {}),
            **({"statusCode": told["StatusCode"]} if "StatusCode" in told else {}),
        }
        now = gateway.get_gateway_response(restApiId=api_id, responseType=kind)
        if any(now.get(name) != value for name, value in wanted.items()):
            gateway.put_gateway_response(restApiId=api_id, responseType=kind, **wanted)
            changed = True
    if changed:  # they are in force from the next deployment on
        gateway.create_deployment(restApiId=api_id, stageName=config.stage)


def _here(value: Any) -> Any:
    """A header's mapping on this stage, for which the first of what an `!If` chooses from is meant."""
    return value["Fn::If"][1] if isinstance(value, dict) else value


def update_outputs(config: SessionConfig, source: TemplateSource, change_set: ChangeSet) -> bool:
    """Bring the stack's outputs up to date where no resource changes.

    For CloudFormation that is a change like any other; the emulator sees none in a change set, only in an update.

    Returns:
        Whether there was anything to update.
    """
    from botocore.exceptions import ClientError  # noqa: PLC0415

    def update() -> None:
        config.client("cloudformation").update_stack(
            StackName=config.stack_name,
            Capabilities=CAPABILITIES,
            Parameters=change_set.parameters,
            **source.arguments(),
        )

    try:
        follow(config, update, lambda _: None)
    except ClientError as error:
        if "no updates" in str(error).lower():
            return False
        raise
    return True


def _physical_ids(config: SessionConfig) -> dict[str, str]:
    pages = config.client("cloudformation").get_paginator("list_stack_resources").paginate(StackName=config.stack_name)
    return {
        resource["LogicalResourceId"]: resource["PhysicalResourceId"]
        for page in pages
        for resource in page["StackResourceSummaries"]
        if resource.get("PhysicalResourceId")
    }


def _expire(dynamodb: Any, table: str, attribute: str) -> None:
    now = dynamodb.describe_time_to_live(TableName=table)["TimeToLiveDescription"]
    if now.get("TimeToLiveStatus") not in {"ENABLED", "ENABLING"} or now.get("AttributeName") != attribute:
        wanted = {"Enabled": True, "AttributeName": attribute}
        dynamodb.update_time_to_live(TableName=table, TimeToLiveSpecification=wanted)


def _send_changes_to(dynamodb: Any, table: str, stream_arn: str) -> None:
    now = dynamodb.describe_kinesis_streaming_destination(TableName=table)["KinesisDataStreamDestinations"]
    active = {found["StreamArn"] for found in now if found["DestinationStatus"] in {"ACTIVE", "ENABLING"}}
    if stream_arn not in active:
        dynamodb.enable_kinesis_streaming_destination(TableName=table, StreamArn=stream_arn)


def catch_up(config: SessionConfig, table: str, function: str) -> None:
    """Give the projector every commit once more after a restart: the emulator does not save its streams' records.

    What is in the views already costs it a look at the row's version and no more.
    """
    dynamodb, functions = config.client("dynamodb"), config.client("lambda")
    for page in dynamodb.get_paginator("scan").paginate(TableName=table, PaginationConfig={"PageSize": 100}):
        records = [{"eventName": "INSERT", "dynamodb": {"NewImage": _as_json(item)}} for item in page["Items"]]
        if records:
            answer = functions.invoke(FunctionName=function, Payload=json.dumps({"Records": records}).encode())
            if "FunctionError" in answer:
                raise OpsError("the views could not be brought up to date", "`opsledger logs projector` tells why")


def _as_json(item: dict[str, dict[str, Any]]) -> dict[str, dict[str, Any]]:
    """An item as stream records hold it: bytes in base64."""
    return {
        name: {kind: base64.b64encode(value).decode() if isinstance(value, bytes) else value}
        for name, attribute in item.items()
        for kind, value in attribute.items()
    }
