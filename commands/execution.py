"""Carrying out a command: load the stream, decide, append; after a conflict, again.

A command that its client named by a key (`Idempotency-Key`) is carried out once: the stream remembers its commands,
and a repeat gets the first one's outcome without anything being written.
"""

import random
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from typing import Generic, TypeAlias, TypeVar

import uuid_utils

from domain.commit import CommandKey, encode_events, sealed
from domain.decider import Context, Decide, Decider
from domain.errors import DomainError, InvalidError, ReusedKeyError, StateConflictError, VersionMismatchError
from domain.event import DomainEvent, encode
from infra import history
from infra.event_store import ConflictError, EventStore, GuardWrite
from infra.history import History, WarmHistories
from infra.settings import MAX_APPEND_ATTEMPTS, MAX_SNAPSHOT_BYTES, RETRY_BASE_SECONDS, RETRY_CAP_SECONDS

State = TypeVar("State")

GuardsFor: TypeAlias = Callable[[State | None, State | None], Sequence[GuardWrite]]
"""From the state before a command and the state after it, if it changes something, to the guards that move along."""


@dataclass(frozen=True, kw_only=True)
class Order:
    """What surrounds a command: who, when, why, and the client's key for it.

    Attributes:
        at: UTC, to the millisecond.
        expected_versions: those that the stream may have for the command to be carried out; None for any.
    """

    by: str
    at: datetime
    correlation_id: str
    causation_id: str
    command: CommandKey | None = None
    expected_versions: frozenset[int] | None = None

    @property
    def context(self) -> Context:
        return Context(at=self.at, by=self.by)


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
    guards: GuardsFor[State] | None = None,
    expires_at: int | None = None,
    warm: WarmHistories | None = None,
    sleep: Callable[[float], None] = time.sleep,
) -> Outcome[State]:
    """Carry out one command on one aggregate.

    Args:
        creates: the stream should not exist yet, so the first attempt does not load it: one round trip instead of two.
        guards: the writes to guards that go with it, by the state before and after.
        expires_at: seconds since the epoch, for streams of a single commit that expire.
        warm: histories kept by this process: a change of a stream found there takes one round trip.

    Raises:
        DomainError: the rules refuse.
        ReusedKeyError: the command's key was used for another request.
        VersionMismatchError: the stream is not at a version that the order expects.
        ConflictError: others kept writing to the stream; nothing was appended.
        GuardRefusedError: a guard refused; nothing was appended.
    """
    stream = decider.stream(aggregate_id)
    for attempt in range(MAX_APPEND_ATTEMPTS):
        kept = warm.get(stream) if warm and attempt == 0 else None
        unread = creates and attempt == 0
        known: History[State] = kept or (History() if unread else history.load(store, decider, stream))
        try:
            if done := _repeated(store, decider, stream, known, order.command):
                return done
            decided = _decided(decide, known, order)
            after = _append(store, decider, stream, known, decided, order, guards, expires_at)
        except ConflictError:
            if warm:
                warm.evict(stream)
            if attempt + 1 < MAX_APPEND_ATTEMPTS:
                sleep(random.uniform(0, min(RETRY_CAP_SECONDS, RETRY_BASE_SECONDS * 2**attempt)))
            continue
        except DomainError:
            if kept is None and not (unread and order.command):
                raise
            continue  # nothing is refused because of what may be out of date, or was carried out already,
        if after is known and kept:
            continue  # and nothing left undone
        if warm:
            warm.keep(stream, after)
        return Outcome(after.state, after.version)
    raise ConflictError(f"{stream} is written to by others all the time; try again")


def _append(  # noqa: PLR0917 - what `execute` was given, and the stream
    store: EventStore,
    decider: Decider[State],
    stream: str,
    known: History[State],
    events: Sequence[DomainEvent],
    order: Order,
    guards: GuardsFor[State] | None,
    expires_at: int | None,
) -> History[State]:
    """Append what was decided, with a snapshot if one is due. Returns the history after it: `known` for no events."""
    if not events:
        return known
    commit = sealed(
        known.hash,
        stream=stream,
        version=known.version + 1,
        count=len(events),
        id=new_id(),
        at=order.at,
        by=order.by,
        correlation_id=order.correlation_id,
        causation_id=order.causation_id,
        command=order.command,
        encoded=encode_events([encode(event) for event in events]),
        expires_at=expires_at,
    )
    after = known.after(decider, commit)
    if known.version and after.due():
        taken = history.snapshot(decider, after)
        if len(taken) <= MAX_SNAPSHOT_BYTES:
            commit, after = replace(commit, snapshot=taken), replace(after, commits=0, size=0)
    store.append(commit, guards(known.state, after.state) if guards else ())
    return after


def _decided(decide: Decide[State], known: History[State], order: Order) -> Sequence[DomainEvent]:
    try:
        decided = decide(known.state)
    except (InvalidError, StateConflictError):
        _check_version(known, order)  # that somebody was faster explains it better
        raise
    _check_version(known, order)  # not before: whoever may not see the thing does not learn its version either
    return decided


def _check_version(known: History[State], order: Order) -> None:
    if order.expected_versions is not None and known.version not in order.expected_versions:
        raise VersionMismatchError(f"It is at version {known.version} now; read it again before you change it.")


def _repeated(
    store: EventStore, decider: Decider[State], stream: str, known: History[State], command: CommandKey | None
) -> Outcome[State] | None:
    """The outcome of an earlier commit by the same command, as it was then."""
    done = known.command(command.key) if command else None
    if done is None:
        return None
    if done.command != command:
        raise ReusedKeyError("This Idempotency-Key was used for another request.")
    if done.version == known.version:  # nothing has happened since
        return Outcome(known.state, done.version, repeated=True)
    return Outcome(history.load_until(store, decider, stream, done.version), done.version, repeated=True)
