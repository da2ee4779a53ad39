"""The user routes: who may change what of whom, and what is answered. Storage is in memory."""

import json
import uuid
from collections.abc import Callable, Mapping
from datetime import datetime
from typing import Any, NamedTuple

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from commands import api, wiring
from commands.execution import Order, now
from commands.users import Users
from domain.decider import fold
from domain.permissions import Caller, Role
from domain.users import USERS, RegisterUser, User
from infra import passwords
from infra.guards import Guards
from infra.memory_event_store import MemoryEventStore
from infra.passwords import hashed, matches
from infra.personal_data import ERASED, MemoryDataKeys, PersonalData
from infra.problems import RetryLaterError

PASSWORD, NEW_PASSWORD = "correct horse battery", "staple of batteries"
NEW = {"email": "Kim@Example.com", "full_name": "Kim Example", "password": PASSWORD}


class Answered(NamedTuple):
    status: int
    body: Any
    headers: Mapping[str, str]

    @property
    def named(self) -> set[str]:
        return {fault["field"] for fault in self.body["errors"]}


class Tokens:
    """Tokens that say who calls: `role/user id`."""

    @staticmethod
    def caller(token: str) -> Caller:
        role, _, user_id = token.partition("/")
        return Caller(user_id=user_id, role=Role(role))


class OwnersInMemory(Guards):
    """Guards whose look-ups go to the store in memory; the writes are the real ones."""

    def __init__(self, store: MemoryEventStore) -> None:
        nowhere: Any = None
        super().__init__(nowhere, "guards", b"k" * 32)
        self._store = store

    def owner_of_email(self, email: str) -> str | None:
        return self._store.owners.get(self._email_key(email))


class Throttle:
    """Refuses after three attempts."""

    def __init__(self) -> None:
        self.left = 3

    def count(self, _account: str, _address: str, _at: datetime) -> None:
        if not self.left:
            raise RetryLaterError("Too many.", 20, status=429)
        self.left -= 1

    def give_back(self, _account: str, _address: str) -> None:
        self.left = 3


class World:
    """The write function on stores in memory."""

    def __init__(self) -> None:
        self.store = MemoryEventStore()
        self.guards = OwnersInMemory(self.store)
        self.personal = PersonalData(MemoryDataKeys())
        self.throttle = Throttle()
        self.users = Users(self.store, self.guards, self.personal)

    def person(self, name: str, role: Role = Role.USER) -> str:
        user_id = str(uuid.uuid4())
        command = RegisterUser(email=f"{name}@example.com", full_name=name.title(), role=role)
        order = Order(by="system:test", at=now(), correlation_id="co", causation_id="ca")
        self.users.register(user_id, command, hashed(PASSWORD), order)
        return user_id

    def state(self, user_id: str) -> User:
        found = fold(USERS, self.store.load(USERS.stream(user_id)))
        assert found
        return found

    @property
    def text(self) -> str:
        """All that is stored of users."""
        return repr([commit for stream in self.store.streams.values() for commit in stream])


