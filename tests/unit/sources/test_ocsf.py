"""Security Hub's findings in OCSF, and that the format of a finding makes no other problem of it."""

from collections.abc import Callable
from typing import Any

import pytest

from domain.sources.mapping import MappedEvent, State

Mapped = Callable[..., MappedEvent]

FINDING = "detail.findings.0."
ARN = (
    "arn:aws:guardduty:eu-central-1:111122223333:detector/7ac1b2d3e4f5061728394a5b6c7d8e9f"
    "/finding/5ec8f0a4b1d94e6f8a7c2b3d4e5f6a70"
)


def of(fields: dict[str, Any]) -> dict[str, Any]:
    return {FINDING + path: value for path, value in fields.items()}


def test_one_guardduty_finding_is_one_problem_by_all_three_ways(mapped: Mapped) -> None:
    ways = [mapped(name) for name in ("guardduty", "securityhub-guardduty", "securityhub-ocsf")]
    assert {
        (way.fingerprint, way.order, way.title, way.severity, way.state, way.account, way.region) for way in ways
    } == {
        (
            f"guardduty:{ARN}",
            1773137733402,
            "The EC2 instance i-0a1b2c3d4e5f60718 is querying a domain name associated with mining.",
            3,
            State.OPEN,
            "111122223333",
            "eu-central-1",
        )
    }
    assert {way.source for way in ways} == {"aws.guardduty", "aws.securityhub"}


@pytest.mark.parametrize("partition", ["aws-us-gov", "aws-cn"])
def test_so_it_is_in_other_partitions(mapped: Mapped, partition: str) -> None:
    arn = f"arn:{partition}:guardduty:r:1:detector/d/finding/f"
    ways = [
        mapped("guardduty", {"detail.arn": arn}),
        mapped("securityhub-guardduty", of({"Id": arn})),
        mapped("securityhub-ocsf", of({"finding_info.uid": arn})),
    ]
    assert {way.fingerprint for way in ways} == {f"guardduty:{arn}"}


def test_a_finding_of_another_product_is_one_problem_in_both_formats_too(mapped: Mapped) -> None:
    arn = "arn:aws:securityhub:eu-central-1:111122223333:security-control/S3.8/finding/1"
    asff = mapped("securityhub-control", of({"Id": arn}))
    assert mapped("securityhub-ocsf", of({"finding_info.uid": arn})).fingerprint == asff.fingerprint
    product = "arn:aws:securityhub:eu-central-1::product/acme/scanner"
    asff = mapped("securityhub-control", of({"Id": "7", "ProductArn": product}))
    ocsf = mapped("securityhub-ocsf", of({"finding_info.uid": "7", "metadata.product.uid": product}))
    assert ocsf.fingerprint == asff.fingerprint


def test_resource_link_and_tags(mapped: Mapped) -> None:
    event = mapped("securityhub-ocsf")
    assert event.resource == "arn:aws:ec2:eu-central-1:111122223333:instance/i-0a1b2c3d4e5f60718"
    assert event.console_url == "https://docs.aws.amazon.com/guardduty/latest/ug/compromised-ec2.html"
    assert event.tags == {"Name": "render-worker-3"}
    assert event.unmapped == ()


@pytest.mark.parametrize("references", [..., None, [], ["ftp://x"], [7], "https://x"])
def test_without_a_reference_to_follow_the_link_opens_security_hub(mapped: Mapped, references: Any) -> None:
    event = mapped("securityhub-ocsf", of({"remediation.references": references}))
    assert event.console_url == "https://console.aws.amazon.com/securityhub/v2/home?region=eu-central-1#/findings"


@pytest.mark.parametrize(
    ("severity_id", "word", "expected"),
    [
        (1, ..., 0), (2, ..., 1), (3, ..., 2), (4, ..., 3), (5, ..., 4), (6, ..., 5), ("4", ..., 3),
        (2, "Critical", 1), (0, "High", 3), (99, "fatal", 5), (..., "Informational", 0),
    ],
)  # fmt: skip
def test_the_number_then_the_word_gives_the_severity(
    mapped: Mapped, severity_id: Any, word: Any, expected: int
) -> None:
    assert mapped("securityhub-ocsf", of({"severity_id": severity_id, "severity": word})).severity == expected


