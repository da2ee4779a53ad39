"""The views table: rows and counters that projections write and queries read. All of it can be rebuilt.

Key plan. `day` is a UTC date, `shard` one of EVENT_SHARDS by the id's digest, `at` a UTC time to the millisecond.
WU is write units for rows up to 1 KB: 2 in a transaction, and 1 for each index entry that is put or removed.

| access pattern                            | key                                   | index                | WU      |
|-------------------------------------------|---------------------------------------|----------------------|---------|
| a monitoring event by id                  | event#day#shard / published_at-uuid   |                      | 2       |
| monitoring events, newest first           | the same: shards merged, day by day   |                      |         |
| a task by id, with its comments           | task#id / task, task#id / comment#n   |                      | 3-6; 2  |
| tasks of a status and a priority, or all  | the task's row                        | gsi1 `tasks`         | (in it) |
| tasks assigned to a person, by status     | the task's row                        | gsi2 `assignee`      | (in it) |
| tasks a person created and does not have  | creator#id / created#task id          |                      | 2       |
| tasks made from a monitoring event        | from#event id / created#task id       |                      | 2       |
| tasks to be done, by due date; overdue    | due#open / due#task id                |                      | 2       |
| closed tasks by due date                  | due#closed / due#task id              |                      | 2       |
| a user by id                              | user#id / user                        |                      | 3       |
| users, newest first                       | the user's row                        | gsi1 users/at        | (in it) |
| a session by id                           | session#id / session                  |                      | 3       |
| the open sessions of a user               | the session's row                     | gsi2 sessions#user   | (in it) |
| when a user last logged in; it only rises | user#id / last-login                  |                      | 1       |
| events by day received, source, severity  | counter#events / day#source#severity  |                      | 2       |
| the days and shards that have events      | event-days / day#shard#until          |                      | 2       |
| tasks by status, priority, assignee       | counter#tasks / status#priority#id    |                      | 2       |
| tasks to be done by due day, assignee     | counter#tasks-due / day#id            |                      | 2       |
| tasks closed by day                       | counter#tasks-closed / day#count      |                      | 2       |
| seconds from their creation to that       | counter#tasks-closed / day#seconds    |                      | 2       |
| users by role and activity                | counter#users / role#active           |                      | 2       |
| logins by day                             | counter#logins / day                  |                      | 2       |
| an AWS config by id                       | aws-config#id / config                |                      | 3       |
| AWS configs, newest first                 | the config's row                      | gsi1 aws-configs/at  | (in it) |
| the monitoring config, as it is now       | monitoring-config#main / config       |                      | 2 x KB  |
| streams that cannot be projected          | parked / stream                       |                      | 1       |

AWS's volume falls on `event#day#shard`, cut so that one day of 3,000 events a second stays below 1,000 write units a
second in each partition (3,000 x 2 / 8 = 750). A counter is one item per combination, so that an event moves one
item only; sums are made when it is read. Counters of a batch are merged, so that their units are shared by its
events; so are rows that several changes add alike. `event-days` lets a list skip the days without events: a row there
says that a day's shard holds events, and goes when these expire, `until` being the midnight after that.

A task's row stands in gsi1 at `tasks#status#priority / created#id` and, with an assignee, in gsi2 at
`assignee#id#status / created#id`. A list merges the partitions that its filters ask for: 1 with status and priority, 4
with a status, 12 with neither. The other task rows are pointers: what they are depends on the task as it is and on
nothing else, so that they are put and removed by the difference, as counters move. A deleted task's row stays, for the
version, without index entries, pointers and contributions. Units of what happens to a task that has an assignee; in
brackets for one that has none; its counters, shared by a batch, not included:

| created by the assignee; by another; from an event                       | 4; 6 (5); 2 more        |
| title or description; priority                                           | 4 (3); 5 (4)            |
| status                                                                   | 6 (4)                   |
| assigned to another; and for the first time not to the creator any more  | 5; 7                    |
| commented                                                                | 6 (5)                   |
| with a due date: created, changed, reassigned; closed, reopened          | 2, 4, 2 more; 4 more    |
| deleted                                                                  | 4 (3), 2 for a pointer  |
"""

import hashlib
import os
import zlib
from collections.abc import Iterable, Iterator, Mapping
from datetime import UTC, datetime
from functools import cache
from typing import Any, NamedTuple

