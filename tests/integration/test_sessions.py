"""Sessions on moto: their rows, what ends tokens before their time, and the way from a password to an ended session."""

import base64
import json
from collections.abc import Iterator, Sequence
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from commands import api, reactions, session_commands, wiring
from commands.execution import Order, now
from domain.commit import Commit
from domain.event import DomainEvent
from domain.permissions import Role
from domain.sessions import EndReason, SessionEnded, SessionRefreshed, SessionRevoked, SessionStarted, end, refresh
from domain.tasks import TaskCommented
from domain.users import UserPasswordChanged, UserRegistered
from infra import clients, marks, passwords
from infra.counters import CounterRow, counters, last_login
from infra.event_store import DynamoDBEventStore
from infra.guards import Stops, TokenGuards, UnreadGuardsError
from infra.memory_event_store import MemoryEventStore
from infra.usage import Usage
from infra.views import Row, open_sessions
from projections.projector import Projector, projections
from tests.integration.conftest import DAY, Calls, empty_views, table_items

if TYPE_CHECKING:
    from tests.integration.conftest import History

CHANGED = UserPasswordChanged(password_hash="$2b$12$other", must_change=False)
STREAM = "session#s-1"


def started(user: str = "ann", user_version: int = 1, expires_at: int | None = None) -> SessionStarted:
    return SessionStarted(
        user_id=user,
        user_version=user_version,
        expires_at=int((now() + timedelta(days=7)).timestamp()) if expires_at is None else expires_at,
        refresh_digest="d1",
        role=Role.USER,
        password_change_required=False,
    )


def refreshed(generation: int) -> SessionRefreshed:
    return SessionRefreshed(
        generation=generation,
        expires_at=1_800_000_000 + generation,
        refresh_digest=f"d{generation}",
        role=Role.USER,
        password_change_required=False,
    )


def project(history: "History", commits: Sequence[Commit]) -> None:
    Projector(history.store, projections(history.people)).project(commits)


def row(stream: str = STREAM) -> Row:
    return Row.get(stream, "session", consistent_read=True)


def number(pk: str, sk: str) -> int:
    (found,) = counters(pk, sk, sk)
    return int(found.n)


def listed(user: str) -> list[str]:
    return [found.pk for found in Row.by_person.query(open_sessions(user))]


# ---- rows


@pytest.mark.usefixtures("aws")
def test_a_session_has_a_row_without_its_digests(history: "History") -> None:
    history.append(STREAM, started(expires_at=1_800_000_000))
    history.append(STREAM, refreshed(2))
    project(history, history.commits)
    begun = int(history.commits[0].at.timestamp())
    assert json.loads(row().data) == {
        "user_id": "ann",
        "user_version": 1,
        "started_at": begun,
        "refreshed_at": begun + 1,
        "expires_at": 1_800_000_002,
        "ended_at": None,
        "end": None,
    }
    assert (row().version, row().ttl) == (2, 1_800_000_002 + 28 * DAY)


@pytest.mark.usefixtures("aws")
@pytest.mark.parametrize(
    ("last", "end"), [(SessionEnded(reason=EndReason.LOGOUT), "logout"), (SessionRevoked(generation=1), "revoked")]
)
def test_a_session_is_in_its_users_index_while_it_is_open(history: "History", last: DomainEvent, end: str) -> None:
    history.append(STREAM, started())
    history.append("session#s-2", started())
    history.append("session#s-3", started("bob"))
    project(history, history.commits)
    assert (listed("ann"), listed("bob")) == ([STREAM, "session#s-2"], ["session#s-3"])
    history.append(STREAM, last)
    project(history, history.commits)
    assert listed("ann") == ["session#s-2"]
    assert json.loads(row().data)["end"] == end


