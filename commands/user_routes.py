"""The user routes of the write API: parse, authorise, call, answer.

What these requests hold is personal or secret, so the digest that tells a repeat from another request is keyed.
"""

from collections.abc import Mapping

from commands import wiring
from commands.execution import Order, Outcome
from commands.orders import id_for, order_of
from domain.errors import ForbiddenError, NotFoundError
from domain.permissions import Permission
from domain.user_shape import UserShown, shown_user
from domain.users import (
    USERS,
    ChangePassword,
    ChangeUser,
    Password,
    RegisterUser,
    User,
    check_password_change,
    present,
)
from infra.passwords import hashed
from infra.rest import Answer, Request


class NewUser(RegisterUser):
    """A user and their first password."""

    password: Password


def register_user(request: Request, body: NewUser) -> Answer[UserShown]:
    """Register a user, with a first password to hand over to them."""
    order = _order(request)
    user_id = id_for(order)
    outcome = wiring.users().register(user_id, body, hashed(body.password), order)
    return _shown(user_id, outcome, {"Location": f"/users/{user_id}"})


def change_user(request: Request, user_id: str, body: ChangeUser) -> Answer[UserShown]:
    """Change the fields that are sent: one's own e-mail address and name; as an admin, everything of everybody."""
    _check_seen(request, user_id)
    if not request.caller.may(Permission.USERS) and body.model_fields_set & {"role", "is_active"}:
        raise ForbiddenError("Roles and activity are changed by admins only.")
    return _shown(user_id, wiring.users().change(user_id, body, _order(request)))


def change_password(request: Request, user_id: str, body: ChangePassword) -> Answer[None]:
    """Change one's own password, which takes the old one, or as an admin somebody else's, which takes none.

    A password set by an admin must be changed by its owner before anything else. All sessions of the user end, the
    caller's own too; their access tokens stop within 60 seconds. Wrong old passwords are slowed as logins are.
    """
    _check_seen(request, user_id)
    own = user_id == request.caller.user_id
    check_password_change(body, own=own)
    order = _order(request)
    if own:  # with a token that was left behind, the password could be guessed here as well as by logging in
        wiring.login_throttle().count(user_id, request.source_address, order.at)
    outcome = wiring.users().change_password(user_id, body, order)
    if own:
        wiring.login_throttle().give_back(user_id, request.source_address)
    return Answer(None, outcome.version, USERS.stream(user_id))


def delete_user(request: Request, user_id: str) -> Answer[None]:
    """Delete a user, and erase their name and e-mail address everywhere. What they did stays, under their id."""
    outcome = wiring.users().delete(user_id, _order(request))
    return Answer(None, outcome.version, USERS.stream(user_id))


def _check_seen(request: Request, user_id: str) -> None:
    """Raises NotFoundError for others' ids: that there is such a user is not told to people who may not see them."""
    if user_id != request.caller.user_id and not request.caller.may(Permission.USERS):
        raise NotFoundError("There is no such user.")


def _order(request: Request) -> Order:
    return order_of(request, wiring.guard_key())


def _shown(user_id: str, outcome: Outcome[User], headers: Mapping[str, str] | None = None) -> Answer[UserShown]:
    user = present(outcome.state)
    body = shown_user(user_id, user, *wiring.users().profile(user_id, user))
    return Answer(body, outcome.version, USERS.stream(user_id), headers or {})
