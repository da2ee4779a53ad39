"""Reactions: what happens to a user ends their sessions, once, and nothing holds up the stream but infrastructure."""

import base64
import json
from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Any

import pytest
from botocore.exceptions import ClientError
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from commands import reactions, session_reactions
from commands.execution import Order, execute
from domain.commit import Commit
from domain.decider import Decider, fold
from domain.event import DomainEvent
from domain.permissions import Role
from domain.sessions import SESSIONS, EndReason, Session, SessionEnded, SessionStarted
from domain.users import (
    USERS,
    UserDeactivated,
    UserDeleted,
    UserPasswordChanged,
    UserProfileChanged,
    UserRegistered,
    UserRoleChanged,
)
from infra.commits import to_item
from infra.event_store import ConflictError
from infra.guards import TokenGuards
from infra.memory_event_store import MemoryEventStore
from infra.personal_data import MemoryDataKeys

NOW = datetime(2026, 3, 1, 12, 0, tzinfo=UTC)
REGISTERED = UserRegistered(email="sealed", full_name="sealed", role=Role.USER, password_hash="$2b$12$hash")
CHANGED = UserPasswordChanged(password_hash="$2b$12$other", must_change=False)
ORDER = Order(by="root", at=NOW, correlation_id="request-1", causation_id="api:request-1")


class World:
    """Ada, her sessions, and the views that know them."""

    def __init__(self) -> None:
        self.store = MemoryEventStore()
        nowhere: Any = None
        self.guards = TokenGuards(nowhere, "guards")
        self.keys = MemoryDataKeys()
        self.listed: list[str] = []
        self.append("user#ada", REGISTERED)

    def append(self, stream: str, *events: DomainEvent) -> Commit:
        decider: Decider[Any] = USERS if stream.startswith("user#") else SESSIONS
        execute(self.store, decider, stream.partition("#")[2], lambda _: events, ORDER)
        return self.store.streams[stream][-1]

    def log_in(self, session_id: str) -> None:
        """A session that begins now, and stands in the views."""
        started = SessionStarted(
            user_id="ada",
            user_version=self.store.streams["user#ada"][-1].last_version,
            expires_at=1_772_971_200,
            refresh_digest="d1",
            role=Role.USER,
            password_change_required=False,
        )
        self.append(f"session#{session_id}", started)
        self.listed.append(session_id)

    def session(self, session_id: str) -> Session:
        found = fold(SESSIONS, self.store.load(f"session#{session_id}"))
        assert found
        return found

    def ends(self, session_id: str) -> list[EndReason]:
        commits = self.store.load(f"session#{session_id}")
        events = [recorded.event for commit in commits for recorded in commit.recorded()]
        return [event.reason for event in events if isinstance(event, SessionEnded)]


@pytest.fixture
def world(monkeypatch: pytest.MonkeyPatch) -> World:
    world = World()
    monkeypatch.setattr(reactions, "_store", lambda: world.store)
    monkeypatch.setattr(reactions, "_guards", lambda: world.guards)
    monkeypatch.setattr(reactions, "_keys", lambda: world.keys)
    monkeypatch.setattr(session_reactions, "_open_sessions", lambda user_id: world.listed if user_id == "ada" else [])
    return world


def records(*commits: Commit | dict[str, Any] | str) -> dict[str, Any]:
    """A batch as Kinesis hands it over; what is no commit goes as it is."""

    def data(commit: Commit | dict[str, Any] | str) -> bytes:
        if isinstance(commit, str):
            return commit.encode()
        item = commit
        if isinstance(commit, Commit):
            item = {**to_item(commit), "h": {"B": base64.b64encode(commit.hash).decode()}}
        return json.dumps({"eventName": "INSERT", "dynamodb": {"NewImage": item}}).encode()

    return {"Records": [{"kinesis": {"data": base64.b64encode(data(commit)).decode()}} for commit in commits]}


@pytest.mark.parametrize(
    ("event", "reason"),
    [
        (CHANGED, EndReason.PASSWORD_CHANGED),
        (UserDeactivated(), EndReason.DEACTIVATED),
        (UserDeleted(), EndReason.DELETED),
    ],
)
def test_what_ends_a_users_access_ends_each_of_their_sessions(
    world: World, event: DomainEvent, reason: EndReason
) -> None:
    for session_id in ("s-1", "s-2"):
        world.log_in(session_id)
    cause = world.append("user#ada", event)
    reactions.handler(records(cause), None)
    for session_id in ("s-1", "s-2"):
        assert world.ends(session_id) == [reason]
        assert f"ended#{session_id}" in world.store.stops


def test_an_end_says_what_caused_it(world: World) -> None:
    world.log_in("s-1")
    cause = world.append("user#ada", CHANGED)
    reactions.handler(records(cause), None)
    commit = world.store.streams["session#s-1"][-1]
    assert (commit.by, commit.correlation_id, commit.causation_id) == (
        "system:reactions",
        "request-1",
        f"event:{cause.id}",
    )


@pytest.mark.parametrize(
    "event", [UserRoleChanged(old=Role.USER, new=Role.ADMIN), UserProfileChanged(email="e", full_name="n")]
)
def test_other_events_of_a_user_end_nothing(world: World, event: DomainEvent) -> None:
    world.log_in("s-1")
    reactions.handler(records(world.append("user#ada", event)), None)
    assert world.ends("s-1") == []


