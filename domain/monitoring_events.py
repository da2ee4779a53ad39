"""Monitoring events: messages received from AWS, each recorded once and never changed."""

import base64
import json
import zlib
from collections.abc import Mapping
from datetime import datetime
from typing import Any

from domain.commit import Recorded
from domain.decider import Decider
from domain.event import DomainEvent, event_type
from domain.sources.mapping import MappedEvent
from domain.value import Value

SOFT_LIMIT_BYTES = 8_192
"""A message up to this size is kept as it is, so that a person can read it in the table."""


@event_type("monitoring-event.recorded", 1)
class MonitoringEventRecorded(DomainEvent):
    """What was received: the message as it came, and what it was understood to mean.

    Attributes:
        published_at: seconds since the epoch, the message's own time; when it has none, the time of its arrival.
        expires_at: seconds since the epoch.
        raw: the message, if it is small.
        packed: the message, if it is large: its JSON, deflated (RFC 1950), in base64.
    """

    mapped: MappedEvent
    published_at: int
    expires_at: int
    raw: dict[str, Any] | None = None
    packed: str | None = None

    @property
    def message(self) -> dict[str, Any]:
        """The message as it came."""
        if self.packed is None:
            return self.raw or {}
        message: dict[str, Any] = json.loads(zlib.decompress(base64.b64decode(self.packed)))
        return message


def recorded(message: Mapping[str, Any], mapped: MappedEvent, published_at: int, expires_at: int) -> DomainEvent:
    """The event that a message was received. One above SOFT_LIMIT_BYTES is packed: write units are counted in KB."""
    text = json.dumps(message, ensure_ascii=False, separators=(",", ":")).encode("utf-8", "surrogatepass")
    small = len(text) <= SOFT_LIMIT_BYTES
    return MonitoringEventRecorded(
        mapped=mapped,
        published_at=published_at,
        expires_at=expires_at,
        raw=dict(message) if small else None,
        packed=None if small else base64.b64encode(zlib.compress(text)).decode(),
    )


class MonitoringEvent(Value):
    mapped: MappedEvent
    published_at: int
    recorded_at: datetime
    expires_at: int
    raw: dict[str, Any] | None = None
    packed: str | None = None


def event_id(published_at: int, uuid: str) -> str:
    """The id people see: `{published_at}-{uuid}`. Its day can be read off it; its stream is named by the uuid."""
    return f"{published_at}-{uuid}"


def parse_event_id(text: str) -> tuple[int, str] | None:
    """The parts of an id, or None if it is not one."""
    seconds, _, uuid = text.partition("-")
    if not (seconds.isascii() and seconds.isdigit() and len(seconds) <= 12 and len(uuid) == 36):
        return None
    return int(seconds), uuid


def evolve(event: MonitoringEvent | None, recorded: Recorded) -> MonitoringEvent:
    if event is None and isinstance(recorded.event, MonitoringEventRecorded):
        return MonitoringEvent(**dict(recorded.event), recorded_at=recorded.at)
    raise ValueError(f"a monitoring event is recorded once and takes no {recorded.event.name}")


MONITORING_EVENTS: Decider[MonitoringEvent] = Decider("event", evolve, MonitoringEvent)
