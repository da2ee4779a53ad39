"""Users: who may log in, and with which role. The only streams that hold personal data."""

import re
from datetime import datetime
from typing import Annotated, Any

from pydantic import AfterValidator, Field, StringConstraints, field_validator

from domain.commit import Recorded
from domain.decider import Decider
from domain.errors import FieldFault, InvalidError, NotFoundError, StateConflictError
from domain.event import DomainEvent, event_type
from domain.permissions import Role
from domain.text import ONE_LINE, PRINTABLE, TRIMMED
from domain.value import Value

_EMAIL_LENGTH = 254  # RFC 3696, erratum 1690: what fits into a path of 256 (RFC 5321, section 4.5.3.1.3)

# One @, no blanks, a dot in the domain: whether an address exists, only a message to it can tell. What no screen shows
# would make two addresses look the same.
_EMAIL = re.compile(r"[^\s@]{1,64}@[^\s@.]+(\.[^\s@.]+)+")


def normalised_email(text: str) -> str:
    """Lower-cased and trimmed, as addresses are compared.

    Raises:
        ValueError: if it does not look like an address.
    """
    email = text.strip().lower()
    if max(len(text), len(email)) > _EMAIL_LENGTH or not (email.isprintable() and _EMAIL.fullmatch(email)):
        raise ValueError("must be an e-mail address")
    return email


_PASSWORD_BYTES = (12, 72)
_UTF8_BYTES = 4  # of a character, at most


def _password(text: str) -> str:
    # bcrypt takes 72 bytes and drops the rest in silence (OWASP Password Storage Cheat Sheet), so more is refused.
    if not _PASSWORD_BYTES[0] <= len(text.encode()) <= _PASSWORD_BYTES[1]:
        raise ValueError("must be 12 to 72 bytes long")
    if "\0" in text:  # bcrypt would begin the password anew after it
        raise ValueError("must not hold the character U+0000")
    return text


Email = Annotated[
    str,
    StringConstraints(strict=True),
    AfterValidator(normalised_email),
    Field(
        description="compared and kept in lower case",
        json_schema_extra={"minLength": len("a@b.c"), "maxLength": _EMAIL_LENGTH},
    ),
]
Password = Annotated[
    str,
    StringConstraints(strict=True),
    AfterValidator(_password),
    Field(
        description="12 to 72 bytes of UTF-8, which are as many characters where these are ASCII; not U+0000",
        json_schema_extra={
            "format": "password",
            "minLength": _PASSWORD_BYTES[0] // _UTF8_BYTES,
            "maxLength": _PASSWORD_BYTES[1],
        },
    ),
]
FullName = Annotated[str, TRIMMED, StringConstraints(min_length=2, max_length=100), PRINTABLE, ONE_LINE]


class User(Value):
    """A user. `email` and `full_name` are sealed: what the ledger keeps of them is not readable by itself.

    Attributes:
        password_change_required: an admin chose the password, so that two people know it.
        has_logged_in: ever, since that is recorded.
    """

    email: str
    full_name: str
    role: Role
    password_hash: str
    password_change_required: bool = False
    is_active: bool = True
    is_deleted: bool = False
    has_logged_in: bool = False
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


@event_type("user.password-changed", 1)
class UserPasswordChanged(DomainEvent):
    """`must_change`: it was set by somebody else, and opens nothing until its owner changes it."""

    password_hash: str
    must_change: bool


@event_type("user.deactivated", 1)
class UserDeactivated(DomainEvent):
    pass


@event_type("user.reactivated", 1)
class UserReactivated(DomainEvent):
    pass


@event_type("user.first-logged-in", 1)
class UserFirstLoggedIn(DomainEvent):
    """Later logins stand in their sessions only."""


@event_type("user.deleted", 1)
class UserDeleted(DomainEvent):
    """The user's key is deleted with it, which makes the sealed texts of all these events unreadable."""


# ---- commands


class RegisterUser(Value):
    email: Email
    full_name: FullName
    role: Role = Role.USER


class ChangeUser(Value):
    """Changes the fields that are sent."""

    email: Email | None = None
    full_name: FullName | None = None
    role: Annotated[Role, Field(description="admins only")] | None = None
    is_active: Annotated[bool, Field(strict=True, description="admins only")] | None = None

    @field_validator("*", mode="before")
    @classmethod
    def _not_null(cls, value: object) -> object:
        if value is None:
            raise ValueError("cannot be null")
        return value


class ChangePassword(Value):
    """One's own with the old one; an admin sets another's without it, and they must change it when they log in."""

    new_password: Password
    # Bounded, but not checked as a password: it is right or wrong, whatever the rules for new ones are by now.
    old_password: Annotated[str, StringConstraints(strict=True, min_length=1, max_length=1000)] | None = None


# ---- rules. That an address is one person's only, and that an active admin is left, hold guards outside the stream.


def check_unregistered(user: User | None) -> None:
    """Raises StateConflictError for a user who is, or was."""
    if user is not None:
        raise StateConflictError("This user is registered already.")


def change(user: User | None, command: ChangeUser, profile: UserProfileChanged | None) -> list[DomainEvent]:
    """What a change does; nothing for what is so already.

    Args:
        profile: the e-mail address and the name of the command, sealed; None if neither changes.
    """
    user = present(user)
    events: list[DomainEvent] = [profile] if profile else []
    if command.role is not None and command.role is not user.role:
        events.append(UserRoleChanged(old=user.role, new=command.role))
    if command.is_active is not None and command.is_active is not user.is_active:
        events.append(UserReactivated() if command.is_active else UserDeactivated())
    return events


def check_password_change(command: ChangePassword, *, own: bool) -> None:
    """Raises InvalidError for one's own password without the old one, another's with it, and one that stays the same.

    Whether the old password is right is not decided here.
    """
    if own and command.old_password is None:
        raise InvalidError(FieldFault("old_password", "is needed to change your own password"))
    if not own and command.old_password is not None:
        raise InvalidError(FieldFault("old_password", "is for your own password only"))
    if command.new_password == command.old_password:
        raise InvalidError(FieldFault("new_password", "must be another one than the old password"))


def log_in(user: User | None) -> list[DomainEvent]:
    """What a login does to its user. Whether they may log in is not decided here."""
    if user is None or user.is_deleted or user.has_logged_in:
        return []
    return [UserFirstLoggedIn()]


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
        case UserPasswordChanged():
            changes = {"password_hash": event.password_hash, "password_change_required": event.must_change}
        case UserDeactivated():
            changes = {"is_active": False}
        case UserReactivated():
            changes = {"is_active": True}
        case UserFirstLoggedIn():
            changes = {"has_logged_in": True}
        case UserDeleted():
            changes = {"is_active": False, "is_deleted": True}
        case _:
            raise ValueError(f"a user does not know the event {event.name}")
    return user.model_copy(update={**changes, "updated_at": at})


USERS: Decider[User] = Decider("user", evolve, User, schema=3)
