"""AWS Backup: jobs, recovery points and their indexes, and what is set up.

Source: the AWS Backup developer guide, "Monitoring AWS Backup events using Amazon EventBridge".
"""

from typing import TYPE_CHECKING

from domain.sources import console
from domain.sources.facts import Facts
from domain.sources.fingerprint import fingerprint
from domain.sources.mapping import State
from domain.sources.reading import UnreadableError, optional, text

if TYPE_CHECKING:
    from domain.sources.envelope import Envelope

_JOB = {
    "FAILED": (State.OPEN, 3),
    "ABORTED": (State.OPEN, 2),
    "EXPIRED": (State.OPEN, 2),
    "PARTIAL": (State.OPEN, 2),
    "COMPLETED": (State.RESOLVED, 0),
    "CREATED": (State.IN_PROGRESS, 0),
    "PENDING": (State.IN_PROGRESS, 0),
    "RUNNING": (State.IN_PROGRESS, 0),
    "ABORTING": (State.IN_PROGRESS, 0),
}
_WITH_ISSUES = 1
"""A job that completed with a message: what the console calls "completed with issues"."""

# A recovery point that expired is one that AWS Backup could not delete in time; only its own deletion ends that.
_RECOVERY_POINT = {
    "PARTIAL": (State.OPEN, 2),
    "EXPIRED": (State.OPEN, 2),
    "COMPLETED": (State.RESOLVED, 0),
    "AVAILABLE": (State.RESOLVED, 0),
    "DELETING": (State.RESOLVED, 0),
    "CREATING": (State.IN_PROGRESS, 0),
}
_INDEX = {"FAILED": (State.OPEN, 3), "ACTIVE": (State.RESOLVED, 0), "PENDING": (State.IN_PROGRESS, 0)}
_NOTED = (State.EVENT, 0)

_JOB_IDS = ("backupJobId", "copyJobId", "restoreJobId")


def job(envelope: "Envelope") -> Facts:
    """A backup, copy or restore job. The next one of the same kind, resource and rule that completes ends a failure."""
    detail = envelope.detail
    # Backup and copy jobs have a state, restore jobs a status, except when they are created.
    status = optional(detail, "status") or text(detail, "state")
    message = _message(optional(detail, "statusMessage"))
    resource = optional(detail, "resourceArn") or next(iter(envelope.resources), None)
    # A job that was only just created may not name its resource yet.
    about = resource or next(filter(None, (optional(detail, name) for name in _JOB_IDS)), None)
    if about is None:
        raise UnreadableError("resourceArn is missing")
    state, severity = _JOB.get(status, _NOTED)
    if status == "COMPLETED" and message:
        severity = _WITH_ISSUES
    kind = _kind(envelope)
    return Facts(
        title=_titled(f"{kind} of {about} {status}", message),
        text=message,
        account=optional(detail, "accountId"),
        resource=resource,
        severity=severity,
        state=state,
        status=status,
        fingerprint=fingerprint("backup", kind, about, optional(detail, "createdBy", "backupPlanRuleId")),
        console_url=console.page(envelope.region, "backup", "/jobs"),
    )


def recovery_point(envelope: "Envelope") -> Facts:
    """A recovery point was made, made in part, or has to be deleted."""
    detail = envelope.detail
    status = optional(detail, "status") or text(detail, "state")
    point, resource = next(iter(envelope.resources), None), optional(detail, "resourceArn")
    about = point or resource
    if about is None:
        raise UnreadableError("resources holds no recovery point")
    state, severity = _RECOVERY_POINT.get(status, _NOTED)
    message = _message(optional(detail, "statusMessage"))
    return Facts(
        title=_titled(f"Recovery point of {resource or about} {status}", message),
        text=message,
        account=optional(detail, "accountId"),
        resource=resource or about,
        severity=severity,
        state=state,
        status=status,
        fingerprint=fingerprint("backup", "Recovery point", about),
        console_url=_vault_page(envelope),
    )


def index(envelope: "Envelope") -> Facts:
    """The index of a recovery point was made or was not. The next one of the same resource ends a failure."""
    detail = envelope.detail
    status, message = text(detail, "indexStatus"), _message(optional(detail, "indexStatusMessage"))
    about = optional(detail, "sourceResourceArn") or text(detail, "recoveryPointArn")
    state, severity = _INDEX.get(status, _NOTED)
    return Facts(
        title=_titled(f"Index of a recovery point of {about} {status}", message),
        text=message,
        account=optional(detail, "accountId"),
        resource=about,
        severity=severity,
        state=state,
        status=status,
        fingerprint=fingerprint("backup", "Index", about),
        console_url=_vault_page(envelope),
    )


def setting(envelope: "Envelope") -> Facts:
    """A vault, a plan or the settings of a Region were changed: the act of a person, and no problem."""
    status = text(envelope.detail, "state")
    resource = next(iter(envelope.resources), None)
    kind = _kind(envelope)
    return Facts(
        title=f"{kind} {resource or envelope.region or ''} {status}",
        resource=resource,
        severity=0,
        state=State.EVENT,
        status=status,
        fingerprint=fingerprint("backup", kind, envelope.account, envelope.region, resource),
        console_url=_vault_page(envelope),
    )


def _kind(envelope: "Envelope") -> str:
    """`Backup Job` of `Backup Job State Change`."""
    return envelope.detail_type.removesuffix(" State Change")


def _message(message: str | None) -> str | None:
    """A message without the quotation marks that AWS Backup puts around some."""
    return message.strip('" ') or None if message else None


def _titled(what: str, message: str | None) -> str:
    return f"{what}: {message}" if message else what


def _vault_page(envelope: "Envelope") -> str | None:
    vault = optional(envelope.detail, "backupVaultName")
    path = f"/backupvaults/details/{console.encoded(vault)}" if vault else "/dashboard"
    return console.page(envelope.region, "backup", path)