from pynamodb.attributes import BinaryAttribute, NumberAttribute, UnicodeAttribute
from pynamodb.exceptions import TransactWriteError, UpdateError
from pynamodb.indexes import AllProjection, GlobalSecondaryIndex
from pynamodb.transactions import TransactWrite

from infra.pynamodb_session import Connection, Model

EVENT_SHARDS = 8
EVENT_DAYS = "event-days"
MAX_TRANSACTION_ITEMS = 100
MAX_TRANSACTION_BYTES = 3_500_000
"""DynamoDB's limit for a transaction is 4 MB (Service quotas); attribute names and overhead take the rest."""


class Key(NamedTuple):
    pk: str
    sk: str


AWS_CONFIGS_LIST = "aws-configs"
EVENTS_COUNTER = "counter#events"
TASKS_COUNTER = "counter#tasks"
TASKS_DUE_COUNTER = "counter#tasks-due"
TASKS_CLOSED_COUNTER = "counter#tasks-closed"
USERS_COUNTER = "counter#users"
LOGINS_COUNTER = "counter#logins"

USERS_LIST = "users"
LAST_LOGIN = "last-login"
"""Beside a user's row: `n`, when they last logged in, in seconds since the epoch."""

CounterMoves = Mapping[Key, int]
"""By how much each counter moves."""


class _Meta:
    table_name = os.environ.get("VIEWS_TABLE", "views")
    connect_timeout_seconds = 2
    read_timeout_seconds = 10


class StatusIndex(GlobalSecondaryIndex["Row"]):  # type: ignore[no-untyped-call]
    class Meta:
        index_name = "gsi1"
        projection = AllProjection()

    gsi1pk = UnicodeAttribute(hash_key=True)
    gsi1sk = UnicodeAttribute(range_key=True)


class PersonIndex(GlobalSecondaryIndex["Row"]):  # type: ignore[no-untyped-call]
    class Meta:
        index_name = "gsi2"
        projection = AllProjection()

    gsi2pk = UnicodeAttribute(hash_key=True)
    gsi2sk = UnicodeAttribute(range_key=True)


class Row(Model):
    """One row: what it shows as JSON in `data`, and the version of its stream that it shows."""

    class Meta(_Meta): ...

    pk = UnicodeAttribute(hash_key=True)
    sk = UnicodeAttribute(range_key=True)
    version = NumberAttribute()
    data = UnicodeAttribute()
    detail = BinaryAttribute(null=True, legacy_encoding=False)
    gsi1pk = UnicodeAttribute(null=True)
    gsi1sk = UnicodeAttribute(null=True)
    gsi2pk = UnicodeAttribute(null=True)
    gsi2sk = UnicodeAttribute(null=True)
    ttl = NumberAttribute(null=True)

    by_status = StatusIndex()
    by_person = PersonIndex()

    @property
    def key(self) -> Key:
        return Key(self.pk, self.sk)

    @property
    def size(self) -> int:
        """Bytes, near enough for the limits of a transaction and of a page."""
        return len(self.data.encode()) + len(self.detail or b"") + 300


class CounterRow(Model):
    """One number: the sum of the contributions of the rows that count towards it."""

    class Meta(_Meta): ...

    pk = UnicodeAttribute(hash_key=True)
    sk = UnicodeAttribute(range_key=True)
    n = NumberAttribute()


class Change(NamedTuple):
    """One stream's step in the views: its row, rows beside it that are put or removed, and how the counters move.

    `read_version` is the version at which the row was read (0: there was none); the step is taken from there or not.
    """

    stream: str
    read_version: int
    row: Row
    added: tuple[Row, ...]
    moves: CounterMoves
    unparks: bool = False
    removed: tuple[Key, ...] = ()
    raised: tuple[tuple[Key, int], ...] = ()


class OutrunError(Exception):
    """A row moved between reading it and writing it; nothing of the transaction was written."""


def event_key(published_day: str, sort_key: str) -> Key:
    """Where a monitoring event's row stands.

    Args:
        sort_key: `event_sort_key`'s, from the event's id.
    """
    shard = hashlib.sha256(sort_key.encode()).digest()[0] % EVENT_SHARDS
    return Key(event_partition(published_day, shard), sort_key)


def event_partition(published_day: str, shard: int) -> str:
    return f"event#{published_day}#{shard}"


def event_sort_key(published_at: int, uuid: str) -> str:
    """In order of time, whatever the number of digits."""
    return f"{published_at:012d}-{uuid}"


