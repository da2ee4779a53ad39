"""Access and refresh tokens: JWT (RFC 7519), signed with HS256 by a key from Secrets Manager.

Neither is stored. The same grant and key always make the same tokens, so that a lost answer can be given again.
"""

import hashlib
import os
import uuid
from collections.abc import Callable, Iterator, Mapping, Sequence
from datetime import datetime, timedelta
from typing import Any, NamedTuple

from domain.permissions import Caller, Role
from domain.sessions import Grant
from infra.hmac_jwt import jwt
from infra.request import BadTokenError
from infra.settings import ACCESS_TOKEN_LIFETIME, UNKNOWN_KEY_SECONDS, setting

_ALGORITHM = "HS256"
_MIN_KEY_BYTES = 32  # RFC 7518, section 3.2: a key of the hash's size or larger
_LOCAL_KEY = "JWT_SECRET_KEY"  # set by hand on a developer's machine; the template gives it to no function
_ACCESS = {"sub", "role", "sid", "type", "iat", "exp", "jti"}
_REFRESH = {"sub", "sid", "gen", "type", "iat", "exp", "jti"}


class AccessToken(NamedTuple):
    """A valid access token: who it speaks for, and when it was issued, in milliseconds since the epoch."""

    caller: Caller
    issued_at: int


class RefreshToken(NamedTuple):
    """A refresh token with a good signature."""

    user_id: str
    session_id: str
    generation: int
    digest: str


class TokenPair(NamedTuple):
    """What a grant gives."""

    access: str
    refresh: str


class Tokens:
    """Issues and checks tokens.

    Args:
        key: gives the signing key, at least 32 bytes long.
        others: gives the keys that are accepted too, when that one did not sign a token.
        lifetime: of access tokens.
    """

    def __init__(
        self,
        key: Callable[[], str],
        others: Callable[[], Sequence[str]] = tuple,
        lifetime: timedelta = ACCESS_TOKEN_LIFETIME,
    ) -> None:
        self._key = key
        self._others = others
        self.lifetime = lifetime

    def issue(
        self, user_id: str, role: Role, at: datetime, session_id: str = "", *, must_change_password: bool = False
    ) -> str:
        """An access token."""
        key = _checked(self._key())
        return self._access(key, user_id, session_id, role, at, must_change_password=must_change_password)

    def refresh_digest(self, user_id: str, session_id: str, generation: int, at: datetime, expires_at: int) -> str:
        """The digest of the refresh token of a grant that is about to be given."""
        return _digest(_refresh(_checked(self._key()), user_id, session_id, generation, at, expires_at))

    def pair(self, user_id: str, session_id: str, grant: Grant) -> TokenPair:
        """The tokens of a grant, the same whenever it is asked.

        Raises:
            BadTokenError: the key that signed them is gone.
        """
        for key in self._keys():
            refresh = _refresh(key, user_id, session_id, grant.generation, grant.at, grant.expires_at)
            if _digest(refresh) == grant.refresh_digest:
                must_change = grant.password_change_required
                access = self._access(key, user_id, session_id, grant.role, grant.at, must_change_password=must_change)
                return TokenPair(access, refresh)
        raise BadTokenError("The keys have changed; log in again.")

    def caller(self, token: str) -> Caller:
        """Who a token speaks for, as the token alone tells.

        Raises:
            BadTokenError: it is not a valid access token.
        """
        return self.access(token).caller

    def access(self, token: str) -> AccessToken:
        """What an access token tells.

        Raises:
            BadTokenError: it is not a valid access token.
        """
        try:
            claims = self._claims(token, _ACCESS)
            if claims["type"] != "access":
                raise BadTokenError("This is not an access token.")
            caller = Caller(
                user_id=claims["sub"],
                role=Role(claims["role"]),
                session_id=claims["sid"],
                must_change_password=claims.get("password_change_required", False),
            )
            return AccessToken(caller, uuid.UUID(claims["jti"]).int >> 80)
        except jwt.ExpiredSignatureError:
            raise BadTokenError("The access token has expired; refresh it or log in again.") from None
        except (jwt.InvalidTokenError, AttributeError, ValueError):
            raise BadTokenError("The access token is not valid.") from None

    def refresh(self, token: str) -> RefreshToken:
        """What a refresh token tells. Whether it is still to be spent, its session knows.

        Raises:
            BadTokenError: it is not a valid refresh token.
        """
        try:
            claims = self._claims(token, _REFRESH)
            if claims["type"] != "refresh":
                raise BadTokenError("This is not a refresh token.")
            # The same token may be written in other ways, such as with `=` at its end, which have other digests.
            if not any(jwt.encode(claims, key, algorithm=_ALGORITHM) == token for key in self._keys()):
                raise BadTokenError("The refresh token is not valid.")
            return RefreshToken(claims["sub"], claims["sid"], int(claims["gen"]), _digest(token))
        except jwt.ExpiredSignatureError:
            raise BadTokenError("The refresh token has expired; log in again.") from None
        except (jwt.InvalidTokenError, TypeError, ValueError):
            raise BadTokenError("The refresh token is not valid.") from None

    def _access(
        self, key: str, user_id: str, session_id: str, role: Role, at: datetime, *, must_change_password: bool
    ) -> str:
        claims: dict[str, Any] = {
            "sub": user_id,
            "role": role.value,
            "sid": session_id,
            "type": "access",
            "iat": int(at.timestamp()),
            "exp": int((at + self.lifetime).timestamp()),
            "jti": _jti(at, "access", session_id),
        }
        if must_change_password:
            claims["password_change_required"] = True
        return jwt.encode(claims, key, algorithm=_ALGORITHM)

    def _claims(self, token: str, required: set[str]) -> dict[str, Any]:
        wrong: jwt.InvalidSignatureError | None = None
        for key in self._keys():
            try:
                claims: dict[str, Any] = jwt.decode(
                    token,
                    key,
                    algorithms=[_ALGORITHM],  # a list of one: neither `none` nor another algorithm is ever taken
                    options={"require": sorted(required)},
                )
            except jwt.InvalidSignatureError as error:
                wrong = error
            else:
                return claims
        raise wrong or jwt.InvalidTokenError

    def _keys(self) -> Iterator[str]:
        """The signing key, then the others; these are not asked for unless they are needed."""
        current = _checked(self._key())
        yield current
        yield from (_checked(key) for key in self._others() if key != current)


