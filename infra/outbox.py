"""The outbox: one row per domain event and channel, with the decision to tell people or not and what came of it.

It is not a view and never rebuilt: a decision is taken once. States:

    suppressed                        nobody is told, by a rule or without one
    held -> decided | suppressed      waits until it is due; then the sweeper looks at it again
    held -> grouped                   told in the message of another row, which leads its group
    decided -> sending -> sent        told; only `sent` stops a repeat
               sending -> decided     refused for now; the queue brings the delivery back
               sending -> held        the channel has had its messages of this minute, or is paused
               sending -> failed      refused for good
               sending -> unconfigured   the channel has no webhook
    failed, unconfigured -> decided   redriven by a person
    failed, and tells nothing         what happened could not be read; gives way to the decision once it can be

Keys: `month#shard` / `commit id#place#channel`. A commit's id is a UUIDv7, so that a row's key follows from what it is
about, rows stand in order of time, and listing newest first needs no index.

Indexes, both of keys only: `stream` finds what was decided on an alert or a task. `due` holds only rows that somebody
must look at after a time: those that are held, and those on their way, in case they never arrive. A notification that
is sent at once costs a write unit per KB for each of decision, lease and mark, and three of the indexes.
"""

import hashlib
import json
import os
import re
import time
from collections.abc import Iterable, Sequence
from datetime import UTC, datetime
from functools import cache
from typing import TYPE_CHECKING, Any, NamedTuple

from pynamodb.attributes import NumberAttribute, UnicodeAttribute
from pynamodb.exceptions import PutError, TransactWriteError, UpdateError
from pynamodb.indexes import GlobalSecondaryIndex, KeysOnlyProjection
from pynamodb.transactions import TransactWrite

from domain.notification_shape import NotificationShown, Status
from infra.pynamodb_session import Connection, Model
from infra.settings import LEASE_SECONDS, LOST_DELIVERY_SECONDS

if TYPE_CHECKING:
    from pynamodb.expressions.condition import Condition
    from pynamodb.expressions.update import Action

__all__ = ["SHARDS", "Notification", "NotificationId", "NotificationShown", "Status"]

SHARDS = 4

_COMMIT_ID = re.compile("[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}")


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
        if not _COMMIT_ID.fullmatch(commit_id) or not (place.isascii() and place.isdigit()):
            raise ValueError("no notification has such an id")
        parsed = cls(commit_id, int(place), channel)
        _ = parsed.pk  # raises for what is no time
        return parsed

    @property
    def shard(self) -> int:
        return hashlib.sha256(self.commit_id.encode()).digest()[0] % SHARDS

    @property
    def pk(self) -> str:
        milliseconds = int(self.commit_id.replace("-", "")[:12], 16)  # RFC 9562, section 5.7
        month = datetime.fromtimestamp(milliseconds / 1000, UTC).strftime("%Y-%m")
        return partition(month, self.shard)

    @property
    def sk(self) -> str:
        return f"{self.commit_id}#{self.place}#{self.channel}"

    @property
    def due_partition(self) -> str:
        """Its partition of the index `due`."""
        return f"due#{self.shard}"


class StreamIndex(GlobalSecondaryIndex["Notification"]):  # type: ignore[no-untyped-call]
    """The rows of an alert or a task, in order of time."""

    class Meta:
        index_name = "stream"
        projection = KeysOnlyProjection()

    stream = UnicodeAttribute(hash_key=True)
    sk = UnicodeAttribute(range_key=True)


class DueIndex(GlobalSecondaryIndex["Notification"]):  # type: ignore[no-untyped-call]
    """The rows to look at, in order of when."""

    class Meta:
        index_name = "due"
        projection = KeysOnlyProjection()

    due_partition = UnicodeAttribute(hash_key=True)
    due_at = NumberAttribute(range_key=True)


