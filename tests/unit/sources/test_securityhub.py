"""Security Hub's findings in ASFF, and what people send on from its console."""

from collections.abc import Callable
from typing import Any

import pytest

from domain.sources.mapping import MappedEvent, State

Mapped = Callable[..., MappedEvent]

CONTROL = "securityhub-control"
GUARDDUTY = "securityhub-guardduty"
OCSF = "securityhub-ocsf"
FINDING = "detail.findings.0."


def of(fields: dict[str, Any]) -> dict[str, Any]:
    return {FINDING + path: value for path, value in fields.items()}


def test_a_failed_control_is_an_open_problem_of_its_resource(mapped: Mapped) -> None:
    event = mapped(CONTROL)
    assert (event.state, event.severity, event.status) == (State.OPEN, 3, "NEW")
    assert event.title == "S3 general purpose buckets should block public access"
    assert (event.resource, event.resources) == ("arn:aws:s3:::invoices-archive", ("arn:aws:s3:::invoices-archive",))
    assert event.fingerprint == (
        "securityhub:arn:aws:securityhub:eu-central-1:111122223333:security-control/S3.8/finding/"
        "2f9d0c1b-7a56-4e0c-8e2b-51c7a4c0d913"
    )
    assert event.order == 1773137352000
    assert event.console_url == "https://docs.aws.amazon.com/console/securityhub/S3.8/remediation"
    assert event.unmapped == ()


@pytest.mark.parametrize(
    ("fixture", "workflow"), [(CONTROL, FINDING + "Workflow.Status"), (OCSF, FINDING + "status_id")]
)
def test_what_a_person_does_is_newer_than_what_they_saw_though_the_providers_time_stays(
    mapped: Mapped, fixture: str, workflow: str
) -> None:
    resolved, new = ("RESOLVED", "NEW") if fixture == CONTROL else (4, 1)
    other = {FINDING + "finding_info.uid": "arn:aws:inspector2:eu-central-1:111122223333:finding/1"}
    told = other if fixture == OCSF else {}
    before = mapped(fixture, told)
    ended = mapped(fixture, {**told, "time": "2026-03-12T10:00:00Z", workflow: resolved})
    again = mapped(fixture, {**told, "time": "2026-03-12T10:05:00Z", workflow: new})
    assert [before.state, ended.state, again.state] == [State.OPEN, State.RESOLVED, State.OPEN]
    assert before.order < ended.order < again.order == 1773309900000


@pytest.mark.parametrize(("fixture", "workflow"), [(GUARDDUTY, "Workflow.Status"), (OCSF, "status_id")])
def test_a_finding_of_guardduty_has_guarddutys_time_until_somebody_ends_it(
    mapped: Mapped, fixture: str, workflow: str
) -> None:
    at = {"time": "2026-03-12T10:00:00Z"}
    assert mapped(fixture, at).order == mapped("guardduty").order == 1773137733402
    ended = mapped(fixture, {**at, FINDING + workflow: "SUPPRESSED" if fixture == GUARDDUTY else 3})
    assert (ended.state, ended.order) == (State.RESOLVED, 1773309600000)


def test_the_order_is_no_older_than_the_providers_time(mapped: Mapped) -> None:
    assert mapped(CONTROL, {"time": "2026-03-01T10:00:00Z"}).order == 1773137335771


def test_an_end_is_newer_than_what_the_provider_told_of_the_same_moment(mapped: Mapped) -> None:
    at = {"time": "2026-03-01T10:00:00Z"}
    assert mapped(CONTROL, {**at, FINDING + "Workflow.Status": "SUPPRESSED"}).order == mapped(CONTROL, at).order + 1


def test_the_config_rule_behind_a_control_is_named(mapped: Mapped) -> None:
    text = mapped(CONTROL).text
    assert text is not None
    assert text.endswith("\nConfig rule: securityhub-s3-bucket-level-public-access-prohibited-6c1d0b7e")
    other = mapped(CONTROL, of({"ProductFields.RelatedAWSResources:0/type": "AWS::IAM::Role"}))
    assert other.text == "The control fails if the bucket does not block public access."


