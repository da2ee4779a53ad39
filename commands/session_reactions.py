"""A user who is deactivated, deleted or has another password loses their open sessions.

Sessions are found in the views, where one that has just begun may be missing: its next refresh finds out by itself.
"""

import json
from collections.abc import Sequence

from commands.causation import holding_up_nobody, order_because_of
from commands.execution import now
from commands.session_commands import carry_out
from domain.commit import Commit
from domain.event import DomainEvent
from domain.sessions import EndReason, Session, end_of_earlier, reason_to_end
from infra.event_store import EventStore
from infra.guards import TokenGuards
from infra.views import Row, open_sessions


def end_sessions(store: EventStore, guards: TokenGuards, cause: Commit) -> int:
    """End the sessions that a commit of a user ends. Returns how many these were.

    Raises:
        Exception: a fault of the infrastructure.
    """
    reason = None
    with holding_up_nobody("not read", stream=cause.stream, version=cause.version):  # the projector parks its stream
        reason = _reason(cause)
    if reason is None:
        return 0
    ended = 0
    for session_id in _open_sessions(cause.stream.partition("#")[2]):
        with holding_up_nobody("session not ended", session=session_id):
            _end(store, guards, session_id, reason, cause)
            ended += 1
    return ended


def _end(store: EventStore, guards: TokenGuards, session_id: str, reason: tuple[int, EndReason], cause: Commit) -> None:
    """End a session because of an event of its user. A session that began after that is left alone."""
    version, why = reason

    def decide(session: Session | None) -> Sequence[DomainEvent]:
        return end_of_earlier(session, why, version)

    carry_out(store, guards, session_id, decide, order_because_of(cause, str(version)))


def _reason(commit: Commit) -> tuple[int, EndReason] | None:
    """The version of the first event of a commit that ends sessions, and why it does."""
    reasons = ((event.version, reason_to_end(event.event)) for event in list(commit.recorded()))
    return next(((version, reason) for version, reason in reasons if reason), None)


def _open_sessions(user_id: str) -> list[str]:
    rows = Row.by_person.query(open_sessions(user_id))
    present = now().timestamp()
    return [row.pk.partition("#")[2] for row in rows if json.loads(row.data)["expires_at"] > present]