@pytest.mark.parametrize(
    ("fields", "state", "status"),
    [
        ({}, State.OPEN, "New"),
        ({"status_id": 2, "status": "In Progress"}, State.OPEN, "In Progress"),
        ({"status_id": 3, "status": "Suppressed"}, State.RESOLVED, "Suppressed"),
        ({"status_id": 4, "status": ...}, State.RESOLVED, "resolved"),
        ({"status_id": 5, "status": ...}, State.RESOLVED, "closed"),
        ({"status_id": 6, "status": ...}, State.RESOLVED, "deleted"),
        ({"activity_id": 2, "activity_name": "Update"}, State.OPEN, "New"),
        ({"activity_id": 3, "activity_name": "Close"}, State.RESOLVED, "Close"),
        ({"activity_id": 3, "activity_name": ...}, State.RESOLVED, "close"),
        ({"compliance": {"status_id": 1, "status": "Pass"}}, State.RESOLVED, "Pass"),
        ({"compliance": {"status_id": 3, "status": "Fail"}}, State.OPEN, "New"),
        ({"status_id": ..., "status": ..., "activity_id": ...}, State.OPEN, None),
    ],
)
def test_status_activity_or_compliance_end_a_finding(
    mapped: Mapped, fields: dict[str, Any], state: State, status: str | None
) -> None:
    event = mapped("securityhub-ocsf", of(fields))
    assert (event.state, event.status) == (state, status)


def test_the_order_is_the_time_of_change_in_either_form(mapped: Mapped) -> None:
    text_only = of({"finding_info.modified_time": ...})
    number_only = of({"finding_info.modified_time_dt": ...})
    neither = {**text_only, **number_only}
    assert {mapped("securityhub-ocsf", form).order for form in (text_only, number_only)} == {1773137733402}
    assert mapped("securityhub-ocsf", neither).order == 1773138031000
    beyond = {**number_only, **of({"finding_info.modified_time": 1e300})}
    assert mapped("securityhub-ocsf", beyond).order == 1773138031000


def test_account_and_region_are_those_of_the_finding(mapped: Mapped) -> None:
    elsewhere = {"account": "999988887777", "region": "us-east-1"}
    event = mapped("securityhub-ocsf", elsewhere)
    assert (event.account, event.region) == ("111122223333", "eu-central-1")
    without_cloud = mapped("securityhub-ocsf", {**elsewhere, **of({"cloud": ...})})
    assert (without_cloud.account, without_cloud.region) == ("999988887777", "eu-central-1")


def test_a_sample_of_guardduty_is_harmless_and_quiet(mapped: Mapped) -> None:
    title = {"finding_info.title": "[SAMPLE] The EC2 instance i-99999999 is behaving oddly."}
    event = mapped("securityhub-ocsf", of(title))
    assert (event.severity, event.quiet) == (0, "a sample finding")
    other = mapped("securityhub-ocsf", of({**title, "finding_info.uid": "arn:aws:inspector2:r:1:finding/1"}))
    assert (other.severity, other.quiet) == (3, None)


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({"detail.findings": []}, "findings is missing or empty"),
        ({"detail.findings": [None]}, "findings is not a list of objects"),
        (of({"finding_info": ...}), "finding_info.uid is missing"),
        (of({"finding_info.title": ...}), "finding_info.title is missing"),
        (of({"severity_id": 0, "severity": "Unknown"}), "neither severity_id nor severity is a known one"),
        (of({"resources": {}}), "resources is not a list of objects"),
        (of({"status_id": []}), "status_id is not a number: of type list"),
    ],
)
def test_an_odd_finding_is_generic_with_the_reason(mapped: Mapped, changes: dict[str, Any], reason: str) -> None:
    event = mapped("securityhub-ocsf", changes)
    assert event.fingerprint.startswith("generic:")
    assert event.unmapped == (f"taken as generic: {reason}",)
