"""AWS Backup, as the field map says."""

from collections.abc import Callable
from typing import Any

import pytest

from domain.sources.mapping import MappedEvent, State

Mapped = Callable[..., MappedEvent]

DATABASE = "arn:aws:rds:eu-central-1:111122223333:db:orders-prod"
VOLUME = "arn:aws:ec2:eu-central-1:111122223333:volume/vol-0d1e2f3a4b5c6d7e8"
POINT = "arn:aws:backup:eu-central-1:111122223333:recovery-point:0a1b2c3d-4e5f-4071-8293-a4b5c6d7e8f9"
RULE = "7e6d5c4b-3a29-4180-9f8e-7d6c5b4a3928"
PAGE = "https://console.aws.amazon.com/backup/home?region=eu-central-1#"

STATES = pytest.mark.parametrize(
    ("state", "meaning", "severity"),
    [
        ("FAILED", State.OPEN, 3),
        ("ABORTED", State.OPEN, 2),
        ("EXPIRED", State.OPEN, 2),
        ("PARTIAL", State.OPEN, 2),
        ("COMPLETED", State.RESOLVED, 0),
        ("CREATED", State.IN_PROGRESS, 0),
        ("PENDING", State.IN_PROGRESS, 0),
        ("RUNNING", State.IN_PROGRESS, 0),
        ("ABORTING", State.IN_PROGRESS, 0),
        ("SOMETHING_NEW", State.EVENT, 0),
    ],
)


@STATES
@pytest.mark.parametrize("detail_type", ["Backup Job State Change", "Copy Job State Change"])
def test_the_state_of_a_backup_or_copy_job(
    mapped: Mapped, detail_type: str, state: str, meaning: State, severity: int
) -> None:
    changes = {"detail-type": detail_type, "detail.state": state, "detail.statusMessage": ""}
    event = mapped("backup-job", changes)
    assert (event.state, event.severity, event.status) == (meaning, severity, state)
    kind = detail_type.removesuffix(" State Change")
    assert event.fingerprint == f"backup:{kind}|{DATABASE}|{RULE}"


@STATES
def test_the_status_of_a_restore_job(mapped: Mapped, state: str, meaning: State, severity: int) -> None:
    event = mapped("restore-job", {"detail.status": state, "detail.statusMessage": ...})
    assert (event.state, event.severity, event.status) == (meaning, severity, state)
    assert (event.resource, event.fingerprint) == (POINT, f"backup:Restore Job|{POINT}|")


def test_a_job_that_completed_with_a_message_had_issues_and_is_done(mapped: Mapped) -> None:
    event = mapped("backup-job", {"detail.state": "COMPLETED"})
    assert (event.state, event.severity) == (State.RESOLVED, 1)


def test_the_next_job_of_the_rule_ends_the_failure(mapped: Mapped) -> None:
    done = mapped(
        "backup-job",
        {
            "detail.state": "COMPLETED",
            "detail.backupJobId": "another",
            "detail.statusMessage": ...,
            "resources": [POINT],
        },
    )
    assert (done.state, done.fingerprint) == (State.RESOLVED, mapped("backup-job").fingerprint)


def test_another_rule_or_none_is_another_problem(mapped: Mapped) -> None:
    prints = {
        mapped("backup-job", changes).fingerprint
        for changes in ({}, {"detail.createdBy.backupPlanRuleId": "other"}, {"detail.createdBy": ...})
    }
    assert len(prints) == 3


def test_a_job_with_its_message_freed_of_quotation_marks(mapped: Mapped) -> None:
    event = mapped("backup-job")
    message = "Backup job failed because the vault's key is disabled."
    assert event.title == f"Backup Job of {DATABASE} FAILED: {message}"
    assert (event.text, event.resource, event.order) == (message, DATABASE, 1773371400000)
    assert event.console_url == f"{PAGE}/jobs"
    assert event.unmapped == ()


@pytest.mark.parametrize("odd", [{}, {"detail.backupSizeInBytes": 7}, {"detail.destinationRecoveryPointArn": {}}])
def test_fields_of_two_types_do_no_harm(mapped: Mapped, odd: dict[str, Any]) -> None:
    assert mapped("backup-job", odd).unmapped == ()


