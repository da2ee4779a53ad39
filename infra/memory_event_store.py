"""The event store in memory, with the contract of the real one. For unit tests."""

from collections.abc import Iterator, Sequence
from threading import Lock

from domain.commit import Commit
from infra.event_store import ConflictError, GuardRefusedError, GuardWrite, check_size


class MemoryEventStore:
    """Streams in a dictionary. Knows one kind of guard: an item that must not exist yet."""

    def __init__(self) -> None:
        self.streams: dict[str, list[Commit]] = {}
        self.guards: set[str] = set()
        self._lock = Lock()

    def append(self, commit: Commit, guards: Sequence[GuardWrite] = ()) -> None:
        """See `EventStore.append`."""
        check_size(commit)
        taken = {guard.action["Put"]["Item"]["pk"]["S"] for guard in guards}
        with self._lock:
            commits = self.streams.setdefault(commit.stream, [])
            stored = next((c for c in commits if c.version == commit.version), None)
            if stored == commit:
                return
            if stored:
                raise ConflictError(f"another commit stands at version {commit.version} of {commit.stream}")
            if taken & self.guards:
                raise GuardRefusedError
            self.guards |= taken
            commits.append(commit)

    def load(self, stream: str, after: int = 0) -> Iterator[Commit]:
        """See `EventStore.load`."""
        with self._lock:
            commits = list(self.streams.get(stream, ()))
        yield from (commit for commit in commits if commit.version > after)

    def load_back(self, stream: str) -> Iterator[Commit]:
        """See `EventStore.load_back`."""
        yield from reversed(list(self.load(stream)))
