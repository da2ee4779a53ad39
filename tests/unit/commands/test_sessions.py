"""The session routes, called as API Gateway calls them, on stores in memory: logging in, going on, and every end."""

import json
import uuid
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from threading import Barrier
from typing import Any, NamedTuple

import jwt
import pytest

from commands import api, execution, sessions, wiring
from commands.execution import Order, execute
from domain.commit import Commit
from domain.event import DomainEvent
from domain.permissions import Role
from domain.sessions import SESSIONS, EndReason
from domain.users import (
    USERS,
    User,
    UserDeactivated,
    UserDeleted,
    UserFirstLoggedIn,
    UserPasswordChanged,
    UserReactivated,
    UserRegistered,
    UserRoleChanged,
)
from infra import passwords
from infra.event_store import GuardWrite
from infra.guards import Stops, TokenGuards
from infra.memory_event_store import MemoryEventStore
from infra.problems import RetryLaterError
from infra.request import Request

KEY = "a key of tests that is long enough for HS256"
PASSWORD = "correct horse battery"
ADA = "ada@example.com"
SECOND = timedelta(seconds=1)


class TokenGuardsInMemory(TokenGuards):
    """Guards that are read from the store in memory; the writes are the real ones."""

    def __init__(self, store: MemoryEventStore) -> None:
        nowhere: Any = None
        super().__init__(nowhere, "guards")
        self._store = store

    def stops(self, session_id: str, user_id: str) -> Stops:
        stops = self._store.stops
        return Stops(f"ended#{session_id}" in stops, stops.get(f"stopped#{user_id}"))


class Owners:
    """Who holds which address."""

    def __init__(self) -> None:
        self.by_email: dict[str, str] = {}

    def owner_of_email(self, email: str) -> str | None:
        return self.by_email.get(email)


class Throttle:
    """Notes the attempts, and refuses when it is told to."""

    def __init__(self) -> None:
        self.counted: list[tuple[str, str]] = []
        self.given_back: list[tuple[str, str]] = []
        self.full = False

    def count(self, account: str, address: str, _at: datetime) -> None:
        self.counted.append((account, address))
        if self.full:
            raise RetryLaterError("Too many attempts; try again in 20 seconds.", 20, status=429)

    def give_back(self, account: str, address: str) -> None:
        self.given_back.append((account, address))


class Answered(NamedTuple):
    status: int
    body: Any
    headers: Mapping[str, str]


class World:
    """The write function, and its clock, which stands until it is moved."""

    def __init__(self) -> None:
        self.store = MemoryEventStore()
        self.owners = Owners()
        self.throttle = Throttle()
        # Tokens expire by the real clock; what comes some minutes later in a test is in the past, too.
        self.now = self.start = datetime.now(UTC).replace(microsecond=250_000) - timedelta(minutes=5)
        self.secret = {"current": KEY}
        self.guards = TokenGuardsInMemory(self.store)

    def call(self, method: str, path: str, body: Any = None, token: str | None = None, **headers: str) -> Answered:
        bearer = {"Authorization": f"Bearer {token}"} if token else {}
        event = {
            "resource": "/{proxy+}",
            "path": path,
            "httpMethod": method,
            "headers": {**bearer, **headers},
            "queryStringParameters": None,
            "pathParameters": {"proxy": path.removeprefix("/")},
            "requestContext": {"path": path, "httpMethod": method, "identity": {"sourceIp": "203.0.113.7"}},
            "body": json.dumps(body) if body is not None else None,
            "isBase64Encoded": False,
        }
        answer = api.handler(event, object())
        headers = {name: values[0] for name, values in answer["multiValueHeaders"].items()}
        return Answered(answer["statusCode"], json.loads(answer["body"] or "null"), headers)

    def login(self, email: str = ADA, password: str = PASSWORD) -> Answered:
        return self.call("POST", "/auth/login", {"email": email, "password": password})

    def refresh(self, token: str) -> Answered:
        return self.call("POST", "/auth/refresh", {"refresh_token": token})

    def happens(self, user_id: str, *events: DomainEvent, stops: bool = False) -> None:
        """To a user, at this moment; perhaps with the stop of their tokens, as commands on users write it."""

        def guards(_before: User | None, _after: User | None) -> Sequence[GuardWrite]:
            return [self.guards.stop_tokens(user_id, self.now)] if stops else []

        order = Order(by="root", at=self.now, correlation_id="co", causation_id="ca")
        execute(self.store, USERS, user_id, lambda _: events, order, guards=guards)

    def register(self, name: str, role: Role = Role.USER) -> str:
        user_id = str(uuid.uuid4())
        password_hash = passwords.hashed(PASSWORD)
        self.happens(
            user_id, UserRegistered(email="sealed", full_name="sealed", role=role, password_hash=password_hash)
        )
        self.owners.by_email[f"{name}@example.com"] = user_id
        return user_id

    def session(self, token: str) -> list[Commit]:
        """The commits of a token's session."""
        return list(self.store.load(SESSIONS.stream(claims(token)["sid"])))

    def history(self, token: str) -> list[str]:
        """What happened to a token's session."""
        return [event.t for commit in self.session(token) for event in commit.stored_events()]

    def opens(self, token: str) -> bool:
        """Whether an access token is taken, once what is known of it is read anew."""
        wiring.callers.cache_clear()
        return self.call("POST", "/tasks", {}, token).status == 422