def utc_day(seconds: int) -> str:
    """The UTC date of a time in seconds since the epoch."""
    return str(datetime.fromtimestamp(seconds, UTC).date())


def open_sessions(user_id: str) -> str:
    """Where the open sessions of a user stand in gsi2."""
    return f"sessions#{user_id}"


def pack(text: str) -> bytes:
    return zlib.compress(text.encode())


def unpack(data: bytes) -> str:
    return zlib.decompress(data).decode()


def rows_by_key(keys: Iterable[Key]) -> dict[Key, Row]:
    """The rows that exist among `keys`, strongly consistent; a call per 100 keys."""
    wanted: list[Any] = sorted(set(keys))
    return {row.key: row for row in Row.batch_get(wanted, consistent_read=True)} if wanted else {}


def counters(pk: str, first: str, last: str) -> Iterator[CounterRow]:
    """The counters of one partition between two sort keys, both included; those at zero are left out."""
    return iter(CounterRow.query(pk, CounterRow.sk.between(first, last), CounterRow.n != 0))


@cache
def _connection() -> Connection:
    return Connection(connect_timeout_seconds=2, read_timeout_seconds=10)


def apply(changes: Iterable[Change]) -> None:
    """Write changes of *different* streams in as few transactions as they fit into.

    Each transaction holds whole changes: the row and what it adds to the counters move together or not at all.

    Raises:
        OutrunError: a row was not at the version it was read at. Transactions before it are written.
    """
    for group in _groups(changes):
        try:
            with TransactWrite(connection=_connection()) as transaction:
                _write(transaction, group)
        except TransactWriteError as error:
            codes = {reason.code for reason in error.cancellation_reasons if reason}
            if codes and codes <= {"ConditionalCheckFailed", "TransactionConflict"}:
                raise OutrunError from error
            raise


def _write(transaction: TransactWrite, group: Iterable[Change]) -> None:
    moves: dict[Key, int] = {}
    beside: dict[Key, Row | None] = {}
    for change in group:
        unmoved = Row.version == change.read_version if change.read_version else Row.pk.does_not_exist()
        transaction.save(change.row, condition=unmoved)
        beside |= dict.fromkeys(change.removed) | {row.key: row for row in change.added}
        if change.unparks:
            beside[Key(PARKED, change.stream)] = None
        for key, by in change.moves.items():
            moves[key] = moves.get(key, 0) + by
    for key, row in beside.items():
        if row is None:
            transaction.delete(Row(*key))
        else:
            transaction.save(row)
    for key, by in moves.items():
        if by:
            transaction.update(CounterRow(key.pk, key.sk), actions=[CounterRow.n.add(by)])


def _groups(changes: Iterable[Change]) -> Iterator[list[Change]]:
    group: list[Change] = []
    items: set[Key] = set()
    size = 0
    for change in changes:
        needed = _items(change)
        bytes_ = change.row.size + sum(row.size for row in change.added)
        if group and (len(items | needed) > MAX_TRANSACTION_ITEMS or size + bytes_ > MAX_TRANSACTION_BYTES):
            yield group
            group, items, size = [], set(), 0
        group.append(change)
        items |= needed
        size += bytes_
    if group:
        yield group


def _items(change: Change) -> set[Key]:
    """The items that a change touches. A transaction names each once (DynamoDB refuses it otherwise)."""
    mark = {Key(PARKED, change.stream)} if change.unparks else set()
    return {change.row.key, *(row.key for row in change.added), *change.removed, *change.moves, *mark}


def raise_to(key: Key, number: int) -> None:
    """Raise a number that only ever rises, such as the time of a last login: in any order, however often."""
    try:
        CounterRow(*key).update(
            actions=[CounterRow.n.set(number)], condition=CounterRow.n.does_not_exist() | (CounterRow.n < number)
        )
    except UpdateError as error:
        if error.cause_response_code != "ConditionalCheckFailedException":
            raise


# ---- streams that cannot be projected

PARKED = "parked"


def park(stream: str, version: int, error: str) -> None:
    """Note that a stream cannot be projected past `version`, and why. Others go on."""
    Row(PARKED, stream, version=version, data=error[:2000]).save()


def parked() -> dict[str, Row]:
    """The parked streams, strongly consistent: a mark that is read over would outlive its cause. One query."""
    return {row.sk: row for row in Row.query(PARKED, consistent_read=True)}
