"""Carrying out a command: load the stream, decide, append; after a conflict, again.

A command that its client named by a key (`Idempotency-Key`) is carried out once: the stream remembers its commands,
and a repeat gets the first one's outcome without anything being written.
"""

import random
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Generic, NamedTuple, TypeVar

import uuid_utils

from domain.commit import GENESIS, CommandKey, Commit, encode_events, sealed
from domain.decider import Context, Decide, Decider
from domain.errors import ReusedKeyError
from domain.event import encode
from infra.event_store import ConflictError, EventStore, GuardWrite
from infra.settings import MAX_APPEND_ATTEMPTS, RETRY_BASE_SECONDS, RETRY_CAP_SECONDS

State = TypeVar("State")


@dataclass(frozen=True, kw_only=True)
class Order:
    """What surrounds a command: who, when, why, and the client's key for it.

    Attributes:
        at: UTC, to the millisecond.
    """

    by: str
    at: datetime
    correlation_id: str
    causation_id: str
    command: CommandKey | None = None

    @property
    def context(self) -> Context:
        return Context(at=self.at, by=self.by)


class Folded(NamedTuple, Generic[State]):
    """A state, None before the first event, and the version of the last event that made it."""

    state: State | None
    version: int


@dataclass(frozen=True)
class Outcome(Generic[State]):
    """The state after a command and the stream's version there. `repeated` if an earlier sending had done it."""

    state: State | None
    version: int
    repeated: bool = False


def new_id() -> str:
    """A UUIDv7: unique, and in order of time."""
    return str(uuid_utils.uuid7())


def now() -> datetime:
    """UTC, cut to the milliseconds that are stored."""
    at = datetime.now(UTC)
    return at.replace(microsecond=at.microsecond // 1000 * 1000)


def execute(
    store: EventStore,
    decider: Decider[State],
    aggregate_id: str,
    decide: Decide[State],
    order: Order,
    *,
    creates: bool = False,
    guards: Sequence[GuardWrite] = (),
    expires_at: int | None = None,
    sleep: Callable[[float], None] = time.sleep,
) -> Outcome[State]:
    """Carry out one command on one aggregate.

    Args:
        creates: the stream should not exist yet, so the first attempt does not load it: one round trip instead of two.
        expires_at: seconds since the epoch, for streams of a single commit that expire.

    Raises:
        DomainError: the rules refuse.
        ReusedKeyError: the command's key was used for another request.
        ConflictError: others kept writing to the stream; nothing was appended.
        GuardRefusedError: a guard refused; nothing was appended.
    """
    stream = decider.stream(aggregate_id)
    for attempt in range(MAX_APPEND_ATTEMPTS):
        commits = [] if creates and attempt == 0 else list(store.load(stream))
        if done := _repeated(decider, commits, order.command):
            return done
        state, version = now_at = fold(decider, commits)
        events = [encode(event) for event in decide(state)]
        if not events:
            return Outcome(state, version)
        commit = sealed(
            commits[-1].hash if commits else GENESIS,
            stream=stream,
            version=version + 1,
            count=len(events),
            id=new_id(),
            at=order.at,
            by=order.by,
            correlation_id=order.correlation_id,
            causation_id=order.causation_id,
            command=order.command,
            encoded=encode_events(events),
            expires_at=expires_at,
        )
        try:
            store.append(commit, guards)
        except ConflictError:
            if attempt + 1 == MAX_APPEND_ATTEMPTS:
                break
            sleep(random.uniform(0, min(RETRY_CAP_SECONDS, RETRY_BASE_SECONDS * 2**attempt)))
            continue
        return Outcome(*fold(decider, [commit], now_at))
    raise ConflictError(f"{stream} is written to by others all the time; try again")


def fold(decider: Decider[State], commits: Sequence[Commit], start: Folded[State] | None = None) -> Folded[State]:
    """The state after `commits`, which follow on `start` or are the stream's first."""
    state, version = start or Folded(None, 0)
    for commit in commits:
        for recorded in commit.recorded():
            state = decider.evolve(state, recorded)
        version = commit.last_version
    return Folded(state, version)


def _repeated(decider: Decider[State], commits: Sequence[Commit], command: CommandKey | None) -> Outcome[State] | None:
    """The outcome of an earlier commit by the same command, as it was then."""
    if command is None:
        return None
    for index, commit in enumerate(commits):
        if commit.command and commit.command.key == command.key:
            if commit.command.digest != command.digest:
                raise ReusedKeyError("This Idempotency-Key was used for another request.")
            return Outcome(*fold(decider, commits[: index + 1]), repeated=True)
    return None
