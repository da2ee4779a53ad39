"""Users as the read API shows them, over rows that the projector wrote."""

from collections import Counter
from collections.abc import Callable
from datetime import timedelta
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from domain.event import DomainEvent
from domain.permissions import Role
from domain.users import (
    UserDeactivated,
    UserDeleted,
    UserPasswordChanged,
    UserProfileChanged,
    UserReactivated,
    UserRoleChanged,
)
from infra.counters import USERS_COUNTER, counters, last_login, raise_to
from infra.memory_event_store import MemoryEventStore
from infra.views import Row
from projections.projector import Projector, projections
from queries import search
from tests.integration.conftest import empty_views
from tests.integration.read_api import Api, directions, ids, turned

if TYPE_CHECKING:
    from tests.integration.conftest import Calls, History

PROMOTED = UserRoleChanged(old=Role.USER, new=Role.ADMIN)
DEMOTED = UserRoleChanged(old=Role.ADMIN, new=Role.USER)


@pytest.fixture
def people(asked: Api) -> Api:
    """`u0` to `u8`: every third an admin, every fourth inactive, `u5` deleted."""
    for number in range(9):
        asked.history.user(f"u{number}", f"Person {number}", Role.USER if number % 3 else Role.ADMIN)
        if number % 4 == 0:
            asked.history.append(f"user#u{number}", UserDeactivated())
    asked.history.append("user#u5", UserDeleted())
    asked.project()
    return asked


THERE = ["u8", "u7", "u6", "u4", "u3", "u2", "u1", "u0"]


def counted() -> dict[str, int]:
    return {row.sk: int(row.n) for row in counters(USERS_COUNTER, " ", "~") if row.n}


# ---- one


def test_a_user_sees_oneself_and_an_admin_everybody(people: Api) -> None:
    registered = next(commit for commit in people.history.commits if commit.stream == "user#u1")
    answers = [
        people.get("/users/me", "u1"),
        people.get("/users/u1", "u1"),
        people.get("/users/u1"),
    ]
    for answer in answers:
        assert answer.status == 200
        assert answer.headers["ETag"] == '"1"'
        assert answer.body == {
            "id": "u1",
            "email": "u1@example.com",
            "full_name": "Person 1",
            "role": "user",
            "is_active": True,
            "created_at": int(registered.at.timestamp()),
            "updated_at": int(registered.at.timestamp()),
            "last_login": None,
            "password_change_required": False,
        }


def test_others_the_deleted_and_the_unknown_are_all_the_same_to_a_user(people: Api) -> None:
    answers = [people.get(f"/users/{user_id}", "u1") for user_id in ("u2", "u5", "nobody")]
    assert {(answer.status, answer.body["detail"]) for answer in answers} <= {
        (404, "There is no such user."),
    }


@pytest.mark.parametrize("path", ["/users/u5", "/users/nobody", "/users/x%23y", "/users/ä"])
def test_there_is_no_deleted_and_no_unknown_user(people: Api, path: str) -> None:
    assert people.get(path).status == 404


def test_somebody_who_is_deleted_is_not_found_by_themselves_either(people: Api) -> None:
    assert people.get("/users/me", "u5").status == 404
    assert people.get("/users/u5", "u5").status == 404


def test_a_reset_shows_until_the_password_is_changed(people: Api) -> None:
    shown = []
    for must_change in (True, False):
        people.history.append("user#u1", UserPasswordChanged(password_hash="$2b$12$new", must_change=must_change))
        people.project()
        shown.append(people.get("/users/me", "u1").body["password_change_required"])
    assert shown == [True, False]


def test_the_last_login_is_shown_of_one_and_of_all(people: Api) -> None:
    raise_to(last_login("u1"), 1_772_366_400)
    raise_to(last_login("u3"), 1_772_366_401)

    assert people.get("/users/u1").body["last_login"] == 1_772_366_400
    logins = {user["id"]: user["last_login"] for user in people.get("/users").body["items"]}
    assert logins == dict.fromkeys(THERE) | {"u1": 1_772_366_400, "u3": 1_772_366_401}


