"""The read API, asked as API Gateway asks it, over rows that the projector wrote."""

import base64
import json
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any, NamedTuple

import jwt
import pytest

from domain.monitoring_events import event_id
from domain.permissions import Permission, Role
from domain.tasks import Priority, Status, TaskAssigned, TaskCommented, TaskDetailsChanged, TaskStatusChanged
from infra import outbox
from infra.outbox import Notification, NotificationId
from infra.tokens import Tokens
from infra.views import EVENT_SHARDS_COUNTER, Row, event_partition
from projections.projector import Projector, projections
from queries import api, dashboard, monitoring_events, wiring

if TYPE_CHECKING:
    from domain.commit import Commit
    from tests.integration.conftest import Calls, History

KEY = "k" * 32
UUID = "11111111-2222-4333-8444-555555555555"


class Answered(NamedTuple):
    status: int
    headers: Mapping[str, str]
    body: Any


class Api:
    """The read API with a history behind it; `get` asks it as an admin or a user."""

    def __init__(self, history: "History") -> None:
        self.history = history
        self._done = 0

    def project(self) -> None:
        """Bring the views up to date with the history."""
        Projector(self.history.store, projections(self.history.people)).project(self.history.commits[self._done :])
        self._done = len(self.history.commits)

    @staticmethod
    def get(path: str, caller: str | None = "admin", **query: str) -> Answered:
        headers = {}
        if caller is not None:
            role = Role.ADMIN if caller == "admin" else Role.USER
            headers["authorization"] = f"Bearer {Tokens(lambda: KEY).issue(caller, role, datetime.now(UTC))}"
        return ask(path, headers, query)

    def walk(self, path: str, caller: str = "admin", **query: str) -> list[list[dict[str, Any]]]:
        """Every page of a list, to its end."""
        pages: list[list[dict[str, Any]]] = []
        cursor: dict[str, str] = {}
        while True:
            answered = self.get(path, caller, **query, **cursor)
            assert answered.status == 200, answered.body
            assert set(answered.body) == {"items", "next"}
            pages.append(answered.body["items"])
            assert len(pages) < 500, "the list does not end"
            if answered.body["next"] is None:
                return pages
            cursor = {"cursor": answered.body["next"]}


def ask(path: str, headers: Mapping[str, str], query: Mapping[str, str] | None = None) -> Answered:
    event = {
        "resource": "/{proxy+}",
        "path": path,
        "httpMethod": "GET",
        "headers": dict(headers),
        "queryStringParameters": dict(query) if query else None,
        "multiValueQueryStringParameters": None,
        "requestContext": {"requestId": "r", "stage": "test", "path": path, "httpMethod": "GET"},
        "body": None,
        "isBase64Encoded": False,
    }
    answer = api.handler(event, None)
    shown = {name: values[0] for name, values in answer["multiValueHeaders"].items()}
    return Answered(answer["statusCode"], shown, json.loads(answer["body"]))


def ids(pages: Iterable[Iterable[Mapping[str, Any]]]) -> list[str]:
    return [item["id"] for page in pages for item in page]


@pytest.fixture
def signed(monkeypatch: pytest.MonkeyPatch) -> None:
    """Tokens are signed with the key of these tests."""
    monkeypatch.setattr(api.api, "_callers", lambda: Tokens(lambda: KEY))


@pytest.fixture
def asked(aws: None, signed: None, history: "History", monkeypatch: pytest.MonkeyPatch) -> Api:  # noqa: ARG001
    monkeypatch.setattr(wiring, "store", lambda: history.store)
    return Api(history)


def directions(*limits: int) -> Iterator[tuple[str, dict[str, str]]]:
    """Each limit in both directions: the direction, and the query that asks for both."""
    for direction in ("desc", "asc"):
        for limit in limits:
            yield direction, {"limit": str(limit), "direction": direction}


def turned(newest_first: Sequence[Any], direction: str) -> list[Any]:
    return list(newest_first if direction == "desc" else reversed(newest_first))


# ---- the frame

ROUTES = {
    "/health": Permission.OPEN,
    "/events": Permission.READ_EVENTS,
    "/events/<event_id>": Permission.READ_EVENTS,
    "/tasks": Permission.READ_OWN_TASKS,
    "/tasks/<task_id>": Permission.READ_OWN_TASKS,
    "/tasks/<task_id>/history": Permission.READ_OWN_TASKS,
    "/users/me": Permission.ANY_USER,
    "/dashboard/overview": Permission.ANY_USER,
    "/notifications": Permission.ANY_USER,
}


