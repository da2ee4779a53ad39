"""What comes by another way than EventBridge says the same as if it had come from there."""

import json
from collections.abc import Callable
from typing import Any

import pytest

from domain.sources import alarm_messages, registry
from domain.sources.envelope import Envelope, MalformedEnvelopeError, delivery_uuid, parse, read
from domain.sources.mapping import MappedEvent, State

Message = Callable[..., dict[str, Any]]
Mapped = Callable[..., MappedEvent]

TOPIC = "arn:aws:sns:eu-central-1:111122223333:alarms"


@pytest.fixture
def told(received_at: Any) -> Callable[[Any], MappedEvent]:
    """What is made of any message, after it went through the store's JSON: a replay reads what was stored."""

    def mapped_from(message: Any) -> MappedEvent:
        envelope = parse(json.dumps(message))
        stored = read(json.loads(json.dumps(envelope.raw)))
        assert stored.detail == envelope.detail
        assert delivery_uuid(stored) == delivery_uuid(envelope)
        return registry.map_envelope(stored, received_at=received_at)

    return mapped_from


Told = Callable[[Any], MappedEvent]


def same(event: MappedEvent) -> tuple[Any, ...]:
    """What must not depend on the way."""
    return (
        event.source, event.detail_type, event.account, event.region, event.title, event.resource, event.resources,
        event.severity, event.state, event.status, event.fingerprint, event.order, event.console_url,
    )  # fmt: skip


def in_topic(message: Message, alarm: dict[str, Any] | str) -> dict[str, Any]:
    return message("sns-alarm", {"Message": alarm if isinstance(alarm, str) else json.dumps(alarm)})


def as_record(notification: dict[str, Any]) -> dict[str, Any]:
    """As Lambda gets it: with two fields spelt otherwise, and no type of its own in old samples."""
    renamed = {name.replace("URL", "Url"): value for name, value in notification.items()}
    return {"EventSource": "aws:sns", "EventVersion": "1.0", "EventSubscriptionArn": "EXAMPLE", "Sns": renamed}


@pytest.mark.parametrize("way", ["sns-alarm", "sns-envelope", "alarm-action"])
def test_an_alarm_is_the_same_problem_by_every_way(told: Told, message: Message, way: str) -> None:
    by_eventbridge = told(message("alarm"))
    by_other_way = told(message(way))
    assert same(by_other_way) == same(by_eventbridge)
    assert by_other_way.text == by_eventbridge.text


def test_a_record_made_for_lambda_and_a_bare_alarm_are_read_too(told: Told, message: Message) -> None:
    notification = message("sns-alarm")
    assert same(told({"Records": [as_record(notification)]})) == same(told(message("alarm")))
    assert same(told(json.loads(notification["Message"]))) == same(told(message("alarm")))


def test_the_end_of_an_alarm_resolves_by_every_way_what_any_way_opened(told: Told, message: Message) -> None:
    alarm = json.loads(message("sns-alarm")["Message"])
    end = told(message("alarm-ok"))
    over = {"NewStateValue": "OK", "StateChangeTime": message("alarm-ok")["detail"]["state"]["timestamp"]}
    by_topic = told(in_topic(message, {**alarm, **over}))
    action = message("alarm-ok")
    by_action = told(message("alarm-action", {"alarmData": action["detail"], "time": action["time"]}))
    for event in (end, by_topic, by_action):
        assert (event.state, event.severity, event.order) == (State.RESOLVED, 0, end.order)
        assert event.fingerprint == told(message("alarm")).fingerprint


def test_a_composite_alarm_of_a_topic_names_its_rule_and_its_causes(told: Told, message: Message) -> None:
    cause = "arn:aws:cloudwatch:eu-central-1:111122223333:alarm:orders-table throttled"
    alarm = json.loads(message("sns-alarm")["Message"])
    del alarm["Trigger"]
    alarm |= {
        "AlarmRule": 'ALARM("orders-table throttled")',
        "TriggeringChildren": [{"Arn": cause, "State": {"Value": "ALARM", "Timestamp": alarm["StateChangeTime"]}}],
    }
    event = told(in_topic(message, alarm))
    assert event.resources == (alarm["AlarmArn"], cause)
    assert event.resource == alarm["AlarmArn"]
    assert event.text is not None
    assert event.text.endswith(f'Rule: ALARM("orders-table throttled")\nCaused by: {cause}')


