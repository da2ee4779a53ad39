"""Sessions: a login, and what keeps it going. Each refresh token is good once, and only its digest is kept."""

from collections.abc import Iterable
from datetime import datetime, timedelta
from enum import StrEnum
from itertools import pairwise

from domain.commit import Recorded
from domain.decider import Decider
from domain.errors import NotFoundError, StateConflictError
from domain.event import DomainEvent, event_type
from domain.permissions import Role
from domain.users import User, UserDeactivated, UserDeleted, UserPasswordChanged
from domain.value import Value

REPEAT_WITHIN = timedelta(seconds=10)
"""How long a spent refresh token gets the same answer again: its answer may have been lost on the way."""

_GRANTS_KEPT = 20
"""However many refreshes there are within REPEAT_WITHIN, so that a state stays small."""


class EndReason(StrEnum):
    LOGOUT = "logout"
    PASSWORD_CHANGED = "password_changed"  # noqa: S105 - a reason
    DEACTIVATED = "deactivated"
    DELETED = "deleted"


class Grant(Value):
    """What a login or a refresh gave: all that is needed to make the same tokens again, but for the key.

    Attributes:
        generation: 1 for the login's, then one more with each refresh.
        at: when it was given, UTC, to the millisecond.
        expires_at: of the refresh token, in seconds since the epoch.
    """

    generation: int
    at: datetime
    expires_at: int
    refresh_digest: str
    role: Role
    password_change_required: bool


class Session(Value):
    """A session.

    Attributes:
        user_version: of the user's stream, when the password was checked.
        grants: the current one last; before it those that were spent a moment ago.
    """

    user_id: str
    user_version: int
    started_at: datetime
    grants: tuple[Grant, ...]
    is_over: bool = False

    def answer_to(self, refresh_digest: str, at: datetime) -> Grant | None:
        """What was given for a spent refresh token, while a repeat of it still gets it."""
        if self.is_over:
            return None
        for spent, given in pairwise(self.grants):
            if spent.refresh_digest == refresh_digest and at - given.at <= REPEAT_WITHIN:
                return given
        return None


# ---- events


@event_type("session.started", 1)
class SessionStarted(DomainEvent):
    user_id: str
    user_version: int
    expires_at: int
    refresh_digest: str
    role: Role
    password_change_required: bool


@event_type("session.refreshed", 1)
class SessionRefreshed(DomainEvent):
    generation: int
    expires_at: int
    refresh_digest: str
    role: Role
    password_change_required: bool


@event_type("session.ended", 1)
class SessionEnded(DomainEvent):
    reason: EndReason


@event_type("session.revoked", 1)
class SessionRevoked(DomainEvent):
    """A refresh token came back that had been spent: somebody else has it too.

    Attributes:
        generation: the token's.
    """

    generation: int


# ---- rules


def start(session: Session | None, started: SessionStarted) -> list[DomainEvent]:
    if session is not None:
        raise StateConflictError("This session has begun already.")
    return [started]


def refresh(
    session: Session | None, spent: str, refreshed: SessionRefreshed, ended: EndReason | None, at: datetime
) -> list[DomainEvent]:
    """Spend a refresh token whose signature is good.

    Args:
        spent: its digest.
        refreshed: what it gets if it is the current one.
        ended: why the user's sessions are over, if they are.
    """
    session = existing(session)
    if session.is_over:
        return []
    if ended:
        return [SessionEnded(reason=ended)]
    if spent == session.grants[-1].refresh_digest:
        return [refreshed]
    if session.answer_to(spent, at):
        return []
    return [SessionRevoked(generation=refreshed.generation - 1)]


def end(session: Session | None, reason: EndReason) -> list[DomainEvent]:
    return [] if existing(session).is_over else [SessionEnded(reason=reason)]


def end_of_earlier(session: Session | None, reason: EndReason, user_version: int) -> list[DomainEvent]:
    """End a session that began before its user came to a version; one that began after it knows of it."""
    return end(session, reason) if existing(session).user_version < user_version else []


def existing(session: Session | None) -> Session:
    """Raises NotFoundError for a session that never was."""
    if session is None:
        raise NotFoundError("There is no such session.")
    return session


def reason_to_end(event: DomainEvent) -> EndReason | None:
    """Why an event of a user ends their sessions, if it does."""
    match event:
        case UserPasswordChanged():
            return EndReason.PASSWORD_CHANGED
        case UserDeactivated():
            return EndReason.DEACTIVATED
        case UserDeleted():
            return EndReason.DELETED
        case _:
            return None


def ended_by(user: User, since: Iterable[DomainEvent]) -> EndReason | None:
    """Why a session is over, by its user as they are and what happened to them since it began."""
    if user.is_deleted:
        return EndReason.DELETED
    if not user.is_active:
        return EndReason.DEACTIVATED
    return next(filter(None, map(reason_to_end, since)), None)


def evolve(session: Session | None, recorded: Recorded) -> Session:
    event, at = recorded.event, recorded.at
    if session is None and isinstance(event, SessionStarted):
        first = Grant(generation=1, at=at, **event.model_dump(exclude={"user_id", "user_version"}))
        return Session(user_id=event.user_id, user_version=event.user_version, started_at=at, grants=(first,))
    if session is None:
        raise ValueError(f"{event.name} before session.started")
    match event:
        case SessionRefreshed():
            kept = (spent for spent, given in pairwise(session.grants) if at - given.at <= REPEAT_WITHIN)
            grants = (*kept, session.grants[-1], Grant(at=at, **dict(event)))
            return session.model_copy(update={"grants": grants[-_GRANTS_KEPT:]})
        case SessionEnded() | SessionRevoked():
            return session.model_copy(update={"is_over": True})
        case _:
            raise ValueError(f"a session does not know the event {event.name}")


SESSIONS: Decider[Session] = Decider("session", evolve, Session)
