"""AWS Config: a resource began or ceased to comply with a rule.

Source: the AWS Config developer guide, "Monitoring AWS Config with Amazon EventBridge".
"""

from typing import TYPE_CHECKING

from domain.sources import console
from domain.sources.facts import Facts
from domain.sources.fingerprint import fingerprint
from domain.sources.mapping import State
from domain.sources.reading import instant, optional, text

if TYPE_CHECKING:
    from domain.sources.envelope import Envelope

_SEVERITY = 2
"""Of every rule; how grave one is, a severity rule of the monitoring config says by its name."""

_COMPLIANCE = {
    "NON_COMPLIANT": State.OPEN,
    "COMPLIANT": State.RESOLVED,
    "NOT_APPLICABLE": State.RESOLVED,
    "INSUFFICIENT_DATA": State.NO_DATA,
}


def compliance_change(envelope: "Envelope") -> Facts:
    """A rule evaluated a resource otherwise than before, or for the first time."""
    detail = envelope.detail
    rule, compliance = text(detail, "configRuleName"), text(detail, "newEvaluationResult", "complianceType")
    kind, resource_id = text(detail, "resourceType"), text(detail, "resourceId")
    account, region = optional(detail, "awsAccountId"), optional(detail, "awsRegion") or envelope.region
    unknown = compliance == "INSUFFICIENT_DATA"
    return Facts(
        title=f"{rule}: {kind}/{resource_id} {compliance}",
        text=optional(detail, "newEvaluationResult", "annotation"),
        account=account,
        region=region,
        resource=f"{kind}/{resource_id}",
        severity=0 if unknown else _SEVERITY,
        state=_COMPLIANCE.get(compliance, State.EVENT),
        status=compliance,
        fingerprint=fingerprint("config", account or envelope.account, region, rule, kind, resource_id),
        order=instant(detail, "newEvaluationResult", "resultRecordedTime"),
        console_url=console.page(region, "config", f"/rules/details?configRuleName={console.encoded(rule)}"),
        quiet="not evaluated yet" if unknown else None,
    )