@pytest.mark.usefixtures("aws")
def test_logins_are_counted_by_the_day_they_were_and_an_end_takes_none_away(history: "History") -> None:
    history.append(STREAM, started())
    history.append("session#s-2", started("bob"))
    history.now += timedelta(days=1)
    history.append("session#s-3", started())
    history.append(STREAM, refreshed(2))
    history.append(STREAM, SessionEnded(reason=EndReason.LOGOUT))
    project(history, history.commits)
    assert [number("counter#logins", day) for day in ("2026-03-01", "2026-03-02")] == [2, 1]


@pytest.mark.usefixtures("aws")
def test_the_last_login_is_the_latest_and_no_refresh(history: "History") -> None:
    history.append(STREAM, started())
    latest = history.append("session#s-2", started())
    history.append(STREAM, refreshed(2))
    project(history, history.commits)
    assert CounterRow.get(*last_login("ann")).n == int(latest.at.timestamp())


@pytest.mark.usefixtures("aws")
def test_a_session_that_cannot_be_folded_is_parked_alone(history: "History") -> None:
    history.append("session#bad", TaskCommented(comment_id="c", comment="x"))
    history.append(STREAM, started())
    project(history, history.commits)
    assert row().version == 1
    assert [stream.stream for stream in marks.parked()] == ["session#bad"]


@settings(max_examples=15, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    order=st.permutations(range(7)), repeats=st.lists(st.integers(0, 6), max_size=5), holes=st.sets(st.integers(0, 6))
)
def test_in_whatever_order_commits_come_the_views_end_the_same(
    aws: None,  # noqa: ARG001
    new_history: "type[History]",
    order: Sequence[int],
    repeats: list[int],
    holes: set[int],
) -> None:
    """Holes are filled from the store as long as a later commit of the stream arrives; the last ones always do."""
    history = new_history()
    for stream, *events in (
        ("session#s-1", started(expires_at=1_800_000_000)),
        ("session#s-1", refreshed(2)),
        ("session#s-2", started(expires_at=1_800_000_000)),
        ("session#s-1", refreshed(3), SessionEnded(reason=EndReason.LOGOUT)),
        ("session#s-3", started("bob", expires_at=1_800_000_000)),
        ("session#s-2", SessionRevoked(generation=1)),
        ("session#s-3", refreshed(2)),
    ):
        history.append(stream, *events)
    empty_views()
    project(history, history.commits)
    expected = sorted(map(repr, table_items("views")))
    empty_views()
    last = {3, 5, 6}
    for place in [place for place in [*order, *repeats] if place not in holes - last]:
        project(history, [history.commits[place]])
    assert sorted(map(repr, table_items("views"))) == expected


@pytest.mark.usefixtures("aws")
def test_a_login_costs_the_views_a_transaction_and_one_raise(history: "History", calls: Calls) -> None:
    commit = history.append(STREAM, started())
    calls.clear()
    project(history, [commit])
    assert sorted(calls.operations) == ["BatchGetItem", "Query", "TransactWriteItems", "UpdateItem"]
    calls.clear()
    project(history, [history.append(STREAM, refreshed(2))])
    assert "UpdateItem" not in calls.operations


# ---- guards


@pytest.fixture
def guards(aws: None) -> TokenGuards:  # noqa: ARG001
    return TokenGuards(clients.dynamodb(), "guards")


@pytest.fixture
def store(aws: None) -> DynamoDBEventStore:  # noqa: ARG001
    return DynamoDBEventStore(clients.dynamodb(), "events", Usage())


def order() -> Order:
    return Order(by="ann", at=now(), correlation_id="co", causation_id="ca")


def test_nothing_ends_a_token_until_it_is_written(guards: TokenGuards, calls: Calls) -> None:
    assert guards.stops("s-1", "ann") == Stops()
    assert calls.operations == ["BatchGetItem"]


