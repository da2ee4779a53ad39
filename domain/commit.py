"""A commit: the domain events that one command appended to one stream, atomically.

Commits of a stream form a hash chain: each carries the SHA-256 over its predecessor's hash and its own content, so
that an altered, missing or inserted commit shows.
"""

import hashlib
import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, NamedTuple

from domain.event import DomainEvent, StoredEvent, decode

GENESIS = bytes(32)
"""What stands for the predecessor's hash in a stream's first commit."""


class Recorded(NamedTuple):
    """One event where it happened: its version in the stream, its time and its actor."""

    event: DomainEvent
    version: int
    at: datetime
    by: str


class CommandKey(NamedTuple):
    """Which command made a commit: the client's key, and a digest that tells a repeat from another request."""

    key: str
    digest: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Commit:
    """One commit.

    Attributes:
        stream: such as `task#0192…`.
        version: of the first event; a stream's first is 1 and there are no gaps.
        id: a UUIDv7, new for every attempt to append.
        at: UTC, to the millisecond.
        by: the actor: a user id, or `system:ingest`.
        correlation_id: what began the chain of which this is a part, such as one HTTP request.
        causation_id: what caused this commit: the command, or the event that a reaction answers.
        command: set when the client named its command by a key.
        encoded: the events as the JSON text that is stored, hashed and sent on.
        hash: SHA-256 over the predecessor's hash and this commit's content.
        expires_at: seconds since the epoch; only on streams of a single commit, for a hole would break the chain.
        snapshot: the state after this commit, on some commits only; a cache, and no part of what is hashed.
    """

    stream: str
    version: int
    count: int
    id: str
    at: datetime
    by: str
    correlation_id: str
    causation_id: str
    command: CommandKey | None
    encoded: str
    hash: bytes
    expires_at: int | None = None
    snapshot: bytes | None = None

    @property
    def last_version(self) -> int:
        return self.version + self.count - 1

    def stored_events(self) -> list[StoredEvent]:
        return [StoredEvent(item["t"], item["v"], item["d"]) for item in json.loads(self.encoded)]

    def recorded(self) -> Iterator[Recorded]:
        """The events, decoded.

        Raises:
            UnreadableEventError: for an event that this code cannot read.
        """
        for offset, stored in enumerate(self.stored_events()):
            yield Recorded(decode(stored), self.version + offset, self.at, self.by)


def encode_events(events: Sequence[StoredEvent]) -> str:
    """The events as compact JSON, `[{"t": name, "v": version, "d": fields}, …]`."""
    return json.dumps([event._asdict() for event in events], ensure_ascii=False, separators=(",", ":"))


def timestamp(at: datetime) -> str:
    """UTC with milliseconds, as stored: `2026-01-31T09:00:00.123Z`."""
    return at.isoformat(timespec="milliseconds").replace("+00:00", "Z")


def sealed(previous: bytes, **fields: Any) -> Commit:
    """A commit with the hash that it must carry after a commit with the hash `previous`."""
    return Commit(**fields, hash=_digest(previous, fields))


def chain_hash(previous: bytes, commit: Commit) -> bytes:
    """The hash that `commit` must carry after a commit with the hash `previous`.

    It covers everything that is stored but the snapshot (a cache) and the expiry (set by policy, not by the command).
    """
    return _digest(previous, {name: getattr(commit, name) for name in _HASHED})


_HASHED = (
    "stream",
    "version",
    "count",
    "id",
    "command",
    "at",
    "by",
    "correlation_id",
    "causation_id",
    "encoded",
)


def _digest(previous: bytes, fields: Mapping[str, Any]) -> bytes:
    content = [fields[name] for name in _HASHED]
    content[_HASHED.index("at")] = timestamp(fields["at"])
    canonical = json.dumps(content, ensure_ascii=True, separators=(",", ":"))
    return hashlib.sha256(previous + canonical.encode("ascii")).digest()


class ChainFault(NamedTuple):
    """The first place where a stream is not what was written: the version there, and what is wrong."""

    version: int
    fault: str


def check_chain(commits: Iterable[Commit]) -> ChainFault | None:
    """Check a whole stream, in order from its first commit: the first altered, missing or inserted one, or None."""
    previous, following = GENESIS, 1
    for commit in commits:
        if commit.version > following:
            return ChainFault(following, f"missing: after version {following - 1} comes {commit.version}")
        if commit.version < following:
            return ChainFault(commit.version, f"inserted: version {following} was expected")
        if chain_hash(previous, commit) != commit.hash:
            return ChainFault(commit.version, "altered: it, or the commit before it, is not what was written")
        previous, following = commit.hash, commit.last_version + 1
    return None
