"""Trusted Advisor: one item of a check, seen anew. Sent from us-east-1 only, for all Regions.

Source: the AWS Support user guide, "Monitoring AWS Trusted Advisor check results with Amazon EventBridge".
"""

import re
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from domain.sources import arn, console
from domain.sources.facts import Facts
from domain.sources.fingerprint import digest, fingerprint
from domain.sources.mapping import State
from domain.sources.reading import optional, part, text

if TYPE_CHECKING:
    from domain.sources.envelope import Envelope

_STATUS = {"ERROR": (State.OPEN, 3), "WARN": (State.OPEN, 2), "OK": (State.RESOLVED, 0)}
_OTHER_STATUS = (State.EVENT, 0)

# AWS found the keys in public; whoever reads them can use them.
_EMERGENCIES = frozenset({"Exposed Access Keys"})
_EMERGENCY = 5

# What an item is judged by changes from one refresh to the next; what is left names the item.
_VOLATILE_KEY = re.compile(
    r"\b(status|reason|alert criteria|time|date|updated|deadline|days?|age|last|usage|used|utili[sz]ation|average|"
    r"costs?|savings?|price|percent(age)?|number|count|recommended|estimated|current)\b",
    re.IGNORECASE,
)
# The blanks after the sign stand in one place only: in two, they could be divided between them in as many ways.
_MEASURED = re.compile(r"[+-]?\s*(?:\$\s*)?[0-9][0-9.,]*\s*[%$]?")


def check_item(envelope: "Envelope") -> Facts:
    """The status of one item of a check."""
    detail = envelope.detail
    # Some names end in a blank.
    check, status = text(detail, "check-name").strip(), text(detail, "status")
    resource = optional(detail, "resource_id")
    item = part(detail, "check-item-detail")
    state, severity = _STATUS.get(status, _OTHER_STATUS)
    if state is State.OPEN and check in _EMERGENCIES:
        severity = _EMERGENCY
    region = arn.split(resource).region if resource else None
    return Facts(
        title=f"{check}: {resource} {status}" if resource else f"{check} {status}",
        text="\n".join(f"{key}: {said}" for key, said in item.items() if isinstance(said, str) and said) or None,
        region=region,
        resource=resource,
        severity=severity,
        state=state,
        status=status,
        fingerprint=fingerprint("trusted-advisor", envelope.account, check, resource or _named(item)),
        console_url=console.page(envelope.region, "trustedadvisor", "/dashboard"),
    )


def _named(item: Mapping[str, Any]) -> str:
    """The item by what does not change in it."""
    stable = {
        key: said
        for key, said in item.items()
        if isinstance(said, str) and said and not _VOLATILE_KEY.search(key) and not _MEASURED.fullmatch(said.strip())
    }
    return digest(*(word for pair in sorted(stable.items()) for word in pair))