def test_the_routes_and_their_permissions() -> None:
    assert [route.method for route in api.api.routes] == ["GET"] * len(ROUTES)
    assert {route.path: route.permission for route in api.api.routes} == ROUTES


@pytest.mark.parametrize("path", sorted(path for path in ROUTES if path != "/health"))
@pytest.mark.parametrize("authorization", [None, "", "Bearer", "Bearer ", "Basic YTpi", "Bearer not.a.token"])
def test_every_route_but_health_asks_for_a_token(signed: None, path: str, authorization: str | None) -> None:  # noqa: ARG001
    headers = {} if authorization is None else {"Authorization": authorization}

    answered = ask(path.replace("<", "").replace(">", ""), headers)

    assert answered.status == 401
    assert answered.headers["WWW-Authenticate"] == "Bearer"
    assert answered.headers["Content-Type"] == "application/problem+json"


@pytest.mark.parametrize(
    "change",
    [
        {"exp": 1},
        {"type": "refresh"},
        {"role": "root"},
        {"sub": None},
        {"jti": ...},
    ],
)
def test_a_token_of_another_kind_is_refused(asked: Api, change: Mapping[str, Any]) -> None:  # noqa: ARG001
    good = jwt.decode(Tokens(lambda: KEY).issue("ann", Role.USER, datetime.now(UTC)), KEY, algorithms=["HS256"])
    claims = {name: value for name, value in {**good, **change}.items() if value is not ...}

    assert ask("/tasks", {"authorization": f"Bearer {jwt.encode(good, KEY)}"}).status == 200
    assert ask("/tasks", {"authorization": f"Bearer {jwt.encode(claims, KEY)}"}).status == 401


@pytest.mark.parametrize("token", [{"key": "x" * 32, "algorithm": "HS256"}, {"key": None, "algorithm": "none"}])
def test_a_forged_token_is_refused(signed: None, token: dict[str, Any]) -> None:  # noqa: ARG001
    good = jwt.decode(Tokens(lambda: KEY).issue("ann", Role.ADMIN, datetime.now(UTC)), KEY, algorithms=["HS256"])

    assert ask("/tasks", {"authorization": f"Bearer {jwt.encode(good, **token)}"}).status == 401


def test_health_is_open() -> None:
    assert ask("/health", {})[::2] == (200, {"status": "ok"})


def test_an_unknown_route_is_a_problem(asked: Api) -> None:
    answered = asked.get("/secrets")

    assert (answered.status, answered.body["status"]) == (404, 404)


# ---- monitoring events

TODAY = datetime(2026, 3, 10, 9, 0, tzinfo=UTC)


@pytest.fixture
def several_days(asked: Api) -> list[str]:
    """24 events over six of eight days, on the first and last second of days and twice in one second; newest first."""
    midnight = datetime(2026, 3, 3, tzinfo=UTC)
    moments = [midnight + timedelta(seconds=offset) for offset in (-86_400 * 2, -2, -1, 0, 0, 1, 2)]
    moments += [midnight + timedelta(days=2, minutes=minute) for minute in (0, 0, 0, 1, 2, 3, 719, 1439)]
    moments += [midnight + timedelta(days=3, hours=hour) for hour in range(8)]
    moments += [midnight + timedelta(days=5, hours=23, minutes=59, seconds=59)]
    commits = [asked.history.event(moment) for moment in reversed(moments[::2] + moments[1::2])]
    asked.project()
    return sorted((id_of(commit) for commit in commits), reverse=True)


def id_of(commit: "Commit") -> str:
    published_at = json.loads(commit.encoded)[0]["d"]["published_at"]
    return event_id(published_at, commit.stream.partition("#")[2])


def test_walking_the_pages_gives_each_event_once_in_order(
    asked: Api, several_days: list[str], subtests: pytest.Subtests
) -> None:
    for direction, query in directions(1, 2, 3, 5, 7, 23, 24, 25, 200):
        with subtests.test(**query):
            limit = int(query["limit"])
            pages = asked.walk("/events", "bob", **query)

            assert ids(pages) == turned(several_days, direction)
            assert all(len(page) == limit for page in pages[:-1])
            assert 0 < len(pages[-1]) <= limit


def test_events_come_newest_first_unless_asked_otherwise(asked: Api, several_days: list[str]) -> None:
    assert ids(asked.walk("/events")) == several_days


