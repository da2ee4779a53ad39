"""What a projection is: code that folds the commits of one kind of stream into a row."""

from collections.abc import Sequence
from typing import NamedTuple, Protocol

from domain.commit import Commit, Recorded
from infra.counters import CounterMoves
from infra.views import Key, Row


class Folded(NamedTuple):
    """A stream's row after some events, and the rows these events add beside it (a comment, a pointer) and remove.

    A row beside it that is there already is put again, and one that is not there is removed again: neither harms.
    """

    row: Row
    added: tuple[Row, ...] = ()
    removed: tuple[Key, ...] = ()
    raised: tuple[tuple[Key, int], ...] = ()
    """Numbers that only ever rise, to these at least; written by themselves, before all else."""


class Projection(Protocol):
    """One kind of stream."""

    category: str

    def key(self, hint: Commit) -> Key:
        """Where the row of the stream stands of which `hint` is a commit."""

    def fold(self, row: Row | None, stream: str, events: Sequence[Recorded]) -> Folded:
        """A new row from the present one and the events that follow it. Does not change `row`."""

    def contributions(self, row: Row) -> CounterMoves:
        """What a row adds to the counters. A counter is the sum over all rows, and nothing else."""

    def stream_of(self, key: Key) -> str | None:
        """Whose the row at a key is: its stream's, by the key alone; None for a row that several streams share."""
        if key.pk.startswith(f"{self.category}#"):
            return key.pk
        return f"{self.category}#{key.sk.rpartition('#')[2]}"

    def outlives(self, counter: Key, at: float) -> bool:
        """Whether rows that a counter sums may have expired by `at` (seconds since the epoch): it may exceed them."""
        del counter, at
        return False
