"""A decider: what a command does to a state (`decide`), and what an event does to it (`evolve`).

`decide` checks the rules; `evolve` never does, so that a rule tightened later cannot make an old stream unreadable.
"""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Generic, TypeAlias, TypeVar

from domain.commit import Commit, Recorded
from domain.event import DomainEvent
from domain.value import Value

State = TypeVar("State")


class Context(Value):
    """When a command is decided and on whose behalf. The clock and the ids come in with it."""

    at: datetime
    by: str


@dataclass(frozen=True)
class Decider(Generic[State]):
    """How one kind of aggregate folds.

    Attributes:
        category: the part of a stream's name before `#`.
        state_type: what snapshots hold.
        schema: raised whenever a state means something else than before, so that older snapshots are passed over.
    """

    category: str
    evolve: Callable[[State | None, Recorded], State]
    state_type: type[State]
    schema: int = 1

    def stream(self, aggregate_id: str) -> str:
        return f"{self.category}#{aggregate_id}"


Decide: TypeAlias = Callable[[State | None], Sequence[DomainEvent]]
"""A command bound to its rules: from the present state to what happens. Raises a DomainError to refuse."""


def fold(decider: Decider[State], commits: Iterable[Commit], state: State | None = None) -> State | None:
    """The state after `commits`, which follow on `state` or are the stream's first."""
    for commit in commits:
        for recorded in commit.recorded():
            state = decider.evolve(state, recorded)
    return state