def test_a_page_that_reaches_its_budget_ends_early_and_says_where_to_go_on(
    asked: Api, several_days: list[str], monkeypatch: pytest.MonkeyPatch, subtests: pytest.Subtests
) -> None:
    for budget in (1, 2, 4):
        monkeypatch.setattr(monitoring_events, "MAX_PARTITIONS", budget)
        for direction, query in directions(4, 200):
            with subtests.test(budget=budget, **query):
                pages = asked.walk("/events", **query)

                assert ids(pages) == turned(several_days, direction)
                assert any(len(page) < int(query["limit"]) for page in pages[:-1])


def test_a_page_costs_no_more_queries_than_its_budget(
    asked: Api, several_days: list[str], calls: "Calls", monkeypatch: pytest.MonkeyPatch
) -> None:
    shards = [row.sk for row in Row.query(EVENT_SHARDS_COUNTER)]
    most_of_a_day = max(Counter(sk.partition("#")[0] for sk in shards).values())
    monkeypatch.setattr(monitoring_events, "MAX_PARTITIONS", 2)
    calls.clear()

    pages = asked.walk("/events")

    assert ids(pages) == several_days
    # One for the days, and a day is read whole, however many shards it has.
    assert 0 < calls.operations.count("Query") <= len(pages) * (1 + max(2, most_of_a_day))
    assert len(pages) > 1


def test_days_whose_events_expired_are_passed_over(
    asked: Api, several_days: list[str], monkeypatch: pytest.MonkeyPatch, subtests: pytest.Subtests
) -> None:
    gone = {"2026-03-05", "2026-03-08"}
    for row in Row.query(EVENT_SHARDS_COUNTER):
        day, _, shard = row.sk.partition("#")
        for expired in Row.query(event_partition(day, int(shard))) if day in gone else ():
            expired.delete()
    kept = [shown_id for shown_id in several_days if day_of(shown_id) not in gone]
    monkeypatch.setattr(monitoring_events, "MAX_PARTITIONS", 2)

    assert 0 < len(kept) < len(several_days)
    for direction, query in directions(3, 200):
        with subtests.test(**query):
            assert ids(asked.walk("/events", **query)) == turned(kept, direction)


def day_of(shown_id: str) -> str:
    return str(datetime.fromtimestamp(int(shown_id.partition("-")[0]), UTC).date())


@pytest.mark.parametrize("direction", ["desc", "asc"])
def test_a_page_ends_at_its_size_but_holds_one_event_at_least(
    asked: Api, several_days: list[str], monkeypatch: pytest.MonkeyPatch, direction: str
) -> None:
    monkeypatch.setattr(monitoring_events, "MAX_PAGE_BYTES", 1)
    assert [len(page) for page in asked.walk("/events", direction=direction)] == [1] * len(several_days)

    one = len(json.dumps(asked.get("/events", limit="1").body["items"][0]))
    monkeypatch.setattr(monitoring_events, "MAX_PAGE_BYTES", 3 * one)
    pages = asked.walk("/events", direction=direction)
    assert ids(pages) == turned(several_days, direction)
    assert all(3 <= len(page) <= 4 for page in pages[:-1])


def test_an_event_that_arrives_between_two_pages_shifts_nothing(asked: Api, several_days: list[str]) -> None:
    first = asked.get("/events", limit="10").body
    newest = asked.history.event(TODAY)
    older = asked.history.event(datetime(2026, 3, 1, 1, tzinfo=UTC))
    asked.project()

    rest = asked.get("/events", limit="200", cursor=first["next"]).body

    assert ids([first["items"], rest["items"]]) == [*several_days[:-1], id_of(older), several_days[-1]]
    assert ids(asked.walk("/events"))[0] == id_of(newest)


def test_no_events_are_an_empty_list(asked: Api) -> None:
    assert asked.get("/events").body == {"items": [], "next": None}


def test_an_event_is_shown_with_its_detail(asked: Api) -> None:
    commit = asked.history.event(TODAY, {"deep": [{"ü": None}]}, severity=5, resource="arn:x", title="A <b> & \u2028")
    asked.project()

    answered = asked.get(f"/events/{id_of(commit)}", "bob")

    assert answered.status == 200
    assert answered.headers["ETag"] == '"1"'
    assert answered.body == asked.get("/events").body["items"][0]
    assert {name: answered.body[name] for name in ("id", "severity", "resource", "title", "detail", "state")} == {
        "id": id_of(commit),
        "severity": 5,
        "resource": "arn:x",
        "title": "A <b> & \u2028",
        "detail": {"deep": [{"ü": None}]},
        "state": "open",
    }
    assert answered.body["published_at"] == int(TODAY.timestamp())
    assert answered.body["updated_at"] == int(commit.at.timestamp())
    assert answered.body["expired_at"] == commit.expires_at


