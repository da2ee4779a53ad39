"""Alarms that come by another way than EventBridge, put into the shape of EventBridge's message.

CloudWatch writes its own JSON to an SNS topic, and hands a Lambda function another one. Both stay in `detail` as they
came, and both give the alarm the identity and the order that EventBridge gives it. Source: the CloudWatch user guide,
"Notify users on alarm changes" and "Invoke a Lambda function from an alarm"; the first has no published schema.
"""

import json
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from domain.sources import arn
from domain.sources.reading import UnreadableError, items, optional, part, value

SOURCE = "aws.cloudwatch"
STATE_CHANGE = "CloudWatch Alarm State Change"

_REGION_FIELD = 3


def is_notification(message: Mapping[str, Any]) -> bool:
    """Whether this is an alarm as CloudWatch writes it to a topic."""
    return "AlarmName" in message and "NewStateValue" in message


def is_action(message: Mapping[str, Any]) -> bool:
    """Whether this is an alarm as CloudWatch hands it to a Lambda function."""
    return "alarmArn" in message and "alarmData" in message


def from_notification(alarm: dict[str, Any], topic: str = "") -> dict[str, Any]:
    """A message of EventBridge's shape, without an id.

    Args:
        topic: the ARN of the topic, where it is known.
    """
    account = alarm.get("AWSAccountId")
    alarm_arn = _arn(alarm, topic)
    return {
        "source": SOURCE,
        "detail-type": STATE_CHANGE,
        "account": account,
        "time": alarm.get("StateChangeTime"),
        "region": arn.split(alarm_arn or "").region,  # `Region` holds its display name
        "resources": [alarm_arn] if alarm_arn else [],
        "detail": alarm,
    }


def from_action(message: Mapping[str, Any]) -> dict[str, Any]:
    """A message of EventBridge's shape, without an id: CloudWatch gives an action none."""
    return {
        "source": SOURCE,
        "detail-type": STATE_CHANGE,
        "account": message.get("accountId"),
        "time": message.get("time"),
        "region": message.get("region"),
        "resources": [message["alarmArn"]],
        "detail": message["alarmData"],
    }


def as_detail(alarm: Mapping[str, Any]) -> dict[str, Any]:
    """The `detail` that EventBridge has for the same change, as far as the JSON of a topic tells it.

    Raises:
        UnreadableError: a field is of another type than CloudWatch writes.
    """
    # Of a composite alarm only. EventBridge has them as JSON in a string.
    causes = [{"arn": optional(child, "Arn")} for child in items(alarm, "TriggeringChildren")]
    return {
        "alarmName": optional(alarm, "AlarmName"),
        "state": {
            "value": optional(alarm, "NewStateValue"),
            "reason": optional(alarm, "NewStateReason"),
            "reasonData": json.dumps({"triggeringAlarms": causes}),
            "timestamp": optional(alarm, "StateChangeTime"),
        },
        "configuration": {
            "description": optional(alarm, "AlarmDescription"),
            "alarmRule": optional(alarm, "AlarmRule"),
            "metrics": [{"metricStat": {"metric": {"dimensions": found}}} for found in _dimensions(alarm)],
        },
    }


def _arn(alarm: Mapping[str, Any], topic: str) -> str | None:
    """The alarm's ARN. Older messages have none; but the topic of an alarm is in the Region of the alarm."""
    try:
        found = optional(alarm, "AlarmArn")
        name, account = optional(alarm, "AlarmName"), optional(alarm, "AWSAccountId")
    except UnreadableError:
        return None
    fields = topic.split(":")
    if found or not (name and account and len(fields) > _REGION_FIELD and fields[_REGION_FIELD]):
        return found
    return f"arn:{fields[1]}:cloudwatch:{fields[_REGION_FIELD]}:{account}:alarm:{name}"


def _dimensions(alarm: Mapping[str, Any]) -> Iterator[dict[str, Any]]:
    """Of the one metric of the alarm, or of each of several."""
    trigger = part(alarm, "Trigger")
    yield _named(items(trigger, "Dimensions"))
    for metric in items(trigger, "Metrics"):
        yield _named(items(metric, "MetricStat", "Metric", "Dimensions"))


def _named(dimensions: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    return {name: value(one, "value") for one in dimensions if (name := optional(one, "name"))}
