"""Ingest: what AWS reports, from the queue to the event store.

A message is recorded once, however often it is delivered: its stream is named after its envelope, and the second
append meets the first. What is no envelope at all goes to the dead-letter queue, without holding up the others.
"""

from datetime import UTC, datetime
from functools import cache
from typing import Any

from aws_lambda_powertools import Logger

from commands.execution import Order, execute, now
from domain.event import DomainEvent
from domain.monitoring_events import MONITORING_EVENTS, MonitoringEvent, recorded
from domain.sources.envelope import Envelope, MalformedEnvelopeError, delivery_uuid, parse
from domain.sources.registry import map_envelope
from infra import clients
from infra.event_store import CommitTooLargeError, DynamoDBEventStore, EventStore
from infra.settings import number, setting
from infra.usage import report

ACTOR = "system:ingest"

logger = Logger()


def handler(event: dict[str, Any], context: object) -> dict[str, Any]:  # noqa: ARG001
    """Lambda entry point, fed by the ingest queue. Reports the messages that are to come back."""
    failures = []
    retention = number("EVENT_RETENTION_DAYS", 90) * 86_400
    for message in event["Records"]:
        try:
            record(_store(), message["body"], arrival(message), str(message["messageId"]), retention)
        except (MalformedEnvelopeError, CommitTooLargeError) as error:
            logger.error("message refused", extra={"message_id": message["messageId"], "reason": str(error)})  # noqa: TRY400
            _give_back_at_once(message)
            failures.append(message)
        except Exception:
            logger.exception("message not recorded", extra={"message_id": message["messageId"]})
            failures.append(message)
    logger.info("ingested", extra={"messages": len(event["Records"]), "failures": len(failures)})
    report()
    return {"batchItemFailures": [{"itemIdentifier": message["messageId"]} for message in failures]}


def record(store: EventStore, body: str, received_at: datetime, message_id: str, retention: int) -> str:
    """Record one message. Returns the uuid that names its stream.

    Args:
        retention: seconds after which it expires.

    Raises:
        MalformedEnvelopeError: the message is no envelope.
        CommitTooLargeError: no item can hold it.
    """
    envelope = parse(body)
    uuid = str(delivery_uuid(envelope))
    at = now()
    expires_at = int(at.timestamp()) + retention
    mapped = map_envelope(envelope, received_at=received_at)
    event = recorded(envelope.raw, mapped, _published_at(envelope, received_at), expires_at)

    def decide(state: MonitoringEvent | None) -> list[DomainEvent]:
        return [] if state else [event]

    order = Order(by=ACTOR, at=at, correlation_id=uuid, causation_id=f"sqs:{message_id}")
    execute(store, MONITORING_EVENTS, uuid, decide, order, creates=True, expires_at=expires_at)
    return uuid


def arrival(message: dict[str, Any]) -> datetime:
    """When the message was put into the queue: the same at each of its deliveries."""
    return datetime.fromtimestamp(int(message["attributes"]["SentTimestamp"]) / 1000, UTC)


def _published_at(envelope: Envelope, received_at: datetime) -> int:
    seconds = int((envelope.time or received_at).timestamp())
    return seconds if seconds >= 0 else int(received_at.timestamp())


def _give_back_at_once(message: dict[str, Any]) -> None:
    """A message that no retry can heal need not wait between its retries. If that fails, it waits: it holds up none."""
    try:
        clients.sqs().change_message_visibility(
            QueueUrl=setting("INGEST_QUEUE_URL"), ReceiptHandle=message["receiptHandle"], VisibilityTimeout=0
        )
    except Exception:
        logger.exception("message not given back at once", extra={"message_id": message["messageId"]})


@cache
def _store() -> EventStore:
    return DynamoDBEventStore(clients.dynamodb(), setting("EVENTS_TABLE"))
