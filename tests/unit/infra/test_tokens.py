"""Access tokens: issuing them, and refusing everything that is not one."""

import base64
import json
from datetime import UTC, datetime, timedelta
from typing import Any

import jwt
import pytest

from domain.permissions import Caller, Role
from infra.request import BadTokenError
from infra.settings import ACCESS_TOKEN_LIFETIME
from infra.tokens import Tokens

KEY = "a key of tests that is long enough for HS256"
TOKENS = Tokens(lambda: KEY)


def now() -> datetime:
    """Read in each test: a run may take longer than a token lives."""
    return datetime.now(UTC)


def claims(**changes: Any) -> dict[str, Any]:
    """Those of a good token, with changes; `...` removes one."""
    told = {
        "sub": "ada",
        "role": "user",
        "type": "access",
        "iat": int(now().timestamp()),
        "exp": int((now() + ACCESS_TOKEN_LIFETIME).timestamp()),
        "jti": "0192",
        **changes,
    }
    return {name: value for name, value in told.items() if value is not ...}


def signed(content: dict[str, Any], key: str = KEY, algorithm: str = "HS256") -> str:
    return jwt.encode(content, key, algorithm=algorithm)


def unsigned(content: dict[str, Any], algorithm: str) -> str:
    header, body = (
        base64.urlsafe_b64encode(json.dumps(part).encode()).rstrip(b"=").decode()
        for part in ({"alg": algorithm, "typ": "JWT"}, content)
    )
    return f"{header}.{body}."


def test_a_token_speaks_for_the_one_it_was_issued_to() -> None:
    assert TOKENS.caller(TOKENS.issue("ada", Role.USER, now())) == Caller(user_id="ada", role=Role.USER)
    assert TOKENS.caller(TOKENS.issue("root", Role.ADMIN, now())) == Caller(user_id="root", role=Role.ADMIN)
    assert TOKENS.caller(signed(claims())).user_id == "ada"


def test_a_token_lasts_fifteen_minutes() -> None:
    told = jwt.decode(TOKENS.issue("ada", Role.USER, now()), KEY, algorithms=["HS256"])
    assert told["exp"] - told["iat"] == 15 * 60


def test_a_token_is_good_until_its_time_is_over() -> None:
    TOKENS.caller(TOKENS.issue("ada", Role.USER, now() - ACCESS_TOKEN_LIFETIME + timedelta(seconds=60)))
    with pytest.raises(BadTokenError, match="expired"):
        TOKENS.caller(TOKENS.issue("ada", Role.USER, now() - ACCESS_TOKEN_LIFETIME - timedelta(seconds=1)))


def test_no_two_tokens_are_the_same() -> None:
    assert TOKENS.issue("ada", Role.USER, now()) != TOKENS.issue("ada", Role.USER, now())


def test_a_token_holds_no_personal_data() -> None:
    told = jwt.decode(TOKENS.issue("ada", Role.USER, now()), KEY, algorithms=["HS256"])
    assert told.keys() == {"sub", "role", "type", "iat", "exp", "jti"}


@pytest.mark.parametrize("name", ["sub", "role", "type", "iat", "exp", "jti"])
def test_a_token_without_one_of_its_claims_is_refused(name: str) -> None:
    with pytest.raises(BadTokenError):
        TOKENS.caller(signed(claims(**{name: ...})))


@pytest.mark.parametrize(
    "changes",
    [
        {"type": "refresh"},
        {"type": None},
        {"role": "root"},
        {"role": ["admin"]},
        {"role": None},
        {"sub": ["ada"]},
        {"exp": "soon"},
        {"exp": 0},
        {"iat": int((now() + timedelta(days=1)).timestamp())},
        {"nbf": int((now() + timedelta(days=1)).timestamp())},
    ],
    ids=str,
)
def test_a_token_of_ours_with_other_claims_is_refused(changes: dict[str, Any]) -> None:
    with pytest.raises(BadTokenError):
        TOKENS.caller(signed(claims(**changes)))


@pytest.mark.parametrize("algorithm", ["none", "None", "NONE", "HS256", ""])
def test_a_token_without_a_signature_is_refused_whatever_its_header_says(algorithm: str) -> None:
    with pytest.raises(BadTokenError):
        TOKENS.caller(unsigned(claims(role="admin"), algorithm))


@pytest.mark.filterwarnings("ignore::jwt.warnings.InsecureKeyLengthWarning")  # the forger's key, not ours
@pytest.mark.parametrize("algorithm", ["HS384", "HS512"])
def test_another_algorithm_is_refused_even_with_the_right_key(algorithm: str) -> None:
    with pytest.raises(BadTokenError):
        TOKENS.caller(signed(claims(), algorithm=algorithm))


def test_a_token_signed_with_another_key_is_refused() -> None:
    with pytest.raises(BadTokenError):
        TOKENS.caller(signed(claims(), key="another key, and it is long enough as well"))


def test_a_token_whose_content_was_changed_is_refused() -> None:
    header, _, signature = signed(claims()).split(".")
    body = signed(claims(role="admin")).split(".")[1]
    with pytest.raises(BadTokenError):
        TOKENS.caller(f"{header}.{body}.{signature}")


@pytest.mark.parametrize("text", ["", ".", "..", "a.b.c", "not a token", "\x00", "ü.ü.ü", "x" * 100_000])
def test_what_is_no_token_at_all_is_refused(text: str) -> None:
    with pytest.raises(BadTokenError):
        TOKENS.caller(text)


def test_a_refusal_says_nothing_of_the_token() -> None:
    token = signed(claims(sub="ada-the-secret"), key="another key, and it is long enough as well")
    with pytest.raises(BadTokenError) as raised:
        TOKENS.caller(token)
    assert str(raised.value) == "The access token is not valid."
    assert raised.value.__suppress_context__


def test_a_short_key_is_a_fault_of_the_deployment_and_not_of_the_token() -> None:
    weak = Tokens(lambda: "x" * 31)
    with pytest.raises(RuntimeError, match="at least 32 bytes"):
        weak.issue("ada", Role.USER, now())
    with pytest.raises(RuntimeError, match="at least 32 bytes"):
        weak.caller(signed(claims()))


def test_the_key_is_asked_for_each_time_so_that_a_new_one_counts_at_once() -> None:
    keys = iter([KEY, "another key, and it is long enough as well"])
    tokens = Tokens(lambda: next(keys))
    token = tokens.issue("ada", Role.USER, now())
    with pytest.raises(BadTokenError):
        tokens.caller(token)