class Notification(Model):
    """One row.

    Attributes:
        stream: what it is about, such as `alert#…`.
        about: the transition or the change.
        title: for lists, as are `severity` and `event_id`.
        told: what the message tells, as JSON; missing where nobody is told.
        terms: what a held row depends on, as JSON (`domain.notifications.Terms`); missing once it was let go.
        group: of a held row that is told together with others.
        members: of a row that leads its group: the ids of the others, as JSON.
        told_in: of a grouped row: the id of the one that leads.
        rate: messages a minute that its channel takes.
        due_at: when somebody must look at it, in seconds since the epoch.
        wanted_at: when it was to be told: it happened, or was let go; of what is held, only if that time is over.
        not_before: when it may be sent again after Slack refused it for now.
        turn_at: the time of the place that is kept for it in its channel; see `infra.delivery_rate`.
        paused: seconds that it has waited because its channel was paused.
        redriven_by: the key of the request that redrove it last.
        message: the rendered Slack message, as JSON.
    """

    class Meta:
        table_name = os.environ.get("OUTBOX_TABLE", "outbox")
        connect_timeout_seconds = 2
        read_timeout_seconds = 10

    pk = UnicodeAttribute(hash_key=True)
    sk = UnicodeAttribute(range_key=True)
    id = UnicodeAttribute()
    status = UnicodeAttribute()
    channel = UnicodeAttribute()
    rule = UnicodeAttribute(null=True)
    reason = UnicodeAttribute(default="")
    stream = UnicodeAttribute()
    about = UnicodeAttribute(default="")
    title = UnicodeAttribute(default="")
    severity = NumberAttribute(null=True)
    event_id = UnicodeAttribute(null=True)
    told = UnicodeAttribute(null=True)
    terms = UnicodeAttribute(null=True)
    group = UnicodeAttribute(null=True)
    members = UnicodeAttribute(null=True)
    told_in = UnicodeAttribute(null=True)
    rate = NumberAttribute(default=30)
    decided_at = NumberAttribute()
    attempts = NumberAttribute(default=0)
    lease_until = NumberAttribute(null=True)
    due_partition = UnicodeAttribute(null=True)
    due_at = NumberAttribute(null=True)
    wanted_at = NumberAttribute(null=True)
    not_before = NumberAttribute(null=True)
    turn_at = NumberAttribute(null=True)
    paused = NumberAttribute(null=True)
    sent_at = NumberAttribute(null=True)
    error = UnicodeAttribute(null=True)
    message = UnicodeAttribute(null=True)
    redriven_by = UnicodeAttribute(null=True)
    ttl = NumberAttribute(null=True)

    by_stream = StreamIndex()
    by_due = DueIndex()

    @property
    def key(self) -> NotificationId:
        return NotificationId.parse(self.id)

    @property
    def is_undecided(self) -> bool:
        """Whether what happened could not be read, so that nothing was decided."""
        return self.status == Status.FAILED and self.told is None


class Move(NamedTuple):
    """A change of a row that happens only while it is as it was read."""

    row: Notification
    actions: "Sequence[Action]"
    condition: "Condition"


class LeasedError(Exception):
    """Another sender holds the notification."""


def partition(month: str, shard: int) -> str:
    return f"{month}#{shard}"


def new(notification_id: NotificationId, status: Status, **attributes: Any) -> Notification:
    """A row that is not kept yet. One that is on its way is looked at again in case it gets lost."""
    now = int(time.time())
    if status is Status.DECIDED:
        attributes = {"wanted_at": now, **attributes, "due_at": now + LOST_DELIVERY_SECONDS}
    if "due_at" in attributes:
        attributes["due_partition"] = notification_id.due_partition
    return Notification(
        notification_id.pk,
        notification_id.sk,
        id=str(notification_id),
        channel=notification_id.channel,
        status=status,
        decided_at=now,
        **attributes,
    )


def decided(commit_id: str) -> list[Notification]:
    """What was decided on the events of a commit. One query, strongly consistent."""
    where = NotificationId(commit_id, 0, "")
    beginning = Notification.sk.startswith(f"{commit_id}#")
    return list(Notification.query(where.pk, beginning, consistent_read=True))


