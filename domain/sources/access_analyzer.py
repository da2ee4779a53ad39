"""IAM Access Analyzer: what is shared with others, who has access inside, what access nobody uses, and previews.

Source: the IAM user guide, "Monitoring IAM Access Analyzer with Amazon EventBridge". Findings may come an hour late.
"""

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from domain.sources import console
from domain.sources.facts import Facts
from domain.sources.fingerprint import fingerprint
from domain.sources.mapping import State
from domain.sources.moments import ending
from domain.sources.reading import UnreadableError, flag, instant, optional, text, value

if TYPE_CHECKING:
    from domain.sources.envelope import Envelope

_PUBLIC = 3
_EXTERNAL = 2
# Access inside the organisation and access that nobody uses open no door to anybody outside.
_INSIDE = 1
_NOT_ANALYSED = 1

_STATUS = {"ACTIVE": State.OPEN, "ARCHIVED": State.RESOLVED, "RESOLVED": State.RESOLVED}
# A preview is asked for before a change is made; one that fails leaves all as it was.
_PREVIEW = {"CREATING": (State.IN_PROGRESS, 0), "COMPLETED": (State.EVENT, 0), "FAILED": (State.EVENT, 1)}
_OTHER_PREVIEW = (State.EVENT, 0)


def external_access(envelope: "Envelope") -> Facts:
    """Somebody outside the account or organisation has access to a resource."""
    public = flag(envelope.detail, "isPublic")
    return _finding(envelope, "is public" if public else "shared outside", _PUBLIC if public else _EXTERNAL)


def internal_access(envelope: "Envelope") -> Facts:
    """A role or user inside has access to a resource that is watched for it."""
    return _finding(envelope, "accessible inside", _INSIDE)


def unused_access(envelope: "Envelope") -> Facts:
    """A role, user, key, password or permission that is not used."""
    return _finding(envelope, optional(envelope.detail, "findingType") or "unused access", _INSIDE)


def preview(envelope: "Envelope") -> Facts:
    """An access preview is made, is ready, or failed."""
    detail = envelope.detail
    preview_id, status = text(detail, "accessPreviewId"), text(detail, "status")
    reason = optional(detail, "statusReason", "code")
    configured = value(detail, "configuredResources")
    resource = configured[0] if isinstance(configured, list) and configured else None
    state, severity = _PREVIEW.get(status, _OTHER_PREVIEW)
    region = optional(detail, "region")
    title = f"Access preview {status}"
    return Facts(
        title=f"{title}: {reason}" if reason else title,
        text=reason,
        region=region,
        resource=resource if isinstance(resource, str) else None,
        severity=severity,
        state=state,
        status=status,
        fingerprint=fingerprint("access-preview", envelope.account, region or envelope.region, preview_id),
        console_url=console.page(region or envelope.region, "access-analyzer", "/analyzers"),
    )


def _finding(envelope: "Envelope", what: str, severity: int) -> Facts:
    detail = envelope.detail
    # Findings of unused access name their id otherwise.
    finding_id = optional(detail, "id") or optional(detail, "findingId")
    if finding_id is None:
        raise UnreadableError("id is missing")
    status, resource, error = text(detail, "status"), text(detail, "resource"), optional(detail, "error")
    account, region = optional(detail, "accountId"), optional(detail, "region") or envelope.region
    deleted = flag(detail, "isDeleted")
    if error:
        what, severity = f"could not be analysed: {error}", _NOT_ANALYSED
    kind = optional(detail, "resourceType")
    return Facts(
        title=f"{kind} {resource} {what}" if kind else f"{resource} {what}",
        text=_explanation(detail),
        account=account,
        region=region,
        resource=resource,
        severity=severity,
        # A deleted finding keeps the status it had.
        state=State.RESOLVED if deleted else _STATUS.get(status, State.EVENT),
        status="DELETED" if deleted else status,
        fingerprint=fingerprint("access-analyzer", account or envelope.account, region, finding_id),
        order=_order(envelope, deleted=deleted),
        console_url=console.page(region, "access-analyzer", f"/findings/details/{console.encoded(finding_id)}"),
    )


def _order(envelope: "Envelope", *, deleted: bool) -> int | None:
    """The time of the last change. A deletion changes nothing, so it would be no newer than the status before it."""
    updated = instant(envelope.detail, "updatedAt")
    return ending(updated, envelope.time) if deleted else updated


def _explanation(detail: Mapping[str, Any]) -> str | None:
    """Who may do what, as far as the finding says."""
    principal, actions = value(detail, "principal"), value(detail, "action")
    who = ", ".join(f"{kind} {name}" for kind, name in principal.items()) if isinstance(principal, Mapping) else None
    may = ", ".join(action for action in actions if isinstance(action, str)) if isinstance(actions, list) else None
    return "\n".join(filter(None, (f"Principal: {who}" if who else None, f"Actions: {may}" if may else None))) or None
