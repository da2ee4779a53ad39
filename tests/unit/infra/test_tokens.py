"""Access tokens: issuing them, and refusing everything that is not one."""

import base64
import json
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import RFC_4122, UUID

import jwt
import pytest

from domain.permissions import Caller, Role
from domain.sessions import Grant
from infra.request import BadTokenError
from infra.settings import ACCESS_TOKEN_LIFETIME
from infra.tokens import Tokens, deployed

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
        "sid": "s-1",
        "type": "access",
        "iat": int(now().timestamp()),
        "exp": int((now() + ACCESS_TOKEN_LIFETIME).timestamp()),
        "jti": "01990000-0000-7000-8000-000000000000",
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


def grant(at: datetime, expires_at: int, tokens: Tokens = TOKENS, generation: int = 1, **changes: Any) -> Grant:
    """What Ada's session s-1 was given."""
    told = {
        "generation": generation,
        "at": at,
        "expires_at": expires_at,
        "refresh_digest": tokens.refresh_digest("ada", "s-1", generation, at, expires_at),
        "role": Role.USER,
        "password_change_required": False,
    }
    return Grant(**{**told, **changes})


def in_a_week() -> int:
    return int((now() + timedelta(days=7)).timestamp())


def test_a_token_speaks_for_the_one_it_was_issued_to() -> None:
    ada = Caller(user_id="ada", role=Role.USER, session_id="s-1")
    assert TOKENS.caller(TOKENS.issue("ada", Role.USER, now(), "s-1")) == ada
    assert TOKENS.caller(signed(claims())) == ada
    root = Caller(user_id="root", role=Role.ADMIN, session_id="s-2", must_change_password=True)
    assert TOKENS.caller(TOKENS.issue("root", Role.ADMIN, now(), "s-2", must_change_password=True)) == root


def test_a_token_lasts_fifteen_minutes() -> None:
    told = jwt.decode(TOKENS.issue("ada", Role.USER, now()), KEY, algorithms=["HS256"])
    assert told["exp"] - told["iat"] == 15 * 60


def test_a_token_is_good_until_its_time_is_over() -> None:
    TOKENS.caller(TOKENS.issue("ada", Role.USER, now() - ACCESS_TOKEN_LIFETIME + timedelta(seconds=60)))
    with pytest.raises(BadTokenError, match="expired"):
        TOKENS.caller(TOKENS.issue("ada", Role.USER, now() - ACCESS_TOKEN_LIFETIME - timedelta(seconds=1)))


def test_a_token_knows_the_millisecond_in_which_it_was_issued() -> None:
    at = datetime(2026, 3, 1, 12, 0, 0, 987_000, tzinfo=UTC)
    told = jwt.decode(TOKENS.issue("ada", Role.USER, at, "s-1"), KEY, ["HS256"], options={"verify_exp": False})
    jti = UUID(told["jti"])
    assert (jti.version, jti.variant, jti.int >> 80) == (7, RFC_4122, 1_772_366_400_987)
    at = now().replace(microsecond=424_000)
    assert TOKENS.access(TOKENS.issue("ada", Role.USER, at)).issued_at == round(at.timestamp() * 1000)


def test_tokens_of_two_sessions_of_two_moments_and_of_two_kinds_have_other_names() -> None:
    at = now()
    later = at + timedelta(milliseconds=1)
    expires_at = int((at + timedelta(days=7)).timestamp())
    tokens = [TOKENS.issue("ada", Role.USER, moment, session) for moment in (at, later) for session in ("s-1", "s-2")]
    tokens.append(TOKENS.pair("ada", "s-1", grant(at, expires_at)).refresh)
    assert len({jwt.decode(token, KEY, algorithms=["HS256"])["jti"] for token in tokens}) == 5


def test_a_token_holds_no_personal_data() -> None:
    told = jwt.decode(TOKENS.issue("ada", Role.USER, now()), KEY, algorithms=["HS256"])
    assert told.keys() == {"sub", "role", "sid", "type", "iat", "exp", "jti"}


@pytest.mark.parametrize("name", ["sub", "role", "sid", "type", "iat", "exp", "jti"])
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


# ---- refresh tokens


def test_a_refresh_token_tells_whose_it_is_and_its_digest() -> None:
    given = grant(now(), in_a_week(), generation=7)
    found = TOKENS.refresh(TOKENS.pair("ada", "s-1", given).refresh)
    assert found == ("ada", "s-1", 7, given.refresh_digest)


def test_a_grant_gives_the_same_tokens_however_often_it_is_asked() -> None:
    given = grant(now(), in_a_week())
    assert TOKENS.pair("ada", "s-1", given) == TOKENS.pair("ada", "s-1", given)


def test_the_access_token_of_a_grant_says_what_the_grant_does() -> None:
    given = grant(now(), in_a_week(), role=Role.ADMIN, password_change_required=True)
    caller = TOKENS.caller(TOKENS.pair("ada", "s-1", given).access)
    assert caller == Caller(user_id="ada", role=Role.ADMIN, session_id="s-1", must_change_password=True)