ODD_EVENT_IDS = [
    UUID,
    "1",
    "abc",
    "-",
    f"-5-{UUID}",
    f"1-{UUID}",
    f"abc-{UUID}",
    f"1.5-{UUID}",
    f"\u0661-{UUID}",  # a digit, but none of ASCII
    f"999999999999-{UUID}",
    f"253402300800-{UUID}",  # the year 10,000
    f"{'9' * 30}-{UUID}",
    f"1-{'x' * 36}",
    "1-" + "\u00e4" * 36,
    "9" * 5_000,
    "1772355600-" + "0" * 3_000,
]


@pytest.mark.usefixtures("several_days")
def test_an_id_of_no_event_is_not_found(asked: Api) -> None:
    assert {odd[:50]: asked.get(f"/events/{odd}").status for odd in ODD_EVENT_IDS} == {
        odd[:50]: 404 for odd in ODD_EVENT_IDS
    }


def test_expired_events_are_not_shown_though_their_rows_are_still_there(
    asked: Api, several_days: list[str], subtests: pytest.Subtests
) -> None:
    gone = several_days[::2]
    for row in list(Row.scan(Row.sk.exists())):
        if row.pk.startswith("event#") and json.loads(row.data)["id"] in gone:
            row.update(actions=[Row.ttl.set(1)])

    for direction, query in directions(3, 200):
        with subtests.test(**query):
            assert ids(asked.walk("/events", **query)) == turned(several_days[1::2], direction)
    assert asked.get(f"/events/{gone[0]}").status == 404
    assert asked.get(f"/events/{several_days[1]}").status == 200


def test_an_event_is_found_by_its_whole_id_only(asked: Api, several_days: list[str]) -> None:
    seconds, _, uuid = several_days[3].partition("-")

    assert asked.get(f"/events/{seconds}-{uuid}").status == 200
    assert asked.get(f"/events/{int(seconds) + 1}-{uuid}").status == 404
    assert asked.get(f"/events/{seconds}-{UUID}").status == 404


# ---- pages

LISTS = ["/events", "/tasks", "/notifications", "/tasks/1/history"]


def cursor_of(*parts: Any) -> str:
    return base64.urlsafe_b64encode(json.dumps(parts).encode()).decode().rstrip("=")


@pytest.fixture
def one_of_each(asked: Api) -> Api:
    for number in range(3):
        asked.history.task(str(number))
        asked.history.append(f"task#{number}", TaskCommented(comment_id="c", comment="Noted."))
        asked.history.event()
        notification(datetime.now(UTC), number)
    asked.project()
    return asked


def test_a_limit_out_of_bounds_is_named(one_of_each: Api, subtests: pytest.Subtests) -> None:
    for path in LISTS:
        for limit in ("0", "-1", "201", "1.5", "ten", "1e2", "\u0661", "9" * 5_000, " 5"):
            with subtests.test(path=path, limit=limit[:50]):
                answered = one_of_each.get(path, limit=limit)

                assert answered.status == 422
                (fault,) = answered.body["errors"]
                assert fault["field"] == "limit"
                assert "whole number" in fault["message"] or "equal to" in fault["message"]


def test_the_bounds_of_a_limit_are_in(one_of_each: Api) -> None:
    asked_for = [(path, limit) for path in LISTS for limit in ("1", "200")]

    assert [one_of_each.get(path, limit=limit).status for path, limit in asked_for] == [200] * len(asked_for)


def test_an_unknown_direction_is_named(one_of_each: Api, subtests: pytest.Subtests) -> None:
    for path in LISTS:
        with subtests.test(path=path):
            answered = one_of_each.get(path, direction="up")

            assert (answered.status, answered.body["errors"][0]["field"]) == (422, "direction")


GARBAGE = [
    "x",
    "====",
    "\u00e4",
    "bm8",
    cursor_of(),
    cursor_of("events"),
    cursor_of("events", False),
    cursor_of("events", False, "2026-03-01"),
    cursor_of("events", False, "2026-03-01", 7),
    cursor_of("events", False, "2026-03-01", ""),
    cursor_of("events", False, "2026-03-01", "\ud800"),
    cursor_of("events", False, "2026-03-01", "\u00e4"),
    cursor_of("events", False, "2026-03-01", "9" * 2_000),
    cursor_of("events", False, "a", "b", "c"),
    cursor_of("tasks", False, "\ud800"),
    cursor_of("tasks", False, "9" * 2_000),
    cursor_of("notifications", False, {}),
    base64.urlsafe_b64encode(b"[" * 100_000).decode(),
    base64.urlsafe_b64encode(b"\xff\xfe").decode(),
    base64.urlsafe_b64encode(b'{"0": "events"}').decode(),
]