def claims(token: str) -> dict[str, Any]:
    found: dict[str, Any] = jwt.decode(token, options={"verify_signature": False})
    return found


@pytest.fixture
def world(monkeypatch: pytest.MonkeyPatch) -> World:
    world = World()
    monkeypatch.setattr(wiring, "store", lambda: world.store)
    monkeypatch.setattr(wiring, "secret", lambda _arn, *_age: world.secret)
    monkeypatch.setattr(wiring, "guards", lambda: world.owners)
    monkeypatch.setattr(wiring, "token_guards", lambda: world.guards)
    monkeypatch.setattr(wiring, "login_throttle", lambda: world.throttle)
    monkeypatch.setattr(sessions, "now", lambda: world.now)
    monkeypatch.setenv("TOKEN_SECRET_ARN", "arn:token")
    monkeypatch.setattr(passwords, "PASSWORD_ROUNDS", 4)
    monkeypatch.setattr(execution, "RETRY_CAP_SECONDS", 0)
    for cached in (wiring.tokens, wiring.warm, wiring.callers):
        cached.cache_clear()
    return world


@pytest.fixture
def ada(world: World) -> str:
    return world.register("ada")


@pytest.fixture
def given_tokens(world: World, ada: str) -> dict[str, Any]:  # noqa: ARG001 - registered
    """What Ada's login was answered with."""
    answer = world.login()
    assert answer.status == 200
    body: dict[str, Any] = answer.body
    return body


# ---- logging in


def test_a_login_starts_a_session_and_answers_with_its_tokens(world: World, ada: str) -> None:
    answer = world.login()
    body = answer.body
    assert (answer.status, body["token_type"], body["expires_in"]) == (200, "Bearer", 900)
    assert (body["refresh_expires_in"], body["password_change_required"]) == (7 * 86_400, False)
    access, refresh = claims(body["access_token"]), claims(body["refresh_token"])
    assert access.keys() == {"sub", "role", "sid", "type", "iat", "exp", "jti"}
    assert (access["sub"], access["role"], refresh["sub"], refresh["sid"]) == (ada, "user", ada, access["sid"])
    assert refresh["exp"] - refresh["iat"] == 7 * 86_400
    assert world.history(body["access_token"]) == ["session.started"]
    assert world.opens(body["access_token"])


def test_neither_tokens_nor_passwords_are_stored_and_of_personal_data_there_is_none(
    world: World, given_tokens: dict[str, Any]
) -> None:
    world.refresh(given_tokens["refresh_token"])
    stored = repr(world.session(given_tokens["access_token"]))
    for secret in (given_tokens["access_token"], given_tokens["refresh_token"], PASSWORD, ADA, "203.0.113.7"):
        assert secret not in stored
        assert secret.rpartition(".")[2] not in stored or secret in {ADA, "203.0.113.7"}


