"""AWS Health: events of a service, planned changes, notices for an account, abuse reports.

One event ARN is shared by all accounts it affects, and a delegated administrator receives its members' events too:
the affected account is part of what identifies it.
"""

from collections.abc import Mapping, Sequence
from datetime import timedelta
from typing import TYPE_CHECKING, Any

from domain.sources import console
from domain.sources.facts import Facts
from domain.sources.fingerprint import fingerprint
from domain.sources.mapping import State
from domain.sources.moments import milliseconds, moment
from domain.sources.reading import SHOWN, flag, instant, items, optional, tags, text

if TYPE_CHECKING:
    from domain.sources.envelope import Envelope

SOURCE = "aws.health"
_EVENT_LOG = "https://health.aws.amazon.com/health/home#/account/event-log?eventID="

# Some published messages call a scheduled change a planned one.
_CATEGORIES = {"issue": 3, "investigation": 2, "scheduledChange": 2, "plannedChange": 2, "accountNotification": 1}
_CHANGES = frozenset({"scheduledChange", "plannedChange"})
_OTHER_CATEGORY = 1
_PUBLIC_ISSUE = 2
_ABUSE = 4
_CREDENTIALS_EXPOSED = 5
_ACTION_REQUIRED = 3
_INFORMATIONAL = 1
_NEAR = int(timedelta(days=7) / timedelta(milliseconds=1))
"""A change that starts within a week (or has started) is one level more urgent: a week still holds a working day."""

_ENDED = frozenset({"closed", "resolved"})
_WELL = frozenset({"RESOLVED", "UNIMPAIRED"})


def communication(detail: Mapping[str, Any], account: str | None) -> Sequence[object] | None:
    """What tells one communication from another; None if Health names none.

    A message, its copy from the backup Region, and the copy for a delegated administrator share it ("communicationId",
    AWS Health user guide, "Schema of EventBridge events").

    Args:
        account: the envelope's.
    """
    if not isinstance(detail.get("communicationId"), str) or not detail["communicationId"]:
        return None
    names = ("eventArn", "communicationId", "lastUpdatedTime", "statusCode", "page")
    return [detail.get("affectedAccount") or account, *(detail.get(name) for name in names)]


def event(envelope: "Envelope") -> Facts:
    """An AWS Health Event, of this account or (organisation view) of a member."""
    return _facts(envelope, _severity(envelope))


def abuse(envelope: "Envelope") -> Facts:
    """A report that something in the account is abused."""
    return _facts(envelope, _ABUSE)


def _facts(envelope: "Envelope", severity: int) -> Facts:
    detail = envelope.detail
    arn, code = text(detail, "eventArn"), text(detail, "eventTypeCode")
    service, status = optional(detail, "service"), optional(detail, "statusCode")
    account = optional(detail, "affectedAccount") or envelope.account
    entities = items(detail, "affectedEntities")
    affected = _affected(entities)
    # The field decides, not the words: texts that begin with [RESOLVED] are published under "open".
    ended = (status or "").lower() in _ENDED
    copy = flag(detail, "backupEvent") and communication(detail, envelope.account) is None
    return Facts(
        title=f"{service} {code}" if service else code,
        text="\n\n".join(filter(None, (_change_times(detail), _description(detail), _page(detail)))) or None,
        account=account,
        region=optional(detail, "eventRegion"),
        resource=(affected and optional(affected, "entityValue"))
        or (envelope.resources[0] if envelope.resources else service),
        resources=tuple(filter(None, (optional(entity, "entityValue") for entity in entities))) or envelope.resources,
        severity=_CREDENTIALS_EXPOSED if code.endswith("RISK_CREDENTIALS_EXPOSED") else severity,
        state=State.EVENT if copy else State.RESOLVED if ended else State.OPEN,
        status=status,
        fingerprint=fingerprint("health", arn, account),
        order=instant(detail, "lastUpdatedTime"),
        console_url=_EVENT_LOG + console.encoded(arn),
        quiet="a copy from the backup Region" if copy else None,
        tags=tags(affected, "tags") if affected else None,
    )


def _severity(envelope: "Envelope") -> int:
    detail = envelope.detail
    category = optional(detail, "eventTypeCategory")
    severity = _CATEGORIES.get(category or "", _OTHER_CATEGORY)
    if category == "issue" and optional(detail, "eventScopeCode") == "PUBLIC":
        severity = _PUBLIC_ISSUE
    if category in _CHANGES and _starts_soon(envelope):
        severity += 1
    actionability = optional(detail, "actionability")
    if actionability == "ACTION_REQUIRED":
        return max(severity, _ACTION_REQUIRED)
    if actionability == "INFORMATIONAL":
        return min(severity, _INFORMATIONAL)
    return severity


def _starts_soon(envelope: "Envelope") -> bool:
    """Whether the change begins within a week of this message. By the message's own time: a replay must agree."""
    detail = envelope.detail
    start, updated = instant(detail, "startTime"), instant(detail, "lastUpdatedTime")
    sent = milliseconds(envelope.time) if envelope.time else updated
    ended = (optional(detail, "statusCode") or "").lower() in _ENDED
    return start is not None and sent is not None and not ended and start - sent <= _NEAR


def _change_times(detail: Mapping[str, Any]) -> str | None:
    """When a change begins and ends, to which its description refers without naming it."""
    if optional(detail, "eventTypeCategory") not in _CHANGES:
        return None
    start, end = _time(detail, "startTime"), _time(detail, "endTime")
    told = [f"Starts {start}." if start else None, f"Ends {end}." if end and end != start else None]
    return " ".join(filter(None, told)) or None


def _time(detail: Mapping[str, Any], name: str) -> str | None:
    """A time for people to read; what is none as it stands there."""
    found = detail.get(name)
    if not isinstance(found, str):
        return None
    when = moment(found)
    return f"{when:%Y-%m-%d %H:%M} UTC" if when else " ".join(found.split())[:SHOWN]


def _description(detail: Mapping[str, Any]) -> str | None:
    """The text, English where there are several. Health writes its line breaks as a backslash and an n."""
    texts = items(detail, "eventDescription")
    english = next((item for item in texts if (optional(item, "language") or "").startswith("en")), None)
    chosen = english or next(iter(texts), None)
    description = optional(chosen, "latestDescription") if chosen else None
    return description.replace("\\n", "\n").strip() if description else None


def _page(detail: Mapping[str, Any]) -> str | None:
    """A notice with many entities comes in pages: messages of their own, alike but for the entities."""
    pages = optional(detail, "totalPages")
    return f"Page {optional(detail, 'page')} of {pages}." if pages and pages != "1" else None


def _affected(entities: Sequence[Mapping[str, Any]]) -> Mapping[str, Any] | None:
    """The first named entity that is not well again, else the first."""
    named = [entity for entity in entities if optional(entity, "entityValue")]
    return next((entity for entity in named if not _is_well(entity)), named[0] if named else None)


def _is_well(entity: Mapping[str, Any]) -> bool:
    """By its status, which stands under either of two keys."""
    return (optional(entity, "status") or optional(entity, "statusCode") or "").upper() in _WELL