def test_what_is_no_cursor_is_refused(one_of_each: Api, subtests: pytest.Subtests) -> None:
    for path in LISTS:
        for cursor in GARBAGE:
            with subtests.test(path=path, cursor=cursor[:50]):
                answered = one_of_each.get(path, cursor=cursor)

                assert (answered.status, answered.body["errors"][0]["field"]) == (422, "cursor")


def test_a_cursor_serves_its_own_list_only(one_of_each: Api, subtests: pytest.Subtests) -> None:
    cursors = {path: one_of_each.get(path, limit="1").body["next"] for path in [*LISTS, "/tasks/2/history"]}
    assert all(cursors.values())

    for path in LISTS:
        for other, cursor in cursors.items():
            with subtests.test(path=path, cursor_of=other):
                assert one_of_each.get(path, cursor=cursor).status == (200 if path == other else 422)


def test_a_cursor_serves_its_own_direction_only(one_of_each: Api, subtests: pytest.Subtests) -> None:
    for path in LISTS:
        with subtests.test(path=path):
            cursor = one_of_each.get(path, limit="1", direction="asc").body["next"]

            assert one_of_each.get(path, cursor=cursor, direction="asc").status == 200
            assert one_of_each.get(path, cursor=cursor, direction="desc").status == 422


MADE_UP = [
    ("/events", cursor_of("events", False, "no day", "~")),
    ("/events", cursor_of("events", False, "~", "0")),
    ("/tasks", cursor_of("tasks", False, "no place")),
    ("/notifications", cursor_of("notifications", False, "no id")),
    ("/tasks/1/history", cursor_of("history of 1", True, "no number")),
    ("/tasks/1/history", cursor_of("history of 1", True, "9" * 100)),
]


def test_a_cursor_made_up_with_care_breaks_nothing(one_of_each: Api) -> None:
    assert [one_of_each.get(path, cursor=cursor).status for path, cursor in MADE_UP] == [200] * len(MADE_UP)


# ---- tasks


@pytest.fixture
def office(asked: Api) -> Api:
    """Twelve tasks of ann's and bob's, some for the other, in all states; people have names."""
    for person, name in {"ann": "Ann Example", "bob": "Bob Example", "admin": "The Admin"}.items():
        asked.history.user(person, name)
    for number in range(12):
        who = ("ann", "bob", "cat")[number % 3]
        assigned = (None, "ann", "bob", who)[number % 4]
        asked.history.task(f"{number:02}", by=who, assigned_user_id=assigned)
        if number % 2:
            started = TaskStatusChanged(old=Status.OPEN, new=Status.IN_PROGRESS)
            asked.history.append(f"task#{number:02}", started)
        if number % 10 == 1:
            asked.history.append(f"task#{number:02}", TaskStatusChanged(old=Status.IN_PROGRESS, new=Status.CLOSED))
    asked.project()
    return asked


def owned_by(person: str) -> list[str]:
    """The office's tasks that a person created or has, newest first."""
    who = [("ann", "bob", "cat")[number % 3] for number in range(12)]
    assigned = [(None, "ann", "bob", who[number])[number % 4] for number in range(12)]
    return [f"{number:02}" for number in reversed(range(12)) if person in {who[number], assigned[number]}]


def test_an_admin_sees_every_task_once_whatever_its_state(office: Api, subtests: pytest.Subtests) -> None:
    newest_first = [f"{number:02}" for number in reversed(range(12))]
    for direction, query in directions(1, 2, 5, 12, 13):
        with subtests.test(**query):
            pages = office.walk("/tasks", **query)

            assert ids(pages) == turned(newest_first, direction)
            assert all(len(page) == int(query["limit"]) for page in pages[:-1])


@pytest.mark.parametrize("person", ["ann", "bob", "cat"])
def test_a_user_sees_the_tasks_they_created_or_have_each_once(
    office: Api, person: str, subtests: pytest.Subtests
) -> None:
    for direction, query in directions(1, 2, 3, 50):
        with subtests.test(**query):
            pages = office.walk("/tasks", person, **query)

            assert ids(pages) == turned(owned_by(person), direction)
            assert all(len(page) == int(query["limit"]) for page in pages[:-1])


