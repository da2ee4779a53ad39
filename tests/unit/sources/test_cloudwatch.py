"""CloudWatch alarms, as the field map says."""

import json
from collections.abc import Callable
from typing import Any

import pytest

from domain.sources.mapping import MappedEvent, State

Mapped = Callable[..., MappedEvent]

ARN = "arn:aws:cloudwatch:eu-central-1:111122223333:alarm:checkout-api 5xx rate"


@pytest.mark.parametrize(
    ("value", "state", "severity"),
    [("ALARM", State.OPEN, 3), ("OK", State.RESOLVED, 0), ("INSUFFICIENT_DATA", State.NO_DATA, 1)],
)
def test_the_value_gives_state_and_severity(mapped: Mapped, value: str, state: State, severity: int) -> None:
    event = mapped("alarm", {"detail.state.value": value})
    assert (event.state, event.severity, event.status) == (state, severity, value)


@pytest.mark.parametrize(
    ("tags", "severity"),
    [
        ({"severity": "critical"}, 4),
        ({"Severity": "LOW"}, 1),
        ({"severity": "5"}, 5),
        ([{"Key": "team", "Value": "payments"}, {"Key": "severity", "Value": "emergency"}], 5),
        ([{"key": "severity", "value": "info"}], 0),
        ({"severity": "dire"}, 3),
        ({"severity": "6"}, 3),
        ({"severity": ["4"]}, 3),
        ({"team": "payments"}, 3),
        ([], 3),
        ("critical", 3),
        (None, 3),
    ],
)
def test_a_tag_says_how_severe_an_alarm_is(mapped: Mapped, tags: Any, severity: int) -> None:
    assert mapped("alarm", {"detail.alarmTags": tags}).severity == severity


def test_the_tags_of_an_alarm_are_kept(mapped: Mapped) -> None:
    tagged = [{"Key": "team", "Value": "payments"}, {"Key": "severity", "Value": "low"}]
    assert mapped("alarm", {"detail.alarmTags": tagged}).tags == {"team": "payments", "severity": "low"}
    assert mapped("alarm").tags is None


def test_a_tag_does_not_make_the_end_of_an_alarm_severe(mapped: Mapped) -> None:
    assert mapped("alarm-ok", {"detail.alarmTags": {"severity": "critical"}}).severity == 0


def test_alarm_its_end_and_its_deletion_are_about_one_problem(mapped: Mapped) -> None:
    assert {mapped(name).fingerprint for name in ("alarm", "alarm-ok", "alarm-deleted")} == {f"alarm:{ARN}"}


def test_each_contributor_is_a_problem_of_its_own(mapped: Mapped) -> None:
    one = mapped("alarm-contributor")
    other = mapped("alarm-contributor", {"detail.alarmContributor.id": "00ff00ff00ff00ff"})
    assert one.fingerprint != other.fingerprint
    assert (one.state, one.severity, one.resource) == (State.OPEN, 3, "invoice-render")


def test_messages_are_ordered_by_the_time_of_the_state(mapped: Mapped) -> None:
    assert mapped("alarm").order == 1773130462874
    assert mapped("alarm").order < mapped("alarm-ok").order


def test_without_a_time_of_the_state_the_envelopes_counts_and_then_that_of_receipt(mapped: Mapped) -> None:
    assert mapped("alarm", {"detail.state.timestamp": ...}).order == 1773130462000
    assert mapped("alarm", {"detail.state.timestamp": "soon"}).order == 1773130462000
    assert mapped("alarm", {"detail.state.timestamp": ..., "time": ...}).order == 1775044800000


def test_a_deletion_is_later_than_the_last_state_although_its_configuration_is_older(mapped: Mapped) -> None:
    deleted = mapped("alarm-deleted")
    assert (deleted.state, deleted.severity, deleted.status) == (State.RESOLVED, 0, "delete")
    assert deleted.order > mapped("alarm-ok").order
    no_time = mapped("alarm-deleted", {"time": ..., "detail.state": ..., "detail.configuration.timestamp": ...})
    assert no_time.order == 1775044800000


@pytest.mark.parametrize("time", ["2026-03-10T08:14:22Z", ...])
def test_a_deletion_within_the_second_of_the_last_state_is_later_all_the_same(mapped: Mapped, time: Any) -> None:
    assert mapped("alarm-deleted", {"time": time}).order == mapped("alarm").order + 1


def test_a_deletion_has_the_dimensions_that_a_filter_may_have_let_the_alarm_in_by(mapped: Mapped) -> None:
    alarm, deleted = mapped("alarm"), mapped("alarm-deleted")
    assert deleted.resource == ARN
    assert deleted.resources == (ARN, alarm.resource)


@pytest.mark.parametrize("operation", ["create", "update"])
def test_other_changes_of_a_configuration_are_noted(mapped: Mapped, operation: str) -> None:
    event = mapped("alarm-deleted", {"detail.operation": operation})
    assert (event.state, event.severity) == (State.EVENT, 0)
    assert event.title == f"checkout-api 5xx rate: {operation}"
    assert event.order == 1767867160511


