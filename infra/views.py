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
| tasks made from an alert                  | from#alert id / created#task id       |                      | 2       |
| tasks to be done, by due date; overdue    | due#open / due#task id                |                      | 2       |
| closed tasks by due date                  | due#closed / due#task id              |                      | 2       |
| an alert by id, with its last events' ids | alert#id / alert                      |                      | 2       |
| open alerts of a severity, newest first   | alerts#open#severity#part / opened#id |                      | 2       |
| resolved ones, the last resolved first    | alerts#resolved#… / resolved#id       |                      | 2       |
| a user by id                              | user#id / user                        |                      | 3       |
| users, newest first                       | the user's row                        | gsi1 users/at        | (in it) |
| a session by id                           | session#id / session                  |                      | 3       |
| the open sessions of a user               | the session's row                     | gsi2 sessions#user   | (in it) |
| when a user last logged in; it only rises | login#id / last                       |                      | 1       |
| events by part of the day received        | counter#events#… / part#source#severity |                    | 2       |
| the days and shards that have events      | event-days / day#shard#until          |                      | 2       |
| tasks by status, priority, assignee       | counter#tasks / status#priority#id    |                      | 2       |
| tasks to be done by due day, assignee     | counter#tasks-due / day#id            |                      | 2       |
| tasks closed by part of the day           | counter#tasks-closed / part#count     |                      | 2       |
| seconds from their creation to that       | counter#tasks-closed / part#seconds   |                      | 2       |
| open alerts: severity, seen to, source    | counter#alerts / severity#ack#source  |                      | 2       |
| what happened to alerts by part of a day  | counter#alerts-days / part#what       |                      | 2       |
| users by role and activity                | counter#users / role#active           |                      | 2       |
| logins by day                             | counter#logins / day                  |                      | 2       |
| an AWS config by id                       | aws-config#id / config                |                      | 3       |
| AWS configs, newest first                 | the config's row                      | gsi1 aws-configs/at  | (in it) |
| the monitoring config, as it is now       | monitoring-config#main / config       |                      | 2 x KB  |
| streams that cannot be projected          | projections / parked#generation#stream |                     | 1       |
| which generations are live                | projections / generations             |                      | 1       |
| streams touched during a rebuild          | touched#shard / stream                |                      | 1       |
| how far a rebuild is                      | rebuild / segments#segment            |                      | 1 x KB  |
| the last hour's heartbeats, by who heard them | heartbeats / consumer#place       |                      | 1       |

Every partition but those of the last five lines begins with its projection's generation (`infra.generations`): what is
`task#id` here is stored as `1|task#id`. A counter is kept in parts: its sort key ends with the part's number (`|0` to
`|3`), but that of `counter#events`, which takes all of AWS's volume, has a partition for each (`counter#events#0` ...).

AWS's volume falls on `event#day#shard`, cut so that one day of 3,000 events a second stays below 1,000 write units a
second in each partition (3,000 x 2 / 8 = 750), with rows up to 1 KB. What falls on every key is counted by `python -m
benchmarks.projections --only keys`; `docs/benchmarks/projections.md` says from where on it is more than a partition
takes. A counter is one item per combination, so that an event moves one item only; sums are made when it is read.
A `part` is one of the two that a UTC day is cut into (`domain.report_days`), so that days of reports can be summed too.
Counters of a batch are merged, so that their units are shared by its events; so are rows that several changes add
alike. `event-days` lets a list skip the days without events: a row there says that a day's shard holds events, and
goes when these expire, `until` being the midnight after that; a process puts each of them once.

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

AWS's volume also falls on alerts that recur, so their rows stand in no index: an entry there would cost a unit with
each recurrence, two if it were sorted by the last one. Lists read pointers. An alert has one once it has opened, which
depends on state, severity, source, account, acknowledgement and snooze, and stands at the time it last opened or was
resolved; a recurrence moves none of these, and no counter. Pointers of a state and severity are cut by the alert's id
into 4 parts (`infra.alert_keys.SHARDS`): 1,000 alerts of one severity that open within a second are 500 units in each.
A list merges the parts of the severities that it asks for, 4 to 24. Packed, most rows stay below 1 KB. A row keeps what
happened to its alert by day, for a counter is the sum of its rows: of the newest 60 days, and of those before as one
sum. Units, without counters:

