"""What is known of a stream: the state, the version, and the commands that were carried out before.

It is loaded by one descending query that stops at the newest usable snapshot. A snapshot is a cache inside a commit:
one of another schema is passed over, and the events decide.
"""

import json
import zlib
from collections import OrderedDict
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime, timedelta
from functools import cache
from itertools import dropwhile
from threading import Lock
from typing import Any, Generic, TypeVar

from pydantic import TypeAdapter

from domain.commit import GENESIS, CommandKey, Commit, timestamp
from domain.decider import Decider, fold
from infra.event_store import EventStore
from infra.settings import COMMANDS_KEPT, COMMANDS_KEPT_FOR, SNAPSHOT_BYTES, SNAPSHOT_COMMITS, WARM_STREAMS

State = TypeVar("State")


@dataclass(frozen=True, slots=True)
class CarriedOut:
    """A command that made a commit: its key, the version it led to, and when."""

    command: CommandKey
    version: int
    at: datetime


@dataclass(frozen=True, slots=True)
class History(Generic[State]):
    """A stream as far as a command needs it.

    Attributes:
        state: None before the first event.
        hash: the last commit's.
        commands: those that had a key, oldest first; at least the last COMMANDS_KEPT and those of COMMANDS_KEPT_FOR.
        commits: since the last snapshot.
        size: bytes of these commits' events.
    """

    state: State | None = None
    version: int = 0
    hash: bytes = GENESIS
    commands: tuple[CarriedOut, ...] = ()
    commits: int = 0
    size: int = 0

    def command(self, key: str) -> CarriedOut | None:
        return next((done for done in reversed(self.commands) if done.command.key == key), None)

    def after(self, decider: Decider[State], commit: Commit) -> "History[State]":
        """The history with one more commit."""
        commands = self.commands
        if commit.command:
            commands = _kept((*commands, CarriedOut(commit.command, commit.last_version, commit.at)), commit.at)
        snapshot = commit.snapshot is not None
        return History(
            fold(decider, [commit], self.state),
            commit.last_version,
            commit.hash,
            commands,
            0 if snapshot else self.commits + 1,
            0 if snapshot else self.size + len(commit.encoded),
        )

    def due(self) -> bool:
        """Whether the last commit should carry a snapshot."""
        return self.commits >= SNAPSHOT_COMMITS or self.size >= SNAPSHOT_BYTES


def load(store: EventStore, decider: Decider[State], stream: str) -> History[State]:
    """The history of a stream, from its newest usable snapshot on. One query, strongly consistent."""
    newer: list[Commit] = []
    history: History[State] = History()
    for commit in store.load_back(stream):
        found = _from_snapshot(decider, commit)
        if found is not None:
            history = found
            break
        newer.append(commit)
    for commit in reversed(newer):
        history = history.after(decider, commit)
    return history


def load_until(store: EventStore, decider: Decider[State], stream: str, version: int) -> State | None:
    """The state as it was at a version. For reading only: nothing may be appended from it.

    One query as a rule, strongly consistent, from the newest usable snapshot on that is no later than the version.
    """
    return _folded(decider, dropwhile(lambda one: one.last_version > version, store.load_back(stream, version)))


def load_at(store: EventStore, decider: Decider[State], stream: str, at: datetime) -> State | None:
    """The state as it was at a time. Otherwise as `load_until`, but all that is newer is read, too."""
    return _folded(decider, dropwhile(lambda one: one.at > at, store.load_back(stream)))


def _folded(decider: Decider[State], newest_first: Iterable[Commit]) -> State | None:
    """The state after commits, from the newest usable snapshot on."""
    newer: list[Commit] = []
    state: State | None = None
    for commit in newest_first:
        found = _from_snapshot(decider, commit)
        if found is not None:
            state = found.state
            break
        newer.append(commit)
    return fold(decider, reversed(newer), state)


def snapshot(decider: Decider[State], history: History[State]) -> bytes:
    """What a commit carries so that loading can begin there."""
    content = {
        "schema": decider.schema,
        "state": _adapter(decider).dump_python(history.state, mode="json"),
        "commands": [[*done.command, done.version, timestamp(done.at)] for done in history.commands],
    }
    return zlib.compress(json.dumps(content, ensure_ascii=False, separators=(",", ":")).encode())


def _from_snapshot(decider: Decider[State], commit: Commit) -> History[State] | None:
    if commit.snapshot is None:
        return None
    try:
        content = json.loads(zlib.decompress(commit.snapshot))
        if content["schema"] != decider.schema:
            return None
        state: State = _adapter(decider).validate_python(content["state"])
        commands = tuple(
            CarriedOut(CommandKey(key, digest), version, datetime.fromisoformat(at))
            for key, digest, version, at in content["commands"]
        )
    except (zlib.error, LookupError, ValueError, TypeError):
        return None  # a snapshot is never trusted over the events: these tell the same
    return History(state, commit.last_version, commit.hash, commands)


@cache
def _adapter(decider: Decider[Any]) -> TypeAdapter[Any]:
    return TypeAdapter(decider.state_type)


def _kept(commands: tuple[CarriedOut, ...], at: datetime) -> tuple[CarriedOut, ...]:
    """Without those that are both old and far back."""
    far_back = len(commands) - COMMANDS_KEPT
    since = at - timedelta(seconds=COMMANDS_KEPT_FOR)
    return tuple(done for place, done in enumerate(commands) if place >= far_back or done.at >= since)


class WarmHistories:
    """Histories of the streams a process wrote to last. They are immutable, and may be out of date."""

    def __init__(self, streams: int = WARM_STREAMS) -> None:
        self._streams = streams
        self._kept: OrderedDict[str, History[Any]] = OrderedDict()
        self._lock = Lock()  # ingest carries out several commands at the same time

    def get(self, stream: str) -> History[Any] | None:
        with self._lock:
            history = self._kept.get(stream)
            if history is not None:
                self._kept.move_to_end(stream)
            return history

    def keep(self, stream: str, history: History[Any]) -> None:
        """Keep what a commit of ours led to; the stream that was not used for longest goes."""
        with self._lock:
            self._kept[stream] = history
            self._kept.move_to_end(stream)
            if len(self._kept) > self._streams:
                self._kept.popitem(last=False)

    def evict(self, stream: str) -> None:
        with self._lock:
            self._kept.pop(stream, None)