def test_several_metrics_of_a_topics_alarm_give_the_first_dimensions(told: Told, message: Message) -> None:
    alarm = json.loads(message("sns-alarm")["Message"])
    dimensions = [{"value": "i-0a1b", "name": "InstanceId"}]
    metric = {"Id": "m1", "MetricStat": {"Metric": {"Dimensions": dimensions, "MetricName": "CPU"}}}
    alarm["Trigger"] = {"Metrics": [{"Id": "e1", "Expression": "m1*2"}, metric]}
    assert told(in_topic(message, alarm)).resource == "i-0a1b"


def test_an_older_alarm_without_its_arn_is_found_by_its_topics_region(told: Told, message: Message) -> None:
    alarm = json.loads(message("sns-alarm")["Message"])
    del alarm["AlarmArn"]
    assert same(told(in_topic(message, alarm))) == same(told(message("alarm")))
    gov = message("sns-alarm", {"Message": json.dumps(alarm), "TopicArn": "arn:aws-us-gov:sns:us-gov-east-1:1:t"})
    assert told(gov).fingerprint == (
        "alarm:arn:aws-us-gov:cloudwatch:us-gov-east-1:111122223333:alarm:checkout-api 5xx rate"
    )
    for nowhere in (alarm, {**alarm, "AlarmArn": 7}):
        event = told(nowhere)
        assert event.fingerprint.startswith("generic:")
        assert event.unmapped[-1] == "taken as generic: resources holds no alarm ARN"


@pytest.mark.parametrize(
    ("fields", "reason"),
    [
        ({"NewStateValue": "BAD"}, "state.value is no state of an alarm: 'BAD'"),
        ({"NewStateReason": 7}, "NewStateReason is not a string but of type int"),
        ({"Trigger": "x"}, "Trigger is not an object but 'x'"),
        ({"Trigger": {"Dimensions": {}}}, "Dimensions is not a list of objects"),
        ({"TriggeringChildren": 1}, "TriggeringChildren is not a list of objects"),
        ({"AlarmName": None}, "alarmName is missing"),
    ],
)
def test_an_odd_alarm_of_a_topic_is_generic_with_the_reason(
    told: Told, message: Message, fields: dict[str, Any], reason: str
) -> None:
    event = told(in_topic(message, json.loads(message("sns-alarm")["Message"]) | fields))
    assert event.fingerprint.startswith("generic:")
    assert event.unmapped == (f"taken as generic: {reason}",)


def test_a_message_of_eventbridge_in_a_topic_is_the_same_delivery(message: Message) -> None:
    """A rule with two targets, the queue and a topic that the queue listens to, reports nothing twice."""
    direct, wrapped = read(message("alarm")), read(message("sns-envelope"))
    assert wrapped.raw == direct.raw
    assert delivery_uuid(wrapped) == delivery_uuid(direct)


def test_an_alarm_of_a_topic_keeps_what_cloudwatch_wrote_and_is_known_by_the_notification(message: Message) -> None:
    notification = message("sns-alarm")
    envelope = read(notification)
    assert envelope.id == notification["MessageId"]
    assert envelope.detail == json.loads(notification["Message"])
    assert envelope.faults == ()
    assert delivery_uuid(read(notification)) == delivery_uuid(envelope)


def test_a_stack_event_of_a_topic_is_the_same_as_eventbridges(told: Told, message: Message) -> None:
    assert same(told(message("sns-stack"))) == same(told(message("stack-failed")))
    bare = {"Message": message("sns-stack")["Message"]}
    assert same(told(bare)) == same(told(message("stack-failed")))


def test_a_resource_of_a_stack_is_told_as_one(told: Told, message: Message) -> None:
    text = (
        message("sns-stack")["Message"]
        .replace("ResourceType='AWS::CloudFormation::Stack'", "ResourceType='AWS::DynamoDB::Table'")
        .replace("LogicalResourceId='checkout-prod'", "LogicalResourceId='OrdersTable'")
        .replace("ResourceStatus='UPDATE_ROLLBACK_FAILED'", "ResourceStatus='UPDATE_FAILED'")
        .replace("ResourceStatusReason='", "ResourceStatusReason='It's quoted: ")
    )
    text = text.replace("PhysicalResourceId='arn:aws:cloudformation:eu-central-1:111122223333:stack/", "Physical='")
    event = told(message("sns-stack", {"Message": text}))
    assert event.detail_type == "CloudFormation Resource Status Change"
    assert event.resource == "OrdersTable"
    assert event.text is not None
    assert event.text.startswith("It's quoted: The following")
    by_eventbridge = told(message("stack-resource-failed"))
    assert event.state is by_eventbridge.state is State.OPEN
    stack = "stack-resource:arn:aws:cloudformation:eu-central-1:111122223333:stack/checkout-prod/"
    assert event.fingerprint.startswith(stack)
    assert event.fingerprint.endswith("|OrdersTable")


