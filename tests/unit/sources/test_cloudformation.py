"""CloudFormation, as the field map says."""

from collections.abc import Callable
from typing import Any

import pytest

from domain.sources.mapping import MappedEvent, State

Mapped = Callable[..., MappedEvent]

STACK = "arn:aws:cloudformation:eu-central-1:111122223333:stack/checkout-prod/2c1f7a90-1b8f-11f1-9d0e-0a1b2c3d4e5f"
SET = "arn:aws:cloudformation:eu-central-1:111122223333:stackset/account-baseline:6d0c1b2a-7f8e-4d9c-8b0a-1f2e3d4c5b6a"
CONSOLE = "https://console.aws.amazon.com/cloudformation/home?region=eu-central-1#"
ENCODED_STACK = STACK.replace(":", "%3A").replace("/", "%2F")


@pytest.mark.parametrize(
    ("status", "state", "severity"),
    [
        ("CREATE_IN_PROGRESS", State.IN_PROGRESS, 0),
        ("CREATE_COMPLETE", State.RESOLVED, 0),
        ("UPDATE_COMPLETE", State.RESOLVED, 0),
        ("UPDATE_COMPLETE_CLEANUP_IN_PROGRESS", State.IN_PROGRESS, 0),
        ("DELETE_COMPLETE", State.RESOLVED, 0),
        ("IMPORT_COMPLETE", State.RESOLVED, 0),
        ("REVIEW_IN_PROGRESS", State.IN_PROGRESS, 0),
        ("CREATE_FAILED", State.OPEN, 3),
        ("DELETE_FAILED", State.OPEN, 3),
        ("UPDATE_FAILED", State.OPEN, 3),
        ("ROLLBACK_IN_PROGRESS", State.OPEN, 3),
        ("ROLLBACK_COMPLETE", State.OPEN, 3),
        ("ROLLBACK_FAILED", State.OPEN, 4),
        ("UPDATE_ROLLBACK_IN_PROGRESS", State.OPEN, 2),
        ("UPDATE_ROLLBACK_COMPLETE_CLEANUP_IN_PROGRESS", State.OPEN, 2),
        ("UPDATE_ROLLBACK_COMPLETE", State.OPEN, 2),
        ("UPDATE_ROLLBACK_FAILED", State.OPEN, 4),
        ("IMPORT_ROLLBACK_COMPLETE", State.OPEN, 2),
        ("IMPORT_ROLLBACK_FAILED", State.OPEN, 3),
        ("SOMETHING_NEW", State.EVENT, 0),
    ],
)
def test_the_status_of_a_stack(mapped: Mapped, status: str, state: State, severity: int) -> None:
    event = mapped("stack-failed", {"detail.status-details.status": status})
    assert (event.state, event.severity, event.status) == (state, severity, status)
    assert event.fingerprint == f"stack:{STACK}"


def test_a_stack_by_its_name_with_the_reason(mapped: Mapped) -> None:
    event = mapped("stack-failed")
    reason = "The following resource(s) failed to update: [OrdersTable]."
    assert event.title == f"checkout-prod UPDATE_ROLLBACK_FAILED: {reason}"
    assert (event.text, event.resource) == (reason, STACK)
    assert event.console_url == f"{CONSOLE}/stacks/stackinfo?stackId={ENCODED_STACK}"
    assert event.order == 1773146731000


def test_an_empty_reason_is_none(mapped: Mapped) -> None:
    event = mapped("stack-failed", {"detail.status-details.status-reason": ""})
    assert (event.title, event.text) == ("checkout-prod UPDATE_ROLLBACK_FAILED", None)


@pytest.mark.parametrize(
    ("status", "state", "severity"),
    [
        ("CREATE_IN_PROGRESS", State.IN_PROGRESS, 0),
        ("CREATE_COMPLETE", State.RESOLVED, 0),
        ("UPDATE_FAILED", State.OPEN, 3),
        ("DELETE_SKIPPED", State.EVENT, 0),
    ],
)
def test_the_status_of_a_resource_is_quiet_since_its_stack_speaks_for_it(
    mapped: Mapped, status: str, state: State, severity: int
) -> None:
    event = mapped("stack-resource-failed", {"detail.status-details.status": status})
    assert (event.state, event.severity) == (state, severity)
    assert event.quiet is not None
    assert event.fingerprint == f"stack-resource:{STACK}|OrdersTable"


def test_a_resource_by_its_names(mapped: Mapped) -> None:
    event = mapped("stack-resource-failed")
    assert event.title.startswith("checkout-prod / OrdersTable (AWS::DynamoDB::Table) UPDATE_FAILED: Subscriber limit")
    assert event.resource == "checkout-prod-orders"
    assert mapped("stack-resource-failed", {"detail.physical-resource-id": ""}).resource == "OrdersTable"
    assert event.console_url == f"{CONSOLE}/stacks/stackinfo?stackId={ENCODED_STACK}"


@pytest.mark.parametrize(
    ("status", "state", "severity"),
    [("DRIFTED", State.OPEN, 2), ("IN_SYNC", State.RESOLVED, 0), ("UNKNOWN", State.EVENT, 0)],
)
def test_drift_is_a_problem_beside_the_stacks_own(mapped: Mapped, status: str, state: State, severity: int) -> None:
    event = mapped("stack-drift", {"detail.status-details.stack-drift-status": status})
    assert (event.state, event.severity) == (state, severity)
    assert event.fingerprint == f"drift:{STACK}"
    assert event.console_url == f"{CONSOLE}/stacks/drifts?stackId={ENCODED_STACK}"


