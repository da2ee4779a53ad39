"""The envelope around every message from EventBridge, read leniently: a broken field is noted, never refused."""

import re
import uuid
from collections.abc import Mapping
from datetime import datetime
from typing import Any

from domain.sources import json_text, registry
from domain.sources.moments import moment
from domain.sources.reading import shown
from domain.value import Value

UNKNOWN_SOURCE = "unknown"

# Ours alone, so that no other program's UUIDv5 of the same text can meet one of these.
_NAMESPACE = uuid.UUID("5b0f3c0e-6c1b-4f57-9a53-0f6f5a1c7d42")
# What a second delivery of one message shares. The id alone is not enough: published samples, and tools that replay
# them, send different messages under one id.
_DELIVERY_FIELDS = ("id", "source", "detail-type", "account", "region", "time")

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
        raw: the whole message, to be stored: a better mapper can read it again.
        faults: what is wrong with the fields above, one sentence each.
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

    It is made from the envelope's facts; without an id, from the whole message.
    """
    raw = envelope.raw
    facts = [raw.get(name) for name in _DELIVERY_FIELDS] if envelope.id else raw
    return uuid.uuid5(_NAMESPACE, json_text.canonical(facts))


def _envelope(message: object) -> Envelope:
    if not isinstance(message, dict):
        raise MalformedEnvelopeError(f"the message is not a JSON object but {shown(message)}")
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
