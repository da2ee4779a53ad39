"""GuardDuty's protection plans: whether their agents report, and what scans of objects in S3 find.

Source: the GuardDuty user guide, "Coverage status change notifications" and "Monitoring S3 object scans with Amazon
EventBridge".
"""

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from domain.sources import console
from domain.sources.facts import Facts
from domain.sources.fingerprint import fingerprint
from domain.sources.mapping import State
from domain.sources.reading import UnreadableError, instant, items, optional, part, shown, text, value

if TYPE_CHECKING:
    from domain.sources.envelope import Envelope

_PLAN = {"ACTIVE": (State.RESOLVED, 0), "WARNING": (State.OPEN, 2), "ERROR": (State.OPEN, 3)}

# A clean scan ends nothing: it may be of a newer version, and the infected one may still be there.
_SCAN = {
    "THREATS_FOUND": (State.OPEN, 3),
    "NO_THREATS_FOUND": (State.EVENT, 0),
    "UNSUPPORTED": (State.EVENT, 0),
    "ACCESS_DENIED": (State.EVENT, 1),
    "FAILED": (State.EVENT, 1),
}
_COVERED = (
    ("eksClusterDetails", "clusterName"),
    ("ecsClusterDetails", "clusterName"),
    ("ec2InstanceDetails", "instanceId"),
)


def coverage(envelope: "Envelope") -> Facts:
    """Runtime Monitoring no longer reaches a cluster or an instance, or reaches it again."""
    detail = envelope.detail
    account = optional(detail, "resourceAccountId") or envelope.account
    kind, resource = text(detail, "resourceDetails", "resourceType"), _covered(detail)
    unhealthy = envelope.detail_type.endswith("Unhealthy")
    status = "Unhealthy" if unhealthy else "Healthy"
    return Facts(
        title=f"GuardDuty Runtime Monitoring of {kind} {resource}: {status}",
        text=_issues(detail),
        account=account,
        resource=resource,
        severity=2 if unhealthy else 0,
        state=State.OPEN if unhealthy else State.RESOLVED,
        status=status,
        fingerprint=fingerprint("guardduty-coverage", account, envelope.region, kind, resource),
        order=instant(detail, "lastUpdatedAt"),
        console_url=console.page(envelope.region, "guardduty", "/runtime-monitoring"),
    )


def object_scan(envelope: "Envelope") -> Facts:
    """The result of a scan of one object."""
    detail = envelope.detail
    found, threats = part(detail, "scanResultDetails"), items(detail, "scanResultDetails", "threats")
    status = optional(found, "scanResultStatus") or text(detail, "scanStatus")
    state, severity = _SCAN.get(status, (State.EVENT, 0))
    names = ", ".join(name for threat in threats if (name := optional(threat, "name")))
    scanned = _object(detail)
    version = optional(detail, "s3ObjectDetails", "versionId")
    return Facts(
        title=f"Malware scan of {scanned}: {status}",
        text="\n".join(
            filter(None, (f"Threats: {names}" if names else None, f"Version: {version}" if version else None))
        )
        or None,
        resource=scanned,
        severity=severity,
        state=state,
        status=status,
        fingerprint=fingerprint("guardduty-object", envelope.account, scanned, version),
        console_url=_plans(envelope),
    )


def plan_status(envelope: "Envelope") -> Facts:
    """A plan that scans a bucket works, works in part, or scans nothing."""
    detail = envelope.detail
    bucket, status = text(detail, "s3BucketDetails", "bucketName"), text(detail, "resourceStatus").upper()
    if status not in _PLAN:
        raise UnreadableError(f"resourceStatus is no status of a plan: {shown(status)}")
    state, severity = _PLAN[status]
    return Facts(
        title=f"Malware Protection of bucket {bucket}: {status}",
        text=_reasons(detail),
        resource=bucket,
        severity=severity,
        state=state,
        status=status,
        fingerprint=fingerprint("guardduty-plan", envelope.account, envelope.region, bucket),
        order=instant(detail, "eventTime"),
        console_url=_plans(envelope),
    )


def post_scan_action(envelope: "Envelope") -> Facts:
    """An object was scanned, but could not be tagged with the result. One cause fails for many objects: one problem."""
    detail = envelope.detail
    bucket, scanned = text(detail, "s3ObjectDetails", "bucketName"), _object(detail)
    failed = sorted(
        {
            f"{optional(action, 'actionType')}: {optional(action, 'failureReason')}"
            for action in items(detail, "postScanActions")
        }
    )
    return Facts(
        title=f"Malware Protection of bucket {bucket}: the action after a scan failed",
        text="\n".join((*failed, f"Object: {scanned}")),
        resource=scanned,
        severity=2,
        state=State.OPEN,
        status="FAILED",
        fingerprint=fingerprint("guardduty-post-scan", envelope.account, envelope.region, bucket, *failed),
        order=instant(detail, "eventTime"),
        console_url=_plans(envelope),
    )


def _covered(detail: Mapping[str, Any]) -> str:
    found = (optional(detail, "resourceDetails", kind, name) for kind, name in _COVERED)
    resource = next(filter(None, found), None)
    if resource is None:
        raise UnreadableError("resourceDetails names no cluster or instance")
    return resource


def _issues(detail: Mapping[str, Any]) -> str | None:
    """What is wrong: one text, or of tasks on Fargate a list."""
    listed = value(detail, "resourceDetails", "ecsClusterDetails", "fargateDetails", "issues")
    texts = [optional(detail, "issue"), *(listed if isinstance(listed, list) else ())]
    return "\n".join(text for text in texts if isinstance(text, str) and text) or None


def _object(detail: Mapping[str, Any]) -> str:
    bucket, key = text(detail, "s3ObjectDetails", "bucketName"), text(detail, "s3ObjectDetails", "objectKey")
    return f"s3://{bucket}/{key}"


def _reasons(detail: Mapping[str, Any]) -> str | None:
    reasons = items(detail, "statusReasons")
    lines = (": ".join(filter(None, (optional(one, "code"), optional(one, "message")))) for one in reasons)
    return "\n".join(filter(None, lines)) or None


def _plans(envelope: "Envelope") -> str | None:
    return console.page(envelope.region, "guardduty", "/malware-scans")
