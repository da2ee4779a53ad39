"""What comes by way of an SNS topic, put into the shape in which EventBridge would have brought it.

A notification holds one of: a message of EventBridge (from a rule whose target is a topic); an alarm as CloudWatch
writes it to a topic; the lines that CloudFormation writes to one; any other text. Source: the SNS developer guide,
"Parsing message formats".
"""

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from domain.sources import alarm_messages, arn, json_text, stack_notification
from domain.sources.facts import Facts
from domain.sources.fingerprint import fingerprint
from domain.sources.mapping import State
from domain.sources.reading import UnreadableError, optional, text

if TYPE_CHECKING:
    from domain.sources.envelope import Envelope

SOURCE = "aws.sns"
NOTIFICATION = "SNS Notification"
CONFIRMATION = "SNS Subscription Confirmation"
RECORDS = "SNS Records"

_TYPES = {
    "Notification": NOTIFICATION,
    "SubscriptionConfirmation": CONFIRMATION,
    "UnsubscribeConfirmation": CONFIRMATION,
}

# The other fields are not stored: whoever reads a token, or an address that holds one, can confirm or end the
# subscription.
_KEPT = ("Type", "MessageId", "TopicArn", "Subject", "Message", "Timestamp", "MessageAttributes")


def records(message: Mapping[str, Any]) -> Sequence[Any] | None:
    """The notifications in an event that SNS made for Lambda; None when this is none. Its entries may be anything."""
    found = message.get("Records")
    if not isinstance(found, list) or not any(isinstance(record, dict) and "Sns" in record for record in found):
        return None
    return [record.get("Sns") if isinstance(record, dict) else record for record in found]


def is_notification(message: Mapping[str, Any]) -> bool:
    """Whether SNS wrote this to a queue."""
    kind, held = message.get("Type"), message.get("Message")
    if not isinstance(held, str):
        return False
    return kind in _TYPES if isinstance(kind, str) else stack_notification.is_one(held)


def opened(notification: Any) -> dict[str, Any]:
    """What a notification holds, in EventBridge's shape; the notification itself if we know nothing that it holds."""
    if not isinstance(notification, dict):
        return {"source": SOURCE, "detail-type": NOTIFICATION, "detail": {"Message": notification}}
    identity = {"id": notification["MessageId"]} if "MessageId" in notification else {}
    topic = notification.get("TopicArn")
    topic = topic if isinstance(topic, str) else ""
    kind = notification.get("Type")
    detail_type = _TYPES.get(kind, NOTIFICATION) if isinstance(kind, str) else NOTIFICATION
    held = _held(notification.get("Message"), topic) if detail_type == NOTIFICATION else None
    if held is not None:
        return identity | held
    return identity | {
        "source": SOURCE,
        "detail-type": detail_type,
        "account": arn.split(topic).account,
        "time": notification.get("Timestamp"),
        "region": arn.split(topic).region,
        "resources": [topic] if topic else [],
        "detail": {name: notification[name] for name in _KEPT if name in notification},
    }


def notification(envelope: "Envelope") -> Facts:
    """A notification that is no message of a source we know: its subject and its text."""
    detail = envelope.detail
    topic, subject = text(detail, "TopicArn"), optional(detail, "Subject")
    return Facts(
        title=subject or f"Notification of {arn.split(topic).resource}",
        text=text(detail, "Message"),
        resource=topic,
        severity=0,
        state=State.EVENT,
        fingerprint=fingerprint("sns", topic, subject),
    )


def confirmation(envelope: "Envelope") -> Facts:
    """A topic asks to confirm that a queue is subscribed, or tells that it no longer is. It is never answered.

    Raises:
        UnreadableError: always; its text is what a person should know.
    """
    raise UnreadableError(f"a subscription is never confirmed from here; topic {text(envelope.detail, 'TopicArn')}")


def _held(message: object, topic: str) -> dict[str, Any] | None:
    if not isinstance(message, str):
        return None
    if stack_notification.is_one(message):
        return stack_notification.opened(message)
    try:
        held = json_text.decode(message)
    except ValueError:
        return None
    if not isinstance(held, dict):
        return None
    detail_type = held.get("detail-type")
    if isinstance(detail_type, str) and detail_type.strip() and isinstance(held.get("detail"), dict):
        return held
    return alarm_messages.from_notification(held, topic) if alarm_messages.is_notification(held) else None