def test_the_first_login_is_noted_with_its_user_and_no_other_one_is(world: World, ada: str) -> None:
    assert world.login(password="wrong horse battery").status == 401
    assert notes(world, ada) == 0
    for _ in range(3):
        assert world.login().status == 200
        assert notes(world, ada) == 1


def notes(world: World, user_id: str) -> int:
    """How many logins a user's stream holds."""
    commits = world.store.load(USERS.stream(user_id))
    return sum(isinstance(recorded.event, UserFirstLoggedIn) for commit in commits for recorded in commit.recorded())


def test_each_login_is_a_session_of_its_own(world: World, ada: str) -> None:  # noqa: ARG001
    first, second = world.login().body, world.login().body
    assert claims(first["access_token"])["sid"] != claims(second["access_token"])["sid"]


def test_an_idempotency_key_counts_for_nothing_at_a_login_and_leaves_no_digest(world: World, ada: str) -> None:  # noqa: ARG001
    body = {"email": ADA, "password": PASSWORD}
    answers = [world.call("POST", "/auth/login", body, **{"Idempotency-Key": "k1"}) for _ in range(2)]
    assert [answer.status for answer in answers] == [200, 200]
    assert len({answer.body["refresh_token"] for answer in answers}) == 2
    assert [commit.command for commit in world.session(answers[0].body["access_token"])] == [None]


def test_lifetimes_are_settings(world: World, ada: str, monkeypatch: pytest.MonkeyPatch) -> None:  # noqa: ARG001
    monkeypatch.setenv("JWT_ACCESS_TOKEN_EXPIRE_MINUTES", "5")
    monkeypatch.setenv("JWT_REFRESH_TOKEN_EXPIRE_DAYS", "30")
    body = world.login().body
    assert (body["expires_in"], body["refresh_expires_in"]) == (300, 30 * 86_400)
    access, refresh = claims(body["access_token"]), claims(body["refresh_token"])
    assert (access["exp"] - access["iat"], refresh["exp"] - refresh["iat"]) == (300, 30 * 86_400)


