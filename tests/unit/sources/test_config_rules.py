"""Rules of AWS Config, as the field map says."""

from collections.abc import Callable
from typing import Any

import pytest

from domain.sources.mapping import MappedEvent, State

Mapped = Callable[..., MappedEvent]

COMPLIANCE = "detail.newEvaluationResult.complianceType"


@pytest.mark.parametrize(
    ("compliance", "state", "severity"),
    [
        ("NON_COMPLIANT", State.OPEN, 2),
        ("COMPLIANT", State.RESOLVED, 2),
        ("NOT_APPLICABLE", State.RESOLVED, 2),
        ("INSUFFICIENT_DATA", State.NO_DATA, 0),
        ("SOMETHING_NEW", State.EVENT, 2),
    ],
)
def test_the_compliance_of_a_resource(mapped: Mapped, compliance: str, state: State, severity: int) -> None:
    event = mapped("config-rule", {COMPLIANCE: compliance})
    assert (event.state, event.severity, event.status) == (state, severity, compliance)
    assert event.fingerprint == "config:444455556666|eu-west-1|s3-public read|AWS::S3::Bucket|invoices"
    assert (event.quiet is not None) is (compliance == "INSUFFICIENT_DATA")


def test_a_resource_by_the_rule_in_the_account_where_it_is(mapped: Mapped) -> None:
    event = mapped("config-rule")
    assert event.title == "s3-public read: AWS::S3::Bucket/invoices NON_COMPLIANT"
    assert (event.account, event.region, event.resource) == ("444455556666", "eu-west-1", "AWS::S3::Bucket/invoices")
    assert event.text == "The bucket policy allows public reads."
    assert event.console_url == (
        "https://console.aws.amazon.com/config/home?region=eu-west-1#/rules/details?configRuleName=s3-public%20read"
    )
    assert event.unmapped == ()


def test_the_time_when_the_result_was_recorded_is_the_order(mapped: Mapped) -> None:
    assert mapped("config-rule").order == 1773730803414
    assert mapped("config-rule", {"detail.newEvaluationResult.resultRecordedTime": ...}).order == 1773730805000


def test_the_first_evaluation_has_none_before_it(mapped: Mapped) -> None:
    assert mapped("config-rule", {"detail.oldEvaluationResult": ...}).unmapped == ()


@pytest.mark.parametrize("name", ["awsAccountId", "awsRegion", "configRuleName", "resourceType", "resourceId"])
def test_each_part_of_the_fingerprint_tells_problems_apart(mapped: Mapped, name: str) -> None:
    assert mapped("config-rule", {f"detail.{name}": "other"}).fingerprint != mapped("config-rule").fingerprint


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({"detail.configRuleName": ...}, "configRuleName is missing"),
        ({"detail.resourceType": ...}, "resourceType is missing"),
        ({"detail.resourceId": ...}, "resourceId is missing"),
        ({"detail.newEvaluationResult": ...}, "newEvaluationResult.complianceType is missing"),
        ({"detail.newEvaluationResult": []}, "newEvaluationResult is not an object"),
        ({COMPLIANCE: 1}, "newEvaluationResult.complianceType is not a string but of type int"),
        ({"detail-type": "Config Configuration Item Change"}, "no mapper for this detail-type of aws.config"),
    ],
)
def test_an_odd_message_is_generic_with_the_reason(mapped: Mapped, changes: dict[str, Any], reason: str) -> None:
    event = mapped("config-rule", changes)
    assert event.fingerprint.startswith("generic:")
    assert event.unmapped == (f"taken as generic: {reason}",)