def test_a_job_that_was_only_just_created_is_told_by_its_id(mapped: Mapped) -> None:
    event = mapped("backup-job", {"detail": {"backupJobId": "8C7B", "state": "CREATED"}})
    assert (event.title, event.resource) == ("Backup Job of 8C7B CREATED", None)
    created = mapped("restore-job", {"detail": {"restoreJobId": "A1B2", "state": "CREATED"}})
    assert (created.state, created.resource) == (State.IN_PROGRESS, POINT)


@pytest.mark.parametrize(
    ("status", "state", "severity"),
    [
        ("EXPIRED", State.OPEN, 2),
        ("PARTIAL", State.OPEN, 2),
        ("COMPLETED", State.RESOLVED, 0),
        ("AVAILABLE", State.RESOLVED, 0),
        ("DELETING", State.RESOLVED, 0),
        ("CREATING", State.IN_PROGRESS, 0),
        ("STOPPED", State.EVENT, 0),
    ],
)
@pytest.mark.parametrize("detail_type", ["Recovery Point State Change", "Recovery Point Change"])
def test_a_recovery_point_is_a_problem_of_its_own(
    mapped: Mapped, detail_type: str, status: str, state: State, severity: int
) -> None:
    event = mapped("recovery-point", {"detail-type": detail_type, "detail.status": status})
    assert (event.state, event.severity) == (state, severity)
    assert (event.resource, event.fingerprint) == (DATABASE, f"backup:Recovery point|{POINT}")


def test_the_link_of_a_recovery_point_leads_to_its_vault(mapped: Mapped) -> None:
    event = mapped("recovery-point", {"detail.backupVaultName": "a/b"})
    assert event.console_url == f"{PAGE}/backupvaults/details/a%2Fb"
    assert event.title == f"Recovery point of {DATABASE} EXPIRED: The role may not delete snapshots."


@pytest.mark.parametrize(
    ("status", "state", "severity"),
    [
        ("FAILED", State.OPEN, 3),
        ("ACTIVE", State.RESOLVED, 0),
        ("PENDING", State.IN_PROGRESS, 0),
        ("DELETED", State.EVENT, 0),
    ],
)
def test_the_index_of_a_recovery_point(mapped: Mapped, status: str, state: State, severity: int) -> None:
    event = mapped("recovery-point-index", {"detail.indexStatus": status, "detail.recoveryPointArn": "another"})
    assert (event.state, event.severity, event.account) == (state, severity, "444455556666")
    assert (event.resource, event.fingerprint) == (VOLUME, f"backup:Index|{VOLUME}")


@pytest.mark.parametrize(
    "detail_type", ["Backup Plan State Change", "Backup Vault State Change", "Region Setting State Change"]
)
@pytest.mark.parametrize("state", ["CREATED", "MODIFIED", "DELETED"])
def test_what_is_set_up_is_an_event(mapped: Mapped, detail_type: str, state: str) -> None:
    event = mapped("backup-plan", {"detail-type": detail_type, "detail.state": state})
    assert (event.state, event.severity, event.status) == (State.EVENT, 0, state)
    assert event.unmapped == ()
    assert event.console_url == f"{PAGE}/dashboard"


@pytest.mark.parametrize(
    ("fixture", "changes", "reason"),
    [
        ("backup-job", {"detail.state": ...}, "state is missing"),
        ("restore-job", {"detail.status": ...}, "state is missing"),
        ("restore-job", {"detail.status": 1}, "status is not a string but of type int"),
        ("backup-job", {"detail": {"state": "CREATED"}}, "resourceArn is missing"),
        ("backup-job", {"detail.createdBy": "nobody"}, "createdBy is not an object"),
        ("recovery-point", {"resources": [], "detail.resourceArn": ...}, "resources holds no recovery point"),
        ("recovery-point", {"detail.status": ...}, "state is missing"),
        ("recovery-point-index", {"detail.indexStatus": ...}, "indexStatus is missing"),
        ("backup-plan", {"detail.state": ...}, "state is missing"),
        ("backup-plan", {"detail-type": "Scan Job State Change"}, "no mapper for this detail-type of aws.backup"),
    ],
)
def test_an_odd_message_is_generic_with_the_reason(
    mapped: Mapped, fixture: str, changes: dict[str, Any], reason: str
) -> None:
    event = mapped(fixture, changes)
    assert event.fingerprint.startswith("generic:")
    assert event.unmapped == (f"taken as generic: {reason}",)
