"""The sender: the delivery queue to Slack.

It leases a notification's row, posts, and marks it. What Slack took and the row does not say so (a crash between the
post and the mark, an answer that was lost) is told twice, never not at all. Back-off is the queue's: the delivery's
visibility time-out is moved, so nothing waits in here. A channel that hangs, or refuses a message for longer than a
moment, is paused, so that its messages are not in the way of other channels. What is too much for a channel in this
minute, or comes while it is paused, is put off; the sweeper brings it back.
"""

import json
import random
import time
from typing import Any

from aws_lambda_powertools import Logger

from infra import clients, delivery_rate, metrics, outbox, webhooks
from infra.aws_faults import INFRASTRUCTURE
from infra.outbox import LeasedError, Notification, NotificationId, Status
from infra.secrets import UnusableSecretError, secret
from infra.settings import (
    DELIVERY_BACKOFF_BASE_SECONDS,
    DELIVERY_BACKOFF_CAP_SECONDS,
    LEASE_SECONDS,
    MAX_DELIVERY_ATTEMPTS,
    MAX_PUT_OFF_MINUTES,
    MAX_WAIT_SECONDS,
    PAUSE_SECONDS,
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
    try:
        members = outbox.find_all(map(NotificationId.parse, json.loads(row.members))) if row.members else {}
        url = _webhook(row.channel)
    except INFRASTRUCTURE as error:
        logger.exception("not prepared", extra={"notification": row.id})
        fault = f"what it needs, such as the webhook, could not be read ({type(error).__name__})"
        return _try_again(row, _backoff(row), fault)
    try:
        rendered = messages.message(row, list(members.values()), int(time.time()))
    except Exception as error:
        logger.exception("not rendered", extra={"notification": row.id})
        _give_up(row, f"the message could not be rendered ({type(error).__name__})")
        return None
    if url is None:
        fault = f"no webhook is configured for the channel {row.channel}"
        outbox.finish(row, Status.UNCONFIGURED, error=fault, message=rendered)
        return None
    if not _has_its_turn(row):
        return None
    return _conclude(row, _post(url, rendered), rendered)


def _has_its_turn(row: Notification) -> bool:
    """Whether its channel takes it now; if not, it is put off, or given up if the channel was paused for too long."""
    now, rate = int(time.time()), int(row.rate)
    turn = delivery_rate.turn(row.channel, rate, now, kept=int(row.turn_at or 0))
    if turn.at <= now:
        return True
    if turn.paused and (row.paused or 0) >= MAX_WAIT_SECONDS:
        _give_up(row, f"given up: its channel refused messages for {MAX_WAIT_SECONDS / 3600:.0f} hours")
        return False
    full = f"the channel has had its {rate} messages of this minute"
    cause = "the channel refuses messages for now" if turn.paused else row.error or full
    outbox.put_off(row, min(turn.at, now + MAX_PUT_OFF_MINUTES * 60), turn.at, turn.paused, cause)
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
    if not delivery.heals:
        _give_up(row, delivery.error, rendered)
        return None
    wait = min(max(delivery.retry_after or 0, _backoff(row)), MAX_WAIT_SECONDS)
    if wait < PAUSE_SECONDS and not delivery.timed_out:
        return _try_again(row, wait, delivery.error, rendered)
    turn_at = int(time.time()) + wait
    delivery_rate.pause(row.channel, int(row.rate), turn_at)
    return _try_again(row, wait, delivery.error, rendered, turn_at)


def _backoff(row: Notification) -> int:
    longest = min(DELIVERY_BACKOFF_CAP_SECONDS, DELIVERY_BACKOFF_BASE_SECONDS * 2 ** (int(row.attempts) - 1))
    return round(random.uniform(longest / 2, longest))


def _try_again(
    row: Notification, wait: int, fault: str | None, rendered: str | None = None, turn_at: int | None = None
) -> int | None:
    """Have it come back after so many seconds, unless that was its last attempt. Returns as `_deliver` does."""
    if row.attempts >= MAX_DELIVERY_ATTEMPTS:
        _give_up(row, fault, rendered)
        return None
    outbox.finish(row, Status.DECIDED, error=fault, message=rendered, wait=wait, turn_at=turn_at)
    return wait


def _give_up(row: Notification, fault: str | None, rendered: str | None = None) -> None:
    logger.warning("not sent", extra={"notification": row.id, "reason": fault})
    outbox.finish(row, Status.FAILED, error=fault, message=rendered)
    metrics.notification_failed()


def _come_back(record: dict[str, Any], seconds: int) -> None:
    clients.sqs().change_message_visibility(
        QueueUrl=setting("DELIVERY_QUEUE_URL"), ReceiptHandle=record["receiptHandle"], VisibilityTimeout=seconds
    )
