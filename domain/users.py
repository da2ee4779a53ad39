"""Users: who may log in, and with which role. The only streams that hold personal data."""

import re
from datetime import datetime
from typing import Annotated, Any

from pydantic import AfterValidator, StringConstraints

from domain.commit import Recorded
from domain.decider import Decider
from domain.errors import NotFoundError, StateConflictError
from domain.event import DomainEvent, event_type
from domain.permissions import Role
from domain.text import ONE_LINE, PRINTABLE, TRIMMED
from domain.value import Value

# One @, no blanks, a dot in the domain: whether an address exists, only a message to it can tell.
_EMAIL = re.compile(r"[^\s@]{1,64}@[^\s@.]+(\.[^\s@.]+)+")


def normalised_email(text: str) -> str:
    """Lower-cased and trimmed, as addresses are compared.

    Raises:
        ValueError: if it does not look like an address.
    """
    email = text.strip().lower()
    if len(email) > 254 or not _EMAIL.fullmatch(email):
        raise ValueError("must be an e-mail address")
    return email


def _password(text: str) -> str:
    # bcrypt takes 72 bytes and drops the rest in silence (OWASP Password Storage Cheat Sheet), so more is refused.
    if not 12 <= len(text.encode()) <= 72:
        raise ValueError("must be 12 to 72 bytes long")
    return text


Email = Annotated[str, StringConstraints(strict=True), AfterValidator(normalised_email)]
Password = Annotated[str, StringConstraints(strict=True), AfterValidator(_password)]
FullName = Annotated[str, TRIMMED, StringConstraints(min_length=2, max_length=100), PRINTABLE, ONE_LINE]


class User(Value):
    """A user. `email` and `full_name` are sealed: what the ledger keeps of them is not readable by itself."""

    email: str
    full_name: str
    role: Role
    password_hash: str
    is_active: bool = True
    is_deleted: bool = False
    created_at: datetime
    updated_at: datetime

    @property
    def is_active_admin(self) -> bool:
        return self.is_active and not self.is_deleted and self.role is Role.ADMIN


# ---- events; personal data in them is sealed by the caller


@event_type("user.registered", 1)
class UserRegistered(DomainEvent):
    email: str
    full_name: str
    role: Role
    password_hash: str


@event_type("user.profile-changed", 1)
class UserProfileChanged(DomainEvent):
    """Both as they now are."""

    email: str
    full_name: str


@event_type("user.role-changed", 1)
class UserRoleChanged(DomainEvent):
    old: Role
    new: Role


@event_type("user.deactivated", 1)
class UserDeactivated(DomainEvent):
    pass


@event_type("user.reactivated", 1)
class UserReactivated(DomainEvent):
    pass


@event_type("user.deleted", 1)
class UserDeleted(DomainEvent):
    """The user's key is deleted with it, which makes the sealed texts of all these events unreadable."""


# ---- commands


class RegisterUser(Value):
    email: Email
    full_name: FullName
    role: Role = Role.USER


class ChangeProfile(Value):
    """Changes the fields that are sent."""

    email: Email | None = None
    full_name: FullName | None = None


# ---- rules. That an address is one person's only, and that an active admin is left, hold guards outside the stream.


def register(user: User | None, event: UserRegistered) -> list[DomainEvent]:
    if user is not None:
        raise StateConflictError("This user is registered already.")
    return [event]


def change_profile(user: User | None, event: UserProfileChanged) -> list[DomainEvent]:
    present(user)
    return [event]


def change_role(user: User | None, role: Role) -> list[DomainEvent]:
    user = present(user)
    return [] if user.role is role else [UserRoleChanged(old=user.role, new=role)]


def set_active(user: User | None, *, active: bool) -> list[DomainEvent]:
    user = present(user)
    if user.is_active is active:
        return []
    return [UserReactivated() if active else UserDeactivated()]


def delete(user: User | None) -> list[DomainEvent]:
    if user is not None and user.is_deleted:
        return []
    present(user)
    return [UserDeleted()]


def present(user: User | None) -> User:
    """Raises NotFoundError for a user who never was, or is deleted."""
    if user is None or user.is_deleted:
        raise NotFoundError("There is no such user.")
    return user


def evolve(user: User | None, recorded: Recorded) -> User:
    event, at = recorded.event, recorded.at
    if user is None and isinstance(event, UserRegistered):
        return User(**dict(event), created_at=at, updated_at=at)
    if user is None:
        raise ValueError(f"{event.name} before user.registered")
    match event:
        case UserProfileChanged():
            changes: dict[str, Any] = dict(event)
        case UserRoleChanged():
            changes = {"role": event.new}
        case UserDeactivated():
            changes = {"is_active": False}
        case UserReactivated():
            changes = {"is_active": True}
        case UserDeleted():
            changes = {"is_active": False, "is_deleted": True}
        case _:
            raise ValueError(f"a user does not know the event {event.name}")
    return user.model_copy(update={**changes, "updated_at": at})


USERS: Decider[User] = Decider("user", evolve, User)