@pytest.fixture(autouse=True)
def _quick(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(passwords, "PASSWORD_ROUNDS", 4)
    monkeypatch.setattr(api.api, "_callers", Tokens)
    monkeypatch.setattr(wiring, "guard_key", lambda: b"g" * 32)


@pytest.fixture
def world(monkeypatch: pytest.MonkeyPatch) -> World:
    world = World()
    monkeypatch.setattr(wiring, "users", lambda: world.users)
    monkeypatch.setattr(wiring, "login_throttle", lambda: world.throttle)
    return world


@pytest.fixture
def root(world: World) -> str:
    return world.person("root", Role.ADMIN)


@pytest.fixture
def ada(world: World) -> str:
    return world.person("ada")


def called(caller: str, method: str, path: str, body: Any = None, **headers: str) -> Answered:
    event = {
        "resource": "/{proxy+}",
        "path": path,
        "httpMethod": method,
        "headers": {
            "Authorization": f"Bearer {caller}",
            **{name.replace("_", "-"): value for name, value in headers.items()},
        },
        "multiValueHeaders": None,
        "queryStringParameters": None,
        "multiValueQueryStringParameters": None,
        "requestContext": {"path": path, "stage": "test", "httpMethod": method, "requestId": "r1"},
        "body": None if body is None else json.dumps(body),
        "isBase64Encoded": False,
    }
    answer = api.handler(event, object())
    shown = {name: values[0] for name, values in answer["multiValueHeaders"].items()}
    return Answered(answer["statusCode"], json.loads(answer["body"]) if answer["body"] else None, shown)


Call = Callable[..., Answered]


@pytest.fixture
def as_root(root: str) -> Call:
    return lambda *args, **headers: called(f"admin/{root}", *args, **headers)


@pytest.fixture
def as_ada(ada: str) -> Call:
    return lambda *args, **headers: called(f"user/{ada}", *args, **headers)


# ---- registering


def test_an_admin_registers_a_user(world: World, as_root: Call) -> None:
    answer = as_root("POST", "/users", {**NEW, "role": "admin"})
    assert answer.status == 201
    user_id = answer.body["id"]
    state = world.state(user_id)
    assert answer.body == {
        "id": user_id,
        "email": "kim@example.com",
        "full_name": "Kim Example",
        "role": "admin",
        "is_active": True,
        "created_at": int(state.created_at.timestamp()),
        "updated_at": int(state.created_at.timestamp()),
        "last_login": None,
        "password_change_required": False,
    }
    assert answer.headers["Location"] == f"/users/{user_id}"
    assert (answer.headers["ETag"], answer.headers["Stream-Version"]) == ('"1"', f"user#{user_id}@1")
    assert matches(PASSWORD, state.password_hash)


def test_a_user_registers_nobody(as_ada: Call) -> None:
    assert as_ada("POST", "/users", NEW).status == 403


def test_an_address_that_somebody_has_is_a_conflict_and_free_again_after_a_deletion(as_root: Call) -> None:
    user_id = as_root("POST", "/users", NEW).body["id"]
    refused = as_root("POST", "/users", {**NEW, "email": "KIM@example.COM"})
    assert (refused.status, refused.body["detail"]) == (409, "This e-mail address is registered already.")
    assert as_root("DELETE", f"/users/{user_id}").status == 204
    assert as_root("POST", "/users", NEW).status == 201


@pytest.mark.parametrize(
    ("change", "field"),
    [
        ({"email": "kim"}, "email"),
        ({"full_name": "K"}, "full_name"),
        ({"password": "short"}, "password"),
        ({"password": "x" * 73}, "password"),
        ({"password": None}, "password"),
        ({"role": "root"}, "role"),
        ({"is_active": False}, "is_active"),
    ],
)
def test_what_is_no_user_is_refused_by_the_fields_name(as_root: Call, change: dict[str, Any], field: str) -> None:
    answer = as_root("POST", "/users", {**NEW, **change})
    assert (answer.status, answer.named) == (422, {field})
    assert not any(isinstance(value, str) and value in repr(answer.body) for value in change.values() if value != "K")


def test_a_repeated_registration_is_answered_as_the_first_one_was(world: World, as_root: Call) -> None:
    first = as_root("POST", "/users", NEW, idempotency_key="k")
    again = as_root("POST", "/users", NEW, idempotency_key="k")
    assert (again.status, again.body, again.headers["ETag"]) == (201, first.body, first.headers["ETag"])
    assert len(world.store.streams[f"user#{first.body['id']}"]) == 1
    other = as_root("POST", "/users", {**NEW, "password": NEW_PASSWORD}, idempotency_key="k")
    assert (other.status, other.body["title"]) == (422, "Idempotency-Key reused")


def test_the_digest_of_a_request_is_good_for_no_guessing(
    world: World, as_root: Call, monkeypatch: pytest.MonkeyPatch
) -> None:
    digests = []
    for key in (b"g" * 32, b"h" * 32):
        monkeypatch.setattr(wiring, "guard_key", lambda key=key: key)
        user_id = as_root("POST", "/users", NEW, idempotency_key=str(key)).body["id"]
        (commit,) = world.store.streams[f"user#{user_id}"]
        assert commit.command
        digests.append(commit.command.digest)
        as_root("DELETE", f"/users/{user_id}")
    assert digests[0] != digests[1]


# ---- changing


def test_one_changes_ones_own_profile(world: World, ada: str, as_ada: Call) -> None:
    answer = as_ada("PUT", f"/users/{ada}", {"email": "ada.king@example.com", "full_name": "Ada King"})
    assert answer.status == 200
    assert (answer.body["email"], answer.body["full_name"]) == ("ada.king@example.com", "Ada King")
    assert answer.headers["Stream-Version"] == f"user#{ada}@2"
    assert world.guards.owner_of_email("ada.king@example.com") == ada


@pytest.mark.parametrize("body", [{"role": "admin"}, {"role": "user"}, {"is_active": True}, {"is_active": False}])
def test_a_user_changes_no_role_and_no_activity_not_even_to_what_it_is(
    world: World, ada: str, as_ada: Call, body: dict[str, Any]
) -> None:
    assert as_ada("PUT", f"/users/{ada}", {"full_name": "Ada King", **body}).status == 403
    assert len(world.store.streams[f"user#{ada}"]) == 1


@pytest.mark.parametrize("path", ["/users/{}", "/users/{}/password"])
def test_others_are_to_a_user_as_if_they_were_not_there(world: World, as_ada: Call, root: str, path: str) -> None:
    body: dict[str, Any] = {"new_password": NEW_PASSWORD} if "password" in path else {"role": "admin"}
    bob = world.person("bob")
    answers = [as_ada("PUT", path.format(user_id), body) for user_id in (bob, root, str(uuid.uuid4()), "x")]
    assert {(answer.status, answer.body["detail"]) for answer in answers} == {(404, "There is no such user.")}


def test_an_admin_changes_everything_of_somebody_at_once(world: World, ada: str, as_root: Call) -> None:
    change = {"email": "a@example.com", "full_name": "Ada King", "role": "admin", "is_active": False}
    answer = as_root("PUT", f"/users/{ada}", change)
    assert answer.status == 200
    assert {name: answer.body[name] for name in change} == change
    assert len(world.store.streams[f"user#{ada}"]) == 2
    assert f"stopped#{ada}" in world.store.stops


def test_an_unknown_or_deleted_user_is_not_found_by_an_admin_either(ada: str, as_root: Call) -> None:
    assert as_root("DELETE", f"/users/{ada}").status == 204
    for user_id in (ada, str(uuid.uuid4()), "x"):
        for path, body in (("", {"full_name": "Kim"}), ("/password", {"new_password": NEW_PASSWORD})):
            assert as_root("PUT", f"/users/{user_id}{path}", body).status == 404
    assert as_root("DELETE", f"/users/{uuid.uuid4()}").status == 404


def test_a_change_is_made_to_the_version_that_was_read_or_not_at_all(ada: str, as_root: Call, as_ada: Call) -> None:
    assert as_root("PUT", f"/users/{ada}", {"full_name": "Ada King"}, if_match='"1"').status == 200
    late = as_ada("PUT", f"/users/{ada}", {"full_name": "Ada Byron"}, if_match='"1"')
    assert (late.status, late.body["title"]) == (412, "Changed meanwhile")


def test_a_repeated_change_is_answered_as_the_first_one_was(world: World, ada: str, as_ada: Call) -> None:
    first = as_ada("PUT", f"/users/{ada}", {"full_name": "Ada King"}, idempotency_key="k")
    as_ada("PUT", f"/users/{ada}", {"full_name": "Ada Byron"})
    again = as_ada("PUT", f"/users/{ada}", {"full_name": "Ada King"}, idempotency_key="k")
    assert (again.status, again.body, again.headers["ETag"]) == (200, first.body, first.headers["ETag"])
    assert len(world.store.streams[f"user#{ada}"]) == 3


@pytest.mark.parametrize(
    ("method", "body"), [("PUT", {"role": "user"}), ("PUT", {"is_active": False}), ("DELETE", None)]
)
def test_the_last_active_admin_stays(world: World, root: str, as_root: Call, method: str, body: Any) -> None:
    answer = as_root(method, f"/users/{root}", body)
    assert answer.status == 409
    assert "last active admin" in answer.body["detail"]
    assert world.state(root).is_active_admin


# ---- passwords


def test_one_changes_ones_own_password_with_the_old_one(world: World, ada: str, as_ada: Call) -> None:
    answer = as_ada("PUT", f"/users/{ada}/password", {"old_password": PASSWORD, "new_password": NEW_PASSWORD})
    assert (answer.status, answer.body, answer.headers["ETag"]) == (204, None, '"2"')
    assert matches(NEW_PASSWORD, world.state(ada).password_hash)
    assert not world.state(ada).password_change_required
    assert f"stopped#{ada}" in world.store.stops


def test_an_admin_resets_anothers_password_which_must_be_changed(world: World, ada: str, as_root: Call) -> None:
    assert as_root("PUT", f"/users/{ada}/password", {"new_password": NEW_PASSWORD}).status == 204
    assert world.state(ada).password_change_required
    assert matches(NEW_PASSWORD, world.state(ada).password_hash)


@pytest.mark.parametrize(
    ("body", "field"),
    [
        ({"new_password": NEW_PASSWORD}, "old_password"),
        ({"old_password": PASSWORD, "new_password": PASSWORD}, "new_password"),
        ({"old_password": PASSWORD, "new_password": "x" * 11}, "new_password"),
        ({"old_password": PASSWORD, "new_password": "ä" * 37}, "new_password"),
        ({"old_password": PASSWORD}, "new_password"),
    ],
)
def test_an_admins_own_password_changes_as_everybodys_does(
    world: World, root: str, as_root: Call, body: dict[str, Any], field: str
) -> None:
    answer = as_root("PUT", f"/users/{root}/password", body)
    assert (answer.status, answer.named) == (422, {field})
    assert PASSWORD not in repr(answer)
    assert len(world.store.streams[f"user#{root}"]) == 1


def test_wrong_old_passwords_are_slowed_and_the_right_one_gives_the_allowance_back(
    world: World, ada: str, as_ada: Call
) -> None:
    path = f"/users/{ada}/password"
    wrong = {"old_password": "not the old one", "new_password": NEW_PASSWORD}
    assert [as_ada("PUT", path, wrong).status for _ in range(2)] == [403, 403]
    assert as_ada("PUT", path, {"old_password": PASSWORD, "new_password": NEW_PASSWORD}).status == 204
    answers = [as_ada("PUT", path, wrong) for _ in range(4)]
    assert [answer.status for answer in answers] == [403, 403, 403, 429]
    assert answers[-1].headers["Retry-After"] == "20"
    # Not even the right one is looked at now.
    assert as_ada("PUT", path, {"old_password": NEW_PASSWORD, "new_password": PASSWORD}).status == 429
    assert matches(NEW_PASSWORD, world.state(ada).password_hash)


def test_no_password_and_nothing_of_it_leaves_the_function(
    world: World, ada: str, as_ada: Call, as_root: Call, capsys: pytest.CaptureFixture[str]
) -> None:
    answers = [
        as_root("POST", "/users", NEW, idempotency_key="a"),
        as_ada("PUT", f"/users/{ada}/password", {"old_password": "wrong " + PASSWORD, "new_password": NEW_PASSWORD}),
        as_ada("PUT", f"/users/{ada}/password", {"old_password": PASSWORD, "new_password": "short"}),
        as_ada("PUT", f"/users/{ada}/password", {"old_password": PASSWORD, "new_password": NEW_PASSWORD}),
        as_ada("PUT", f"/users/{ada}", {"full_name": "Ada King"}),
    ]
    assert [answer.status for answer in answers] == [201, 403, 422, 204, 200]
    logged = capsys.readouterr()
    for told in (repr(answers), logged.out, logged.err):
        assert not any(word in told for word in (PASSWORD, NEW_PASSWORD, "$2b$"))
    assert not any(word in world.text for word in (PASSWORD, NEW_PASSWORD, "Kim", "Ada King", "example.com"))


# ---- deleting


def test_a_deleted_user_is_erased_and_deleting_them_again_changes_nothing(
    world: World, ada: str, as_root: Call
) -> None:
    sealed = world.state(ada)
    first = as_root("DELETE", f"/users/{ada}")
    assert (first.status, first.body, first.headers["ETag"]) == (204, None, '"2"')
    assert world.users.profile(ada, sealed) == (ERASED, ERASED)
    assert as_root("DELETE", f"/users/{ada}").status == 204
    assert len(world.store.streams[f"user#{ada}"]) == 2


def test_a_user_deletes_nobody_not_even_themselves(ada: str, as_ada: Call) -> None:
    assert as_ada("DELETE", f"/users/{ada}").status == 403


# ---- whatever is sent

ANYTHING = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(max_size=80),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=5,
)
FIELDS = ["email", "full_name", "role", "is_active", "password", "new_password", "old_password", "x"]
BODIES = ANYTHING | st.dictionaries(st.sampled_from(FIELDS), ANYTHING, max_size=4)


@settings(deadline=None)
@given(body=BODIES, route=st.sampled_from([("POST", "/users"), ("PUT", "/users/u-1"), ("PUT", "/users/u-1/password")]))
def test_whatever_is_sent_is_no_fault_of_ours(body: Any, route: tuple[str, str]) -> None:
    world = World()
    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(wiring, "users", lambda: world.users)
        patched.setattr(wiring, "login_throttle", lambda: world.throttle)
        assert called("admin/u-0", *route, body).status in {201, 400, 404, 422}
