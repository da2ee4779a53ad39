"""Changes of the views: rows and what they add to the counters, written together, in as few transactions as may be."""

import random
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import AbstractContextManager
from functools import cache
from typing import NamedTuple

from pynamodb.exceptions import TransactWriteError
from pynamodb.transactions import TransactWrite

from infra import generations
from infra.counters import COUNTER_SHARDS, CounterMoves, CounterRow, sharded
from infra.marks import parked_mark
from infra.views import Key, Row, connection

MAX_TRANSACTION_ITEMS = 100
MAX_TRANSACTION_BYTES = 3_500_000
"""DynamoDB's limit for a transaction is 4 MB (Service quotas); attribute names and overhead take the rest."""


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
        with TransactWrite(connection=connection()) as transaction:
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