def test_a_refresh_token_opens_nothing_and_an_access_token_refreshes_nothing() -> None:
    pair = TOKENS.pair("ada", "s-1", grant(now(), in_a_week()))
    with pytest.raises(BadTokenError):
        TOKENS.caller(pair.refresh)
    with pytest.raises(BadTokenError):
        TOKENS.refresh(pair.access)


def test_a_refresh_token_ends_with_its_grant() -> None:
    past = now() - timedelta(days=8)
    token = TOKENS.pair("ada", "s-1", grant(past, int((past + timedelta(days=7)).timestamp()))).refresh
    with pytest.raises(BadTokenError, match="expired"):
        TOKENS.refresh(token)


@pytest.mark.parametrize("changes", [{"gen": "x"}, {"gen": None}, {"gen": ...}, {"sid": ...}, {"type": "access"}])
def test_a_refresh_token_of_ours_with_other_claims_is_refused(changes: dict[str, Any]) -> None:
    content = {**claims(type="refresh", role=..., gen=1), **changes}
    with pytest.raises(BadTokenError):
        TOKENS.refresh(signed({name: value for name, value in content.items() if value is not ...}))


def test_a_refresh_token_is_good_in_its_own_letters_only() -> None:
    """Base64 may end in `=`, which changes nothing: the signature stays good, and the digest does not."""
    token = TOKENS.pair("ada", "s-1", grant(now(), in_a_week())).refresh
    twin = f"{token}="
    assert jwt.decode(twin, KEY, algorithms=["HS256"]) == jwt.decode(token, KEY, algorithms=["HS256"])
    TOKENS.refresh(token)
    with pytest.raises(BadTokenError):
        TOKENS.refresh(twin)


# ---- changing the key

NEW_KEY = "another key, and it is long enough as well"


class Secret:
    """A secret as `infra.secrets.secret` reads it: kept for a minute, unless something newer is asked for."""

    def __init__(self, **keys: str) -> None:
        self.keys = keys
        self.kept = keys
        self.asked: list[float | None] = []

    def __call__(self, arn: str, max_age: float | None = None) -> dict[str, str]:
        assert arn == "arn:token"
        self.asked.append(max_age)
        if max_age is not None:
            self.kept = self.keys
        return self.kept


@pytest.fixture
def secret(monkeypatch: pytest.MonkeyPatch) -> Secret:
    monkeypatch.setenv("TOKEN_SECRET_ARN", "arn:token")
    return Secret(current=KEY)


def test_what_the_previous_key_signed_is_still_taken(secret: Secret) -> None:
    given = grant(now(), in_a_week())
    pair = TOKENS.pair("ada", "s-1", given)
    secret.keys = secret.kept = {"current": NEW_KEY, "previous": KEY}
    tokens = deployed(secret)
    assert tokens.caller(pair.access).user_id == "ada"
    assert tokens.refresh(pair.refresh).session_id == "s-1"
    assert tokens.pair("ada", "s-1", given) == pair
    assert jwt.decode(tokens.issue("ada", Role.USER, now()), NEW_KEY, algorithms=["HS256"])["sub"] == "ada"


def test_what_an_older_key_signed_is_taken_no_longer(secret: Secret) -> None:
    given = grant(now(), in_a_week())
    pair = TOKENS.pair("ada", "s-1", given)
    secret.keys = secret.kept = {"current": NEW_KEY, "previous": "one more key, which is long enough too"}
    tokens = deployed(secret)
    with pytest.raises(BadTokenError):
        tokens.caller(pair.access)
    with pytest.raises(BadTokenError):
        tokens.refresh(pair.refresh)
    with pytest.raises(BadTokenError, match="log in again"):
        tokens.pair("ada", "s-1", given)


def test_a_key_that_is_newer_than_what_the_process_keeps_is_read(secret: Secret) -> None:
    tokens = deployed(secret)
    secret.keys = {"current": NEW_KEY, "previous": KEY}
    fresh = Tokens(lambda: NEW_KEY).issue("ada", Role.USER, now())
    assert tokens.caller(fresh).user_id == "ada"
    assert secret.asked == [None, 10.0]


def test_a_token_of_the_current_key_reads_the_secret_once(secret: Secret) -> None:
    deployed(secret).caller(TOKENS.issue("ada", Role.USER, now()))
    assert secret.asked == [None]


@pytest.mark.parametrize(("stage", "signed_by"), [("local", NEW_KEY), ("dev", KEY), ("prod", KEY)])
def test_a_key_from_the_environment_counts_on_the_local_stage_only(
    secret: Secret, monkeypatch: pytest.MonkeyPatch, stage: str, signed_by: str
) -> None:
    monkeypatch.setenv("STAGE", stage)
    monkeypatch.setenv("JWT_SECRET_KEY", NEW_KEY)
    token = deployed(secret).issue("ada", Role.USER, now())
    assert jwt.decode(token, signed_by, algorithms=["HS256"])["sub"] == "ada"


def test_a_token_lasts_as_long_as_it_is_set_to(secret: Secret) -> None:
    told = jwt.decode(deployed(secret, timedelta(minutes=3)).issue("ada", Role.USER, now()), KEY, algorithms=["HS256"])
    assert told["exp"] - told["iat"] == 180
