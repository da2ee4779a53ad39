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
| how far a rebuild is                      | rebuild / segments#segment            |                      | 1       |
| its counters so far, in one of two slots  | rebuild-sums / segments#segment#slot#piece |                 | 1 x KB  |
| the last hour's heartbeats, by who heard them | heartbeats / consumer#place       |                      | 1       |

Every partition but those of the last six lines begins with its projection's generation (`infra.generations`): what is
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
import zlib
from collections.abc import Iterable
from datetime import UTC, datetime
from functools import cache
from typing import Any, NamedTuple

from pynamodb.attributes import BinaryAttribute, NumberAttribute, UnicodeAttribute
from pynamodb.indexes import AllProjection, GlobalSecondaryIndex

from domain.monitoring_event_shape import EventShown
from infra.generations import GenerationKey
from infra.pynamodb_session import Connection, Model

EVENT_SHARDS = 8
EVENT_DAYS = "event-days"
AWS_CONFIGS_LIST = "aws-configs"
USERS_LIST = "users"


class Key(NamedTuple):
    pk: str
    sk: str


class ViewsTable:
    """Where the views are, and how long they are waited for."""

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

    class Meta(ViewsTable): ...

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


def shown_event(row: "Row") -> EventShown:
    """A monitoring event as its row holds it, packed: most take one KB so, and two otherwise."""
    shown: EventShown = json.loads(unpack(row.detail))
    return shown


def rows_by_key(keys: Iterable[Key]) -> dict[Key, Row]:
    """The rows that exist among `keys`, strongly consistent; a call per 100 keys."""
    wanted: list[Any] = sorted(set(keys))
    return {row.key: row for row in Row.batch_get(wanted, consistent_read=True)} if wanted else {}


@cache
def connection() -> Connection:
    return Connection(
        connect_timeout_seconds=ViewsTable.connect_timeout_seconds,
        read_timeout_seconds=ViewsTable.read_timeout_seconds,
        max_retry_attempts=ViewsTable.max_retry_attempts,
    )
