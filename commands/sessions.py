"""Logging in."""

from typing import Annotated

from pydantic import Field, StringConstraints
from typing_extensions import TypedDict

from commands import wiring
from commands.execution import now
from domain.decider import fold
from domain.users import USERS, normalised_email
from domain.value import Value
from infra.passwords import matches
from infra.request import BadTokenError
from infra.rest import Answer, Request
from infra.settings import ACCESS_TOKEN_LIFETIME


class Login(Value):
    # Bounded, but not checked as an address: a login says nothing about which part of it was wrong.
    email: Annotated[str, StringConstraints(strict=True, min_length=1, max_length=320)]
    password: Annotated[str, Field(strict=True, min_length=1, max_length=1000)]


class LoggedIn(TypedDict):
    access_token: str
    token_type: str
    expires_in: int


def login(request: Request, body: Login) -> Answer[LoggedIn]:  # noqa: ARG001 - open: nobody is known yet
    """An access token for an e-mail address and its password."""
    user_id = _owner(body.email)
    # Loaded and checked in any case, so that an unknown address takes as long as a wrong password.
    user = fold(USERS, wiring.store().load(USERS.stream(user_id or "nobody")))
    if not matches(body.password, user.password_hash if user else None) or not (user and user.is_active):
        raise BadTokenError("The e-mail address or the password is wrong.")
    return Answer(
        {
            "access_token": wiring.tokens().issue(str(user_id), user.role, now()),
            "token_type": "Bearer",
            "expires_in": int(ACCESS_TOKEN_LIFETIME.total_seconds()),
        }
    )


def _owner(email: str) -> str | None:
    try:
        return wiring.guards().owner_of_email(normalised_email(email))
    except ValueError:
        return None