def test_of_several_events_in_one_commit_the_one_that_ends_is_found(world: World) -> None:
    world.log_in("s-1")
    cause = world.append("user#ada", UserProfileChanged(email="e", full_name="n"), UserDeactivated())
    reactions.handler(records(cause), None)
    assert world.ends("s-1") == [EndReason.DEACTIVATED]


def test_a_session_that_began_after_the_event_is_left_alone_however_late_the_event_comes(world: World) -> None:
    cause = world.append("user#ada", CHANGED)
    world.log_in("s-1")
    reactions.handler(records(cause, cause), None)
    assert not world.session("s-1").is_over


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=50)
@given(order=st.permutations(range(4)), repeats=st.lists(st.integers(0, 3), max_size=4), cut=st.integers(0, 8))
def test_repeated_reordered_and_cut_batches_end_the_same_sessions_once(
    monkeypatch: pytest.MonkeyPatch, order: Sequence[int], repeats: list[int], cut: int
) -> None:
    world = World()
    monkeypatch.setattr(reactions, "_store", lambda: world.store)
    monkeypatch.setattr(reactions, "_guards", lambda: world.guards)
    monkeypatch.setattr(
        session_reactions, "_open_sessions", lambda _: [s for s in world.listed if not world.session(s).is_over]
    )
    world.log_in("s-1")
    commits = [world.append("user#ada", CHANGED)]
    world.log_in("s-2")
    commits += [world.append("user#ada", UserRoleChanged(old=Role.USER, new=Role.ADMIN)) for _ in range(2)]
    commits.append(world.append("user#ada", CHANGED))
    world.log_in("s-3")
    batch = [commits[place] for place in [*order, *repeats]]
    for part in (batch[:cut], batch[cut:]):
        reactions.handler(records(*part), None)
    assert [len(world.ends(session_id)) for session_id in ("s-1", "s-2", "s-3")] == [1, 1, 0]


@pytest.mark.parametrize("times", [1, 3])
def test_a_user_who_is_deleted_is_erased_although_the_command_did_not_come_that_far(world: World, times: int) -> None:
    for person in ("ada", "bob"):
        world.keys.make(person)
    cause = world.append("user#ada", UserRoleChanged(old=Role.USER, new=Role.ADMIN), UserDeleted())
    reactions.handler(records(*[cause] * times), None)
    assert set(world.keys.keys) == {"bob"}


@pytest.mark.parametrize("event", [UserDeactivated(), CHANGED, UserProfileChanged(email="e", full_name="n")])
def test_nobody_else_is_erased(world: World, event: DomainEvent) -> None:
    world.keys.make("ada")
    reactions.handler(records(world.append("user#ada", event)), None)
    assert set(world.keys.keys) == {"ada"}


def test_an_erasure_that_fails_comes_back(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    world.keys.make("ada")
    cause = world.append("user#ada", UserDeleted())

    def broken(_person: str) -> None:
        raise ClientError({"Error": {"Code": "ThrottlingException"}}, "DeleteItem")

    with monkeypatch.context() as broken_for_now:
        broken_for_now.setattr(world.keys, "delete", broken)
        with pytest.raises(ClientError):
            reactions.handler(records(cause), None)
    reactions.handler(records(cause), None)
    assert world.keys.keys == {}


def test_what_cannot_be_read_holds_up_nothing(world: World) -> None:
    world.log_in("s-1")
    cause = world.append("user#ada", CHANGED)
    item = to_item(cause)
    unknown = {**item, "h": {"B": ""}, "e": {"S": '[{"t": "user.exploded", "v": 1, "d": {}}]'}}
    reactions.handler(records("no json", "[]", "{}", {"pk": {"S": "by hand"}}, unknown, cause), None)
    assert world.ends("s-1") == [EndReason.PASSWORD_CHANGED]


def test_a_session_that_cannot_be_read_holds_up_no_other(world: World) -> None:
    world.log_in("s-2")
    world.listed.insert(0, "s-gone")
    reactions.handler(records(world.append("user#ada", CHANGED)), None)
    assert world.ends("s-2") == [EndReason.PASSWORD_CHANGED]


@pytest.mark.parametrize(
    "fault", [ClientError({"Error": {"Code": "ThrottlingException"}}, "Query"), ConflictError("others write")]
)
def test_a_fault_of_the_infrastructure_brings_the_batch_back(
    world: World, fault: Exception, monkeypatch: pytest.MonkeyPatch
) -> None:
    world.log_in("s-1")
    cause = world.append("user#ada", CHANGED)

    def broken(*_: object) -> None:
        raise fault

    with monkeypatch.context() as broken_for_now:
        broken_for_now.setattr(session_reactions, "carry_out", broken)
        with pytest.raises(type(fault)):
            reactions.handler(records(cause), None)
    reactions.handler(records(cause), None)
    assert world.ends("s-1") == [EndReason.PASSWORD_CHANGED]


def test_a_removal_from_the_table_is_no_event(world: World) -> None:
    world.log_in("s-1")
    cause = world.append("user#ada", CHANGED)
    batch = records(cause)
    removal = json.loads(base64.b64decode(batch["Records"][0]["kinesis"]["data"])) | {"eventName": "REMOVE"}
    batch["Records"][0]["kinesis"]["data"] = base64.b64encode(json.dumps(removal).encode()).decode()
    reactions.handler(batch, None)
    assert world.ends("s-1") == []