| recurred; and a task linked                                              | 2; 2                    |
| noticed, but not opened                                                  | 2                       |
| opened; resolved; reopened                                               | 4; 6; 6                 |
| acknowledged, snoozed                                                    | 4                       |
| another severity                                                         | 6                       |
"""

import hashlib
import json
import os
import random
import zlib
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager
from datetime import UTC, datetime
from functools import cache
from typing import Any, NamedTuple

from pynamodb.attributes import BinaryAttribute, NumberAttribute, UnicodeAttribute
from pynamodb.exceptions import TransactWriteError, UpdateError
from pynamodb.indexes import AllProjection, GlobalSecondaryIndex
from pynamodb.transactions import TransactWrite

from domain.monitoring_event_shape import EventShown
from infra import generations
from infra.generations import GenerationKey
from infra.marks import parked_mark
from infra.pynamodb_session import Connection, Model

EVENT_SHARDS = 8
EVENT_DAYS = "event-days"
COUNTER_SHARDS = 4
_SHARD = "|"
MAX_TRANSACTION_ITEMS = 100
MAX_TRANSACTION_BYTES = 3_500_000
"""DynamoDB's limit for a transaction is 4 MB (Service quotas); attribute names and overhead take the rest."""


class Key(NamedTuple):
    pk: str
    sk: str


ALERTS_COUNTER = "counter#alerts"
ALERTS_DAYS_COUNTER = "counter#alerts-days"
AWS_CONFIGS_LIST = "aws-configs"
EVENTS_COUNTER = "counter#events"
TASKS_COUNTER = "counter#tasks"
TASKS_DUE_COUNTER = "counter#tasks-due"
TASKS_CLOSED_COUNTER = "counter#tasks-closed"
USERS_COUNTER = "counter#users"
LOGGED_IN = "logged-in"
"""Beside roles and activities, the sort key of the users who have ever logged in."""
LOGINS_COUNTER = "counter#logins"
_SPREAD = {EVENTS_COUNTER}
"""Counters whose parts have a partition each; those of another stand side by side, for one query to read."""

USERS_LIST = "users"

COUNTED_SOURCE = 200
"""Characters of a source that its counter's key keeps: a sort key has at most 1,024 bytes (DynamoDB quotas), and a
message that was handed in by hand may name any source."""

CounterMoves = Mapping[Key, int]
"""By how much each counter moves."""


class _Meta:
    table_name = os.environ.get("VIEWS_TABLE", "views")
    connect_timeout_seconds = 2
    read_timeout_seconds = 5
    max_retry_attempts = 1


class StatusIndex(GlobalSecondaryIndex["Row"]):  # type: ignore[no-untyped-call]
    class Meta:
        index_name = "gsi1"
        projection = AllProjection()

    gsi1pk = GenerationKey(hash_key=True)
    gsi1sk = UnicodeAttribute(range_key=True)


class PersonIndex(GlobalSecondaryIndex["Row"]):  # type: ignore[no-untyped-call]
    class Meta:
        index_name = "gsi2"
        projection = AllProjection()

    gsi2pk = GenerationKey(hash_key=True)
    gsi2sk = UnicodeAttribute(range_key=True)


class Row(Model):
    """One row: what it shows as JSON in `data`, and the version of its stream that it shows."""

    class Meta(_Meta): ...

    pk = GenerationKey(hash_key=True)
    sk = UnicodeAttribute(range_key=True)
    version = NumberAttribute()
    data = UnicodeAttribute()
    detail = BinaryAttribute(null=True, legacy_encoding=False)
    gsi1pk = GenerationKey(null=True)
    gsi1sk = UnicodeAttribute(null=True)
    gsi2pk = GenerationKey(null=True)
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
    """One number: the sum of the contributions of the rows that count towards it, or a part of that sum.

    A counter is kept in COUNTER_SHARDS parts (`sharded`): each process moves one of them, so that batches which move
    the same counter at the same time do not conflict.
    """

    class Meta(_Meta): ...

    pk = GenerationKey(hash_key=True)
    sk = UnicodeAttribute(range_key=True)
    n = NumberAttribute()