def test_no_hash_is_in_the_views_nor_what_a_deleted_person_was_called(people: Api, view_items: Any) -> None:
    people.history.append("user#u1", UserPasswordChanged(password_hash="$2b$12$other", must_change=False))
    people.project()
    text = repr(view_items())
    assert "Person 4" in text
    assert not any(word in text for word in ("$2b$", "Person 5", "u5@example.com"))


# ---- all


def test_the_list_of_users_is_for_admins(people: Api) -> None:
    assert people.get("/users", "u1").status == 403


def test_walking_the_pages_gives_each_user_once_newest_first(people: Api, subtests: pytest.Subtests) -> None:
    assert ids([people.get("/users").body["items"]]) == THERE
    for direction, query in directions(1, 2, 3, 7, 8, 9, 200):
        with subtests.test(**query):
            assert ids(people.walk("/users", **query)) == turned(THERE, direction)


@pytest.mark.parametrize(
    ("filters", "expected"),
    [
        ({"role": "admin"}, ["u6", "u3", "u0"]),
        ({"role": "user"}, ["u8", "u7", "u4", "u2", "u1"]),
        ({"is_active": "false"}, ["u8", "u4", "u0"]),
        ({"is_active": "true"}, ["u7", "u6", "u3", "u2", "u1"]),
        ({"role": "admin", "is_active": "false"}, ["u0"]),
    ],
)
def test_filters_leave_out_the_others_on_every_page(
    people: Api, filters: dict[str, str], expected: list[str], subtests: pytest.Subtests
) -> None:
    for direction, query in directions(1, 2, 200):
        with subtests.test(**query):
            assert ids(people.walk("/users", **query, **filters)) == turned(expected, direction)


@pytest.mark.parametrize("query", [{"role": "root"}, {"is_active": "yes"}, {"email": "u1@example.com"}, {"limit": "0"}])
def test_what_is_no_filter_is_refused_by_its_name(people: Api, query: dict[str, str]) -> None:
    answer = people.get("/users", **query)
    assert answer.status == 422
    assert {fault["field"] for fault in answer.body["errors"]} == set(query)


def test_a_cursor_is_good_for_the_list_and_the_filters_that_it_came_from(people: Api) -> None:
    cursor = people.get("/users", limit="2").body["next"]
    assert people.get("/users", limit="2", cursor=cursor).status == 200
    assert people.get("/users", limit="2", cursor=cursor, role="user").status == 422
    assert people.get("/tasks", limit="2", cursor=cursor).status == 422


