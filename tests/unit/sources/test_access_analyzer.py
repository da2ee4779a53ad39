"""IAM Access Analyzer, as the field map says."""

from collections.abc import Callable
from typing import Any

import pytest

from domain.sources.mapping import MappedEvent, State

Mapped = Callable[..., MappedEvent]

PAGE = "https://console.aws.amazon.com/access-analyzer/home?region="
FINDING = "9e8d7c6b-5a49-4838-a727-161514131211"
UNUSED = "1a2b3c4d-5e6f-4a7b-8c9d-0e1f2a3b4c5d"


@pytest.mark.parametrize(
    ("changes", "severity", "what"),
    [
        ({}, 2, "shared outside"),
        ({"detail.isPublic": True}, 3, "is public"),
        ({"detail.isPublic": ...}, 2, "shared outside"),
        ({"detail.error": "ACCESS_DENIED"}, 1, "could not be analysed: ACCESS_DENIED"),
        ({"detail.error": "ACCESS_DENIED", "detail.isPublic": True}, 1, "could not be analysed: ACCESS_DENIED"),
        ({"detail-type": "Internal Access Finding"}, 1, "accessible inside"),
    ],
)
def test_how_far_a_resource_is_open_gives_the_severity(
    mapped: Mapped, changes: dict[str, Any], severity: int, what: str
) -> None:
    event = mapped("access-analyzer", changes)
    assert (event.severity, event.title) == (severity, f"AWS::S3::Bucket arn:aws:s3:::invoices {what}")
    assert (event.state, event.unmapped) == (State.OPEN, ())


@pytest.mark.parametrize("fixture", ["access-analyzer", "unused-access"])
@pytest.mark.parametrize(
    ("status", "deleted", "state"),
    [
        ("ACTIVE", False, State.OPEN),
        ("ARCHIVED", False, State.RESOLVED),
        ("RESOLVED", False, State.RESOLVED),
        ("ACTIVE", True, State.RESOLVED),
        ("ACTIVE", "true", State.RESOLVED),
        ("SOMETHING_NEW", False, State.EVENT),
    ],
)
def test_a_finding_is_open_until_it_is_archived_resolved_or_deleted(
    mapped: Mapped, fixture: str, status: str, deleted: Any, state: State
) -> None:
    event = mapped(fixture, {"detail.status": status, "detail.isDeleted": deleted})
    assert event.state is state
    assert event.fingerprint == mapped(fixture).fingerprint


def test_a_finding_is_ordered_by_its_last_change(mapped: Mapped) -> None:
    assert mapped("access-analyzer").order == 1773663000000
    assert mapped("access-analyzer", {"detail.updatedAt": "2026-03-16T12:10:00.654688231Z"}).order == 1773663000654


def test_a_deletion_is_newer_than_the_status_that_the_finding_keeps(mapped: Mapped) -> None:
    deleted = mapped("access-analyzer", {"detail.isDeleted": True})
    assert deleted.status == "DELETED"
    assert deleted.order > mapped("access-analyzer").order
    # It says of itself that it was changed after it was sent, be it within the second: then that counts.
    later = {"detail.isDeleted": True, "detail.updatedAt": "2026-03-16T18:00:00Z"}
    assert mapped("access-analyzer", later).order == 1773684000001
    assert mapped("access-analyzer", {"detail.isDeleted": True, "time": ...}).order == 1773663000001


def test_a_finding_belongs_to_the_account_and_region_of_the_resource(mapped: Mapped) -> None:
    event = mapped("access-analyzer")
    assert (event.account, event.region) == ("444455556666", "eu-west-1")
    assert event.fingerprint == f"access-analyzer:444455556666|eu-west-1|{FINDING}"
    assert event.text == "Principal: AWS 777788889999\nActions: s3:GetObject, s3:ListBucket"
    assert event.console_url == f"{PAGE}eu-west-1#/findings/details/{FINDING}"


def test_unused_access_names_its_id_otherwise_and_no_region(mapped: Mapped) -> None:
    event = mapped("unused-access")
    assert event.title == "AWS::IAM::Role arn:aws:iam::444455556666:role/old-deployer UnusedIAMRole"
    assert (event.severity, event.account, event.region) == (1, "444455556666", "eu-central-1")
    assert event.fingerprint == f"access-analyzer:444455556666|eu-central-1|{UNUSED}"
    assert mapped("unused-access", {"detail.error": "INTERNAL_ERROR"}).title.endswith("analysed: INTERNAL_ERROR")


def test_the_link_holds_an_id_of_any_spelling(mapped: Mapped) -> None:
    assert mapped("access-analyzer", {"detail.id": "a/b?c"}).console_url == (
        f"{PAGE}eu-west-1#/findings/details/a%2Fb%3Fc"
    )


@pytest.mark.parametrize(
    ("status", "state", "severity"),
    [
        ("CREATING", State.IN_PROGRESS, 0),
        ("COMPLETED", State.EVENT, 0),
        ("FAILED", State.EVENT, 1),
        ("SOMETHING_NEW", State.EVENT, 0),
    ],
)
def test_an_access_preview_is_never_a_problem(mapped: Mapped, status: str, state: State, severity: int) -> None:
    event = mapped("access-preview", {"detail.status": status})
    assert (event.state, event.severity, event.status) == (state, severity, status)
    assert event.title == f"Access preview {status}: INVALID_CONFIGURATION"
    assert event.resource == "arn:aws:s3:::invoices"
    assert event.console_url == f"{PAGE}eu-central-1#/analyzers"
    assert event.unmapped == ()


@pytest.mark.parametrize("configured", [..., [], [1], "x"])
def test_an_access_preview_without_a_resource_names_none(mapped: Mapped, configured: Any) -> None:
    assert mapped("access-preview", {"detail.configuredResources": configured}).resource is None


@pytest.mark.parametrize(
    ("fixture", "changes", "reason"),
    [
        ("access-analyzer", {"detail.id": ...}, "id is missing"),
        ("unused-access", {"detail.findingId": ""}, "id is missing"),
        ("access-analyzer", {"detail.status": ...}, "status is missing"),
        ("access-analyzer", {"detail.resource": ...}, "resource is missing"),
        ("access-analyzer", {"detail.accountId": 1}, "accountId is not a string but of type int"),
        ("access-analyzer", {"detail.updatedAt": 1}, "updatedAt is not a string but of type int"),
        ("access-preview", {"detail.accessPreviewId": ...}, "accessPreviewId is missing"),
        ("access-preview", {"detail.statusReason": "x"}, "statusReason is not an object"),
    ],
)
def test_an_odd_message_is_generic_with_the_reason(
    mapped: Mapped, fixture: str, changes: dict[str, Any], reason: str
) -> None:
    event = mapped(fixture, changes)
    assert event.fingerprint.startswith("generic:")
    assert event.unmapped == (f"taken as generic: {reason}",)