def test_a_session_and_the_end_of_its_tokens_are_written_together_or_not_at_all(
    history: "History", store: DynamoDBEventStore, guards: TokenGuards, calls: Calls
) -> None:
    begun = history.append(STREAM, started())
    store.append(begun)
    calls.clear()
    session_commands.carry_out(store, guards, "s-1", lambda session: end(session, EndReason.LOGOUT), order())
    assert calls.operations == ["Query", "TransactWriteItems"]
    assert guards.stops("s-1", "ann") == Stops(session_ended=True)
    assert guards.stops("s-2", "ann") == Stops()
    (item,) = table_items("guards")
    kept = int(item["ttl"]["N"]) - now().timestamp()
    assert 60 * 60 < kept < 2 * 60 * 60  # the longest that an access token may be good for, and a little


def test_a_refresh_writes_no_guard(
    history: "History", store: DynamoDBEventStore, guards: TokenGuards, calls: Calls
) -> None:
    store.append(history.append(STREAM, started()))
    calls.clear()
    at = now()
    session_commands.carry_out(
        store, guards, "s-1", lambda session: refresh(session, "d1", refreshed(2), None, at), order()
    )
    assert calls.operations == ["Query", "PutItem"]
    assert table_items("guards") == []


def test_the_stop_of_a_users_tokens_has_milliseconds_and_is_moved_by_the_next(
    store: DynamoDBEventStore, guards: TokenGuards, history: "History"
) -> None:
    for n, milliseconds in enumerate((1_772_366_400_001, 1_772_366_400_987)):
        at = datetime.fromtimestamp(milliseconds / 1000, UTC)
        store.append(history.append(f"session#{n}", started()), [guards.stop_tokens("ann", at)])
        assert guards.stops("s-1", "ann") == Stops(issued_until=milliseconds)
    assert guards.stops("s-1", "bob") == Stops()


def test_what_was_not_read_is_not_taken_for_nothing(guards: TokenGuards, monkeypatch: pytest.MonkeyPatch) -> None:
    answer = {"Responses": {"guards": []}, "UnprocessedKeys": {"guards": {"Keys": [{"pk": {"S": "ended#s-1"}}]}}}
    monkeypatch.setattr(clients.dynamodb(), "batch_get_item", lambda **_: answer)
    with pytest.raises(UnreadGuardsError):
        guards.stops("s-1", "ann")


# ---- the whole way


def records(history: "History", *commits: Commit) -> dict[str, Any]:
    changes = [{"eventName": "INSERT", "dynamodb": {"NewImage": history.image(commit)}} for commit in commits]
    return {"Records": [{"kinesis": {"data": base64.b64encode(json.dumps(c).encode()).decode()}} for c in changes]}


@pytest.fixture
def reacting(store: DynamoDBEventStore) -> Iterator[DynamoDBEventStore]:
    made = (reactions._store, reactions._guards, reactions._keys)
    for each in made:
        each.cache_clear()
    yield store
    for each in made:
        each.cache_clear()


def test_a_changed_password_ends_the_open_sessions_that_began_before_it(
    history: "History", reacting: DynamoDBEventStore, guards: TokenGuards
) -> None:
    history.user("ann", "Ann Example")
    for number_ in (1, 2):
        history.append(f"session#s-{number_}", started())
    history.append("session#s-expired", started(expires_at=1))
    history.append("session#s-bob", started("bob"))
    cause = history.append("user#ann", CHANGED)
    history.append("session#s-new", started(user_version=2))
    for commit in history.commits:
        reacting.append(commit)
    project(history, history.commits)
    reactions.handler(records(history, cause, cause), None)
    over = {name for name in ("1", "2", "expired", "bob", "new") if guards.stops(f"s-{name}", "-").session_ended}
    assert over == {"1", "2"}
    assert [len(list(reacting.load(f"session#s-{name}"))) for name in ("1", "2", "expired", "bob", "new")] == [
        *(2, 2, 1, 1, 1)
    ]