def keep(rows: Sequence[Notification]) -> bool:
    """Keep the decisions on one domain event, all or none. Returns whether they are kept: False if there are some.

    They take the place of a row that says that it could not be decided.

    Raises:
        TransactWriteError: likewise PutError; a fault, or another transaction that wants to keep them and may yet fail.
    """
    undecided = (Notification.status == Status.FAILED) & Notification.told.does_not_exist()
    free = Notification.pk.does_not_exist() | undecided
    try:
        if len(rows) == 1:
            rows[0].save(condition=free)
        else:
            with TransactWrite(connection=_connection()) as transaction:
                for row in rows:
                    transaction.save(row, condition=free)
    except PutError as error:
        if error.cause_response_code != "ConditionalCheckFailedException":
            raise
        return False
    except TransactWriteError as error:
        if "ConditionalCheckFailed" not in _codes(error):
            raise
        return False
    return True


def find(notification_id: NotificationId) -> Notification | None:
    """A row, strongly consistent."""
    try:
        return Notification.get(notification_id.pk, notification_id.sk, consistent_read=True)
    except Notification.DoesNotExist:
        return None


def find_all(ids: Iterable[NotificationId]) -> dict[str, Notification]:
    """Rows by id, those that are there, strongly consistent. One call for each 100."""
    keys = [(one.pk, one.sk) for one in ids]
    return {row.id: row for row in Notification.batch_get(keys, consistent_read=True)} if keys else {}


# ---- delivery


def lease(notification_id: NotificationId) -> Notification | None:
    """Take a decided notification to send it, or one whose sender died. None if it is not to be sent, or not yet.

    What Slack wants later is left alone until then: the delivery that is hidden for so long brings it, or the sweeper.

    Raises:
        LeasedError: another sender holds it.
    """
    row = Notification(notification_id.pk, notification_id.sk)
    now = int(time.time())
    wanted = Notification.not_before.does_not_exist() | (Notification.not_before <= now)
    abandoned = (Notification.status == Status.SENDING) & (Notification.lease_until < now)
    actions = [
        Notification.status.set(Status.SENDING),
        Notification.lease_until.set(now + LEASE_SECONDS),
        Notification.attempts.add(1),
    ]
    if not moved(Move(row, actions, ((Notification.status == Status.DECIDED) & wanted) | abandoned)):
        found = find(notification_id)
        if found and found.status == Status.SENDING:
            raise LeasedError
        return None
    return row


def finish(
    row: Notification,
    status: Status,
    *,
    error: str | None = None,
    message: str | None = None,
    wait: int = 0,
    turn_at: int | None = None,
) -> None:
    """Note what came of a lease.

    Args:
        status: SENT; FAILED or UNCONFIGURED for good; or DECIDED, to be tried again.
        wait: seconds until then; nobody can lease it before.
        turn_at: the place that is kept for it in its channel then; the one that it had is used.
    """
    actions: list[Action] = [
        Notification.status.set(status),
        Notification.lease_until.remove(),
        Notification.turn_at.set(turn_at) if turn_at else Notification.turn_at.remove(),
        Notification.error.set(error) if error else Notification.error.remove(),
    ]
    if message:
        actions.append(Notification.message.set(message))
    if status is Status.SENT:
        actions.append(Notification.sent_at.set(int(time.time())))
    if status is Status.DECIDED:
        not_before = int(time.time()) + wait
        actions.append(Notification.not_before.set(not_before))
        actions.append(Notification.due_at.set(not_before + LOST_DELIVERY_SECONDS))
    else:
        actions += not_due()
    # A lease that ran out may have been taken by another sender, who has the say then.
    row.update(actions=actions, condition=Notification.lease_until == row.lease_until)


def put_off(row: Notification, until: int, turn_at: int, paused: int, error: str) -> None:
    """Give back a lease: it was no attempt, and its time is later.

    Args:
        until: when it is looked at again, in seconds since the epoch.
        turn_at: likewise the place that is kept for it in its channel, which may be later.
        paused: seconds of the wait in which the channel is paused.
        error: why it has to wait.
    """
    row.update(
        actions=[
            Notification.status.set(Status.HELD),
            Notification.error.set(error),
            Notification.lease_until.remove(),
            Notification.attempts.add(-1),
            Notification.paused.add(paused),
            Notification.due_at.set(until),
            Notification.turn_at.set(turn_at),
        ],
        condition=Notification.lease_until == row.lease_until,
    )