def test_lines_that_break_off_are_generic_with_the_reason(told: Told, message: Message) -> None:
    event = told(message("sns-stack", {"Message": "StackId='arn:aws:cloudform"}))
    assert event.detail_type == "CloudFormation Resource Status Change"
    assert event.unmapped[-1] == "taken as generic: stack-id is missing"
    assert event.order == 1775044800000


def test_any_other_notification_is_told_by_its_subject_and_text(told: Told, message: Message) -> None:
    event = told(message("sns-text"))
    assert (event.source, event.detail_type) == ("aws.sns", "SNS Notification")
    assert (event.title, event.text) == ("Export", "The nightly export has finished.")
    assert (event.state, event.severity, event.resource) == (State.EVENT, 0, TOPIC)
    assert (event.account, event.region, event.order) == ("111122223333", "eu-central-1", 1773108840118)
    assert event.fingerprint == f"sns:{TOPIC}|Export"
    assert event.unmapped == ()
    assert told(message("sns-text", {"Subject": ...})).title == "Notification of alarms"


@pytest.mark.parametrize(
    "held", ["[1]", "{", '{"detail-type": "x"}', '{"detail-type": " ", "detail": {}}', "7", "x" * 70_000]
)
def test_text_that_is_no_message_of_eventbridge_stays_text(told: Told, message: Message, held: str) -> None:
    event = told(message("sns-text", {"Message": held}))
    assert (event.source, event.title) == ("aws.sns", "Export")
    assert event.text == (held if len(held) < 3_000 else held[:2_999] + "…")


@pytest.mark.parametrize("kind", ["SubscriptionConfirmation", "UnsubscribeConfirmation"])
def test_a_confirmation_is_recorded_with_the_reason_and_without_what_would_confirm_it(
    told: Told, message: Message, kind: str
) -> None:
    confirmation = message("sns-confirmation", {"Type": kind})
    event = told(confirmation)
    assert (event.source, event.detail_type) == ("aws.sns", "SNS Subscription Confirmation")
    assert event.unmapped == (f"taken as generic: a subscription is never confirmed from here; topic {TOPIC}",)
    stored = json.dumps(read(confirmation).raw)
    assert "EXAMPLE-TOKEN" not in stored
    assert "https://" not in stored


@pytest.mark.parametrize("name", ["sns-alarm", "sns-text", "sns-stack"])
@pytest.mark.parametrize("record", [True, False])
def test_no_address_that_ends_a_subscription_is_stored(message: Message, name: str, record: bool) -> None:  # noqa: FBT001
    notification = message(name)
    assert "UnsubscribeURL" in notification
    stored = json.dumps(read({"Records": [as_record(notification)]} if record else notification).raw)
    assert "Unsubscribe" not in stored


@pytest.mark.parametrize(
    "message",
    [
        {"Type": "Notification"},
        {"Type": "Notification", "Message": {"a": 1}},
        {"Type": ["Notification"], "Message": "x"},
        {"Type": "Letter", "Message": "x"},
        {"Message": "x"},
        {"Records": []},
        {"Records": "x"},
        {"Records": [{"s3": {}}]},
        {"Records": [1]},
        {"alarmArn": "arn:aws:cloudwatch:r:1:alarm:a", "alarmData": "x"},
        {"AlarmName": "a"},
    ],
)
def test_what_is_no_message_at_all_is_refused(message: Any) -> None:
    with pytest.raises(MalformedEnvelopeError):
        read(message)


def test_an_alarm_nested_as_deep_as_a_message_may_be_is_refused(message: Message) -> None:
    """It is stored a level deeper than it came, and must be readable again."""
    alarm = json.loads(message("sns-alarm")["Message"])
    nested: Any = 1
    for _ in range(99):
        nested = [nested]
    with pytest.raises(MalformedEnvelopeError, match="nested deeper"):
        read(in_topic(message, {**alarm, "Trigger": nested}))
    assert alarm_messages.is_notification(read(in_topic(message, {**alarm, "Trigger": nested[0]})).detail)


def test_an_action_without_an_id_is_known_by_the_whole_of_it(message: Message) -> None:
    def uuid(changes: dict[str, Any]) -> Any:
        envelope: Envelope = read(message("alarm-action", changes))
        return delivery_uuid(envelope)

    assert uuid({}) == uuid({})
    assert uuid({"alarmData.state.value": "OK"}) != uuid({})
