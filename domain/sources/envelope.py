"""The envelope around every message from EventBridge, read leniently: a broken field is noted, never refused.

What comes by another way (through an SNS topic, or as the input of an alarm's Lambda function) is put into this shape.
"""

import re
import uuid
from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any

from domain.sources import alarm_messages, ecs, health, json_text, monitoring_agent, registry, sns
from domain.sources.moments import moment
from domain.sources.reading import shown
from domain.value import Value

UNKNOWN_SOURCE = "unknown"

# Ours alone, so that no other program's UUIDv5 of the same text can meet one of these.
_NAMESPACE = uuid.UUID("5b0f3c0e-6c1b-4f57-9a53-0f6f5a1c7d42")
# What a second delivery of one message shares. The id alone is not enough: published samples, and tools that replay
# them, send different messages under one id.
_DELIVERY_FIELDS = ("id", "source", "detail-type", "account", "region", "time")
# What two publications of one finding of ours share, beside the id in its detail.
_FINDING_FIELDS = ("source", "detail-type", "account")
# What the copies of one notice of Health, or of one version in ECS, share beside what it names itself.
_COPY_FIELDS = ("source", "detail-type")

_ACCOUNT = re.compile(r"[0-9]{12}")
_REGION = re.compile(r"[a-z]{2}(-[a-z]+)+-[0-9]")
_SOURCE_PREFIXES = ("aws.", "monitoring.")


class MalformedEnvelopeError(ValueError):
    """Not a message at all: no JSON object, no detail-type, or no detail. The text says which."""


class Envelope(Value):
    """One message as EventBridge delivers it.

    Attributes:
        id: EventBridge's id of the delivery; None when there is none.
        source: `aws.guardduty`, `monitoring.agent` …; of a message without one, the source of the mapper that claims
            its detail-type, else `unknown`.
        detail_type: never empty.
        account: as sent, even when it is not 12 digits (then `faults` says so); None when there is none.
        time: in UTC; None when it is missing or not a timestamp.
        region: as sent; None when there is none.
        resources: the non-empty strings of the list.
        detail: the source's own part.
        raw: the whole message, to be stored: a better mapper can read it again. Of one that came by another way than
            EventBridge, what it was put into.
        faults: what is wrong with the fields above, one sentence each.
        part: tells the parts of one message apart; None for a whole one.
    """

    id: str | None
    source: str
    detail_type: str
    account: str | None
    time: datetime | None
    region: str | None
    resources: tuple[str, ...]
    detail: Mapping[str, Any]
    raw: Mapping[str, Any]
    faults: tuple[str, ...] = ()
    part: str | None = None


def parse(text: str | bytes) -> Envelope:
    """Read a message from its JSON text.

    Raises:
        MalformedEnvelopeError: if it is not JSON (see `json_text.decode`), or `read` refuses it.
    """
    try:
        message = json_text.decode(text)
    except ValueError as error:
        raise MalformedEnvelopeError(f"the message is not usable JSON: {error}") from error
    return _envelope(message)


def read(message: object) -> Envelope:
    """Read a message that is decoded already, as Lambda hands it over.

    Raises:
        MalformedEnvelopeError: if it is not a JSON object, has no detail-type, or its detail is not an object.
    """
    try:
        cleaned = json_text.clean(message)
    except ValueError as error:
        raise MalformedEnvelopeError(f"the message is not usable JSON: {error}") from error
    return _envelope(cleaned)


def delivery_uuid(envelope: Envelope) -> uuid.UUID:
    """The same UUID (version 5) for every delivery of one message, and another for any other message.

    It is made from the envelope's facts; without an id, from the whole message. Each part of a message has its own. A
    finding of ours is named by the id in its detail, a notice of Health by its communication, and news of ECS by what
    they are about and its version: published twice, they come under two ids of EventBridge's.
    """
    whole = uuid.uuid5(_NAMESPACE, json_text.canonical(_identity(envelope)))
    return whole if envelope.part is None else uuid.uuid5(whole, envelope.part)


