"""The delivery queue: the ids of notifications that are to be sent. Which they are, the outbox knows."""

import json
from collections.abc import Iterable

from infra import clients
from infra.settings import setting


def enqueue(ids: Iterable[str]) -> None:
    """Hand notifications to the sender. One call each; one that is handed over twice is sent once."""
    for notification_id in ids:
        clients.sqs().send_message(
            QueueUrl=setting("DELIVERY_QUEUE_URL"), MessageBody=json.dumps({"notification": notification_id})
        )
