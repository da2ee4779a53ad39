"""Registering users."""

from collections.abc import Callable

from commands.execution import Order, execute, new_id
from domain.decider import fold
from domain.errors import FieldFault, InvalidError, StateConflictError
from domain.users import USERS, RegisterUser, register
from infra.event_store import EventStore, GuardRefusedError, GuardWrite


def register_user(
    store: EventStore,
    take_email: Callable[[str, str], GuardWrite],
    command: RegisterUser,
    password_hash: str,
    order: Order,
) -> str:
    """Register a user, whose e-mail address becomes theirs in the same transaction. Returns their id.

    Raises:
        StateConflictError: the address belongs to somebody already.
    """
    user_id = new_id()
    try:
        execute(
            store,
            USERS,
            user_id,
            lambda user: register(user, command, password_hash),
            order,
            creates=True,
            guards=[take_email(command.email, user_id)],
        )
    except GuardRefusedError:
        raise StateConflictError("This e-mail address is registered already.") from None
    return user_id


def require_active(store: EventStore, user_id: str, field: str) -> None:
    """Raises InvalidError, naming the request's `field`, unless this is an active user."""
    user = fold(USERS, store.load(USERS.stream(user_id)))
    if user is None or not user.is_active:
        raise InvalidError(FieldFault(field, "is not an active user"))