def _identity(envelope: Envelope) -> object:
    raw = envelope.raw
    finding = envelope.detail.get("id")
    if envelope.source == monitoring_agent.SOURCE and finding and isinstance(finding, str):
        return [finding, *(raw.get(name) for name in _FINDING_FIELDS)]
    named = _named(envelope)
    if named:
        return [*named, *(raw.get(name) for name in _COPY_FIELDS)]
    return [raw.get(name) for name in _DELIVERY_FIELDS] if envelope.id else raw


def _named(envelope: Envelope) -> Sequence[object] | None:
    """What the source itself names a message by; None if by nothing."""
    if envelope.source == health.SOURCE:
        return health.communication(envelope.detail, envelope.account)
    return ecs.version(envelope.detail) if envelope.source == ecs.SOURCE else None


def _envelope(message: object) -> Envelope:
    if not isinstance(message, dict):
        raise MalformedEnvelopeError(f"the message is not a JSON object but {shown(message)}")
    message = _bridged(message)
    detail_type = message.get("detail-type")
    if not isinstance(detail_type, str) or not detail_type.strip():
        raise MalformedEnvelopeError("the message has no detail-type")
    detail = message.get("detail")
    if not isinstance(detail, dict):
        raise MalformedEnvelopeError("the message's detail is not an object")
    faults: list[str] = []
    return Envelope(
        id=_string(message, "id", faults),
        source=_source(message, detail_type, faults),
        detail_type=detail_type,
        account=_matching(message, "account", _ACCOUNT, "12 digits", faults),
        time=_time(message, faults),
        region=_matching(message, "region", _REGION, "a Region", faults),
        resources=_resources(message, faults),
        detail=detail,
        raw=message,
        faults=tuple(faults),
    )


def _bridged(message: dict[str, Any]) -> dict[str, Any]:
    """The message in EventBridge's shape, by whatever way it came."""
    if "detail-type" in message:
        return message
    notifications = sns.records(message)
    if notifications is not None and len(notifications) > 1:
        bridged = {"source": sns.SOURCE, "detail-type": sns.RECORDS, "detail": message}
    elif notifications is not None:
        bridged = sns.opened(notifications[0])
    elif sns.is_notification(message):
        bridged = sns.opened(message)
    elif alarm_messages.is_notification(message):
        bridged = alarm_messages.from_notification(message)
    elif alarm_messages.is_action(message):
        bridged = alarm_messages.from_action(message)
    else:
        return message
    try:
        cleaned: dict[str, Any] = json_text.clean(bridged)  # it stands a level deeper than what came
    except ValueError as error:
        raise MalformedEnvelopeError(f"the message is not usable JSON: {error}") from error
    return cleaned


def _string(message: dict[str, Any], name: str, faults: list[str]) -> str | None:
    found = message.get(name)
    if found is None or found == "":
        faults.append(f"{name} is missing")
        return None
    if not isinstance(found, str):
        faults.append(f"{name} is not a string but {shown(found)}")
        return None
    return found


def _matching(
    message: dict[str, Any], name: str, pattern: re.Pattern[str], expected: str, faults: list[str]
) -> str | None:
    found = _string(message, name, faults)
    if found and not pattern.fullmatch(found):
        faults.append(f"{name} is not {expected}: {shown(found)}")
    return found


def _source(message: dict[str, Any], detail_type: str, faults: list[str]) -> str:
    found = _string(message, "source", faults)
    if found is None:
        return registry.claimed_source(detail_type) or UNKNOWN_SOURCE
    if not found.startswith(_SOURCE_PREFIXES):
        faults.append(f"source starts neither with aws. nor with monitoring.: {shown(found)}")
    return found


def _time(message: dict[str, Any], faults: list[str]) -> datetime | None:
    found = _string(message, "time", faults)
    if found is None:
        return None
    when = moment(found)
    if when is None:
        faults.append(f"time is not a timestamp: {shown(found)}")
    return when


def _resources(message: dict[str, Any], faults: list[str]) -> tuple[str, ...]:
    found = message.get("resources")
    if found is None:  # EventBridge leaves it out, or empty, for many sources: no fault
        return ()
    if not isinstance(found, list):
        faults.append(f"resources is not a list but {shown(found)}")
        return ()
    kept = tuple(item for item in found if isinstance(item, str) and item)
    if len(kept) < len(found):
        faults.append(f"resources holds {len(found) - len(kept)} entries that are not names")
    return kept
