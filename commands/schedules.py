"""What happens by the clock."""

from functools import cache
from typing import Any

from aws_lambda_powertools import Logger

from commands.execution import Order, execute, new_id, now
from domain.heartbeats import HEARTBEATS, HeartbeatSent
from infra import clients
from infra.event_store import DynamoDBEventStore, EventStore
from infra.settings import HEARTBEAT_EXPIRES_SECONDS, setting
from infra.usage import report

ACTOR = "system:scheduler"

logger = Logger()


def handler(event: dict[str, Any], context: object) -> None:  # noqa: ARG001
    """Lambda entry point, called every minute."""
    stream = send_heartbeat(_store())
    report()
    logger.info("heartbeat sent", extra={"stream": stream})


def send_heartbeat(store: EventStore) -> str:
    """Append a heartbeat, in a stream of its own that expires. Returns the stream."""
    beat, at = new_id(), now()
    order = Order(by=ACTOR, at=at, correlation_id=beat, causation_id="schedule:heartbeat")
    expires_at = int(at.timestamp()) + HEARTBEAT_EXPIRES_SECONDS
    execute(store, HEARTBEATS, beat, lambda _: [HeartbeatSent()], order, creates=True, expires_at=expires_at)
    return HEARTBEATS.stream(beat)


@cache
def _store() -> EventStore:
    return DynamoDBEventStore(clients.dynamodb(), setting("EVENTS_TABLE"))