def test_a_search_that_reads_too_much_says_where_it_stopped(people: Api, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(search, "MAX_PAGE_ROWS", 3)
    first = people.get("/users", role="admin", limit="3").body
    assert (ids([first["items"]]), first["stopped_after"]) == (["u6"], 3)
    assert ids(people.walk("/users", role="admin", limit="3")) == ["u6", "u3", "u0"]


def test_a_page_costs_a_query_and_a_batch_and_no_more_for_a_full_one(people: Api, calls: "Calls") -> None:
    people.get("/users", limit="3")
    assert calls.operations == ["Query", "BatchGetItem"]


def test_oneself_costs_two_reads(people: Api, calls: "Calls") -> None:
    people.get("/users/me", "u1")
    assert calls.operations == ["BatchGetItem", "BatchGetItem"]


# ---- what one has just written


def test_a_written_version_is_waited_for_and_shown(people: Api, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("queries.read_your_write.READ_YOUR_WRITE_SECONDS", 0)
    people.history.append("user#u1", PROMOTED)
    late = people.get("/users/u1", min_version="user#u1@2")
    assert (late.status, late.headers["Retry-After"]) == (503, "1")
    people.project()
    shown = people.get("/users/u1", min_version="user#u1@2")
    assert (shown.body["role"], shown.headers["ETag"]) == ("admin", '"2"')


@pytest.mark.parametrize("limit", ["1", "3", "200"])
def test_a_list_shows_what_was_written_though_its_index_lags(
    people: Api, limit: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    lagging = [row for row in Row.by_status.query("users") if row.key.pk not in {"user#u2", "user#u9"}]
    changes: list[tuple[str, Callable[[], object], list[str]]] = [
        ("user#u9@1", lambda: people.history.user("u9", "Person 9"), ["u9", "u8", "u7", "u6", "u4", "u3", "u1", "u0"]),
        ("user#u2@2", lambda: people.history.append("user#u2", PROMOTED), THERE),
        ("user#u7@2", lambda: people.history.append("user#u7", UserDeleted()), [u for u in THERE if u not in "u7 u2"]),
    ]
    for version, change, expected in changes:
        change()
        people.project()
        with monkeypatch.context() as patched:
            patched.setattr("queries.users.rows_between", _from(lagging))
            assert ids(people.walk("/users", limit=limit, min_version=version)) == expected


def _from(rows: list[Row]) -> Callable[..., Any]:
    def rows_between(*reading: Any, ascending: bool, **_: Any) -> Any:
        low, high = reading[-2:]
        ahead = [row for row in rows if (not low or row.gsi1sk >= low) and (not high or row.gsi1sk <= high)]
        return iter(sorted(ahead, key=lambda row: str(row.gsi1sk), reverse=not ascending))

    return rows_between


# ---- counted


@pytest.mark.usefixtures("people")
def test_users_are_counted_by_role_and_activity_and_the_deleted_nowhere() -> None:
    assert counted() == {"admin#active": 2, "admin#inactive": 1, "user#active": 3, "user#inactive": 2}


STEPS: list[tuple[DomainEvent, ...]] = [
    (PROMOTED,),
    (DEMOTED,),
    (UserDeactivated(),),
    (UserReactivated(),),
    (PROMOTED, UserDeactivated()),
    (UserPasswordChanged(password_hash="$2b$12$x", must_change=True),),
    (UserDeleted(),),
]


@pytest.mark.usefixtures("aws")
@settings(deadline=None, max_examples=15, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    steps=st.lists(st.tuples(st.sampled_from(["a", "b", "c"]), st.sampled_from(STEPS)), max_size=12),
    data=st.data(),
)
def test_rows_counters_and_the_list_end_the_same_whatever_order_commits_come_in(
    new_history: type["History"],
    steps: list[tuple[str, tuple[DomainEvent, ...]]],
    data: st.DataObject,
) -> None:
    empty_views()
    history = new_history(MemoryEventStore())
    gone: set[str] = set()
    for person in "abc":
        history.user(person, f"Person {person}")
    for person, events in steps:
        if person not in gone:
            history.append(f"user#{person}", *events)
        if isinstance(events[-1], UserDeleted):
            gone.add(person)
    projector = Projector(history.store, projections(history.people))
    for _ in range(2):  # twice, so that everything is a duplicate once
        for commit in data.draw(st.permutations(history.commits)):
            projector.project([commit])

    present = set("abc") - gone
    listed = list(Row.by_status.query("users"))
    assert {row.pk for row in listed} == {f"user#{person}" for person in present}
    assert sum(counted().values()) == len(present)
    assert counted() == Counter(_kind(history, person) for person in present)


def _kind(history: "History", person: str) -> str:
    """Role and activity, told from the events by themselves."""
    role, activity = "user", "active"
    for commit in history.commits:
        if commit.stream != f"user#{person}":
            continue
        for event in (recorded.event for recorded in commit.recorded()):
            if isinstance(event, UserRoleChanged):
                role = event.new
            elif isinstance(event, UserDeactivated | UserReactivated):
                activity = "inactive" if isinstance(event, UserDeactivated) else "active"
    return f"{role}#{activity}"


def test_a_changed_name_keeps_the_place_in_the_list(people: Api) -> None:
    people.history.now += timedelta(days=1)
    seal = people.history.people.seal
    changed = UserProfileChanged(email=seal("u0", "email", "new@example.com"), full_name=seal("u0", "full_name", "New"))
    people.history.append("user#u0", changed)
    people.project()
    items = people.get("/users").body["items"]
    assert ids([items]) == THERE
    assert (items[-1]["email"], items[-1]["full_name"]) == ("new@example.com", "New")