def test_a_task_follows_its_assignment(office: Api) -> None:
    office.history.task("moved", by="cat", assigned_user_id="ann")
    office.project()
    assert "moved" in ids(office.walk("/tasks", "ann"))

    office.history.append("task#moved", TaskAssigned(user_id="bob", previous_user_id="ann"))
    office.project()

    assert "moved" not in ids(office.walk("/tasks", "ann"))
    assert "moved" in ids(office.walk("/tasks", "bob"))
    assert "moved" in ids(office.walk("/tasks", "cat"))


def test_a_cursor_of_ones_own_tasks_is_of_no_use_to_others(office: Api) -> None:
    cursor = office.get("/tasks", "ann", limit="1").body["next"]

    assert office.get("/tasks", "bob", cursor=cursor).status == 422
    assert office.get("/tasks", "admin", cursor=cursor).status == 422


def test_a_list_shows_the_names_of_those_who_have_the_tasks(office: Api) -> None:
    office.history.task("x", assigned_user_id="nobody-we-know")
    office.project()

    shown = {task["id"]: task["assigned_user"] for task in office.walk("/tasks")[0]}

    assert shown["01"] == {"id": "ann", "name": "Ann Example"}
    assert shown["00"] is None
    assert shown["x"] == {"id": "nobody-we-know", "name": None}


def test_a_page_of_tasks_costs_a_fixed_number_of_calls(office: Api, calls: "Calls") -> None:
    office.get("/tasks")
    as_admin = list(calls.operations)
    calls.clear()
    office.get("/tasks", "ann")
    as_user = list(calls.operations)
    read = [keys for operation, request in calls for keys in request.get("RequestItems", {}).values()]

    assert as_admin == ["Query"] * 3 + ["BatchGetItem"]
    assert as_user == ["Query"] * 2 + ["BatchGetItem"] * 2
    # Tasks that she has came with the first query; only those of hers that others have are fetched, then the names.
    assert [len(keys["Keys"]) for keys in read] == [2, 2]


def test_a_task_is_shown_with_its_comments_and_names(office: Api) -> None:
    due = office.history.now + timedelta(days=1)
    office.history.task("t", title="The title", by="cat", assigned_user_id="bob", due_date=due)
    for place, who in enumerate(["ann", "bob", "cat"] * 4):
        office.history.append("task#t", TaskCommented(comment_id=f"c{place}", comment=f"Said {place}."), by=who)
    office.project()

    answered = office.get("/tasks/t", "bob")

    assert answered.status == 200
    assert answered.headers["ETag"] == '"13"'
    assert answered.body["title"] == "The title"
    assert answered.body["created_by"] == "cat"
    assert answered.body["assigned_user"] == {"id": "bob", "name": "Bob Example"}
    assert answered.body["due_date"] == int(due.timestamp())
    assert answered.body["comment_count"] == 12
    assert [said["comment"] for said in answered.body["comments"]] == [f"Said {place}." for place in range(12)]
    assert [said["user_name"] for said in answered.body["comments"][:3]] == ["Ann Example", "Bob Example", None]
    assert office.get("/tasks/t", "admin").body == answered.body


@pytest.mark.parametrize("suffix", ["", "/history"])
def test_anothers_task_is_not_found_and_not_told_apart_from_none(office: Api, suffix: str) -> None:
    another = office.get(f"/tasks/00{suffix}", "bob")
    none = office.get(f"/tasks/99{suffix}", "bob")

    assert office.get(f"/tasks/00{suffix}", "ann").status == 200
    assert another.status == none.status == 404
    assert another.body == none.body


ODD_TASK_IDS = ["-1", "1" * 40, "1" * 5_000, "\u00e4" * 2_000, "task", "a b", "task%231", "~", "comment", "..", "#"]


def test_an_id_of_no_task_is_not_found(office: Api, calls: "Calls", subtests: pytest.Subtests) -> None:
    for odd in ODD_TASK_IDS:
        for suffix in ("", "/history"):
            with subtests.test(odd=odd[:50], suffix=suffix):
                assert office.get(f"/tasks/{odd}{suffix}").status == 404
    # DynamoDB, unlike its double, refuses a partition key of more than 2,048 bytes.
    assert all(len(json.dumps(request, ensure_ascii=False, default=str).encode()) < 2_048 for _, request in calls)


# ---- history


