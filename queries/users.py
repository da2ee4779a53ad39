"""Users: oneself, and the names of others."""

import json
from collections.abc import Iterable
from typing import Any

from typing_extensions import TypedDict

from domain.errors import NotFoundError
from domain.permissions import Role
from domain.users import USERS, User
from infra.rest import Answer, Request
from infra.views import Key, Row, rows_by_key


class UserShown(TypedDict):
    """A user. Times are Unix seconds."""

    id: str
    email: str
    full_name: str
    role: Role
    is_active: bool
    created_at: int
    updated_at: int


def get_me(request: Request) -> Answer[UserShown]:
    """Oneself."""
    user_id = request.caller.user_id
    try:
        row = Row.get(USERS.stream(user_id), "user", consistent_read=True)
    except Row.DoesNotExist:
        raise NotFoundError("There is no such user (yet).") from None
    return Answer(_shown(user_id, json.loads(row.data)), int(row.version))


def names(user_ids: Iterable[str | None]) -> dict[str, str]:
    """People's names by id, in one call; those who are unknown are left out."""
    rows = rows_by_key(Key(USERS.stream(user_id), "user") for user_id in user_ids if user_id)
    return {key.pk.partition("#")[2]: json.loads(row.data)["full_name"] for key, row in rows.items()}


def _shown(user_id: str, data: dict[str, Any]) -> UserShown:
    user = User.model_validate(data["user"])
    return {
        "id": user_id,
        "email": data["email"],
        "full_name": data["full_name"],
        "role": user.role,
        "is_active": user.is_active,
        "created_at": int(user.created_at.timestamp()),
        "updated_at": int(user.updated_at.timestamp()),
    }