def test_every_attempt_is_counted_before_the_password_is_looked_at_and_a_success_given_back(
    world: World,
    ada: str,  # noqa: ARG001
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    assert world.login(" ADA@Example.Com ").status == 200
    assert world.login("nobody@example.com").status == 401
    assert world.login("No Address").status == 401
    accounts = [ADA, "nobody@example.com", "no address"]
    assert world.throttle.counted == [(account, "203.0.113.7") for account in accounts]
    assert world.throttle.given_back == [(ADA, "203.0.113.7")]
    world.throttle.full = True
    monkeypatch.setattr(sessions, "matches", lambda *_: pytest.fail("looked at the password"))
    answers = [world.login(), world.login("nobody@example.com")]
    assert {(answer.status, answer.headers["Retry-After"]) for answer in answers} == {(429, "20")}
    assert answers[0].body == answers[1].body
    assert answers[0].body["title"] == "Too many requests"


@pytest.mark.parametrize("email", [ADA, "nobody@example.com", "no address"])
def test_a_refused_login_costs_the_same_whether_there_is_an_account_or_not(
    world: World,
    ada: str,  # noqa: ARG001
    email: str,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    asked: list[str] = []

    def noted(name: str, call: Callable[..., Any]) -> Callable[..., Any]:
        def noting(*given: Any) -> Any:
            asked.append(name)
            return call(*given)

        return noting

    monkeypatch.setattr(sessions, "matches", noted("bcrypt", passwords.matches))
    monkeypatch.setattr(world.store, "load", noted("load", world.store.load))
    monkeypatch.setattr(world.owners, "owner_of_email", noted("owner", world.owners.owner_of_email))
    answer = world.login(email, "wrong horse battery")
    assert (answer.status, answer.body["detail"]) == (401, "The e-mail address or the password is wrong.")
    assert asked == ["owner", "load", "bcrypt"]
    assert world.throttle.given_back == []


@pytest.mark.parametrize("event", [UserDeactivated(), UserDeleted()])
def test_somebody_who_is_not_active_is_refused_in_the_same_words(world: World, ada: str, event: DomainEvent) -> None:
    world.happens(ada, event)
    answer = world.login()
    assert (answer.status, answer.body["detail"]) == (401, "The e-mail address or the password is wrong.")
    assert not [stream for stream in world.store.streams if stream.startswith("session#")]


# ---- refreshing


def test_a_refresh_token_gets_new_tokens_of_the_same_session(world: World, given_tokens: dict[str, Any]) -> None:
    world.now += timedelta(minutes=14)
    answer = world.refresh(given_tokens["refresh_token"])
    assert answer.status == 200
    assert answer.body.keys() == given_tokens.keys()
    old, new = claims(given_tokens["refresh_token"]), claims(answer.body["refresh_token"])
    assert (new["sid"], new["gen"], new["iat"]) == (old["sid"], 2, old["iat"] + 14 * 60)
    assert world.history(given_tokens["access_token"]) == ["session.started", "session.refreshed"]


def test_a_new_role_comes_with_the_new_access_token(world: World, ada: str, given_tokens: dict[str, Any]) -> None:
    world.happens(ada, UserRoleChanged(old=Role.USER, new=Role.ADMIN), stops=True)
    assert not world.opens(given_tokens["access_token"])
    world.now += SECOND
    fresh = world.refresh(given_tokens["refresh_token"]).body["access_token"]
    assert claims(fresh)["role"] == "admin"
    assert world.opens(fresh)


def test_a_spent_token_gets_the_very_same_answer_for_ten_seconds(world: World, given_tokens: dict[str, Any]) -> None:
    world.now += SECOND
    first = world.refresh(given_tokens["refresh_token"])
    for _ in range(2):
        world.now += 5 * SECOND
        assert world.refresh(given_tokens["refresh_token"]).body == first.body
    assert world.history(given_tokens["access_token"]) == ["session.started", "session.refreshed"]


def test_the_same_answer_is_given_although_role_and_key_have_changed_since(
    world: World, ada: str, given_tokens: dict[str, Any]
) -> None:
    first = world.refresh(given_tokens["refresh_token"])
    world.happens(ada, UserRoleChanged(old=Role.USER, new=Role.ADMIN))
    world.secret = {"current": "another key, and it is long enough as well", "previous": KEY}
    assert world.refresh(given_tokens["refresh_token"]).body == first.body
    assert world.refresh(first.body["refresh_token"]).status == 200


def test_a_spent_token_that_comes_later_ends_everything(world: World, given_tokens: dict[str, Any]) -> None:
    second = world.refresh(given_tokens["refresh_token"]).body
    assert world.opens(second["access_token"])
    world.now += 11 * SECOND
    thief = world.refresh(given_tokens["refresh_token"])
    assert (thief.status, thief.body["detail"]) == (401, "The session is over; log in again.")
    assert world.history(second["access_token"])[-1] == "session.revoked"
    assert world.refresh(second["refresh_token"]).status == 401
    assert not world.opens(second["access_token"])
    assert not world.opens(given_tokens["access_token"])
    assert world.history(second["access_token"])[-1] == "session.revoked"


def test_of_many_refreshes_at_once_one_is_written_and_all_get_its_answer(
    world: World, given_tokens: dict[str, Any]
) -> None:
    ready = Barrier(8, timeout=30)

    def attempt(_: int) -> str:
        request = Request({}, "POST /auth/refresh")  # past the router, which serves one request at a time
        ready.wait()
        return json.dumps(sessions.refresh(request, sessions.Refresh(refresh_token=given_tokens["refresh_token"])).body)

    with ThreadPoolExecutor(8) as pool:
        assert len(set(pool.map(attempt, range(8)))) == 1
    assert world.history(given_tokens["access_token"]) == ["session.started", "session.refreshed"]


def forged(token: str) -> dict[str, str]:
    header, body, signature = token.split(".")
    return {
        "no token": "nonsense",
        "unsigned": f"{header}.{body}.",
        "another key": jwt.encode(claims(token), "x" * 64, algorithm="HS256"),
        "another's name": f"{header}.{jwt.encode({**claims(token), 'sub': 'root'}, KEY).split('.')[1]}.{signature}",
        "no algorithm": jwt.encode(claims(token), "", algorithm="none"),
        "padded": f"{token}=",
    }


@pytest.mark.parametrize("kind", forged(jwt.encode({"sub": "x"}, KEY)))
def test_a_forged_token_changes_nothing(world: World, given_tokens: dict[str, Any], kind: str) -> None:
    world.refresh(given_tokens["refresh_token"])
    world.now += timedelta(minutes=1)
    assert world.refresh(forged(given_tokens["refresh_token"])[kind]).status == 401
    assert world.history(given_tokens["access_token"]) == ["session.started", "session.refreshed"]


def test_an_access_token_refreshes_nothing_and_a_refresh_token_opens_nothing(
    world: World, given_tokens: dict[str, Any]
) -> None:
    assert world.refresh(given_tokens["access_token"]).status == 401
    assert not world.opens(given_tokens["refresh_token"])


def test_a_session_that_never_was_is_over(world: World, ada: str) -> None:
    expires_at = int((world.now + timedelta(days=7)).timestamp())
    for user_id in (ada, "nobody"):
        token = {"sub": user_id, "sid": "s-0", "gen": 1, "type": "refresh", "iat": int(world.now.timestamp())}
        signed = jwt.encode({**token, "exp": expires_at, "jti": str(uuid.uuid4())}, KEY, algorithm="HS256")
        answer = world.refresh(signed)
        assert (answer.status, answer.body["detail"]) == (401, "The session is over; log in again.")


@pytest.mark.parametrize(
    ("events", "reason"),
    [
        ([UserPasswordChanged(password_hash="$2b$04$other", must_change=False)], EndReason.PASSWORD_CHANGED),
        ([UserDeactivated()], EndReason.DEACTIVATED),
        ([UserDeactivated(), UserReactivated()], EndReason.DEACTIVATED),
        ([UserDeleted()], EndReason.DELETED),
    ],
)
def test_what_happened_to_a_user_ends_the_session_at_its_next_refresh(
    world: World, ada: str, given_tokens: dict[str, Any], events: list[DomainEvent], reason: EndReason
) -> None:
    world.happens(ada, *events)
    assert world.refresh(given_tokens["refresh_token"]).status == 401
    (ended,) = world.session(given_tokens["access_token"])[-1].stored_events()
    assert (ended.t, ended.d) == ("session.ended", {"reason": reason.value})
    assert not world.opens(given_tokens["access_token"])


def test_a_login_with_the_new_password_is_not_ended_by_the_change_before_it(world: World, ada: str) -> None:
    changed = UserPasswordChanged(password_hash=passwords.hashed("another horse"), must_change=False)
    world.happens(ada, changed, stops=True)
    world.now += timedelta(milliseconds=1)
    tokens = world.login(password="another horse").body
    assert claims(tokens["access_token"])["iat"] == int(world.start.timestamp())  # in the same second
    assert world.opens(tokens["access_token"])
    assert world.refresh(tokens["refresh_token"]).status == 200


def test_a_long_session_is_loaded_by_one_query_of_a_few_commits(
    world: World, given_tokens: dict[str, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    token = given_tokens["refresh_token"]
    for _ in range(1_000):
        world.now += timedelta(minutes=14)
        monkeypatch.setattr(jwt.api_jwt, "datetime", _clock(world.now))  # tokens of the future are good by then
        token = world.refresh(token).body["refresh_token"]
    taken = 0
    load_back = world.store.load_back

    def counting(stream: str) -> Any:
        nonlocal taken
        for commit in load_back(stream):
            taken += 1
            yield commit

    wiring.warm.cache_clear()
    monkeypatch.setattr(world.store, "load_back", counting)
    world.now += timedelta(minutes=14)
    assert world.refresh(token).status == 200
    assert len(world.session(token)) == 1_002
    assert taken <= 25


def _clock(at: datetime) -> type[datetime]:
    class Clock(datetime):
        @classmethod
        def now(cls, tz: Any = None) -> "Clock":  # noqa: ARG003
            return cls.fromtimestamp(at.timestamp(), UTC)

    return Clock


def test_tokens_bear_the_time_before_their_user_was_read(
    world: World,
    ada: str,  # noqa: ARG001 - registered
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """So that the stop of a change that was not seen yet is later than they are."""
    load = world.store.load

    def slow(stream: str, after: int = 0) -> list[Commit]:
        found = list(load(stream, after))
        world.now += SECOND
        return found

    monkeypatch.setattr(world.store, "load", slow)
    began = world.now
    tokens = world.login().body
    assert world.now > began
    assert issued_at(tokens["access_token"]) == began
    began = world.now
    assert issued_at(world.refresh(tokens["refresh_token"]).body["access_token"]) == began


def issued_at(token: str) -> datetime:
    return datetime.fromtimestamp((uuid.UUID(claims(token)["jti"]).int >> 80) / 1000, UTC)


# ---- logging out


def test_a_logout_ends_the_session_of_its_token_and_no_other(world: World, given_tokens: dict[str, Any]) -> None:
    other = world.login().body
    answer = world.call("POST", "/auth/logout", token=given_tokens["access_token"])
    assert (answer.status, answer.body) == (204, None)
    assert world.history(given_tokens["access_token"]) == ["session.started", "session.ended"]
    assert not world.opens(given_tokens["access_token"])
    assert world.refresh(given_tokens["refresh_token"]).status == 401
    assert world.opens(other["access_token"])
    assert world.refresh(other["refresh_token"]).status == 200


def test_a_logout_that_is_sent_twice_ends_it_once(world: World, given_tokens: dict[str, Any]) -> None:
    for _ in range(2):  # the process still takes the token: it looked a moment ago
        answer = world.call("POST", "/auth/logout", token=given_tokens["access_token"], **{"Idempotency-Key": "k"})
        assert answer.status == 204
    assert world.history(given_tokens["access_token"]) == ["session.started", "session.ended"]


def test_a_logout_is_not_bound_to_a_version(world: World, given_tokens: dict[str, Any]) -> None:
    answer = world.call("POST", "/auth/logout", token=given_tokens["access_token"], **{"If-Match": '"9"'})
    assert answer.status == 204
    assert not world.opens(given_tokens["access_token"])


def test_a_logout_wants_a_token(world: World) -> None:
    assert world.call("POST", "/auth/logout").status == 401


# ---- those who must change their password


def test_who_must_change_their_password_can_do_nothing_else(world: World, ada: str, bob: str) -> None:
    world.happens(ada, UserPasswordChanged(password_hash=passwords.hashed(PASSWORD), must_change=True))
    tokens = world.login().body
    assert tokens["password_change_required"] is True
    fresh = world.refresh(tokens["refresh_token"]).body
    assert fresh["password_change_required"] is True
    for given in (tokens["access_token"], fresh["access_token"]):
        for path, body in (("/tasks", {}), (f"/users/{bob}/password", {"new_password": "x"})):
            answer = world.call("POST" if path == "/tasks" else "PUT", path, body, given)
            assert answer.status == 403
            assert answer.body["detail"] == "Change your password first: PUT /users/{id}/password."
        assert world.call("PUT", f"/users/{ada}/password", {"new_password": "x"}, given).status == 422
    assert world.call("POST", "/auth/logout", token=fresh["access_token"]).status == 204


@pytest.fixture
def bob(world: World) -> str:
    return world.register("bob")


@pytest.mark.parametrize("body", [{}, {"refresh_token": ""}, {"refresh_token": 7}, {"refresh_token": "x" * 2_001}])
def test_a_refresh_that_is_none_names_its_field_and_repeats_no_token(world: World, body: dict[str, Any]) -> None:
    answer = world.call("POST", "/auth/refresh", body)
    assert (answer.status, [fault["field"] for fault in answer.body["errors"]]) == (422, ["refresh_token"])
    assert "xxx" not in json.dumps(answer.body)
