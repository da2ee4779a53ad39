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
from domain.monitoring_events import MonitoringEventRecorded, event_id
from domain.notifications import Verdict, judge
from infra import clients, outbox
from infra.commits import from_item
from infra.outbox import Notification, NotificationId, Status
from infra.secrets import secret
from infra.settings import number, setting
from projections import facts

CHANNEL = "default"

logger = Logger()


def handler(event: dict[str, Any], context: object) -> None:  # noqa: ARG001
    """Lambda entry point, fed by the Kinesis data stream."""
    decided = 0
    for commit in _commits(event):
        for index, recorded in enumerate(commit.recorded()):
            if isinstance(recorded.event, MonitoringEventRecorded):
                _decide(commit, index, recorded, recorded.event)
                decided += 1
    logger.info("decided", extra={"records": len(event["Records"]), "decisions": decided})


def _decide(commit: Commit, index: int, recorded: Recorded, event: MonitoringEventRecorded) -> None:
    verdict = judge(event.mapped, number("NOTIFY_SEVERITY", 2))
    status, rule = _status(verdict)
    notification_id = NotificationId(commit.id, index, CHANNEL)
    told = facts.Facts(
        event_id=event_id(event.published_at, commit.stream.partition("#")[2]),
        published_at=event.published_at,
        event=event.mapped,
    )
    row = outbox.decide(
        Notification(
            notification_id.pk,
            notification_id.sk,
            id=str(notification_id),
            status=status,
            channel=CHANNEL,
            rule=rule,
            stream=commit.stream,
            facts=told.model_dump_json(),
            decided_at=int(time.time()),
            message=facts.message(told) if status is Status.UNCONFIGURED else None,
            ttl=int(recorded.at.timestamp()) + number("EVENT_RETENTION_DAYS", 90) * 86_400,
        )
    )
    if row.status == Status.DECIDED:
        clients.sqs().send_message(
            QueueUrl=setting("DELIVERY_QUEUE_URL"), MessageBody=json.dumps({"notification": str(notification_id)})
        )


def _status(verdict: Verdict) -> tuple[Status, str]:
    if not verdict.send:
        return Status.SUPPRESSED, verdict.rule
    if CHANNEL not in secret(setting("SLACK_SECRET_ARN")):
        return Status.UNCONFIGURED, f"{verdict.rule}, but no webhook is configured for the channel {CHANNEL}"
    return Status.DECIDED, verdict.rule


def _commits(event: Mapping[str, Any]) -> Iterator[Commit]:
    for record in event["Records"]:
        change = json.loads(base64.b64decode(record["kinesis"]["data"]))
        if change["eventName"] == "INSERT":
            yield from_item(change["dynamodb"]["NewImage"])
