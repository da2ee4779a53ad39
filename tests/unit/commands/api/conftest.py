"""The write API as it is deployed, on a store in memory, and people who call it."""

import uuid
from collections.abc import Callable, Iterator

import pytest

from commands import api, execution, wiring
from commands.execution import execute
from domain.permissions import Role
from domain.users import USERS, UserRegistered
from infra import passwords
from tests.unit.commands.api.calling import KEY, PASSWORD, TASK, Call, Guards, Store, Unthrottled, called, order, token


@pytest.fixture(autouse=True)
def store(monkeypatch: pytest.MonkeyPatch) -> Iterator[Store]:
    """The function as it is deployed, on a store in memory."""
    store = Store()
    monkeypatch.setattr(wiring, "store", lambda: store)
    monkeypatch.setattr(wiring, "secret", lambda _arn, *_age: {"current": KEY})
    monkeypatch.setattr(wiring, "login_throttle", Unthrottled)
    monkeypatch.setattr(api.api, "_callers", wiring.tokens)  # whether tokens were stopped, test_sessions.py looks at
    monkeypatch.setenv("TOKEN_SECRET_ARN", "arn:token")
    monkeypatch.setattr(passwords, "PASSWORD_ROUNDS", 4)
    monkeypatch.setattr(execution, "RETRY_CAP_SECONDS", 0)
    for cached in (wiring.tokens, wiring.warm):
        cached.cache_clear()
    yield store
    for cached in (wiring.tokens, wiring.warm):
        cached.cache_clear()


@pytest.fixture(autouse=True)
def guards(monkeypatch: pytest.MonkeyPatch) -> Guards:
    guards = Guards()
    monkeypatch.setattr(wiring, "guards", lambda: guards)
    return guards


@pytest.fixture
def person(store: Store, guards: Guards) -> Callable[..., str]:
    """Registers somebody; returns their id."""

    def register(name: str, role: Role = Role.USER) -> str:
        user_id = str(uuid.uuid4())
        registered = UserRegistered(
            email=f"{name}@example.com",
            full_name=name.title(),
            role=role,
            password_hash=passwords.hashed(PASSWORD),
        )
        execute(store, USERS, user_id, lambda _: [registered], order(), creates=True)
        guards.owners[f"{name}@example.com"] = user_id
        return user_id

    return register


@pytest.fixture
def ada(person: Callable[..., str]) -> str:
    return person("ada")


@pytest.fixture
def bob(person: Callable[..., str]) -> str:
    return person("bob")


@pytest.fixture
def root(person: Callable[..., str]) -> str:
    return person("root", Role.ADMIN)


@pytest.fixture
def as_ada(ada: str) -> Call:
    return lambda *args, **options: called(*args, token=token(ada), **options)


@pytest.fixture
def as_bob(bob: str) -> Call:
    return lambda *args, **options: called(*args, token=token(bob), **options)


@pytest.fixture
def as_admin(root: str) -> Call:
    return lambda *args, **options: called(*args, token=token(root, Role.ADMIN), **options)


@pytest.fixture
def task_id(as_ada: Call, ada: str) -> str:
    """A task that Ada made for herself."""
    answer = as_ada("POST", "/tasks", {**TASK, "assigned_user_id": ada})
    assert answer.status == 201
    return str(answer.body["id"])
