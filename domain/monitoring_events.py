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
from domain.judgement import Judgement
from domain.sources.mapping import MappedEvent
from domain.value import Value

SOFT_LIMIT_BYTES = 512
"""A message up to this size is kept as it is. A larger one is packed: a typical one of 1 KB saves a write unit."""


@event_type("monitoring-event.recorded", 1)
class MonitoringEventRecorded(DomainEvent):
    """What was received: the message as it came, and what it was understood to mean.

    Attributes:
        published_at: seconds since the epoch, the message's own time; when it has none, the time of its arrival.
        expires_at: seconds since the epoch.
        raw: the message, if it is small.
        packed: the message, if it is large: its JSON, deflated (RFC 1950), in base64.
        judged: what the monitoring config made of it.
    """

    mapped: MappedEvent
    judged: Judgement | None = None
    published_at: int
    expires_at: int
    raw: dict[str, Any] | None = None
    packed: str | None = None

    @property
    def message(self) -> dict[str, Any]:
        """The message as it came."""
        if self.packed is None:
            return self.raw or {}
        return unpacked(self.packed)


def unpacked(packed: str) -> dict[str, Any]:
    """The message that was packed."""
    message: dict[str, Any] = json.loads(zlib.decompress(base64.b64decode(packed)))
    return message


def recorded(
    message: Mapping[str, Any],
    mapped: MappedEvent,
    published_at: int,
    expires_at: int,
    judged: Judgement | None = None,
) -> DomainEvent:
    """The event that a message was received. One above SOFT_LIMIT_BYTES is packed: write units are counted in KB."""
    text = json.dumps(message, ensure_ascii=False, separators=(",", ":")).encode("utf-8", "surrogatepass")
    small = len(text) <= SOFT_LIMIT_BYTES
    return MonitoringEventRecorded(
        mapped=mapped,
        judged=judged,
        published_at=published_at,
        expires_at=expires_at,
        raw=dict(message) if small else None,
        packed=None if small else base64.b64encode(zlib.compress(text)).decode(),
    )


class MonitoringEvent(Value):
    mapped: MappedEvent
    judged: Judgement | None = None
    published_at: int
    recorded_at: datetime
    expires_at: int
    raw: dict[str, Any] | None = None
    packed: str | None = None

    @property
    def message(self) -> dict[str, Any]:
        """The message as it came."""
        return (self.raw or {}) if self.packed is None else unpacked(self.packed)


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


MONITORING_EVENTS: Decider[MonitoringEvent] = Decider("event", evolve, MonitoringEvent, schema=2)
