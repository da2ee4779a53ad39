"""Access tokens: JWT (RFC 7519), signed with HS256 by a key from Secrets Manager."""

from collections.abc import Callable
from datetime import datetime
from typing import Any

import jwt
import uuid_utils

from domain.permissions import Caller, Role
from infra.request import BadTokenError
from infra.settings import ACCESS_TOKEN_LIFETIME

_ALGORITHM = "HS256"
_MIN_KEY_BYTES = 32  # RFC 7518, section 3.2: a key of the hash's size or larger


class Tokens:
    """Issues and checks access tokens.

    Args:
        key: gives the signing key, at least 32 bytes long.
    """

    def __init__(self, key: Callable[[], str]) -> None:
        self._key = key

    def issue(self, user_id: str, role: Role, at: datetime) -> str:
        claims = {
            "sub": user_id,
            "role": role.value,
            "type": "access",
            "iat": int(at.timestamp()),
            "exp": int((at + ACCESS_TOKEN_LIFETIME).timestamp()),
            "jti": str(uuid_utils.uuid7()),
        }
        return jwt.encode(claims, self._checked_key(), algorithm=_ALGORITHM)

    def caller(self, token: str) -> Caller:
        """Who a token speaks for.

        Raises:
            BadTokenError: it is not a valid access token.
        """
        try:
            claims: dict[str, Any] = jwt.decode(
                token,
                self._checked_key(),
                algorithms=[_ALGORITHM],  # a list of one: neither `none` nor another algorithm is ever taken
                options={"require": ["sub", "role", "type", "iat", "exp", "jti"]},
            )
            if claims["type"] != "access":
                raise BadTokenError("This is not an access token.")
            return Caller(user_id=claims["sub"], role=Role(claims["role"]))
        except jwt.ExpiredSignatureError:
            raise BadTokenError("The access token has expired; log in again.") from None
        except (jwt.InvalidTokenError, ValueError):
            raise BadTokenError("The access token is not valid.") from None

    def _checked_key(self) -> str:
        key = self._key()
        if len(key.encode()) < _MIN_KEY_BYTES:
            raise RuntimeError(f"the token key must be at least {_MIN_KEY_BYTES} bytes long")
        return key
