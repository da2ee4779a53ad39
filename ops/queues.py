"""Sending to SQS and moving what a dead-letter queue holds."""

import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

BATCH = 10
"""Messages in one request, and the most that SQS takes ("Amazon SQS message quotas")."""

BATCH_BYTES = 262_144
"""Bytes in one request. SQS takes more of late; its older limit is what every implementation takes."""

_ATTEMPTS = 4


@dataclass(frozen=True)
class Failure:
    """A message that the queue did not take: its index among those given, and AWS's reason."""

    index: int
    reason: str


@dataclass(frozen=True)
class Moved:
    """A message that went back to its queue; `reason` says why it had been set aside, where that is known."""

    body: str
    reason: str


def send(
    sqs: Any, queue_url: str, bodies: Sequence[str], *, pause: Callable[[float], None] = time.sleep
) -> list[Failure]:
    """Send all bodies, in order, those that AWS fails at more than once.

    Returns:
        The messages that were not taken in the end.
    """
    failures = []
    for batch in _batches(bodies):
        waiting = dict(batch)
        for attempt in range(_ATTEMPTS):
            if attempt:
                pause(0.2 * 2**attempt)
            entries = [{"Id": str(index), "MessageBody": body} for index, body in waiting.items()]
            failed = sqs.send_message_batch(QueueUrl=queue_url, Entries=entries).get("Failed", [])
            failures += [_failure(entry) for entry in failed if entry["SenderFault"]]
            waiting = {int(entry["Id"]): bodies[int(entry["Id"])] for entry in failed if not entry["SenderFault"]}
            if not waiting:
                break
        failures += [_failure(entry) for entry in failed if int(entry["Id"]) in waiting]
    return sorted(failures, key=lambda failure: failure.index)


def redrive(sqs: Any, *, source: str, target: str, now: Callable[[], float] = time.time) -> Iterator[Moved]:
    """Move what lies in `source` back to `target`.

    Each message is sent before it is deleted: none is lost, one may come twice, which the receiver must and does bear.
    Messages set aside again while this runs stay where they are.
    """
    begin = int(now() * 1000)
    kept = []
    try:
        while True:
            received = sqs.receive_message(
                QueueUrl=source,
                MaxNumberOfMessages=BATCH,
                WaitTimeSeconds=1,
                VisibilityTimeout=60,
                MessageSystemAttributeNames=["SentTimestamp"],
                MessageAttributeNames=["All"],
            ).get("Messages", [])
            old = [message for message in received if int(message["Attributes"]["SentTimestamp"]) <= begin]
            kept += [message for message in received if message not in old]
            if not old:
                return
            refused = {failure.index for failure in send(sqs, target, [message["Body"] for message in old])}
            for index, message in enumerate(old):
                if index in refused:
                    kept.append(message)
                else:
                    sqs.delete_message(QueueUrl=source, ReceiptHandle=message["ReceiptHandle"])
                    yield Moved(message["Body"], _reason(message))
    finally:
        # What stays is there for the next reader at once.
        for message in kept:
            sqs.change_message_visibility(QueueUrl=source, ReceiptHandle=message["ReceiptHandle"], VisibilityTimeout=0)


def _batches(bodies: Sequence[str]) -> Iterator[list[tuple[int, str]]]:
    batch: list[tuple[int, str]] = []
    size = 0
    for index, body in enumerate(bodies):
        length = len(body.encode())
        if batch and (len(batch) == BATCH or size + length > BATCH_BYTES):
            yield batch
            batch, size = [], 0
        batch.append((index, body))
        size += length
    if batch:
        yield batch


def _failure(entry: dict[str, Any]) -> Failure:
    return Failure(int(entry["Id"]), entry.get("Message") or entry["Code"])


def _reason(message: dict[str, Any]) -> str:
    """EventBridge writes why it could not deliver into the message's attributes; SQS itself writes nothing."""
    attributes = message.get("MessageAttributes", {})
    told = [attributes[name]["StringValue"] for name in ("ERROR_CODE", "ERROR_MESSAGE") if name in attributes]
    return ": ".join(told)