def test_the_number_of_drifted_resources_is_told_once_it_is_known(mapped: Mapped) -> None:
    count = "detail.drift-detection-details.drifted-stack-resource-count"
    assert mapped("stack-drift").text == "Resources that drifted: 2"
    assert mapped("stack-drift", {count: -1}).text is None
    assert mapped("stack-drift", {count: ...}).text is None


@pytest.mark.parametrize(
    ("status", "state", "severity"),
    [
        ("FAILED", State.OPEN, 3),
        ("SUCCEEDED", State.RESOLVED, 0),
        ("RUNNING", State.IN_PROGRESS, 0),
        ("QUEUED", State.IN_PROGRESS, 0),
        ("STOPPING", State.IN_PROGRESS, 0),
        ("STOPPED", State.EVENT, 0),
    ],
)
def test_the_operation_of_a_stack_set(mapped: Mapped, status: str, state: State, severity: int) -> None:
    event = mapped("stack-set-operation", {"detail.status-details.status": status})
    assert (event.state, event.severity, event.title) == (state, severity, f"account-baseline {status}")
    assert (event.resource, event.fingerprint) == (SET, f"stackset:{SET}")
    assert event.text == "Operation: 0f9e8d7c-6b5a-4938-8271-605f4e3d2c1b"


@pytest.mark.parametrize(("status", "state"), [("ACTIVE", State.EVENT), ("DELETED", State.RESOLVED)])
def test_the_status_of_a_stack_set(mapped: Mapped, status: str, state: State) -> None:
    changes = {
        "detail-type": "CloudFormation StackSet Status Change",
        "detail": {"stack-set-arn": SET, "status-details": {"status": status}},
    }
    event = mapped("stack-set-operation", changes)
    assert (event.state, event.severity, event.text) == (state, 0, None)
    assert event.fingerprint == mapped("stack-set-operation").fingerprint
    assert event.console_url == (f"{CONSOLE}/stacksets/account-baseline%3A6d0c1b2a-7f8e-4d9c-8b0a-1f2e3d4c5b6a/info")


@pytest.mark.parametrize(
    ("status", "detailed", "state", "severity"),
    [
        ("OUTDATED", "FAILED", State.OPEN, 3),
        ("OUTDATED", "FAILED_IMPORT", State.OPEN, 3),
        ("INOPERABLE", "INOPERABLE", State.OPEN, 3),
        ("INOPERABLE", "SUCCEEDED", State.OPEN, 3),
        ("CURRENT", "SUCCEEDED", State.RESOLVED, 0),
        ("CURRENT", ..., State.RESOLVED, 0),
        ("OUTDATED", "PENDING", State.IN_PROGRESS, 0),
        ("OUTDATED", "RUNNING", State.IN_PROGRESS, 0),
        ("OUTDATED", "CANCELLED", State.EVENT, 0),
    ],
)
def test_the_instance_of_a_stack_set(mapped: Mapped, status: str, detailed: Any, state: State, severity: int) -> None:
    changes = {"detail.status-details.status": status, "detail.status-details.detailed-status": detailed}
    event = mapped("stack-instance-failed", changes)
    assert (event.state, event.severity) == (state, severity)


def test_an_instance_belongs_to_the_account_and_region_of_its_stack(mapped: Mapped) -> None:
    event = mapped("stack-instance-failed")
    assert (event.account, event.region) == ("444455556666", "eu-west-1")
    assert event.title.startswith("account-baseline in 444455556666/eu-west-1 FAILED: ResourceLogicalId:AuditRole")
    elsewhere = "arn:aws:cloudformation:eu-north-1:444455556666:stack/StackSet-account-baseline-91c0/1"
    assert event.fingerprint != mapped("stack-instance-failed", {"detail.stack-id": elsewhere}).fingerprint
    assert event.fingerprint != mapped("stack-set-operation").fingerprint


def test_an_instance_without_a_stack_is_the_sets(mapped: Mapped) -> None:
    event = mapped("stack-instance-failed", {"detail.stack-id": ...})
    assert (event.resource, event.account, event.region) == (SET, "111122223333", "eu-central-1")
    assert event.title.startswith("account-baseline FAILED: ")


@pytest.mark.parametrize(
    "detail_type", ["CloudFormation Stack State Change", "CloudFormation Hook Invocation Progress"]
)
def test_what_has_no_published_shape_is_generic_without_complaint(mapped: Mapped, detail_type: str) -> None:
    event = mapped("stack-failed", {"detail-type": detail_type})
    assert event.fingerprint.startswith("generic:")
    assert (event.title, event.severity, event.state, event.unmapped) == (detail_type, 0, State.EVENT, ())


def test_a_stack_id_that_is_no_arn_is_a_name(mapped: Mapped) -> None:
    event = mapped("stack-failed", {"detail.stack-id": "checkout-prod"})
    assert event.title.startswith("checkout-prod UPDATE_ROLLBACK_FAILED")
    assert event.console_url == f"{CONSOLE}/stacks/stackinfo?stackId=checkout-prod"


@pytest.mark.parametrize(
    ("name", "path"),
    [
        ("stack-failed", "stack-id"),
        ("stack-failed", "status-details"),
        ("stack-resource-failed", "logical-resource-id"),
        ("stack-drift", "status-details"),
        ("stack-set-operation", "stack-set-arn"),
        ("stack-instance-failed", "status-details"),
    ],
)
def test_a_missing_field_makes_it_generic_with_the_reason(mapped: Mapped, name: str, path: str) -> None:
    event = mapped(name, {f"detail.{path}": ...})
    assert event.fingerprint.startswith(("generic:", "generic#"))
    assert event.unmapped[0].startswith(f"taken as generic: {path}")
