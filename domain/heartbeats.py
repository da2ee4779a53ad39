"""Heartbeats: commits that say nothing but that they were made. A silent stream is told from a stuck one by them."""

from datetime import datetime

from domain.commit import Recorded
from domain.decider import Decider
from domain.event import DomainEvent, event_type
from domain.value import Value

CATEGORY = "heartbeat"


@event_type("heartbeat.sent", 1)
class HeartbeatSent(DomainEvent):
    pass


class Heartbeat(Value):
    sent_at: datetime


def evolve(beat: Heartbeat | None, recorded: Recorded) -> Heartbeat:
    if beat is None and isinstance(recorded.event, HeartbeatSent):
        return Heartbeat(sent_at=recorded.at)
    raise ValueError(f"a heartbeat is sent once and takes no {recorded.event.name}")


HEARTBEATS: Decider[Heartbeat] = Decider(CATEGORY, evolve, Heartbeat)
