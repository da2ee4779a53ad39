"""Whose a rebuild is. Its owner is heard of again and again; for a while after that nobody else may go on with it.

A process looks before each call that writes whether it may still: a machine can sleep for an hour between two of them.
Whoever takes a rebuild over waits, after the lease has lapsed, for longer than a call takes. So two never write rows
of one generation, but for the call that was on its way when a machine fell asleep.
"""

import time
from collections.abc import Callable

from infra import generations
from infra.generations import Generations
from infra.patience import patiently

LEASE_SECONDS = 30.0
"""For so long after it was last heard of a rebuild is taken to be under way: longer than it waits for anything."""

POLL_SECONDS = 1.0


class RebuildError(Exception):
    """A rebuild that cannot begin or go on. The message says why."""


class OlderReleaseError(RebuildError):
    """What an older release began cannot be gone on with."""


class UnderWayError(RebuildError):
    """Another process carries out a rebuild, or did until a moment ago.

    Attributes:
        seconds: after which it counts as ended, unless it is heard of.
    """

    def __init__(self, seconds: float) -> None:
        super().__init__(f"A rebuild is under way; if its process was killed, wait {seconds:.0f} s.")
        self.seconds = seconds


class Lease:
    """The owner's, who renews it."""

    def __init__(self, owner: str) -> None:
        self._owner = owner
        self._until = 0.0

    def take(self) -> Generations:
        """Make the rebuild one's own; also one that is about to begin.

        Raises:
            UnderWayError: it is another's.
            OvertakenError: another process took it at the same time, or let it go.
        """

        def free(state: Generations) -> Generations:
            left = state.owned_until - time.time()
            if state.owner not in {"", self._owner} and left > 0:
                raise UnderWayError(left)
            return state

        return self._moved(free)

    def move(self, change: Callable[[Generations], Generations]) -> Generations:
        """Move the pointer, and renew the lease.

        Raises:
            RebuildError: it is another's by now.
        """
        return self._moved(self._mine(change))

    def hold(self) -> None:
        """Renew it if it is time to. Raises as `move`."""
        if time.time() > self._until - LEASE_SECONDS / 2:
            patiently(lambda: self.move(lambda state: state))

    def release(self) -> None:
        """Let anybody go on with it at once; for a process that ends in good order before the rebuild does."""
        state, _ = generations.read()
        if state.owner == self._owner:
            generations.move(self._mine(lambda now_there: now_there.model_copy(update={"owned_until": time.time()})))

    def end(self) -> None:
        """Have no rebuild any more, nor an owner. Raises as `move`."""
        generations.move(self._mine(lambda state: Generations(live=state.live)))

    def _mine(self, change: Callable[[Generations], Generations]) -> Callable[[Generations], Generations]:
        def mine(state: Generations) -> Generations:
            _check(state, self._owner)
            return change(state)

        return mine

    def _moved(self, change: Callable[[Generations], Generations]) -> Generations:
        until = time.time() + LEASE_SECONDS
        held = {"owner": self._owner, "owned_until": until}
        state = generations.move(lambda now_there: change(now_there).model_copy(update=held))
        self._until = until
        return state


class HelpersLease:
    """As a process sees it that works for the owner: it relies on the owner's renewing it."""

    def __init__(self, owner: str) -> None:
        self._owner = owner
        self._until = 0.0

    def hold(self) -> None:
        """Go on only while the owner is heard of.

        Raises:
            RebuildError: the rebuild is another's by now, or its owner was not heard of for LEASE_SECONDS more.
        """
        if time.time() < self._until:
            return
        end = time.monotonic() + LEASE_SECONDS
        while time.monotonic() < end:
            state, _ = patiently(generations.read)
            _check(state, self._owner)
            if state.owned_until > time.time():
                self._until = state.owned_until
                return
            time.sleep(POLL_SECONDS)
        raise RebuildError("The process that carries out this rebuild was not heard of any more.")


def _check(state: Generations, owner: str) -> None:
    if state.owner != owner:
        raise RebuildError("Somebody else has gone on with this rebuild.")
