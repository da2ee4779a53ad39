"""GuardDuty findings. A repeat carries the same ARN and a higher count; no message ever says that a finding is over."""

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from domain.sources import console
from domain.sources.facts import Facts
from domain.sources.fingerprint import fingerprint
from domain.sources.mapping import State
from domain.sources.moments import ending
from domain.sources.reading import UnreadableError, flag, instant, items, number, optional, tags, text, value

if TYPE_CHECKING:
    from domain.sources.envelope import Envelope

# From the score's lower bound to our scale ("Severity levels of GuardDuty findings" in its user guide).
_LEVELS = ((9.0, 4), (7.0, 3), (4.0, 2), (1.0, 1))
_ATTACK_SEQUENCE = 4

_RESOURCES = (
    ("instanceDetails", "instanceId"),
    ("accessKeyDetails", "userName"),
    ("s3BucketDetails", "arn"),
    ("eksClusterDetails", "arn"),
    ("lambdaDetails", "functionArn"),
    ("rdsDbInstanceDetails", "dbInstanceArn"),
)

_SERVICE_FIELD = 2
"""Of an ARN."""


def finding(envelope: "Envelope") -> Facts:
    """A finding, new or seen again."""
    detail = envelope.detail
    archived, sample = flag(detail, "service", "archived"), flag(detail, "service", "additionalInfo", "sample")
    account, region = optional(detail, "accountId"), optional(detail, "region")
    count, identifier = number(detail, "service", "count"), optional(detail, "id")
    arn = optional(detail, "arn")
    if arn is None and identifier is None:
        raise UnreadableError("arn and id are missing")
    description = optional(detail, "description")
    region = region or envelope.region
    updated = instant(detail, "updatedAt")
    search = f"/findings?search=id%3D{console.encoded(identifier)}" if identifier else "/findings"
    return Facts(
        title=text(detail, "title"),
        text="\n".join(filter(None, (description, f"Seen {count:.0f} times." if count and count > 1 else None))),
        account=account,
        region=region,
        resource=_affected(detail),
        severity=0 if sample else _severity(detail),
        state=State.RESOLVED if archived else State.OPEN,
        status="archived" if archived else "active",
        # Messages that a tool trimmed have lost the ARN; the id is unique within an account and a Region.
        fingerprint=known_as(arn) if arn else fingerprint("guardduty", account or envelope.account, region, identifier),
        # Archiving a finding does not update it.
        order=ending(updated, envelope.time) if archived else updated,
        console_url=console.page(region, "guardduty", search),
        quiet="a sample finding" if sample else None,
        tags=_tags(detail),
    )


def is_finding(identifier: str) -> bool:
    """Whether a finding's id in Security Hub is the ARN of a finding of GuardDuty's."""
    fields = identifier.split(":")
    return fields[0] == "arn" and len(fields) > _SERVICE_FIELD and fields[_SERVICE_FIELD] == "guardduty"


def known_as(arn: str) -> str:
    """The fingerprint of the finding with an ARN, also when it comes through Security Hub."""
    return fingerprint("guardduty", arn)


def _severity(detail: Mapping[str, Any]) -> int:
    score = number(detail, "severity")
    if score is None:
        raise UnreadableError("severity is missing")
    level = next((level for bound, level in _LEVELS if score >= bound), 0)
    return max(level, _ATTACK_SEQUENCE) if (optional(detail, "type") or "").startswith("AttackSequence:") else level


def _affected(detail: Mapping[str, Any]) -> str | None:
    for kind, name in _RESOURCES:
        if kind == "s3BucketDetails":
            buckets = items(detail, "resource", kind)
            found = optional(buckets[0], name) if buckets else None
        else:
            found = optional(detail, "resource", kind, name)
        if found:
            return found
    return optional(detail, "resource", "resourceType")


def _tags(detail: Mapping[str, Any]) -> Mapping[str, str] | None:
    for kind, _ in _RESOURCES:
        described = value(detail, "resource", kind)
        found = tags(described[0] if isinstance(described, list) and described else described or {}, "tags")
        if found:
            return found
    return None
