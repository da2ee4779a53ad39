"""Sessions: a row for each, in its user's index while it is open; counted by the day it began.

A row goes some weeks after its session could last be refreshed. That takes nothing from the counters, which are per
day begun. When a user last logged in stands beside the user's row.
"""

import json
from collections.abc import Sequence
from typing import Any

from domain.commit import Commit, Recorded
from domain.sessions import SESSIONS, SessionEnded, SessionRefreshed, SessionRevoked, SessionStarted
from infra.counters import LOGINS_COUNTER, CounterMoves, last_login
from infra.views import Key, Row, open_sessions, utc_day
from projections.projection import Folded, Projection

ROW_KEPT_SECONDS = 28 * 86_400
"""After the refresh token's expiry."""


class SessionProjection(Projection):
    """See the module."""

    category = SESSIONS.category

    def key(self, hint: Commit) -> Key:
        """See `Projection.key`."""
        return Key(hint.stream, "session")

    def fold(self, row: Row | None, stream: str, events: Sequence[Recorded]) -> Folded:
        """See `Projection.fold`."""
        shown: dict[str, Any] | None = json.loads(row.data) if row else None
        raised: list[tuple[Key, int]] = []
        for recorded in events:
            shown = _shown(shown, recorded)
            if isinstance(recorded.event, SessionStarted):
                raised.append((last_login(recorded.event.user_id), int(recorded.at.timestamp())))
        assert shown is not None  # noqa: S101 - there is at least one event
        is_open = shown["ended_at"] is None
        return Folded(
            Row(
                stream,
                "session",
                version=events[-1].version,
                data=json.dumps(shown),
                gsi2pk=open_sessions(shown["user_id"]) if is_open else None,
                gsi2sk=stream if is_open else None,
                ttl=shown["expires_at"] + ROW_KEPT_SECONDS,
            ),
            raised=tuple(raised),
        )

    def contributions(self, row: Row) -> CounterMoves:
        """See `Projection.contributions`."""
        return {Key(LOGINS_COUNTER, utc_day(json.loads(row.data)["started_at"])): 1}

    def outlives(self, counter: Key, at: float) -> bool:
        """See `Projection.outlives`."""
        return counter.sk <= utc_day(int(at) - ROW_KEPT_SECONDS)


def _shown(shown: dict[str, Any] | None, recorded: Recorded) -> dict[str, Any]:
    """What a row says; no digest of a token is in it."""
    event, at = recorded.event, int(recorded.at.timestamp())
    match event:
        case SessionStarted() if shown is None:
            return {
                "user_id": event.user_id,
                "user_version": event.user_version,
                "started_at": at,
                "refreshed_at": None,
                "expires_at": event.expires_at,
                "ended_at": None,
                "end": None,
            }
        case SessionRefreshed() if shown:
            return {**shown, "refreshed_at": at, "expires_at": event.expires_at}
        case SessionEnded() if shown:
            return {**shown, "ended_at": at, "end": event.reason}
        case SessionRevoked() if shown:
            return {**shown, "ended_at": at, "end": "revoked"}
        case _:
            raise ValueError(f"a session does not take {event.name} here")
