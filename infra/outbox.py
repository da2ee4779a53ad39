"""The outbox: one row per domain event and channel, with the decision to tell people or not and what came of it.

It is not a view and never rebuilt: a decision is taken once. States:

    suppressed                        a rule says that nobody is told
    unconfigured                      people would be told, but the channel has no webhook
    decided -> sending -> sent        told; only `sent` stops a repeat
               sending -> decided     refused for now; the queue brings the delivery back
               sending -> failed      refused for good

Keys: `month#shard` / `commit id#place#channel`. A commit's id is a UUIDv7, so that a row's key follows from what it is
about, rows stand in order of time, and listing newest first needs no index.
"""

import hashlib
import heapq
import json
import os
import time
from collections.abc import Iterable, Iterator
from datetime import UTC, datetime
from enum import StrEnum
from itertools import islice
from typing import TYPE_CHECKING, Any, NamedTuple

from pynamodb.attributes import NumberAttribute, UnicodeAttribute
from pynamodb.exceptions import PutError, UpdateError
from typing_extensions import TypedDict

from infra.pynamodb_session import Model
from infra.settings import LEASE_SECONDS

if TYPE_CHECKING:
    from pynamodb.expressions.update import Action

SHARDS = 4


class Status(StrEnum):
    SUPPRESSED = "suppressed"
    UNCONFIGURED = "unconfigured"
    DECIDED = "decided"
    SENDING = "sending"
    SENT = "sent"
    FAILED = "failed"


class NotificationId(NamedTuple):
    """Which domain event (a commit and the place in it) and which channel."""

    commit_id: str
    place: int
    channel: str

    def __str__(self) -> str:
        return f"{self.commit_id}.{self.place}.{self.channel}"

    @classmethod
    def parse(cls, text: str) -> "NotificationId":
        """Raises ValueError if `text` is no such id."""
        commit_id, place, channel = text.split(".", 2)
        return cls(commit_id, int(place), channel)

    @property
    def pk(self) -> str:
        milliseconds = int(self.commit_id.replace("-", "")[:12], 16)  # RFC 9562, section 5.7
        month = datetime.fromtimestamp(milliseconds / 1000, UTC).strftime("%Y-%m")
        return partition(month, hashlib.sha256(self.commit_id.encode()).digest()[0] % SHARDS)

    @property
    def sk(self) -> str:
        return f"{self.commit_id}#{self.place}#{self.channel}"


class Notification(Model):
    """One row. `facts` is what is told, as JSON; `message` the rendered Slack message, as JSON."""

    class Meta:
        table_name = os.environ.get("OUTBOX_TABLE", "outbox")
        connect_timeout_seconds = 2
        read_timeout_seconds = 10

    pk = UnicodeAttribute(hash_key=True)
    sk = UnicodeAttribute(range_key=True)
    id = UnicodeAttribute()
    status = UnicodeAttribute()
    channel = UnicodeAttribute()
    rule = UnicodeAttribute()
    stream = UnicodeAttribute()
    facts = UnicodeAttribute()
    decided_at = NumberAttribute()
    attempts = NumberAttribute(default=0)
    lease_until = NumberAttribute(null=True)
    sent_at = NumberAttribute(null=True)
    error = UnicodeAttribute(null=True)
    message = UnicodeAttribute(null=True)
    ttl = NumberAttribute(null=True)


def partition(month: str, shard: int) -> str:
    return f"{month}#{shard}"


def decide(row: Notification) -> Notification:
    """Keep a decision if there is none yet. Returns the one that stands."""
    try:
        row.save(condition=Notification.pk.does_not_exist())
    except PutError as error:
        if error.cause_response_code != "ConditionalCheckFailedException":
            raise
        return Notification.get(row.pk, row.sk, consistent_read=True)
    return row


def lease(notification_id: NotificationId) -> Notification | None:
    """Take a decided notification to send it, or one whose sender died. None if it is not to be sent (any more).

    Raises:
        LeasedError: another sender holds it.
    """
    row = Notification(notification_id.pk, notification_id.sk)
    now = int(time.time())
    abandoned = (Notification.status == Status.SENDING) & (Notification.lease_until < now)
    try:
        row.update(
            actions=[
                Notification.status.set(Status.SENDING),
                Notification.lease_until.set(now + LEASE_SECONDS),
                Notification.attempts.add(1),
            ],
            condition=(Notification.status == Status.DECIDED) | abandoned,
        )
    except UpdateError as error:
        if error.cause_response_code != "ConditionalCheckFailedException":
            raise
        try:
            row.refresh(consistent_read=True)
        except Notification.DoesNotExist:
            return None
        if row.status == Status.SENDING:
            raise LeasedError from None
        return None
    return row


class LeasedError(Exception):
    """Another sender holds the notification."""


def finish(row: Notification, status: Status, *, error: str | None = None, message: str | None = None) -> None:
    """Note what came of a lease.

    Args:
        status: SENT; FAILED for good; or DECIDED, to be tried again.
    """
    actions: list[Action] = [Notification.status.set(status), Notification.lease_until.remove()]
    actions.append(Notification.error.set(error) if error else Notification.error.remove())
    if message:
        actions.append(Notification.message.set(message))
    if status is Status.SENT:
        actions.append(Notification.sent_at.set(int(time.time())))
    # A lease that ran out may have been taken by another sender, who has the say then.
    row.update(actions=actions, condition=Notification.lease_until == row.lease_until)


def in_order(
    months: Iterable[str], limit: int, position: str | None = None, *, ascending: bool = False
) -> list[Notification]:
    """At most `limit` notifications, in order of the time of what they are about.

    Args:
        months: such as `2026-01`, in the same order.
        position: a sort key; only rows beyond it are given.
    """
    rows: list[Notification] = []
    for month in months:
        left = limit - len(rows)
        shards = (_shard(partition(month, shard), left, position, ascending=ascending) for shard in range(SHARDS))
        rows.extend(islice(heapq.merge(*shards, key=lambda row: row.sk, reverse=not ascending), left))
        if len(rows) == limit:
            break
    return rows


def _shard(pk: str, limit: int, position: str | None, *, ascending: bool) -> Iterator[Notification]:
    beyond = None
    if position:
        beyond = Notification.sk > position if ascending else Notification.sk < position
    return iter(Notification.query(pk, beyond, scan_index_forward=ascending, limit=limit, page_size=limit))


class NotificationShown(TypedDict):
    """A notification. Times are Unix seconds."""

    id: str
    status: Status
    channel: str
    rule: str
    event_id: str | None
    title: str
    severity: int | None
    decided_at: int
    sent_at: int | None
    attempts: int
    error: str | None
    message: Any


def shown(row: Notification) -> NotificationShown:
    """A notification as the API shows it."""
    facts = json.loads(row.facts)
    sent_at: float | None = row.sent_at  # PynamoDB's types leave out that it may be missing
    return {
        "id": row.id,
        "status": Status(row.status),
        "channel": row.channel,
        "rule": row.rule,
        "event_id": facts["event_id"],
        "title": facts["event"]["title"],
        "severity": facts["event"]["severity"],
        "decided_at": int(row.decided_at),
        "sent_at": None if sent_at is None else int(sent_at),
        "attempts": int(row.attempts),
        "error": row.error,
        "message": row.message and json.loads(row.message),
    }