class Change(NamedTuple):
    """One stream's step in a generation: its row, rows beside it that are put or removed, and how the counters move.

    `read_version` is the version at which the row was read (0: there was none); the step is taken from there or not.
    """

    generation: int
    stream: str
    read_version: int
    row: Row
    added: tuple[Row, ...]
    moves: CounterMoves
    unparks: bool = False
    removed: tuple[Key, ...] = ()
    raised: tuple[tuple[Key, int], ...] = ()

    @property
    def touched(self) -> int:
        """How many items it writes, but for a mark that goes."""
        return 1 + len(self.added) + len(self.removed) + len(self.moves)


class RefusedError(Exception):
    """DynamoDB refuses a change for what it is, not for the moment: no repeat can heal it.

    Attributes:
        stream: whose change it is.
    """

    def __init__(self, stream: str, message: str) -> None:
        super().__init__(message)
        self.stream = stream


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


def last_login(user_id: str) -> Key:
    """Where it stands when a user last logged in: `n`, in seconds since the epoch."""
    return Key(f"login#{user_id}", "last")


def open_sessions(user_id: str) -> str:
    """Where the open sessions of a user stand in gsi2."""
    return f"sessions#{user_id}"


def pack(text: str) -> bytes:
    return zlib.compress(text.encode())


def unpack(data: bytes) -> str:
    return zlib.decompress(data).decode()


def shown_event(row: "Row") -> EventShown:
    """A monitoring event as its row holds it, packed: most take one KB so, and two otherwise."""
    shown: EventShown = json.loads(unpack(row.detail))
    return shown


def rows_by_key(keys: Iterable[Key]) -> dict[Key, Row]:
    """The rows that exist among `keys`, strongly consistent; a call per 100 keys."""
    wanted: list[Any] = sorted(set(keys))
    return {row.key: row for row in Row.batch_get(wanted, consistent_read=True)} if wanted else {}


def counters(pk: str, first: str, last: str) -> Iterator[CounterRow]:
    """The counters of one name between two sort keys, both included; those at zero are left out."""
    sums: dict[str, int] = {}
    for partition in _partitions(pk):
        for row in CounterRow.query(partition, CounterRow.sk.between(first, f"{last}{_SHARD}~")):
            sk = unsharded(Key(partition, row.sk)).sk
            sums[sk] = sums.get(sk, 0) + int(row.n)
    return (CounterRow(pk, sk, n=n) for sk, n in sums.items() if n)


def remove_spent(pk: str, before: str) -> int:
    """Remove the counters of one name that are at zero and come before a sort key. Returns how many these were.

    The parts of a counter go together, each only if it is what it was read as; what counts there later makes a new one.
    """
    found: dict[Key, list[CounterRow]] = {}
    for partition in _partitions(pk):
        for part in CounterRow.query(partition, CounterRow.sk < before, consistent_read=True):
            found.setdefault(unsharded(Key(partition, part.sk)), []).append(part)
    return sum(_remove(parts) for parts in found.values() if not sum(part.n for part in parts))


def _remove(parts: Sequence[CounterRow]) -> bool:
    """Whether they could be removed."""
    try:
        with TransactWrite(connection=_connection()) as transaction:
            for part in parts:
                transaction.delete(part, condition=CounterRow.n == part.n)
    except TransactWriteError as error:
        codes = {reason.code for reason in error.cancellation_reasons if reason}
        if codes and codes <= {"ConditionalCheckFailed", "TransactionConflict"}:
            return False  # somebody counts there just now
        raise
    return True


def unsharded(key: Key) -> Key:
    """The counter that a stored number is part of."""
    pk = key.pk.rpartition("#")[0]
    return Key(pk, key.sk) if pk in _SPREAD else Key(key.pk, key.sk.rpartition(_SHARD)[0] or key.sk)


def sharded(key: Key, shard: int) -> Key:
    """The key of a part of a counter."""
    return Key(f"{key.pk}#{shard}", key.sk) if key.pk in _SPREAD else Key(key.pk, f"{key.sk}{_SHARD}{shard}")


def _partitions(pk: str) -> list[str]:
    """Where the parts of a counter stand."""
    return [f"{pk}#{shard}" for shard in range(COUNTER_SHARDS)] if pk in _SPREAD else [pk]


@cache
def _connection() -> Connection:
    return Connection(
        connect_timeout_seconds=_Meta.connect_timeout_seconds,
        read_timeout_seconds=_Meta.read_timeout_seconds,
        max_retry_attempts=_Meta.max_retry_attempts,
    )


Unit = Sequence[Change]
"""Changes that are written together or not at all: the same step of one stream, in each generation that is kept."""


