"""Security Hub: findings of many products in the AWS Security Finding Format (ASFF), and what people send on.

Source: the Security Hub user guide, "EventBridge event formats" and "AWS Security Finding Format". A list of several
findings was split before it comes here.
"""

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from domain.sources import console, guardduty, json_text
from domain.sources.facts import Facts
from domain.sources.fingerprint import digest, fingerprint
from domain.sources.mapping import State
from domain.sources.moments import ending, milliseconds
from domain.sources.reading import UnreadableError, flag, instant, items, number, optional, tags, text, value

if TYPE_CHECKING:
    from domain.sources.envelope import Envelope

SOURCE = "aws.securityhub"
IMPORTED = "Security Hub Findings - Imported"

_LABELS = {"INFORMATIONAL": 0, "LOW": 1, "MEDIUM": 2, "HIGH": 3, "CRITICAL": 4}
_NORMALIZED = ((90, 4), (70, 3), (40, 2), (1, 1), (0, 0))
"""From the lower bound of `Severity.Normalized` (0 to 100), which older findings have instead of a label."""

_ENDED_WORKFLOW = frozenset({"RESOLVED", "SUPPRESSED"})
_WELL = frozenset({"PASSED", "NOT_AVAILABLE"})

_GUARDDUTY_SAMPLE = "aws/guardduty/service/additionalInfo/sample"


def finding_id(finding: object) -> str | None:
    """The Id of an entry of `findings`; None when it has none."""
    found = finding.get("Id") if isinstance(finding, Mapping) else None
    return found if isinstance(found, str) else None


def finding(envelope: "Envelope") -> Facts:
    """A finding, new or changed."""
    one = the_finding(envelope.detail)
    resources = items(one, "Resources")
    identifier = text(one, "Id")
    region = optional(one, "Region") or next((optional(it, "Region") for it in resources), None) or envelope.region
    sample = flag(one, "Sample") or flag(one, "ProductFields", _GUARDDUTY_SAMPLE)
    state, status = _state(one)
    affected = tuple(filter(None, (optional(resource, "Id") for resource in resources)))
    return Facts(
        title=text(one, "Title"),
        text=_explanation(one),
        account=optional(one, "AwsAccountId"),
        region=region,
        resource=affected[0] if affected else None,
        resources=affected,
        severity=0 if sample else _severity(one),
        state=state,
        status=status,
        fingerprint=known_as(identifier, optional(one, "ProductArn")),
        order=changed(identifier, instant(one, "UpdatedAt"), state, envelope),
        console_url=console.address(value(one, "Remediation", "Recommendation", "Url"))
        or console.security_hub_finding(region, identifier),
        quiet="a sample finding" if sample else None,
        tags=tags(resources[0], "Tags") if resources else None,
    )


def custom_action(envelope: "Envelope") -> Facts:
    """A person chose an action for a finding in the console: a deed, not a problem."""
    detail = envelope.detail
    action, description = text(detail, "actionName"), optional(detail, "actionDescription")
    findings = items(detail, "findings")
    titles = [title for one in findings if (title := optional(one, "Title"))]
    ids = tuple(identifier for one in findings if (identifier := optional(one, "Id")))
    first = findings[0] if findings else {}
    return Facts(
        title=f"{action}: {titles[0]}" if titles else action,
        text="\n".join(filter(None, (description, *titles))) or None,
        account=optional(first, "AwsAccountId"),
        region=optional(first, "Region"),
        resource=ids[0] if ids else None,
        resources=ids or envelope.resources,
        severity=0,
        state=State.EVENT,
        status=action,
        fingerprint=_deed(envelope),
        console_url=console.security_hub_finding(envelope.region, ids[0]) if ids else None,
    )


def insight_results(envelope: "Envelope") -> Facts:
    """A person sent the results of an insight on: a deed, not a problem."""
    detail = envelope.detail
    insight, action = text(detail, "insightName"), optional(detail, "actionName")
    insight_arn = optional(detail, "insightArn")
    link = console.page(envelope.region, "securityhub", f"/insights/{console.encoded(insight_arn or '')}")
    return Facts(
        title=f"{action}: {insight}" if action else insight,
        text=optional(detail, "actionDescription"),
        resource=insight_arn,
        severity=0,
        state=State.EVENT,
        status=action,
        fingerprint=_deed(envelope),
        console_url=link if insight_arn else None,
    )


def the_finding(detail: Mapping[str, Any]) -> Mapping[str, Any]:
    """The one entry of `findings`.

    Raises:
        UnreadableError: there is none, or it is no object.
    """
    found = items(detail, "findings")
    if not found:
        raise UnreadableError("findings is missing or empty")
    return found[0]


def known_as(identifier: str, product: str | None) -> str:
    """The fingerprint of a finding, in whichever format it comes.

    Args:
        identifier: `Id`, or `finding_info.uid`. An ARN is unique; other ids are so only within their product.
        product: the product's ARN.
    """
    if guardduty.is_finding(identifier):
        return guardduty.known_as(identifier)
    return fingerprint("securityhub", *([identifier] if identifier.startswith("arn:") else [product, identifier]))


def changed(identifier: str, updated: int | None, state: State, envelope: "Envelope") -> int | None:
    """When a finding changed last, in ms since the epoch: when Security Hub told of it.

    Its provider's time leaves out what people do: neither `BatchUpdateFindings` moves "UpdatedAt" (ASFF, required
    attributes) nor `BatchUpdateFindingsV2` "finding_info.modified_time" (API reference). GuardDuty's findings come by
    another way too, with the provider's time alone, so that of these only the end is taken as later.

    Args:
        updated: the provider's time.
    """
    if state is State.RESOLVED:
        return ending(updated, envelope.time)
    if envelope.time is None or guardduty.is_finding(identifier):
        return updated
    return max(milliseconds(envelope.time), updated or 0)


def _severity(one: Mapping[str, Any]) -> int:
    for path in (("Severity",), ("FindingProviderFields", "Severity")):
        labelled = _LABELS.get(optional(one, *path, "Label") or "")
        if labelled is not None:
            return labelled
    score = number(one, "Severity", "Normalized")
    level = next((level for bound, level in _NORMALIZED if score is not None and score >= bound), None)
    if level is None:
        raise UnreadableError("Severity has neither a known Label nor a Normalized score")
    return level


def _state(one: Mapping[str, Any]) -> tuple[State, str | None]:
    """The state, and the word of Security Hub's that decided it."""
    workflow, record = optional(one, "Workflow", "Status"), optional(one, "RecordState")
    compliance = optional(one, "Compliance", "Status")
    if record == "ARCHIVED":
        return State.RESOLVED, record
    if workflow in _ENDED_WORKFLOW:
        return State.RESOLVED, workflow
    if compliance in _WELL:
        return State.RESOLVED, compliance
    return State.OPEN, workflow or compliance or record


def _explanation(one: Mapping[str, Any]) -> str | None:
    rule = None
    if optional(one, "ProductFields", "RelatedAWSResources:0/type") == "AWS::Config::ConfigRule":
        rule = optional(one, "ProductFields", "RelatedAWSResources:0/name")
    lines = (optional(one, "Description"), f"Config rule: {rule}" if rule else None)
    return "\n".join(line for line in lines if line) or None


def _deed(envelope: "Envelope") -> str:
    """Each is a matter of its own, also when it is sent without an id."""
    return fingerprint("securityhub-action", envelope.id or digest(json_text.canonical(envelope.raw)))
