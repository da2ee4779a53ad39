"""The sender: the delivery queue to Slack.

It leases a notification's row, posts, and marks it. A crash between the post and the mark can tell people twice,
never not at all. Back-off is the queue's: the delivery's visibility time-out is moved, so nothing waits in here. What
is too much for a channel in this minute is put off; the sweeper brings it back.
"""

import json
import random
import time
from typing import Any

from aws_lambda_powertools import Logger

from infra import clients, metrics, outbox, webhooks
from infra.delivery_rate import turn
from infra.outbox import LeasedError, Notification, NotificationId, Status
from infra.secrets import UnusableSecretError, secret
from infra.settings import (
    DELIVERY_BACKOFF_BASE_SECONDS,
    DELIVERY_BACKOFF_CAP_SECONDS,
    LEASE_SECONDS,
    MAX_DELIVERY_ATTEMPTS,
    MAX_PUT_OFF_MINUTES,
    MAX_WAIT_SECONDS,
    setting,
)
from infra.webhooks import Delivery
from projections import messages

logger = Logger()


def handler(event: dict[str, Any], context: object) -> dict[str, Any]:  # noqa: ARG001
    """Lambda entry point, fed by the delivery queue. Reports the deliveries that are to come back."""
    failures = []
    for record in event["Records"]:
        try:
            wait = _deliver(record)
        except Exception:
            logger.exception("delivery interrupted", extra={"message_id": record["messageId"]})
            wait = LEASE_SECONDS + 1
        if wait is not None:
            _come_back(record, wait)
            failures.append({"itemIdentifier": record["messageId"]})
    logger.info("handled", extra={"records": len(event["Records"]), "coming_back": len(failures)})
    return {"batchItemFailures": failures}


def _deliver(record: dict[str, Any]) -> int | None:
    """Deliver one notification. Returns the seconds after which it is to come back, or None if it is done with."""
    notification_id = NotificationId.parse(json.loads(record["body"])["notification"])
    try:
        row = outbox.lease(notification_id)
    except LeasedError:
        return LEASE_SECONDS
    return _send(row) if row else None


def _send(row: Notification) -> int | None:
    """Send what is leased. Returns as `_deliver` does."""
    if row.attempts > MAX_DELIVERY_ATTEMPTS:  # senders died of it, again and again
        _give_up(row, f"given up: no sender survived {MAX_DELIVERY_ATTEMPTS} attempts")
        return None
    members = outbox.find_all(map(NotificationId.parse, json.loads(row.members))) if row.members else {}
    try:
        rendered = messages.message(row, list(members.values()))
    except Exception as error:
        logger.exception("not rendered", extra={"notification": row.id})
        _give_up(row, f"the message could not be rendered ({type(error).__name__})")
        return None
    url = _webhook(row.channel)
    if url is None:
        fault = f"no webhook is configured for the channel {row.channel}"
        outbox.finish(row, Status.UNCONFIGURED, error=fault, message=rendered)
        return None
    if not _has_its_turn(row):
        return None
    return _conclude(row, _post(url, rendered), rendered)


def _has_its_turn(row: Notification) -> bool:
    """Whether its channel takes it now; if not, it is put off. A place that was kept for it is not asked for again."""
    now = int(time.time())
    turn_at = int(row.turn_at or turn(row.channel, int(row.rate), now))
    if turn_at <= now:
        return True
    reason = f"the channel has had its {int(row.rate)} messages of this minute"
    outbox.put_off(row, min(turn_at, now + MAX_PUT_OFF_MINUTES * 60), reason, turn_at)
    return False


def _webhook(channel: str) -> str | None:
    try:
        return secret(setting("SLACK_SECRET_ARN")).get(channel)
    except UnusableSecretError:  # somebody saved something else there; the messages can still be read
        logger.exception("no webhook can be read")
        return None


def _post(url: str, rendered: str) -> Delivery:
    hosts = {host.strip() for host in setting("WEBHOOK_HOSTS").split(",") if host.strip()}
    fault = webhooks.fault(url, hosts, allow_loopback=setting("ALLOW_LOOPBACK_WEBHOOKS") == "yes")
    return Delivery(sent=False, error=fault) if fault else webhooks.post(url, json.loads(rendered))


def _conclude(row: Notification, delivery: Delivery, rendered: str) -> int | None:
    if delivery.sent:
        outbox.finish(row, Status.SENT, message=rendered)
        return None
    attempts = int(row.attempts)
    if delivery.heals and attempts < MAX_DELIVERY_ATTEMPTS:
        backoff = min(DELIVERY_BACKOFF_CAP_SECONDS, DELIVERY_BACKOFF_BASE_SECONDS * 2 ** (attempts - 1))
        wait = max(delivery.retry_after or 0, round(random.uniform(backoff / 2, backoff)))
        wait = min(wait, MAX_WAIT_SECONDS)
        outbox.finish(row, Status.DECIDED, error=delivery.error, message=rendered, wait=wait)
        return wait
    _give_up(row, delivery.error, rendered)
    return None


def _give_up(row: Notification, fault: str | None, rendered: str | None = None) -> None:
    logger.warning("not sent", extra={"notification": row.id, "reason": fault})
    outbox.finish(row, Status.FAILED, error=fault, message=rendered)
    metrics.notification_failed()


def _come_back(record: dict[str, Any], seconds: int) -> None:
    clients.sqs().change_message_visibility(
        QueueUrl=setting("DELIVERY_QUEUE_URL"), ReceiptHandle=record["receiptHandle"], VisibilityTimeout=seconds
    )
