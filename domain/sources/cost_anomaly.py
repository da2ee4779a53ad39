"""Cost Anomaly Detection. A repeat carries the same id and a higher impact; no message says that an anomaly is over.

Source: the AWS Cost Management user guide, "Using EventBridge with Cost Anomaly Detection".
"""

import re
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from domain.sources import console
from domain.sources.facts import Facts
from domain.sources.fingerprint import fingerprint
from domain.sources.mapping import State
from domain.sources.moments import milliseconds
from domain.sources.reading import UnreadableError, instant, items, number, optional, text

if TYPE_CHECKING:
    from domain.sources.envelope import Envelope

# From the total impact in USD. Severity rules, and `min_severity`, of the monitoring config draw other lines.
_LEVELS = ((1_000.0, 3), (100.0, 2))
_SMALL = 1

# The link comes with the message, and is shown to people: only the console's own pages are.
_CONSOLE = re.compile(
    r"https://([a-z0-9-]+\.)?console\.(aws\.amazon\.com|amazonaws\.cn|amazonaws-us-gov\.com)/"
    r"[A-Za-z0-9/?#&=%.:;,@!$()*+~_-]*"
)


def anomaly(envelope: "Envelope") -> Facts:
    """More was spent than expected."""
    detail = envelope.detail
    anomaly_id, impact = text(detail, "anomalyId"), number(detail, "impact", "totalImpact")
    if impact is None:
        raise UnreadableError("impact.totalImpact is missing")
    severity = next((level for bound, level in _LEVELS if impact >= bound), _SMALL)
    causes = items(detail, "rootCauses")
    cause = causes[0] if causes else {}
    what = ": ".join(filter(None, (optional(detail, "monitorName"), optional(detail, "dimensionValue"))))
    link = optional(detail, "anomalyDetailsLink")
    return Facts(
        title=f"{what or 'Cost anomaly'} {impact:+,.2f} USD",
        text="\n".join(_explanation(detail, causes)) or None,
        account=optional(cause, "linkedAccount") or optional(detail, "accountId"),
        region=optional(cause, "region"),
        resource=optional(detail, "monitorArn") or next(iter(envelope.resources), None),
        severity=severity,
        # Nothing ever ends an anomaly but a person, whom a small one is not worth, unless a severity rule raises it.
        state=State.OPEN if severity > _SMALL else State.EVENT,
        fingerprint=fingerprint("cost-anomaly", anomaly_id),
        order=_order(envelope),
        console_url=link
        if link and _CONSOLE.fullmatch(link)
        else console.page(envelope.region, "cost-management", "/anomaly-detection/overview"),
    )


def _order(envelope: "Envelope") -> int | None:
    """When it was told, or its last day if that is later: an anomaly may grow several times within a day."""
    last, sent = instant(envelope.detail, "anomalyEndDate"), envelope.time
    return last if sent is None else max(milliseconds(sent), last or 0)


def _explanation(detail: Mapping[str, Any], causes: Sequence[Mapping[str, Any]]) -> list[str]:
    actual, expected = number(detail, "impact", "totalActualSpend"), number(detail, "impact", "totalExpectedSpend")
    lines = []
    if actual is not None and expected is not None:
        lines.append(f"Spent {actual:,.2f} USD, expected {expected:,.2f} USD.")
    for cause in causes:
        said = ", ".join(
            filter(None, (optional(cause, name) for name in ("service", "usageType", "region", "linkedAccountName")))
        )
        if said:
            lines.append(f"Cause: {said}")
    return lines
