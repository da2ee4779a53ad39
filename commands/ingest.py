"""Ingest: what AWS reports, from the queue to the event store and to its alert.

A message is recorded once, however often it is delivered: its stream is named after its envelope, and the second
append meets the first. Then the alerts take the batch's monitoring events, those of one fingerprint together. What is
no envelope at all goes to the dead-letter queue, without holding up the others.
"""

import time
from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime
from functools import cache, lru_cache
from typing import Any, NamedTuple, TypeVar

from aws_lambda_powertools import Logger

from commands import correlation
from commands.correlation import Fresh
from commands.execution import Order, execute, now
from domain.alerts import Alert
from domain.correlation import Occurrence
from domain.event import DomainEvent
from domain.judgement import TAKEN, Judgement, judge, thresholds
from domain.monitoring_config import CONFIG_ID, MONITORING_CONFIG, MonitoringConfig, defaults
from domain.monitoring_events import MONITORING_EVENTS, MonitoringEvent, event_id, recorded
from domain.sources.envelope import Envelope, MalformedEnvelopeError, delivery_uuid, parse
from domain.sources.mapping import MappedEvent
from domain.sources.registry import map_envelope
from domain.sources.splitting import split
from infra import clients, history
from infra.event_store import CommitTooLargeError, DynamoDBEventStore, EventStore
from infra.history import History, WarmHistories
from infra.settings import CONFIG_CACHE_SECONDS, number, setting
from infra.usage import report

ACTOR = "system:ingest"

AT_ONCE = 8
"""Calls to DynamoDB at the same time: a call is waiting, so a batch takes an eighth of the time."""

T = TypeVar("T")
R = TypeVar("R")

logger = Logger()


class Config(NamedTuple):
    """The monitoring config and its version."""

    config: MonitoringConfig
    version: int


class Part(NamedTuple):
    """A message of the queue, or one of the things that it tells of, as it is understood now."""

    message: Mapping[str, Any]
    envelope: Envelope
    uuid: str
    mapped: MappedEvent
    judged: Judgement


class Recording(NamedTuple):
    """A part as it stands in its stream; `fresh` if it was put there just now."""

    part: Part
    occurrence: Occurrence
    fresh: bool


