"""Security Hub's findings in the Open Cybersecurity Schema Framework (OCSF), which it sends as "V2".

Source: the Security Hub user guide, "EventBridge event formats"; the finding classes of OCSF (https://schema.ocsf.io).
The same finding in the older format has the same fingerprint.
"""

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from domain.sources import console, guardduty, securityhub
from domain.sources.facts import Facts
from domain.sources.mapping import State
from domain.sources.reading import UnreadableError, instant, items, number, optional, tags, text, value

if TYPE_CHECKING:
    from domain.sources.envelope import Envelope

SOURCE = securityhub.SOURCE
IMPORTED = "Findings Imported V2"

_SEVERITIES = {1: 0, 2: 1, 3: 2, 4: 3, 5: 4, 6: 5}
_WORDS = {"informational": 0, "low": 1, "medium": 2, "high": 3, "critical": 4, "fatal": 5}

_ENDED = {3: "suppressed", 4: "resolved", 5: "closed", 6: "deleted"}
"""By `status_id`. OCSF calls 5 archived, and one public tool takes it for closed: over either way."""

_CLOSE = 3
_PASS = 1
_LAST_MILLISECOND = 253_402_300_799_999
_SAMPLE = "[SAMPLE]"


def finding_id(finding: object) -> str | None:
    """The uid of an entry of `findings`; None when it has none."""
    info = finding.get("finding_info") if isinstance(finding, Mapping) else None
    found = info.get("uid") if isinstance(info, Mapping) else None
    return found if isinstance(found, str) else None


def finding(envelope: "Envelope") -> Facts:
    """A finding, new or changed."""
    one = securityhub.the_finding(envelope.detail)
    resources = items(one, "resources")
    identifier, title = text(one, "finding_info", "uid"), text(one, "finding_info", "title")
    region = (
        optional(one, "cloud", "region")
        or next((optional(resource, "region") for resource in resources), None)
        or envelope.region
    )
    # GuardDuty's user guide: the titles of its sample findings begin so. OCSF has no field for it.
    sample = guardduty.is_finding(identifier) and title.startswith(_SAMPLE)
    state, status = _state(one)
    affected = tuple(filter(None, (optional(resource, "uid") for resource in resources)))
    references = value(one, "remediation", "references")
    link = console.address(references[0]) if isinstance(references, list) and references else None
    return Facts(
        title=title,
        text=optional(one, "finding_info", "desc"),
        account=optional(one, "cloud", "account", "uid"),
        region=region,
        resource=affected[0] if affected else None,
        resources=affected,
        severity=0 if sample else _severity(one),
        state=state,
        status=status,
        fingerprint=securityhub.known_as(identifier, optional(one, "metadata", "product", "uid")),
        order=securityhub.changed(identifier, _modified(one), state, envelope),
        console_url=link or console.page(region, "securityhub/v2", "/findings"),
        quiet="a sample finding" if sample else None,
        tags=tags(resources[0], "tags") if resources else None,
    )


def _severity(one: Mapping[str, Any]) -> int:
    level, word = number(one, "severity_id"), optional(one, "severity")
    if level in _SEVERITIES:
        return _SEVERITIES[int(level)]
    if word and word.lower() in _WORDS:
        return _WORDS[word.lower()]
    raise UnreadableError("neither severity_id nor severity is a known one")


def _state(one: Mapping[str, Any]) -> tuple[State, str | None]:
    """The state, and the word that decided it."""
    status = number(one, "status_id")
    if status in _ENDED:
        return State.RESOLVED, optional(one, "status") or _ENDED[int(status)]
    if number(one, "activity_id") == _CLOSE:
        return State.RESOLVED, optional(one, "activity_name") or "close"
    if number(one, "compliance", "status_id") == _PASS:
        return State.RESOLVED, optional(one, "compliance", "status") or "pass"
    return State.OPEN, optional(one, "status")


def _modified(one: Mapping[str, Any]) -> int | None:
    """When it was changed last: as text, or in ms since the epoch."""
    at = instant(one, "finding_info", "modified_time_dt")
    if at is not None:
        return at
    stamp = number(one, "finding_info", "modified_time")
    return int(stamp) if stamp is not None and 0 <= stamp <= _LAST_MILLISECOND else None
