"""CloudFormation: stacks, their resources, drift, and stack sets.

Source: the CloudFormation user guide, "Event detail" pages.
"""

from typing import TYPE_CHECKING

from domain.sources import arn, console
from domain.sources.facts import Facts
from domain.sources.fingerprint import fingerprint
from domain.sources.mapping import State
from domain.sources.reading import number, optional, text

if TYPE_CHECKING:
    from domain.sources.envelope import Envelope

_STUCK = frozenset({"UPDATE_ROLLBACK_FAILED", "ROLLBACK_FAILED"})
"""Nothing works on such a stack until a person has helped it on."""

_DRIFT = {"DRIFTED": (State.OPEN, 2), "IN_SYNC": (State.RESOLVED, 0)}
_OPERATION = {
    "FAILED": (State.OPEN, 3),
    "SUCCEEDED": (State.RESOLVED, 0),
    "RUNNING": (State.IN_PROGRESS, 0),
    "STOPPING": (State.IN_PROGRESS, 0),
    "QUEUED": (State.IN_PROGRESS, 0),
}
_INSTANCE = {
    "FAILED": (State.OPEN, 3),
    "FAILED_IMPORT": (State.OPEN, 3),
    "INOPERABLE": (State.OPEN, 3),
    "SUCCEEDED": (State.RESOLVED, 0),
    "CURRENT": (State.RESOLVED, 0),
    "PENDING": (State.IN_PROGRESS, 0),
    "RUNNING": (State.IN_PROGRESS, 0),
}
_NOTED = (State.EVENT, 0)


def stack(envelope: "Envelope") -> Facts:
    """A stack changed its status."""
    detail = envelope.detail
    stack_id, status = text(detail, "stack-id"), text(detail, "status-details", "status")
    reason = optional(detail, "status-details", "status-reason")
    return Facts(
        title=_titled(f"{_stack_name(stack_id)} {status}", reason),
        text=reason,
        resource=stack_id,
        severity=_stack_severity(status),
        state=State.OPEN if "ROLLBACK" in status else _outcome(status),
        status=status,
        fingerprint=fingerprint("stack", stack_id),
        console_url=_stack_page(envelope, "stackinfo", stack_id),
    )


def resource(envelope: "Envelope") -> Facts:
    """A resource of a stack changed its status. Its stack's own message follows, and is the one that tells people."""
    detail = envelope.detail
    stack_id, logical = text(detail, "stack-id"), text(detail, "logical-resource-id")
    status, reason = text(detail, "status-details", "status"), optional(detail, "status-details", "status-reason")
    kind = optional(detail, "resource-type") or "resource"
    return Facts(
        title=_titled(f"{_stack_name(stack_id)} / {logical} ({kind}) {status}", reason),
        text=reason,
        # A resource that could not be made has no physical id yet.
        resource=optional(detail, "physical-resource-id") or logical,
        severity=3 if status.endswith("_FAILED") else 0,
        state=_outcome(status),
        status=status,
        fingerprint=fingerprint("stack-resource", stack_id, logical),
        console_url=_stack_page(envelope, "stackinfo", stack_id),
        quiet="its stack's own message tells it",
    )


def drift(envelope: "Envelope") -> Facts:
    """Drift detection found a stack changed from outside, or as it should be."""
    detail = envelope.detail
    stack_id, status = text(detail, "stack-id"), text(detail, "status-details", "stack-drift-status")
    drifted = number(detail, "drift-detection-details", "drifted-stack-resource-count")
    state, severity = _DRIFT.get(status, _NOTED)
    return Facts(
        title=f"{_stack_name(stack_id)} {status}",
        # -1 while the detection is running
        text=f"Resources that drifted: {drifted:.0f}" if drifted is not None and drifted >= 0 else None,
        resource=stack_id,
        severity=severity,
        state=state,
        status=status,
        fingerprint=fingerprint("drift", stack_id),
        console_url=_stack_page(envelope, "drifts", stack_id),
    )