def handler(event: dict[str, Any], context: object) -> dict[str, Any]:  # noqa: ARG001
    """Lambda entry point, fed by the ingest queue. Reports the messages that are to come back."""
    failed: set[str] = set()
    config = _config(int(time.monotonic() // CONFIG_CACHE_SECONDS))
    parts = [part for message in event["Records"] for part in _understood(message, config, failed)]
    fingerprints = list(dict.fromkeys(part.mapped.fingerprint for part in parts if part.judged.verdict in TAKEN))
    # Read before anything is recorded: what was not in an alert then, and is recorded now, cannot have been counted.
    alerts = dict(zip(fingerprints, _at_once(_alert, fingerprints), strict=True))
    recordings = [done for done in _at_once(lambda part: _recorded(part, config, failed), parts) if done]
    _correlated(recordings, alerts, config, failed)
    logger.info("ingested", extra={"messages": len(event["Records"]), "failures": len(failed)})
    report()
    in_order = (message["messageId"] for message in event["Records"])
    return {"batchItemFailures": [{"itemIdentifier": identifier} for identifier in in_order if identifier in failed]}


def record(store: EventStore, part: Part, config: Config) -> Recording:
    """Record a part, unless it was recorded before: then it stays as it was understood and judged then.

    Raises:
        CommitTooLargeError: no item can hold it.
    """
    at = now()
    expires_at = int(at.timestamp()) + number("EVENT_RETENTION_DAYS", 90) * 86_400
    published_at = _published_at(part.envelope, arrival(part.message))
    event = recorded(part.envelope.raw, part.mapped, published_at, expires_at, part.judged)
    fresh = True

    def decide(state: MonitoringEvent | None) -> list[DomainEvent]:
        nonlocal fresh
        fresh = state is None
        return [event] if fresh else []

    order = Order(by=ACTOR, at=at, correlation_id=part.uuid, causation_id=f"sqs:{part.message['messageId']}")
    kept = execute(store, MONITORING_EVENTS, part.uuid, decide, order, creates=True, expires_at=expires_at).state
    assert kept is not None  # noqa: S101 - there is at least the event of just now
    occurrence = Occurrence(
        event_id(kept.published_at, part.uuid),
        kept.mapped,
        kept.judged or judge(kept.mapped, *config),
        kept.published_at,
        kept.recorded_at,
    )
    return Recording(part, occurrence, fresh)


def arrival(message: Mapping[str, Any]) -> datetime:
    """When the message was put into the queue: the same at each of its deliveries."""
    return datetime.fromtimestamp(int(message["attributes"]["SentTimestamp"]) / 1000, UTC)


def _understood(message: Mapping[str, Any], config: Config, failed: set[str]) -> Iterator[Part]:
    """The parts of a message; none of one that is no envelope."""
    try:
        for envelope in split(parse(message["body"])):
            mapped = map_envelope(envelope, received_at=arrival(message))
            yield Part(message, envelope, str(delivery_uuid(envelope)), mapped, judge(mapped, *config))
    except MalformedEnvelopeError as error:
        _refuse(message, error, failed)


def _alert(fingerprint: str) -> History[Alert] | None:
    try:
        return correlation.read(_store(), _warm(), fingerprint)
    except Exception:  # its monitoring events are recorded all the same, and come back when it takes them
        logger.exception("alert not read", extra={"fingerprint": fingerprint})
        return None


def _recorded(part: Part, config: Config, failed: set[str]) -> Recording | None:
    identifier = part.message["messageId"]
    try:
        return record(_store(), part, config)
    except CommitTooLargeError as error:
        _refuse(part.message, error, failed)
    except Exception:
        logger.exception("message not recorded", extra={"message_id": identifier})
        failed.add(identifier)
    return None


def _correlated(
    recordings: Iterable[Recording],
    alerts: Mapping[str, History[Alert] | None],
    config: Config,
    failed: set[str],
) -> None:
    """Let the alerts take what was recorded, those of one fingerprint together."""
    groups: dict[str, list[Recording]] = defaultdict(list)
    for done in recordings:
        if done.occurrence.judged.verdict in TAKEN:
            groups[done.occurrence.mapped.fingerprint].append(done)

    def take(fingerprint: str) -> None:
        group, before = groups[fingerprint], alerts.get(fingerprint)
        occurrences = [done.occurrence for done in group]
        limits = thresholds(occurrences[0].mapped, config.config)
        ids = frozenset(done.occurrence.id for done in group if done.fresh)
        fresh = Fresh(ids, before) if before else None
        try:
            correlation.take(_store(), _warm(), occurrences, limits, ACTOR, fresh)
        except Exception:
            logger.exception("not correlated", extra={"fingerprint": fingerprint, "events": len(group)})
            failed.update(done.part.message["messageId"] for done in group)

    list(_at_once(take, list(groups)))


def _refuse(message: Mapping[str, Any], error: Exception, failed: set[str]) -> None:
    logger.error("message refused", extra={"message_id": message["messageId"], "reason": str(error)})
    failed.add(message["messageId"])
    _give_back_at_once(message)


def _at_once(function: Callable[[T], R], things: Sequence[T]) -> Iterator[R]:
    return map(function, things) if len(things) == 1 else _threads().map(function, things)


def _published_at(envelope: Envelope, received_at: datetime) -> int:
    seconds = int((envelope.time or received_at).timestamp())
    return seconds if seconds >= 0 else int(received_at.timestamp())


def _give_back_at_once(message: Mapping[str, Any]) -> None:
    """A message that no retry can heal need not wait between its retries. If that fails, it waits: it holds up none."""
    try:
        clients.sqs().change_message_visibility(
            QueueUrl=setting("INGEST_QUEUE_URL"), ReceiptHandle=message["receiptHandle"], VisibilityTimeout=0
        )
    except Exception:
        logger.exception("message not given back at once", extra={"message_id": message["messageId"]})


@cache
def _threads() -> ThreadPoolExecutor:
    return ThreadPoolExecutor(AT_ONCE)


@cache
def _store() -> EventStore:
    return DynamoDBEventStore(clients.dynamodb(), setting("EVENTS_TABLE"))


@cache
def _warm() -> WarmHistories:
    return WarmHistories()


@lru_cache(maxsize=1)
def _config(_period: int) -> Config:
    """The monitoring config, read once in each period."""
    kept = history.load(_store(), MONITORING_CONFIG, MONITORING_CONFIG.stream(CONFIG_ID))
    return Config(kept.state or defaults(), kept.version)