@pytest.mark.parametrize(
    ("severity", "provider", "expected"),
    [
        ({"Label": "INFORMATIONAL"}, ..., 0),
        ({"Label": "LOW"}, ..., 1),
        ({"Label": "MEDIUM"}, ..., 2),
        ({"Label": "HIGH"}, ..., 3),
        ({"Label": "CRITICAL"}, ..., 4),
        ({"Label": "LOW", "Normalized": 90}, {"Severity": {"Label": "HIGH"}}, 1),
        ({"Normalized": 90}, {"Severity": {"Label": "LOW"}}, 1),
        ({"Label": "NEW WORD", "Normalized": 40}, ..., 2),
        ({"Normalized": 0}, ..., 0),
        ({"Normalized": 1}, ..., 1),
        ({"Normalized": 39}, ..., 1),
        ({"Normalized": 40}, ..., 2),
        ({"Normalized": 69}, ..., 2),
        ({"Normalized": 70}, ..., 3),
        ({"Normalized": 89}, ..., 3),
        ({"Normalized": 90}, ..., 4),
        ({"Normalized": 100}, ..., 4),
    ],
)
def test_label_then_the_providers_label_then_the_score(
    mapped: Mapped, severity: Any, provider: Any, expected: int
) -> None:
    assert mapped(CONTROL, of({"Severity": severity, "FindingProviderFields": provider})).severity == expected


@pytest.mark.parametrize(
    ("fields", "state", "status"),
    [
        ({}, State.OPEN, "NEW"),
        ({"Workflow.Status": "NOTIFIED"}, State.OPEN, "NOTIFIED"),
        ({"Workflow.Status": "RESOLVED"}, State.RESOLVED, "RESOLVED"),
        ({"Workflow.Status": "SUPPRESSED"}, State.RESOLVED, "SUPPRESSED"),
        ({"RecordState": "ARCHIVED"}, State.RESOLVED, "ARCHIVED"),
        ({"Compliance.Status": "PASSED"}, State.RESOLVED, "PASSED"),
        ({"Compliance.Status": "NOT_AVAILABLE"}, State.RESOLVED, "NOT_AVAILABLE"),
        ({"Compliance.Status": "WARNING"}, State.OPEN, "NEW"),
        ({"Workflow": ..., "Compliance": ..., "RecordState": ...}, State.OPEN, None),
    ],
)
def test_workflow_record_or_compliance_end_a_finding(
    mapped: Mapped, fields: dict[str, Any], state: State, status: str | None
) -> None:
    event = mapped(CONTROL, of(fields))
    assert (event.state, event.status) == (state, status)


def test_the_account_and_region_are_those_of_the_finding(mapped: Mapped) -> None:
    in_aggregation_region = {"account": "999988887777", "region": "us-east-1"}
    event = mapped(CONTROL, in_aggregation_region)
    assert (event.account, event.region) == ("111122223333", "eu-central-1")
    older = mapped(CONTROL, {**in_aggregation_region, **of({"Region": ...})})
    assert older.region == "eu-central-1"
    assert mapped(CONTROL, {**in_aggregation_region, **of({"Region": ..., "Resources": []})}).region == "us-east-1"


def test_an_id_that_is_no_arn_counts_within_its_product_only(mapped: Mapped) -> None:
    one = mapped(CONTROL, of({"Id": "7", "ProductArn": "arn:aws:securityhub:eu-central-1::product/acme/scanner"}))
    other = mapped(CONTROL, of({"Id": "7", "ProductArn": "arn:aws:securityhub:eu-central-1::product/other/scanner"}))
    assert one.fingerprint == "securityhub:arn:aws:securityhub:eu-central-1::product/acme/scanner|7"
    assert other.fingerprint != one.fingerprint


@pytest.mark.parametrize("url", [..., "javascript:alert(1)", "http://docs.example", "https://a b", "https://x\n", 7])
def test_without_an_address_to_follow_the_link_opens_security_hub(mapped: Mapped, url: Any) -> None:
    event = mapped(CONTROL, of({"Remediation.Recommendation.Url": url, "Id": "arn:aws:x:/1"}))
    assert event.console_url == (
        "https://console.aws.amazon.com/securityhub/home?region=eu-central-1"
        "#/findings?search=Id%3D%255Coperator%255C%253AEQUALS%255C%253Aarn%253Aaws%253Ax%253A%252F1"
    )