def apply(units: Iterable[Unit], still_valid: Callable[[], bool] = lambda: True) -> None:
    """Write the changes of *different* streams in as few transactions as they fit into.

    Each transaction holds whole units: the rows and what they add to the counters move together or not at all.

    Args:
        still_valid: asked before each transaction whether it may still be written.

    Raises:
        OutrunError: a row was not at the version it was read at, or the changes are not valid any more. Transactions
            before it are written.
        RefusedError: DynamoDB refuses one unit for what it is, such as its size. Those before it are written.
    """
    for group in _groups(sorted(units, key=_counters_moved)):  # the same counters in as few transactions as may be
        if not still_valid():
            raise OutrunError
        try:
            _commit(group)
        except RefusedError:
            for unit in group:  # which of them?
                if not still_valid():
                    raise OutrunError from None
                _commit([unit])


def _commit(group: Sequence[Unit]) -> None:
    try:
        with TransactWrite(connection=_connection()) as transaction:
            _write(transaction, [change for unit in group for change in unit])
    except TransactWriteError as error:
        codes = {reason.code for reason in error.cancellation_reasons if reason}
        if codes and codes <= {"ConditionalCheckFailed", "TransactionConflict"}:
            raise OutrunError from error
        if "ValidationError" in codes or error.cause_response_code == "ValidationException":
            raise RefusedError(group[0][0].stream, str(error.cause or error)) from error
        raise


def _write(transaction: TransactWrite, group: Iterable[Change]) -> None:
    moves: dict[_Place, int] = {}
    beside: dict[_Place, Row | None] = {}
    unparked = []
    for change in group:
        unmoved = Row.version == change.read_version if change.read_version else Row.pk.does_not_exist()
        with _in(change.generation, change.row.pk):
            transaction.save(change.row, condition=unmoved)
        beside |= {(change.generation, key): None for key in change.removed}
        beside |= {(change.generation, row.key): row for row in change.added}
        if change.unparks:
            unparked.append(parked_mark(change.generation, change.stream))
        for key, by in change.moves.items():
            place = change.generation, sharded(key, _shard())
            moves[place] = moves.get(place, 0) + by
    for (generation, key), put in beside.items():
        with _in(generation, key.pk):
            if put:
                transaction.save(put)
            else:
                transaction.delete(Row(*key))
    for mark in unparked:
        transaction.delete(mark)
    for (generation, key), by in moves.items():
        if by:
            with _in(generation, key.pk):
                transaction.update(CounterRow(key.pk, key.sk), actions=[CounterRow.n.add(by)])


_Place = tuple[int, Key]


def _in(generation: int, pk: str) -> AbstractContextManager[None]:
    return generations.chosen({generations.projection_of(pk): generation})


def _groups(units: Iterable[Unit]) -> Iterator[list[Unit]]:
    group: list[Unit] = []
    items: set[_Place] = set()
    size = 0
    for unit in units:
        needed = {item for change in unit for item in _items(change)}
        bytes_ = sum(row.size for change in unit for row in (change.row, *change.added))
        if group and (len(items | needed) > MAX_TRANSACTION_ITEMS or size + bytes_ > MAX_TRANSACTION_BYTES):
            yield group
            group, items, size = [], set(), 0
        group.append(unit)
        items |= needed
        size += bytes_
    if group:
        yield group


def _counters_moved(unit: Unit) -> list[Key]:
    return sorted(unit[0].moves)


def _items(change: Change) -> set[_Place]:
    """The items that a change touches. A transaction names each once (DynamoDB refuses it otherwise)."""
    mark = [Key("parked", change.stream)] if change.unparks else []
    keys = (change.row.key, *(row.key for row in change.added), *change.removed, *change.moves, *mark)
    return {(change.generation, key) for key in keys}


@cache
def _shard() -> int:
    """The part of each counter that this process moves."""
    return random.randrange(COUNTER_SHARDS)


def raise_to(key: Key, number: int) -> None:
    """Raise a number that only ever rises, such as the time of a last login: in any order, however often."""
    try:
        CounterRow(*key).update(
            actions=[CounterRow.n.set(number)], condition=CounterRow.n.does_not_exist() | (CounterRow.n < number)
        )
    except UpdateError as error:
        if error.cause_response_code != "ConditionalCheckFailedException":
            raise