def stack_set(envelope: "Envelope") -> Facts:
    """A stack set became active, or was deleted, which ends what was wrong with it."""
    status = text(envelope.detail, "status-details", "status")
    return _of_stack_set(envelope, (State.RESOLVED, 0) if status == "DELETED" else _NOTED)


def stack_set_operation(envelope: "Envelope") -> Facts:
    """An operation over all instances of a stack set."""
    status = text(envelope.detail, "status-details", "status")
    return _of_stack_set(envelope, _OPERATION.get(status, _NOTED))


def stack_instance(envelope: "Envelope") -> Facts:
    """One stack of a stack set, in the account and Region where that stack is."""
    detail = envelope.detail
    set_arn, stack_id = text(detail, "stack-set-arn"), optional(detail, "stack-id")
    overall, detailed = (optional(detail, "status-details", name) for name in ("status", "detailed-status"))
    status = "INOPERABLE" if overall == "INOPERABLE" else detailed or text(detail, "status-details", "status")
    state, severity = _INSTANCE.get(status, _NOTED)
    reason = optional(detail, "status-details", "status-reason")
    where = arn.split(stack_id or "")
    place = f" in {where.account}/{where.region}" if where.account else ""
    return Facts(
        title=_titled(f"{_stack_set_name(set_arn)}{place} {status}", reason),
        text=reason,
        account=where.account,
        region=where.region,
        resource=stack_id or set_arn,
        severity=severity,
        state=state,
        status=status,
        fingerprint=fingerprint("stackset", set_arn, stack_id or ""),
        console_url=_stack_set_page(envelope, set_arn),
    )


def _of_stack_set(envelope: "Envelope", meaning: tuple[State, int]) -> Facts:
    detail = envelope.detail
    set_arn, status = text(detail, "stack-set-arn"), text(detail, "status-details", "status")
    operation = optional(detail, "stack-set-operation-id")
    state, severity = meaning
    return Facts(
        title=f"{_stack_set_name(set_arn)} {status}",
        text=f"Operation: {operation}" if operation else None,
        resource=set_arn,
        severity=severity,
        state=state,
        status=status,
        fingerprint=fingerprint("stackset", set_arn),
        console_url=_stack_set_page(envelope, set_arn),
    )


def _outcome(status: str) -> State:
    if status.endswith("_FAILED"):
        return State.OPEN
    if status.endswith("_IN_PROGRESS"):
        return State.IN_PROGRESS
    return State.RESOLVED if status.endswith("_COMPLETE") else State.EVENT


def _stack_severity(status: str) -> int:
    if status in _STUCK:
        return 4
    if status.endswith("_FAILED") or status.startswith("ROLLBACK_"):
        return 3
    # An update or import that was (or is being) taken back left the stack as it was before.
    return 2 if "ROLLBACK" in status else 0


def _titled(what: str, reason: str | None) -> str:
    return f"{what}: {reason}" if reason else what


def _stack_name(stack_id: str) -> str:
    """`payments` of `arn:aws:cloudformation:R:A:stack/payments/<uuid>`."""
    return arn.split(stack_id).resource.removeprefix("stack/").split("/", 1)[0]


def _stack_set_name(set_arn: str) -> str:
    """`baseline` of `arn:aws:cloudformation:R:A:stackset/baseline:<uuid>`."""
    return arn.split(set_arn).resource.removeprefix("stackset/").split(":", 1)[0]


def _stack_page(envelope: "Envelope", name: str, stack_id: str) -> str | None:
    region = arn.split(stack_id).region or envelope.region
    return console.page(region, "cloudformation", f"/stacks/{name}?stackId={console.encoded(stack_id)}")


def _stack_set_page(envelope: "Envelope", set_arn: str) -> str | None:
    where = arn.split(set_arn)
    name = console.encoded(where.resource.removeprefix("stackset/"))
    return console.page(where.region or envelope.region, "cloudformation", f"/stacksets/{name}/info")