def test_a_thousand_refreshes_are_loaded_by_one_query_of_few_units(
    store: DynamoDBEventStore, guards: TokenGuards, history: "History", calls: Calls
) -> None:
    memory = MemoryEventStore()
    memory.append(history.append(STREAM, started()))

    def spend(generation: int) -> None:
        at = now() + timedelta(minutes=14 * generation)
        event = refreshed(generation + 1).model_copy(update={"refresh_digest": f"{generation + 1:064x}"})
        spent = f"{generation:064x}" if generation > 1 else "d1"
        long = Order(by=f"{0:036}", at=at, correlation_id=f"{0:036}", causation_id=f"api:{0:036}")
        session_commands.carry_out(
            memory, guards, "s-1", lambda session: refresh(session, spent, event, None, at), long
        )

    for generation in range(1, 1_001):
        spend(generation)
    for commit in memory.streams[STREAM][-60:]:
        store.append(commit)
    usage = Usage()
    measured = DynamoDBEventStore(clients.dynamodb(), "events", usage)
    calls.clear()
    session_commands.carry_out(measured, guards, "s-1", lambda session: end(session, EndReason.LOGOUT), order())
    assert calls.operations == ["Query", "TransactWriteItems"]
    assert 0 < usage.read_units <= 4


# ---- what the routes cost

PASSWORD = "correct horse battery"


@pytest.fixture
def registered(history: "History", store: DynamoDBEventStore, monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    """The e-mail address of somebody who may log in, to the write function as it is deployed."""
    monkeypatch.setattr(passwords, "PASSWORD_ROUNDS", 4)
    monkeypatch.setattr(wiring, "secret", lambda *_: {"current": "k" * 32})
    monkeypatch.setenv("TOKEN_SECRET_ARN", "arn:token")
    monkeypatch.setenv("GUARD_KEY_SECRET_ARN", "arn:guard")
    password_hash = passwords.hashed(PASSWORD)
    event = UserRegistered(email="sealed", full_name="sealed", role=Role.USER, password_hash=password_hash)
    caches = (wiring.store, wiring.warm, wiring.tokens, wiring.callers)
    for cached in caches:
        cached.cache_clear()
    store.append(history.append("user#ann", event), [wiring.guards().take_email("ann@example.com", "ann")])
    yield "ann@example.com"
    for cached in caches:
        cached.cache_clear()


def called(path: str, body: Any = None, token: str = "") -> Any:
    """What the write function answers to a POST that succeeds."""
    event = {
        "path": path,
        "httpMethod": "POST",
        "headers": {"Authorization": f"Bearer {token}"} if token else {},
        "requestContext": {"identity": {"sourceIp": "203.0.113.7"}},
        "body": json.dumps(body) if body else None,
    }
    answer = api.handler(event, object())
    assert answer["statusCode"] in {200, 204}, answer
    return json.loads(answer["body"] or "null")


def test_what_a_session_costs_from_login_to_logout(registered: str, calls: Calls) -> None:
    throttled, given_back, noted = ["UpdateItem"] * 2, ["DeleteItem", "UpdateItem"], ["Query", "PutItem"]
    for first in (noted, []):
        calls.clear()
        tokens = called("/auth/login", {"email": registered, "password": PASSWORD})
        assert calls.operations == [*throttled, "GetItem", "Query", *given_back, *first, "PutItem"]

    calls.clear()
    tokens = called("/auth/refresh", {"refresh_token": tokens["refresh_token"]})
    assert calls.operations == ["Query", "PutItem"]
    wiring.warm.cache_clear()
    calls.clear()
    repeat = {"refresh_token": tokens["refresh_token"]}
    tokens = called("/auth/refresh", repeat)
    assert calls.operations == ["Query", "Query", "PutItem"]
    calls.clear()
    assert called("/auth/refresh", repeat) == tokens
    assert calls.operations == ["Query", "Query"]

    calls.clear()
    called("/auth/logout", token=tokens["access_token"])
    assert calls.operations == ["BatchGetItem", "TransactWriteItems"]