@pytest.mark.parametrize(
    "sample", [{"Sample": True}, {"ProductFields.aws/guardduty/service/additionalInfo/sample": "true"}]
)
def test_a_sample_finding_is_harmless_and_quiet(mapped: Mapped, sample: dict[str, Any]) -> None:
    event = mapped(GUARDDUTY, of(sample))
    assert (event.severity, event.quiet) == (0, "a sample finding")


def test_the_tags_of_the_first_resource_are_kept(mapped: Mapped) -> None:
    assert mapped(GUARDDUTY).tags == {"Name": "render-worker-3"}
    assert mapped(CONTROL).tags is None


def test_a_custom_action_is_a_deed_and_no_problem(mapped: Mapped) -> None:
    event = mapped("securityhub-custom-action")
    assert (event.state, event.severity) == (State.EVENT, 0)
    assert event.title == "Send to ops: S3 general purpose buckets should block public access"
    assert event.resource is not None
    assert event.resource.endswith("/finding/2f9d0c1b-7a56-4e0c-8e2b-51c7a4c0d913")
    assert event.fingerprint == "securityhub-action:c9e0d2b4-1a37-4f5c-8b6e-7d4f2a1c0b35"
    assert event.console_url is not None
    again = mapped("securityhub-custom-action", {"id": "another"})
    assert again.fingerprint != event.fingerprint
    assert mapped("securityhub-custom-action", {"detail.findings": []}).title == "Send to ops"


def test_without_an_id_a_deed_is_known_by_the_whole_message(mapped: Mapped) -> None:
    one = mapped("securityhub-insight", {"id": ...})
    assert one.fingerprint == mapped("securityhub-insight", {"id": ...}).fingerprint
    assert one.fingerprint != mapped("securityhub-insight", {"id": ..., "time": "2026-03-10T11:05:10Z"}).fingerprint


def test_the_results_of_an_insight_are_a_deed_too(mapped: Mapped) -> None:
    event = mapped("securityhub-insight")
    assert (event.state, event.severity, event.status) == (State.EVENT, 0, "Send to ops")
    assert event.title == "Send to ops: S3 buckets with public write or read permissions"
    assert event.resource == "arn:aws:securityhub:::insight/securityhub/default/10"
    assert event.fingerprint == "securityhub-action:e1b7c5d3-52f8-4c0a-9d6e-0f8a7b3c2d19"
    assert event.console_url == (
        "https://console.aws.amazon.com/securityhub/home?region=eu-central-1"
        "#/insights/arn%3Aaws%3Asecurityhub%3A%3A%3Ainsight%2Fsecurityhub%2Fdefault%2F10"
    )
    assert mapped("securityhub-insight", {"detail.insightArn": ...}).console_url is None


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({"detail.findings": []}, "findings is missing or empty"),
        ({"detail.findings": ...}, "findings is missing or empty"),
        ({"detail.findings": {}}, "findings is not a list of objects"),
        ({"detail.findings": ["arn"]}, "findings is not a list of objects"),
        (of({"Id": ...}), "Id is missing"),
        (of({"Title": ""}), "Title is missing"),
        (
            of({"Severity": ..., "FindingProviderFields": ...}),
            "Severity has neither a known Label nor a Normalized score",
        ),
        (
            of({"Severity": {"Normalized": -1}, "FindingProviderFields": ...}),
            "Severity has neither a known Label nor a Normalized score",
        ),
        (of({"Resources": ["i-1"]}), "Resources is not a list of objects"),
        (of({"Workflow": "NEW"}), "Workflow is not an object"),
    ],
)
def test_an_odd_finding_is_generic_with_the_reason(mapped: Mapped, changes: dict[str, Any], reason: str) -> None:
    event = mapped(CONTROL, changes)
    assert event.fingerprint.startswith(("generic:", "generic#"))
    assert event.unmapped == (f"taken as generic: {reason}",)
