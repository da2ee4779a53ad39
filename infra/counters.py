"""Counters of the views: sums of what rows contribute, each kept in parts; and numbers that only ever rise.

The key plan, of counters too, is in `infra.views`.
"""

from collections.abc import Iterator, Mapping, Sequence

from pynamodb.attributes import NumberAttribute, UnicodeAttribute
from pynamodb.exceptions import TransactWriteError, UpdateError
from pynamodb.transactions import TransactWrite

from infra.generations import GenerationKey
from infra.pynamodb_session import Model
from infra.views import Key, ViewsTable, connection

COUNTER_SHARDS = 4
_SHARD = "|"

ALERTS_COUNTER = "counter#alerts"
ALERTS_DAYS_COUNTER = "counter#alerts-days"
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

COUNTED_SOURCE = 200
"""Characters of a source that its counter's key keeps: a sort key has at most 1,024 bytes (DynamoDB quotas), and a
message that was handed in by hand may name any source."""

CounterMoves = Mapping[Key, int]
"""By how much each counter moves."""


class CounterRow(Model):
    """One number: the sum of the contributions of the rows that count towards it, or a part of that sum.

    A counter is kept in COUNTER_SHARDS parts (`sharded`): each process moves one of them, so that batches which move
    the same counter at the same time do not conflict.
    """

    class Meta(ViewsTable): ...

    pk = GenerationKey(hash_key=True)
    sk = UnicodeAttribute(range_key=True)
    n = NumberAttribute()


def last_login(user_id: str) -> Key:
    """Where it stands when a user last logged in: `n`, in seconds since the epoch."""
    return Key(f"login#{user_id}", "last")


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
        with TransactWrite(connection=connection()) as transaction:
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


def raise_to(key: Key, number: int) -> None:
    """Raise a number that only ever rises, such as the time of a last login: in any order, however often."""
    try:
        CounterRow(*key).update(
            actions=[CounterRow.n.set(number)], condition=CounterRow.n.does_not_exist() | (CounterRow.n < number)
        )
    except UpdateError as error:
        if error.cause_response_code != "ConditionalCheckFailedException":
            raise