@pytest.mark.parametrize(
    ("changes", "quiet"),
    [
        ({}, None),
        ({"detail.previousState.reason": "Unchecked: Initial alarm creation"}, None),
        ({"detail.state.reason": "Unchecked: Initial alarm creation"}, "Unchecked: Initial alarm creation"),
        ({"detail.state.actionsSuppressedBy": "WaitPeriod"}, "muted by AWS: actions suppressed by WaitPeriod"),
        (
            {"detail.muteDetail": {"mutedByArn": "arn:aws:cloudwatch:eu-central-1:111122223333:alarm-mute-rule:night"}},
            "muted by AWS: arn:aws:cloudwatch:eu-central-1:111122223333:alarm-mute-rule:night",
        ),
        ({"detail.muteDetail": {"window": "night"}}, "muted by AWS"),
        ({"detail.muteDetail": True}, "muted by AWS"),
        ({"detail.muteDetail": None}, None),
    ],
)
def test_what_aws_muted_and_a_first_state_are_quiet(mapped: Mapped, changes: dict[str, Any], quiet: str | None) -> None:
    event = mapped("alarm", changes)
    assert event.quiet == quiet
    assert event.state is State.OPEN


def test_the_dimensions_are_the_resource(mapped: Mapped) -> None:
    assert mapped("alarm").resource == "ApiName=checkout-api, Stage=prod"
    single = [{"expression": "m1*2"}, {"metricStat": {"metric": {"dimensions": {"InstanceId": "i-0a1b2c3d"}}}}]
    assert mapped("alarm", {"detail.configuration.metrics": single}).resource == "i-0a1b2c3d"


def test_without_dimensions_the_alarm_itself_is(mapped: Mapped) -> None:
    event = mapped("alarm", {"detail.configuration": ...})
    assert event.resource == ARN
    assert event.unmapped == ()


def test_a_composite_alarm_names_its_rule_and_its_causes(mapped: Mapped) -> None:
    cause = "arn:aws:cloudwatch:eu-central-1:111122223333:alarm:orders-table throttled"
    event = mapped(
        "alarm",
        {
            "detail.configuration": {"alarmRule": 'ALARM("orders-table throttled") OR ALARM("queue-age")'},
            "detail.state.reasonData": json.dumps({"triggeringAlarms": [{"arn": cause}]}),
        },
    )
    assert event.resource == ARN
    assert event.resources == (ARN, cause)
    assert event.text is not None
    assert 'Rule: ALARM("orders-table throttled") OR ALARM("queue-age")' in event.text
    assert f"Caused by: {cause}" in event.text


@pytest.mark.parametrize(
    "reason_data",
    ['{"triggeringAlarms": [{"arn": "arn:aw', "[]", "null", "NaN", "[" * 100_000, '{"triggeringAlarms":1}'],
)
def test_reason_data_that_cannot_be_read_is_left_out(mapped: Mapped, reason_data: str) -> None:
    event = mapped("alarm", {"detail.state.reasonData": reason_data})
    assert (event.state, event.resources, event.unmapped) == (State.OPEN, (ARN,), ())


def test_the_link_encodes_the_alarms_name(mapped: Mapped) -> None:
    event = mapped("alarm", {"detail.alarmName": "a/b #1?&x=ü"})
    assert event.console_url == (
        "https://console.aws.amazon.com/cloudwatch/home?region=eu-central-1#alarmsV2:alarm/a%2Fb%20%231%3F%26x%3D%C3%BC"
    )


@pytest.mark.parametrize(
    ("region", "host"), [("us-gov-east-1", "console.amazonaws-us-gov.com"), ("cn-north-1", "console.amazonaws.cn")]
)
def test_other_partitions_have_their_own_console(mapped: Mapped, region: str, host: str) -> None:
    url = mapped("alarm", {"region": region}).console_url
    assert url is not None
    assert url.startswith(f"https://{host}/cloudwatch/home?region={region}#")


def test_without_a_region_there_is_no_link(mapped: Mapped) -> None:
    assert mapped("alarm", {"region": ...}).console_url is None


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({"resources": []}, "resources holds no alarm ARN"),
        ({"detail.alarmName": ...}, "alarmName is missing"),
        ({"detail.state.value": "BAD"}, "state.value is no state of an alarm: 'BAD'"),
        ({"detail.state": "ALARM"}, "state is not an object"),
        ({"detail.configuration.metrics": {}}, "configuration.metrics is not a list of objects"),
        ({"detail.alarmContributor": {"attributes": "x"}}, "alarmContributor.attributes is not an object"),
        ({"detail.state.reason": 7}, "state.reason is not a string"),
    ],
)
def test_an_odd_alarm_is_generic_with_the_reason(mapped: Mapped, changes: dict[str, Any], reason: str) -> None:
    event = mapped("alarm", changes)
    assert event.fingerprint.startswith("generic:")
    assert (event.state, event.severity) == (State.EVENT, 0)
    assert any(note.startswith(f"taken as generic: {reason}") for note in event.unmapped)


def test_a_link_that_would_be_too_long_is_left_out(mapped: Mapped) -> None:
    """Names come from outside; a message must not become too large to be kept because of one."""
    event = mapped("alarm", {"detail.alarmName": "ä" * 100_000})
    assert event.console_url is None
    assert len(event.title) <= 300