def redrive(row: Notification, key: str | None = None) -> bool:
    """Let a notification that was given up be sent once more. Returns whether it is so: False if it was not given up.

    Args:
        key: of the request, by which a repeat is known: it redrives nothing, whatever became of it since.
    """
    actions: list[Action] = [
        *on_its_way(row.key),
        Notification.attempts.set(0),
        Notification.paused.remove(),
        Notification.error.remove(),
        Notification.redriven_by.set(key) if key else Notification.redriven_by.remove(),
    ]
    given_up = Notification.status.is_in(Status.FAILED, Status.UNCONFIGURED)
    if key:
        given_up &= Notification.redriven_by.does_not_exist() | (Notification.redriven_by != key)
    if moved(Move(row, actions, given_up)):
        return True
    row.refresh(consistent_read=True)
    return key is not None and row.redriven_by == key


# ---- changes


def on_its_way(notification_id: NotificationId) -> "list[Action]":
    """It is decided, and looked at again in case it gets lost."""
    now = int(time.time())
    return [
        Notification.status.set(Status.DECIDED),
        Notification.wanted_at.set(Notification.wanted_at | now),
        Notification.not_before.remove(),
        Notification.due_partition.set(notification_id.due_partition),
        Notification.due_at.set(now + LOST_DELIVERY_SECONDS),
    ]


def not_due() -> "list[Action]":
    """Nobody needs to look at it any more."""
    return [Notification.due_partition.remove(), Notification.due_at.remove()]


def moved(move: Move) -> bool:
    """Carry out a change. Returns whether it was: False if the row was not as it was read."""
    try:
        move.row.update(actions=list(move.actions), condition=move.condition)
    except UpdateError as error:
        if error.cause_response_code != "ConditionalCheckFailedException":
            raise
        return False
    return True


def moved_together(moves: Sequence[Move]) -> bool:
    """Carry out several changes, at most 100, all or none. Returns whether they were."""
    if len(moves) == 1:
        return moved(moves[0])
    try:
        with TransactWrite(connection=_connection()) as transaction:
            for move in moves:
                transaction.update(move.row, actions=list(move.actions), condition=move.condition)
    except TransactWriteError as error:
        if not _refused(error):
            raise
        return False
    return True


def _refused(error: TransactWriteError) -> bool:
    """Whether a condition, or another transaction, was in the way."""
    codes = _codes(error)
    return bool(codes) and codes <= {"ConditionalCheckFailed", "TransactionConflict"}


def _codes(error: TransactWriteError) -> set[str]:
    return {reason.code for reason in error.cancellation_reasons if reason}


@cache
def _connection() -> Connection:
    meta: Any = Notification.Meta
    return Connection(
        connect_timeout_seconds=meta.connect_timeout_seconds, read_timeout_seconds=meta.read_timeout_seconds
    )


# ---- as people see it


def shown(row: Notification) -> NotificationShown:
    """A notification as the API shows it."""
    kind, _, about_id = row.stream.partition("#")
    is_held = row.status == Status.HELD
    return {
        "id": row.id,
        "status": Status(row.status),
        "channel": row.channel,
        "rule": row.rule,
        "reason": row.reason or "",
        "about": row.about or "",
        "alert_id": about_id if kind == "alert" else None,
        "task_id": about_id if kind == "task" else None,
        "event_id": row.event_id,
        "title": row.title or "",
        "severity": _whole(row.severity),
        "decided_at": int(row.decided_at),
        "due_at": _whole(row.due_at) if is_held else None,
        "told_in": row.told_in,
        "sent_at": _whole(row.sent_at),
        "attempts": int(row.attempts),
        "error": row.error,
        "message": row.message and json.loads(row.message),
    }


def _whole(number: float | None) -> int | None:
    return None if number is None else int(number)
