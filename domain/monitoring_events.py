"""Monitoring events: messages received from AWS, each recorded once and never changed."""

from datetime import datetime
from typing import Any

from domain.commit import Recorded
from domain.decider import Decider
from domain.event import DomainEvent, event_type
from domain.sources.mapping import MappedEvent
from domain.value import Value


@event_type("monitoring-event.recorded", 1)
class MonitoringEventRecorded(DomainEvent):
    """What was received: the message as it came (`raw`), and what it was understood to mean.

    Attributes:
        published_at: seconds since the epoch, the message's own time; when it has none, the time of its arrival.
        expires_at: seconds since the epoch.
    """

    mapped: MappedEvent
    published_at: int
    expires_at: int
    raw: dict[str, Any]


class MonitoringEvent(Value):
    mapped: MappedEvent
    published_at: int
    recorded_at: datetime
    expires_at: int
    raw: dict[str, Any]


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


MONITORING_EVENTS: Decider[MonitoringEvent] = Decider("event", evolve)
