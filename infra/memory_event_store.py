"""The event store in memory, with the contract of the real one. For unit tests."""

from collections.abc import Iterator, Sequence
from threading import Lock

from domain.commit import Commit
from infra.event_store import ConflictError, GuardRefusedError, GuardWrite, check_size


class MemoryEventStore:
    """Streams in a dictionary, and the guards that `infra.guards` makes."""

    def __init__(self) -> None:
        self.streams: dict[str, list[Commit]] = {}
        self.owners: dict[str, str] = {}
        self.counts: dict[str, int] = {}
        self.stops: dict[str, int] = {}
        self._lock = Lock()

    def append(self, commit: Commit, guards: Sequence[GuardWrite] = ()) -> None:
        """See `EventStore.append`."""
        self.append_together([commit], guards)

    def append_together(self, commits: Sequence[Commit], guards: Sequence[GuardWrite] = ()) -> None:
        """See `EventStore.append_together`."""
        for commit in commits:
            check_size(commit)
        with self._lock:
            standing = [self._at(commit.stream, commit.version) for commit in commits]
            if standing == list(commits):
                return
            for commit, other in zip(commits, standing, strict=True):
                if other:
                    raise ConflictError(f"another commit stands at version {commit.version} of {commit.stream}")
            self._guard(guards)
            for commit in commits:
                self.streams.setdefault(commit.stream, []).append(commit)

    def _guard(self, guards: Sequence[GuardWrite]) -> None:
        owners, counts, stops = dict(self.owners), dict(self.counts), dict(self.stops)
        for guard in guards:
            (kind, write), *_ = guard.action.items()
            key = (write["Item"] if kind == "Put" else write["Key"])["pk"]["S"]
            values = write.get("ExpressionAttributeValues", {})
            if kind == "Put" and "at" in write["Item"]:
                stops[key] = int(write["Item"]["at"]["N"])
            elif kind == "Put" and key not in owners:
                owners[key] = write["Item"]["owner"]["S"]
            elif kind == "Delete" and owners.get(key) == values[":owner"]["S"]:
                del owners[key]
            elif kind == "Update" and counts.get(key, 0) > int(values.get(":taken", {"N": "-1"})["N"]):
                counts[key] = counts.get(key, 0) + int(values[":by"]["N"])
            else:
                raise GuardRefusedError
        self.owners, self.counts, self.stops = owners, counts, stops

    def _at(self, stream: str, version: int) -> Commit | None:
        return next((commit for commit in self.streams.get(stream, ()) if commit.version == version), None)

    def load(self, stream: str, after: int = 0) -> Iterator[Commit]:
        """See `EventStore.load`."""
        with self._lock:
            commits = list(self.streams.get(stream, ()))
        yield from (commit for commit in commits if commit.version > after)

    def load_back(self, stream: str, until: int | None = None) -> Iterator[Commit]:
        """See `EventStore.load_back`."""
        yield from (commit for commit in reversed(list(self.load(stream))) if until is None or commit.version <= until)
