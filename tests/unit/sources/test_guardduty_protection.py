"""GuardDuty's protection plans: coverage of Runtime Monitoring, and scans of objects in S3."""

from collections.abc import Callable
from typing import Any

import pytest

from domain.sources.mapping import MappedEvent, State

Mapped = Callable[..., MappedEvent]

CONSOLE = "https://console.aws.amazon.com/guardduty/home?region=eu-central-1#"


def test_coverage_that_is_lost_and_found_again_is_one_problem(mapped: Mapped) -> None:
    lost = mapped("guardduty-coverage")
    found = mapped(
        "guardduty-coverage",
        {
            "detail-type": "GuardDuty Runtime Protection Healthy",
            "detail.currentStatus": "Healthy",
            "detail.lastUpdatedAt": "2026-03-10T12:51:07.000Z",
            "detail.issue": ...,
        },
    )
    assert (lost.state, lost.severity, lost.status) == (State.OPEN, 2, "Unhealthy")
    assert (found.state, found.severity, found.status) == (State.RESOLVED, 0, "Healthy")
    assert lost.fingerprint == found.fingerprint == "guardduty-coverage:444455556666|eu-central-1|EKS|billing"
    assert (lost.order, found.order) == (1773145867000, 1773147067000)
    assert (lost.account, lost.resource) == ("444455556666", "billing")
    assert lost.text == "The agent does not report from 1 of 3 nodes."
    assert lost.console_url == CONSOLE + "/runtime-monitoring"


@pytest.mark.parametrize(
    ("details", "resource"),
    [
        ({"resourceType": "ECS", "ecsClusterDetails": {"clusterName": "web"}}, "web"),
        ({"resourceType": "EC2", "ec2InstanceDetails": {"instanceId": "i-01"}}, "i-01"),
    ],
)
def test_coverage_is_of_a_cluster_or_an_instance(mapped: Mapped, details: Any, resource: str) -> None:
    assert mapped("guardduty-coverage", {"detail.resourceDetails": details}).resource == resource


def test_what_is_wrong_with_tasks_on_fargate_is_a_list(mapped: Mapped) -> None:
    fargate = {"issues": ["Agent not reporting.", 7, "Agent exited."], "managementType": "AUTO_MANAGED"}
    details = {"resourceType": "ECS", "ecsClusterDetails": {"clusterName": "web", "fargateDetails": fargate}}
    event = mapped("guardduty-coverage", {"detail.issue": ..., "detail.resourceDetails": details})
    assert event.text == "Agent not reporting.\nAgent exited."


@pytest.mark.parametrize(
    ("status", "state", "severity"),
    [
        ("THREATS_FOUND", State.OPEN, 3),
        ("NO_THREATS_FOUND", State.EVENT, 0),
        ("UNSUPPORTED", State.EVENT, 0),
        ("ACCESS_DENIED", State.EVENT, 1),
        ("FAILED", State.EVENT, 1),
        ("SOMETHING_NEW", State.EVENT, 0),
    ],
)
def test_only_a_threat_in_an_object_is_a_problem(mapped: Mapped, status: str, state: State, severity: int) -> None:
    event = mapped("guardduty-object-scan", {"detail.scanResultDetails.scanResultStatus": status})
    assert (event.state, event.severity, event.status) == (state, severity, status)


def test_the_infected_object_is_the_resource_and_the_threat_is_named(mapped: Mapped) -> None:
    event = mapped("guardduty-object-scan")
    assert event.resource == "s3://invoices-inbox/2026/03/scan 17.pdf"
    assert event.text == "Threats: EICAR-Test-File (not a virus)\nVersion: 3HL4kqtJvjVBH40Nrjfkd"
    assert event.console_url == CONSOLE + "/malware-scans"
    other = mapped("guardduty-object-scan", {"detail.s3ObjectDetails.versionId": "another"})
    assert other.fingerprint != event.fingerprint
    assert mapped("guardduty-object-scan", {"id": "another"}).fingerprint == event.fingerprint


def test_a_scan_without_a_result_is_told_by_its_own_status(mapped: Mapped) -> None:
    event = mapped("guardduty-object-scan", {"detail.scanStatus": "SKIPPED", "detail.scanResultDetails": None})
    assert (event.state, event.status) == (State.EVENT, "SKIPPED")


@pytest.mark.parametrize(
    ("status", "state", "severity"),
    [("ACTIVE", State.RESOLVED, 0), ("WARNING", State.OPEN, 2), ("ERROR", State.OPEN, 3), ("warning", State.OPEN, 2)],
)
def test_a_plan_fails_and_works_again(mapped: Mapped, status: str, state: State, severity: int) -> None:
    for name in ("Active", "Warning", "warning", "Error"):
        changes = {
            "detail-type": f"GuardDuty Malware Protection Resource Status {name}",
            "detail.resourceStatus": status,
        }
        event = mapped("guardduty-plan-status", changes)
        assert (event.state, event.severity) == (state, severity)
        assert event.fingerprint == "guardduty-plan:111122223333|eu-central-1|invoices-inbox"
        assert event.order == 1773148811512


def test_a_plan_says_why_it_fails(mapped: Mapped) -> None:
    event = mapped("guardduty-plan-status")
    assert event.text == "EVENTBRIDGE_MANAGED_EVENTS_DELIVERY_DISABLED: GuardDuty is not told of new objects."
    assert mapped("guardduty-plan-status", {"detail.statusReasons": []}).text is None


def test_one_cause_that_fails_for_many_objects_is_one_problem(mapped: Mapped) -> None:
    one = mapped("guardduty-post-scan")
    other_object = mapped("guardduty-post-scan", {"detail.s3ObjectDetails.objectKey": "another"})
    reasons = [{"actionType": "TAGGING", "failureReason": "MAX_TAG_LIMIT_EXCEEDED"}]
    other_cause = mapped("guardduty-post-scan", {"detail.postScanActions": reasons})
    assert (one.state, one.severity) == (State.OPEN, 2)
    assert one.fingerprint == other_object.fingerprint != other_cause.fingerprint
    assert one.resource != other_object.resource
    assert one.text == "TAGGING: ACCESS_DENIED\nObject: s3://invoices-inbox/2026/03/scan 17.pdf"


@pytest.mark.parametrize(
    ("name", "changes", "reason"),
    [
        ("guardduty-coverage", {"detail.resourceDetails": ...}, "resourceDetails.resourceType is missing"),
        (
            "guardduty-coverage",
            {"detail.resourceDetails": {"resourceType": "EKS"}},
            "resourceDetails names no cluster or instance",
        ),
        ("guardduty-object-scan", {"detail.s3ObjectDetails": ...}, "s3ObjectDetails.bucketName is missing"),
        ("guardduty-plan-status", {"detail.resourceStatus": "BAD"}, "resourceStatus is no status of a plan: 'BAD'"),
        ("guardduty-post-scan", {"detail.postScanActions": {}}, "postScanActions is not a list of objects"),
    ],
)
def test_an_odd_message_is_generic_with_the_reason(
    mapped: Mapped, name: str, changes: dict[str, Any], reason: str
) -> None:
    event = mapped(name, changes)
    assert event.fingerprint.startswith("generic:")
    assert event.unmapped == (f"taken as generic: {reason}",)