@pytest.fixture
def worked(office: Api) -> Api:
    """A task with seven steps, two of them in one commit."""
    office.history.task("w", by="ann")
    office.history.append("task#w", TaskStatusChanged(old=Status.OPEN, new=Status.IN_PROGRESS), by="bob")
    said = TaskCommented(comment_id="c", comment="Noted.")
    office.history.append("task#w", TaskAssigned(user_id="bob"), said, by="admin")
    details = TaskDetailsChanged(title="Another", description="Another description", priority=Priority.LOW)
    office.history.append("task#w", details, by="ann")
    office.history.append("task#w", said, by="system:scheduler")
    office.history.append("task#w", TaskStatusChanged(old=Status.IN_PROGRESS, new=Status.CLOSED), by="bob")
    office.project()
    return office


def test_the_history_tells_every_step_with_its_actor_and_time(worked: Api) -> None:
    steps = worked.get("/tasks/w/history", "ann").body["items"]

    assert [(step["version"], step["type"], step["actor"]["id"], step["actor"]["name"]) for step in steps] == [
        (1, "task.created", "ann", "Ann Example"),
        (2, "task.status-changed", "bob", "Bob Example"),
        (3, "task.assigned", "admin", "The Admin"),
        (4, "task.commented", "admin", "The Admin"),
        (5, "task.details-changed", "ann", "Ann Example"),
        (6, "task.commented", "system:scheduler", None),
        (7, "task.status-changed", "bob", "Bob Example"),
    ]
    commits = [commit for commit in worked.history.commits if commit.stream == "task#w"]
    times = [int(commit.at.timestamp()) for commit in commits for _ in range(commit.count)]
    assert [step["at"] for step in steps] == times
    assert steps[1]["changes"] == {"old": "open", "new": "in_progress"}


def test_walking_the_history_gives_each_step_once(worked: Api, subtests: pytest.Subtests) -> None:
    for direction, query in directions(1, 2, 3, 6, 7, 8):
        with subtests.test(**query):
            pages = worked.walk("/tasks/w/history", **query)

            assert [step["version"] for page in pages for step in page] == turned(range(7, 0, -1), direction)
            assert all(len(page) == int(query["limit"]) for page in pages[:-1])
            assert pages[-1]


def test_the_history_comes_oldest_first_unless_asked_otherwise(worked: Api) -> None:
    assert [step["version"] for step in worked.get("/tasks/w/history").body["items"]] == list(range(1, 8))


# ---- users


def test_one_sees_oneself_without_the_password(office: Api) -> None:
    answered = office.get("/users/me", "ann")

    assert answered.status == 200
    assert answered.headers["ETag"] == '"1"'
    registered = int(office.history.commits[0].at.timestamp())
    assert answered.body == {
        "id": "ann",
        "email": "ann@example.com",
        "full_name": "Ann Example",
        "role": "user",
        "is_active": True,
        "created_at": registered,
        "updated_at": registered,
    }


def test_a_user_whose_row_is_not_there_yet_is_not_found(asked: Api) -> None:
    assert asked.get("/users/me", "new").status == 404


# ---- the dashboard


@pytest.fixture
def today(monkeypatch: pytest.MonkeyPatch) -> datetime:
    class Clock(datetime):
        @classmethod
        def now(cls, tz: Any = None) -> "Clock":
            return cls.fromtimestamp(TODAY.timestamp(), tz)

    monkeypatch.setattr(dashboard, "datetime", Clock)
    return TODAY


def test_the_overview_of_nothing_is_zeros(asked: Api, today: datetime) -> None:
    zeros = {str(severity): 0 for severity in range(6)}
    days = {f"{today - timedelta(days=back):%Y-%m-%d}": 0 for back in reversed(range(7))}

    overview = asked.get("/dashboard/overview", "bob").body

    assert overview == {
        "events": {
            "today": {"total": 0, "by_severity": zeros, "by_source": {}},
            "last_7_days": {"total": 0, "by_severity": zeros, "by_source": {}},
            "by_day": days,
        },
        "tasks": {
            "total": 0,
            "by_status": {"open": 0, "in_progress": 0, "closed": 0},
            "by_priority": {"critical": 0, "high": 0, "medium": 0, "low": 0},
        },
    }
    assert list(overview["events"]["by_day"]) == sorted(days)


