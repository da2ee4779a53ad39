"""Users: who may log in, and with which role. The only streams that hold personal data."""

import re
from datetime import datetime
from typing import Annotated

from pydantic import AfterValidator, StringConstraints

from domain.commit import Recorded
from domain.decider import Decider
from domain.errors import StateConflictError
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
    email: str
    full_name: str
    role: Role
    password_hash: str
    is_active: bool = True
    created_at: datetime
    updated_at: datetime


@event_type("user.registered", 1)
class UserRegistered(DomainEvent):
    email: str
    full_name: str
    role: Role
    password_hash: str


class RegisterUser(Value):
    email: Email
    full_name: FullName
    role: Role = Role.USER


def register(user: User | None, command: RegisterUser, password_hash: str) -> list[DomainEvent]:
    if user is not None:
        raise StateConflictError("This user is registered already.")
    return [
        UserRegistered(email=command.email, full_name=command.full_name, role=command.role, password_hash=password_hash)
    ]


def evolve(user: User | None, recorded: Recorded) -> User:
    event = recorded.event
    if user is None and isinstance(event, UserRegistered):
        return User(**dict(event), created_at=recorded.at, updated_at=recorded.at)
    raise ValueError(f"a user is registered once and takes no {event.name}")


USERS: Decider[User] = Decider("user", evolve, User)
