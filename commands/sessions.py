"""The session routes of the write API: logging in, going on, logging out.

Logging in and refreshing take no `Idempotency-Key`: a digest of a password must not be stored, not even a keyed one,
and a refresh token is its own key.
"""

from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Annotated, Literal

from pydantic import Field, StringConstraints
from typing_extensions import TypedDict

from commands import session_commands, wiring
from commands.execution import Order, execute, new_id, now
from commands.orders import order_of
from domain import sessions
from domain.decider import fold
from domain.event import DomainEvent
from domain.sessions import SESSIONS, EndReason, Grant, Session, SessionRefreshed, SessionStarted, ended_by, existing
from domain.users import USERS, log_in, normalised_email
from domain.value import Value
from infra.passwords import matches
from infra.request import BadTokenError
from infra.rest import Answer, Request
from infra.settings import number


class Login(Value):
    # Bounded, but not checked as an address: a login says nothing about which part of it was wrong.
    email: Annotated[str, StringConstraints(strict=True, min_length=1, max_length=320)]
    password: Annotated[str, Field(strict=True, min_length=1, max_length=1000)]


class Refresh(Value):
    refresh_token: Annotated[str, Field(strict=True, min_length=1, max_length=2000)]


class LoggedIn(TypedDict):
    """The tokens of a session, and the seconds for which each is good from when it was issued."""

    access_token: str
    refresh_token: Annotated[str, Field(description="good once; gets new tokens at POST /auth/refresh")]
    token_type: Literal["Bearer"]
    expires_in: int
    refresh_expires_in: int
    password_change_required: Annotated[
        bool,
        Field(description="the tokens open nothing but the change of one's own password, one's profile and logout"),
    ]


def login(request: Request, body: Login) -> Answer[LoggedIn]:
    """Start a session with an e-mail address and its password.

    Logins that fail are slowed, per account and per source address. `Idempotency-Key` counts for nothing here.
    """
    account, address = _account(body.email), request.source_address
    at = now()  # before the user is read: a stop that is stamped after that ends these tokens
    wiring.login_throttle().count(account, address, at)
    user_id = wiring.guards().owner_of_email(account)
    # Loaded and checked in any case, so that an unknown address takes as long as a wrong password.
    commits = list(wiring.store().load(USERS.stream(user_id or "nobody")))
    user = fold(USERS, commits)
    if not matches(body.password, user.password_hash if user else None) or not (user and user_id and user.is_active):
        raise BadTokenError("The e-mail address or the password is wrong.")
    wiring.login_throttle().give_back(account, address)
    order = _order(request, user_id, at)
    if not user.has_logged_in:
        execute(wiring.store(), USERS, user_id, log_in, order)
    session_id, expires_at = new_id(), _refresh_expiry(at)
    started = SessionStarted(
        user_id=user_id,
        user_version=commits[-1].last_version,
        expires_at=expires_at,
        refresh_digest=wiring.tokens().refresh_digest(user_id, session_id, 1, at, expires_at),
        role=user.role,
        password_change_required=user.password_change_required,
    )

    def decide(session: Session | None) -> Sequence[DomainEvent]:
        return sessions.start(session, started)

    outcome = execute(wiring.store(), SESSIONS, session_id, decide, order, creates=True, warm=wiring.warm())
    return _answer(user_id, session_id, existing(outcome.state).grants[-1])


def refresh(request: Request, body: Refresh) -> Answer[LoggedIn]:
    """Go on with a session: new tokens for its refresh token, which is good once.

    Sent again within 10 seconds, a refresh token gets the same answer again, for that may have been lost. Later its
    session is revoked, for somebody else may have it. `Idempotency-Key` counts for nothing here.
    """
    spent = wiring.tokens().refresh(body.refresh_token)
    user_id, session_id = spent.user_id, spent.session_id
    order = _order(request, user_id, now())  # as above
    commits = list(wiring.store().load(USERS.stream(user_id)))
    user = fold(USERS, commits)
    if user is None:
        raise _over()
    expires_at, generation = _refresh_expiry(order.at), spent.generation + 1
    refreshed = SessionRefreshed(
        generation=generation,
        expires_at=expires_at,
        refresh_digest=wiring.tokens().refresh_digest(user_id, session_id, generation, order.at, expires_at),
        role=user.role,
        password_change_required=user.password_change_required,
    )

    def decide(session: Session | None) -> Sequence[DomainEvent]:
        if session is None:
            raise _over()
        happened = (recorded for commit in commits for recorded in commit.recorded())
        since = [recorded.event for recorded in happened if recorded.version > session.user_version]
        return sessions.refresh(session, spent.digest, refreshed, ended_by(user, since), order.at)

    outcome = session_commands.carry_out(
        wiring.store(), wiring.token_guards(), session_id, decide, order, warm=wiring.warm()
    )
    grant = existing(outcome.state).answer_to(spent.digest, order.at)
    if grant is None:
        raise _over()
    return _answer(user_id, session_id, grant)


def logout(request: Request) -> Answer[None]:
    """End the session of the access token. Its tokens stop within 60 seconds."""
    session_id = request.caller.session_id

    def decide(session: Session | None) -> Sequence[DomainEvent]:
        return sessions.end(session, EndReason.LOGOUT)

    order = order_of(request)
    session_commands.carry_out(wiring.store(), wiring.token_guards(), session_id, decide, order, warm=wiring.warm())
    return Answer(None)


def _answer(user_id: str, session_id: str, grant: Grant) -> Answer[LoggedIn]:
    tokens = wiring.tokens().pair(user_id, session_id, grant)
    return Answer(
        {
            "access_token": tokens.access,
            "refresh_token": tokens.refresh,
            "token_type": "Bearer",
            "expires_in": int(wiring.tokens().lifetime.total_seconds()),
            "refresh_expires_in": grant.expires_at - int(grant.at.timestamp()),
            "password_change_required": grant.password_change_required,
        }
    )


def _account(email: str) -> str:
    """How an account's attempts are filed: alike for all ways to write its address."""
    try:
        return normalised_email(email)
    except ValueError:
        return email.strip().lower()


def _order(request: Request, user_id: str, at: datetime) -> Order:
    return Order(by=user_id, at=at, correlation_id=request.correlation_id, causation_id=f"api:{request.correlation_id}")


def _refresh_expiry(at: datetime) -> int:
    return int((at + timedelta(days=number("JWT_REFRESH_TOKEN_EXPIRE_DAYS", 7))).timestamp())


def _over() -> BadTokenError:
    return BadTokenError("The session is over; log in again.")