def test_the_overview_counts_events_by_the_day_they_were_received(asked: Api, today: datetime) -> None:
    received = {
        0: [("aws.health", 0), ("aws.health", 5), ("odd#source#7", 5)],
        6: [("aws.guardduty", 3)],
        7: [("aws.guardduty", 4)],  # out of the seven days
        -1: [("aws.guardduty", 4)],  # a clock that is ahead
    }
    for back, events in received.items():
        asked.history.now = today - timedelta(days=back)
        for source, severity in events:
            asked.history.event(today - timedelta(days=30), source=source, severity=severity)
    asked.project()

    events_shown = asked.get("/dashboard/overview").body["events"]

    assert events_shown["today"]["total"] == 3
    assert events_shown["today"]["by_severity"] == {"0": 1, "1": 0, "2": 0, "3": 0, "4": 0, "5": 2}
    assert events_shown["today"]["by_source"] == {"aws.health": 2, "odd#source#7": 1}
    assert events_shown["last_7_days"]["total"] == 4
    assert events_shown["last_7_days"]["by_source"] == {"aws.guardduty": 1, "aws.health": 2, "odd#source#7": 1}
    assert list(events_shown["by_day"].values()) == [1, 0, 0, 0, 0, 0, 3]


def test_the_overview_counts_tasks_as_they_are_now(office: Api, today: datetime) -> None:  # noqa: ARG001
    low = TaskDetailsChanged(title="Another", description="Another description", priority=Priority.LOW)
    office.history.append("task#00", low)
    office.project()

    tasks = office.get("/dashboard/overview").body["tasks"]

    assert tasks["total"] == 12
    assert tasks["by_status"] == {"open": 6, "in_progress": 4, "closed": 2}
    assert tasks["by_priority"] == {"critical": 0, "high": 11, "medium": 0, "low": 1}


def test_the_overview_costs_two_reads(office: Api, calls: "Calls") -> None:
    office.get("/dashboard/overview")

    assert calls.operations == ["Query", "Query"]


# ---- notifications


def notification(at: datetime, number: int, **attributes: Any) -> str:
    """A row of the outbox about something that happened at a time. Returns its id."""
    milliseconds = f"{int(at.timestamp() * 1000):012x}"
    notification_id = NotificationId(f"{milliseconds[:8]}-{milliseconds[8:]}-7000-8000-{number:012}", 0, "default")
    facts = {"event_id": f"1-{UUID}", "event": {"title": f"Title {number}", "severity": 4}}
    told: dict[str, Any] = {"status": "decided", "rule": "severity 4 is 2 or more", "stream": f"event#{UUID}"}
    outbox.decide(
        Notification(
            notification_id.pk,
            notification_id.sk,
            id=str(notification_id),
            channel="default",
            facts=json.dumps(facts),
            decided_at=int(at.timestamp()),
            **{**told, **attributes},
        )
    )
    return str(notification_id)


def test_walking_the_notifications_gives_each_once_over_months(asked: Api, subtests: pytest.Subtests) -> None:
    now = datetime.now(UTC)
    # Several months back; two at the same millisecond.
    moments = [now - timedelta(days=back) for back in (0, 0, 1, 20, 33, 50, 64, 81, 89)]
    newest_first = sorted((notification(at, number) for number, at in enumerate(moments)), reverse=True)

    for direction, query in directions(1, 2, 4, 9, 10):
        with subtests.test(**query):
            pages = asked.walk("/notifications", "bob", **query)

            assert ids(pages) == turned(newest_first, direction)
            assert all(len(page) == int(query["limit"]) for page in pages[:-1])
            assert pages[-1]


def test_a_notification_is_shown_with_its_decision_and_its_message(asked: Api) -> None:
    at = datetime.now(UTC)
    notification_id = notification(at, 1, status="sent", attempts=2, sent_at=7, message='{"text": "hi"}')

    assert asked.get("/notifications").body["items"] == [
        {
            "id": notification_id,
            "status": "sent",
            "channel": "default",
            "rule": "severity 4 is 2 or more",
            "event_id": f"1-{UUID}",
            "title": "Title 1",
            "severity": 4,
            "decided_at": int(at.timestamp()),
            "sent_at": 7,
            "attempts": 2,
            "error": None,
            "message": {"text": "hi"},
        }
    ]


# ---- what goes wrong on our side


def test_an_unexpected_error_is_a_problem_without_inner_detail(
    asked: Api, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def broken() -> Callable[..., Any]:
        raise RuntimeError("inner detail")

    asked.history.task("1")
    asked.project()
    monkeypatch.setattr(wiring, "store", broken)

    answered = asked.get("/tasks/1/history")

    assert answered.status == 500
    assert "inner detail" not in json.dumps(answered.body)
    assert "unexpected error" in caplog.text
