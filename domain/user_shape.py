"""How a user looks to the outside, the same whichever side answers. Times are Unix seconds."""

from typing import Annotated

from pydantic import Field
from typing_extensions import TypedDict

from domain.permissions import Role
from domain.users import User


class UserShown(TypedDict):
    """A user. Times are Unix seconds."""

    id: str
    email: str
    full_name: str
    role: Role
    is_active: bool
    created_at: int
    updated_at: int
    last_login: Annotated[int | None, Field(description="null if there was none yet, and in answers to writes")]
    password_change_required: Annotated[bool, Field(description="an admin set the password; its owner must change it")]


def shown_user(user_id: str, user: User, email: str, full_name: str, last_login: int | None = None) -> UserShown:
    """A user.

    Args:
        email: in clear, as `full_name`: the state holds both sealed.
    """
    return {
        "id": user_id,
        "email": email,
        "full_name": full_name,
        "role": user.role,
        "is_active": user.is_active,
        "created_at": int(user.created_at.timestamp()),
        "updated_at": int(user.updated_at.timestamp()),
        "last_login": last_login,
        "password_change_required": user.password_change_required,
    }
