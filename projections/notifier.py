"""The notifier: the Kinesis data stream to decisions in the outbox.

It only decides. What is to be told goes to the delivery queue, once the decision is kept: a crash in between brings
the batch back, the decision is found and the delivery queued again; the sender sees to it that it is told once.
"""

import base64
import json
import time
from collections.abc import Iterator, Mapping
from typing import Any

from aws_lambda_powertools import Logger

from domain.commit import Commit, Recorded
from domain.monitoring_events import MONITORING_EVENTS, MonitoringEventRecorded, event_id
from domain.notifications import Verdict, judge
from infra import clients, outbox
from infra.commits import from_item
from infra.heartbeats import hear
from infra.outbox import Notification, NotificationId, Status
from infra.secrets import UnusableSecretError, secret
from infra.settings import number, setting
from projections import facts

CHANNEL = "default"

logger = Logger()


def handler(event: dict[str, Any], context: object) -> None:  # noqa: ARG001
    """Lambda entry point, fed by the Kinesis data stream."""
    commits = list(_commits(event))
    decided = sum(map(_decide, commits))
    hear("notifier", commits)
    logger.info("decided", extra={"records": len(event["Records"]), "decisions": decided})


def _decide(commit: Commit) -> int:
    """Decide on each event of a commit. Returns how many decisions that took."""
    if commit.stream.partition("#")[0] != MONITORING_EVENTS.category:
        return 0  # nobody is told of tasks and users yet
    # Not inside: a fault of the infrastructure is no fault of the event, and brings the batch back.
    configured = _configured()
    try:
        decisions = [
            _decision(commit, place, recorded, configured=configured)
            for place, recorded in enumerate(commit.recorded())
        ]
    except Exception as error:  # it must neither hold up the others nor vanish: it shows as failed
        logger.exception("not decided", extra={"stream": commit.stream})
        decisions = [_undecided(commit, error)]
    for decision in decisions:
        row = outbox.decide(decision)
        if row.status == Status.DECIDED:
            clients.sqs().send_message(
                QueueUrl=setting("DELIVERY_QUEUE_URL"), MessageBody=json.dumps({"notification": row.id})
            )
    return len(decisions)


def _decision(commit: Commit, place: int, recorded: Recorded, *, configured: bool) -> Notification:
    event = recorded.event
    if not isinstance(event, MonitoringEventRecorded):
        raise TypeError(f"a monitoring event is recorded and takes no {event.name}")
    status, rule = _status(judge(event.mapped, number("NOTIFY_SEVERITY", 2)), configured=configured)
    told = facts.Facts(
        event_id=event_id(event.published_at, commit.stream.partition("#")[2]),
        published_at=event.published_at,
        event=event.mapped,
    )
    message = facts.message(told) if status is Status.UNCONFIGURED else None
    return _row(commit, place, status=status, rule=rule, facts=told.model_dump_json(), message=message)


def _undecided(commit: Commit, error: Exception) -> Notification:
    unknown = {"event_id": None, "event": {"title": f"An event of {commit.stream} cannot be read", "severity": None}}
    fault = f"{type(error).__name__}: {error}"[:500]
    return _row(commit, 0, status=Status.FAILED, rule="cannot be read", facts=json.dumps(unknown), error=fault)


def _row(commit: Commit, place: int, **attributes: Any) -> Notification:
    notification_id = NotificationId(commit.id, place, CHANNEL)
    return Notification(
        notification_id.pk,
        notification_id.sk,
        id=str(notification_id),
        channel=CHANNEL,
        stream=commit.stream,
        decided_at=int(time.time()),
        ttl=int(commit.at.timestamp()) + number("EVENT_RETENTION_DAYS", 90) * 86_400,
        **attributes,
    )


def _configured() -> bool:
    try:
        return CHANNEL in secret(setting("SLACK_SECRET_ARN"))
    except UnusableSecretError:  # somebody saved something else there; the messages can still be read
        logger.exception("no webhook can be read")
        return False


def _status(verdict: Verdict, *, configured: bool) -> tuple[Status, str]:
    if not verdict.send:
        return Status.SUPPRESSED, verdict.rule
    if not configured:
        return Status.UNCONFIGURED, f"{verdict.rule}, but no webhook is configured for the channel {CHANNEL}"
    return Status.DECIDED, verdict.rule


def _commits(event: Mapping[str, Any]) -> Iterator[Commit]:
    for record in event["Records"]:
        change = json.loads(base64.b64decode(record["kinesis"]["data"]))
        if change["eventName"] != "INSERT":
            continue
        try:
            commit = from_item(change["dynamodb"]["NewImage"])
            _ = NotificationId(commit.id, 0, CHANNEL).pk  # raises for an id that is no UUIDv7
        except (KeyError, ValueError):  # somebody put an item by hand
            logger.exception("not a commit", extra={"keys": change["dynamodb"].get("Keys")})
        else:
            yield commit
