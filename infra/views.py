"""The views table: rows and counters that projections write and queries read. All of it can be rebuilt.

Key plan. `day` is a UTC date, `shard` one of EVENT_SHARDS by the id's digest, `at` a UTC time to the millisecond.
WU is write units for rows up to 1 KB: 2 in a transaction, and 1 for each index entry that is put or removed.

| access pattern                            | key                                   | index                | WU      |
|-------------------------------------------|---------------------------------------|----------------------|---------|
| a monitoring event by id                  | event#day#shard / published_at-uuid   |                      | 2       |
| monitoring events, newest first           | the same: shards merged, day by day   |                      |         |
| a task by id, with its comments           | task#id / task, task#id / comment#n   |                      | 3-6; 2  |
| tasks of a status (or all), newest first  | the task's row                        | gsi1 tasks#status/at | (in it) |
| tasks assigned to a person                | the task's row                        | gsi2 assignee#id/at  | (in it) |
| tasks created by a person                 | creator#id / at#task id (a pointer)   |                      | 2, once |
| a user by id                              | user#id / user                        |                      | 2       |
| events by day received, source, severity  | counter#events / day#source#severity  |                      | 2       |
| the days and shards that have events      | counter#event-shards / day#shard      |                      | 2       |
| tasks by status and priority              | counter#tasks / status#priority       |                      | 2       |
| streams that cannot be projected          | parked / stream                       |                      | 1       |

AWS's volume falls on `event#day#shard`, cut so that one day of 3,000 events a second stays below 1,000 write units a
second in each partition (3,000 x 2 / 8 = 750). A counter is one item per combination, so that an event moves one
item only; sums are made when it is read. Counters of a batch are merged, so that their units are shared by its
events. `counter#event-shards` lets a list skip the days without events.
"""

import hashlib
import os
import zlib
from collections.abc import Iterable, Iterator, Mapping
from datetime import UTC, datetime
from functools import cache
from typing import Any, NamedTuple

from pynamodb.attributes import BinaryAttribute, NumberAttribute, UnicodeAttribute
from pynamodb.connection import Connection
from pynamodb.exceptions import TransactWriteError
from pynamodb.indexes import AllProjection, GlobalSecondaryIndex
from pynamodb.models import Model
from pynamodb.transactions import TransactWrite

EVENT_SHARDS = 8
MAX_TRANSACTION_ITEMS = 100
MAX_TRANSACTION_BYTES = 3_500_000
"""DynamoDB's limit for a transaction is 4 MB (Service quotas); attribute names and overhead take the rest."""


class Key(NamedTuple):
    pk: str
    sk: str


EVENTS_COUNTER = "counter#events"
EVENT_SHARDS_COUNTER = "counter#event-shards"
TASKS_COUNTER = "counter#tasks"

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
    """One stream's step in the views: its row, rows that are only ever added, and how the counters move.

    `read_version` is the version at which the row was read (0: there was none); the step is taken from there or not.
    """

    stream: str
    read_version: int
    row: Row
    added: tuple[Row, ...]
    moves: CounterMoves
    unparks: bool = False


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


def pack(text: str) -> bytes:
    return zlib.compress(text.encode())


def unpack(data: bytes) -> str:
    return zlib.decompress(data).decode()


def rows_by_key(keys: Iterable[Key]) -> dict[Key, Row]:
    """The rows that exist among `keys`, strongly consistent; a call per 100 keys."""
    wanted: list[Any] = sorted(set(keys))
    return {row.key: row for row in Row.batch_get(wanted, consistent_read=True)} if wanted else {}


def counters(pk: str, first: str, last: str) -> Iterator[CounterRow]:
    """The counters of one partition between two sort keys, both included."""
    return iter(CounterRow.query(pk, CounterRow.sk.between(first, last)))


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
        moves: dict[Key, int] = {}
        try:
            with TransactWrite(connection=_connection()) as transaction:
                for change in group:
                    unmoved = Row.version == change.read_version if change.read_version else Row.pk.does_not_exist()
                    transaction.save(change.row, condition=unmoved)
                    for row in change.added:
                        transaction.save(row)
                    if change.unparks:
                        transaction.delete(Row(PARKED, change.stream))
                    for key, by in change.moves.items():
                        moves[key] = moves.get(key, 0) + by
                for key, by in moves.items():
                    if by:
                        transaction.update(CounterRow(key.pk, key.sk), actions=[CounterRow.n.add(by)])
        except TransactWriteError as error:
            codes = {reason.code for reason in error.cancellation_reasons if reason}
            if codes and codes <= {"ConditionalCheckFailed", "TransactionConflict"}:
                raise OutrunError from error
            raise


def _groups(changes: Iterable[Change]) -> Iterator[list[Change]]:
    group: list[Change] = []
    counted: set[Key] = set()
    rows = size = 0
    for change in changes:
        items = 1 + len(change.added) + change.unparks
        bytes_ = change.row.size + sum(row.size for row in change.added)
        total = rows + items + len(counted | change.moves.keys())
        if group and (total > MAX_TRANSACTION_ITEMS or size + bytes_ > MAX_TRANSACTION_BYTES):
            yield group
            group, counted, rows, size = [], set(), 0, 0
        group.append(change)
        counted |= change.moves.keys()
        rows += items
        size += bytes_
    if group:
        yield group


# ---- streams that cannot be projected

PARKED = "parked"


def park(stream: str, version: int, error: str) -> None:
    """Note that a stream cannot be projected past `version`, and why. Others go on."""
    Row(PARKED, stream, version=version, data=error[:2000]).save()


def parked() -> dict[str, Row]:
    """The parked streams, strongly consistent: a mark that is read over would outlive its cause. One query."""
    return {row.sk: row for row in Row.query(PARKED, consistent_read=True)}