def deployed(secret: Callable[..., Mapping[str, str]], lifetime: timedelta = ACCESS_TOKEN_LIFETIME) -> Tokens:
    """Tokens as a deployed function makes and takes them.

    Args:
        secret: reads a secret by its ARN; `infra.secrets.secret`.
    """

    def keys(*max_age: float) -> Mapping[str, str]:
        if os.environ.get("STAGE") == "local" and _LOCAL_KEY in os.environ:
            return {"current": os.environ[_LOCAL_KEY]}
        return secret(setting("TOKEN_SECRET_ARN"), *max_age)

    return Tokens(lambda: keys()["current"], lambda: list(keys(UNKNOWN_KEY_SECONDS).values()), lifetime)


def _refresh(  # noqa: PLR0917 - what a token says
    key: str, user_id: str, session_id: str, generation: int, at: datetime, expires_at: int
) -> str:
    claims = {
        "sub": user_id,
        "sid": session_id,
        "gen": generation,
        "type": "refresh",
        "iat": int(at.timestamp()),
        "exp": expires_at,
        "jti": _jti(at, "refresh", session_id),
    }
    return jwt.encode(claims, key, algorithm=_ALGORITHM)


def _jti(at: datetime, kind: str, session_id: str) -> str:
    """A UUIDv7 (RFC 9562, section 5.7) of that millisecond, whose other bits follow from what it names."""
    others = int.from_bytes(hashlib.sha256(f"{kind} {session_id}".encode()).digest()[:10])
    milliseconds = round(at.timestamp() * 1000)
    first, second = others >> 62 & 0xFFF, others & ((1 << 62) - 1)
    return str(uuid.UUID(int=milliseconds << 80 | 7 << 76 | first << 64 | 2 << 62 | second))


def _digest(token: str) -> str:
    return hashlib.sha256(token.encode()).hexdigest()


def _checked(key: str) -> str:
    if len(key.encode()) < _MIN_KEY_BYTES:
        raise RuntimeError(f"the token key must be at least {_MIN_KEY_BYTES} bytes long")
    return key
