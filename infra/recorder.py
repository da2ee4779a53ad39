"""The event store behind the `eventsourcing` library: its recorder, over any of our stores.

No function uses it. It shows that the store keeps the contract that library's users rely on, and lets its tools
read our streams. Its states are bytes of any kind and so stand in base64; nothing of ours is stored through it.
"""

import base64
from collections import defaultdict
from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Any
from uuid import UUID

import uuid_utils
from eventsourcing.persistence import AggregateRecorder, IntegrityError
from eventsourcing.persistence import StoredEvent as LibraryEvent

from domain.commit import GENESIS, Commit, encode_events, sealed
from domain.event import StoredEvent
from infra.event_store import ConflictError, EventStore

ACTOR = "library"


class CommitRecorder(AggregateRecorder):
    """Events that are inserted together are one commit per stream, appended together or not at all."""

    def __init__(self, store: EventStore) -> None:
        super().__init__()
        self._store = store

    def insert_events(self, stored_events: Sequence[LibraryEvent], **kwargs: Any) -> Sequence[int] | None:  # noqa: ARG002
        """Append events.

        Raises:
            IntegrityError: they do not follow on the end of their streams. Nothing was written.
        """
        streams: dict[str, list[LibraryEvent]] = defaultdict(list)
        for event in stored_events:
            streams[str(event.originator_id)].append(event)
        commits = [self._commit(stream, events) for stream, events in streams.items()]
        try:
            if len(commits) == 1:
                self._store.append(commits[0])
            elif commits:
                self._store.append_together(commits)
        except ConflictError as error:
            raise IntegrityError(str(error)) from error
        return None

    def select_events(
        self,
        originator_id: UUID | str,
        *,
        gt: int | None = None,
        lte: int | None = None,
        desc: bool = False,
        limit: int | None = None,
    ) -> Sequence[LibraryEvent]:
        """The events of a stream between two versions (`gt` excluded, `lte` included), in order or newest first."""
        stream = str(originator_id)
        commits = self._store.load_back(stream) if desc else self._store.load(stream, after=-1)
        found: list[LibraryEvent] = []
        for commit in commits:
            for place, event in _ordered(commit, desc=desc):
                version = commit.version + place
                if (gt is None or version > gt) and (lte is None or version <= lte):
                    if limit is not None and len(found) == limit:
                        return found
                    state = base64.b64decode(event.d["state"])
                    found.append(LibraryEvent(originator_id, version, event.t, state))
        return found

    def _commit(self, stream: str, events: Sequence[LibraryEvent]) -> Commit:
        first = events[0].originator_version
        if [event.originator_version for event in events] != list(range(first, first + len(events))):
            raise IntegrityError(f"the versions given for {stream} do not follow on each other")
        # A version *inside* a commit would pass the store's condition, so the end of the stream is looked at.
        last = next(self._store.load_back(stream), None)
        if last is not None and last.last_version + 1 != first:
            raise IntegrityError(f"{stream} is at version {last.last_version}, not {first - 1}")
        encoded = [StoredEvent(event.topic, 1, {"state": base64.b64encode(event.state).decode()}) for event in events]
        commit_id = str(uuid_utils.uuid7())
        return sealed(
            last.hash if last else GENESIS,
            stream=stream,
            version=first,
            count=len(events),
            id=commit_id,
            at=datetime.now(UTC),
            by=ACTOR,
            correlation_id=commit_id,
            causation_id=commit_id,
            command=None,
            encoded=encode_events(encoded),
        )


def _ordered(commit: Commit, *, desc: bool) -> Sequence[tuple[int, StoredEvent]]:
    events = list(enumerate(commit.stored_events()))
    return events[::-1] if desc else events
