"""The read API, asked as API Gateway asks it, over rows that the projector wrote."""

import base64
import json
from collections.abc import Callable, Iterator, Mapping
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

import jwt
import pytest

from domain.commit import Commit
from domain.permissions import Permission, Role
from domain.tasks import TaskCommented
from infra import outbox
from infra.outbox import NotificationId
from infra.tokens import Tokens
from queries import api, notifications, wiring
from tests.integration.read_api import KEY, Api, ask, directions, ids, turned

if TYPE_CHECKING:
    from tests.integration.conftest import Calls

UUID = "11111111-2222-4333-8444-555555555555"


# ---- the frame

ROUTES = {
    "/health": Permission.OPEN,
    "/openapi.json": Permission.OPEN,
    "/docs": Permission.OPEN,
    "/events": Permission.READ_EVENTS,
    "/events/<event_id>": Permission.READ_EVENTS,
    "/alerts": Permission.READ_EVENTS,
    "/alerts/<alert_id>": Permission.READ_EVENTS,
    "/tasks": Permission.READ_OWN_TASKS,
    "/tasks/<task_id>": Permission.READ_OWN_TASKS,
    "/tasks/<task_id>/history": Permission.READ_OWN_TASKS,
    "/users": Permission.USERS,
    "/users/me": Permission.ANY_USER,
    "/users/<user_id>": Permission.OWN_PROFILE,
    "/dashboard/overview": Permission.ANY_USER,
    "/dashboard/events-stats": Permission.ANY_USER,
    "/dashboard/alerts-stats": Permission.ANY_USER,
    "/dashboard/tasks-stats": Permission.ANY_USER,
    "/dashboard/users-stats": Permission.USERS,
    "/notifications": Permission.ANY_USER,
    "/reports/daily/<day>": Permission.ANY_USER,
    "/config/aws": Permission.CONFIG,
    "/config/monitoring": Permission.CONFIG,
}


def test_the_routes_and_their_permissions() -> None:
    assert [route.method for route in api.api.routes] == ["GET"] * len(ROUTES)
    assert {route.path: route.permission for route in api.api.routes} == ROUTES


@pytest.mark.parametrize("path", sorted(path for path in ROUTES if ROUTES[path] is not Permission.OPEN))
@pytest.mark.parametrize("authorization", [None, "", "Bearer", "Bearer ", "Basic YTpi", "Bearer not.a.token"])
def test_every_route_that_is_not_open_asks_for_a_token(signed: None, path: str, authorization: str | None) -> None:  # noqa: ARG001
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
    ("/tasks", cursor_of("tasks of admin", False, "no place")),
    ("/notifications", cursor_of("notifications", False, "no id")),
    ("/tasks/1/history", cursor_of("history of 1", True, "no number", "0")),
    ("/tasks/1/history", cursor_of("history of 1", True, "1", "9" * 100)),
]


def test_a_cursor_made_up_with_care_breaks_nothing(one_of_each: Api) -> None:
    assert [one_of_each.get(path, cursor=cursor).status for path, cursor in MADE_UP] == [200] * len(MADE_UP)


# ---- users


def test_a_user_whose_row_is_not_there_yet_is_not_found(asked: Api) -> None:
    assert asked.get("/users/me", "new").status == 404


# ---- notifications


def notification(at: datetime, number: int, **attributes: Any) -> str:
    """A row of the outbox about something that happened at a time. Returns its id."""
    milliseconds = f"{int(at.timestamp() * 1000):012x}"
    notification_id = NotificationId(f"{milliseconds[:8]}-{milliseconds[8:]}-7000-8000-{number:012}", 0, "default")
    told: dict[str, Any] = {"stream": "alert#a", "about": "opened", "rule": "alerts", "reason": "told at once"}
    row = outbox.new(
        notification_id,
        attributes.pop("status", outbox.Status.DECIDED),
        title=f"Title {number}",
        severity=4,
        event_id=f"1-{UUID}",
        **{**told, **attributes},
    )
    row.decided_at = int(at.timestamp())
    assert outbox.keep([row])
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
    notification_id = notification(at, 1, status=outbox.Status.SENT, attempts=2, sent_at=7, message='{"text": "hi"}')

    assert asked.get("/notifications").body["items"] == [
        {
            "id": notification_id,
            "status": "sent",
            "channel": "default",
            "rule": "alerts",
            "reason": "told at once",
            "about": "opened",
            "alert_id": "a",
            "task_id": None,
            "event_id": f"1-{UUID}",
            "title": "Title 1",
            "severity": 4,
            "decided_at": int(at.timestamp()),
            "due_at": None,
            "told_in": None,
            "sent_at": 7,
            "attempts": 2,
            "error": None,
            "message": {"text": "hi"},
        }
    ]


def test_the_notifications_of_an_alert_or_a_task_are_found(asked: Api, subtests: pytest.Subtests) -> None:
    now = datetime.now(UTC)
    about = ["alert#a", "alert#b", "task#a"] * 4
    kept = [notification(now - timedelta(days=n), n, stream=stream) for n, stream in enumerate(about)]
    for name, first in (("alert_id", 0), ("task_id", 2)):
        newest_first = kept[first::3]
        for direction, query in directions(1, 3, 4, 5):
            with subtests.test(name=name, **query):
                pages = asked.walk("/notifications", **query, **{name: "a"})
                assert ids(pages) == turned(newest_first, direction)
    assert asked.get("/notifications", alert_id="c").body == {"items": [], "next": None, "stopped_after": None}
    assert asked.get("/notifications", alert_id="a", task_id="a").status == 422


def test_what_is_about_tasks_is_shown_to_those_who_may_see_them(asked: Api) -> None:
    asked.history.task("bobs", assigned_user_id="bob")
    asked.project()
    now = datetime.now(UTC)
    about = ["alert#a", "task#bobs", "task#anns", "alert#b"]
    alone, bobs, anns, group = (
        notification(
            now - timedelta(days=n),
            n,
            stream=stream,
            message='{"text": "hi"}',
            **({"members": "[]"} if stream == "alert#b" else {}),
        )
        for n, stream in enumerate(about)
    )

    assert ids(asked.walk("/notifications")) == [alone, bobs, anns, group]
    assert [item["message"] for item in asked.get("/notifications").body["items"]] == [{"text": "hi"}] * 4
    assert ids(asked.walk("/notifications", "bob", limit="1")) == [alone, group]
    assert [item["message"] for item in asked.get("/notifications", "bob").body["items"]] == [{"text": "hi"}, None]
    assert ids(asked.walk("/notifications", "bob", task_id="bobs")) == [bobs]
    assert asked.get("/notifications", "bob", task_id="anns").status == 404
    assert ids(asked.walk("/notifications", task_id="anns")) == [anns]


def test_notifications_are_found_by_their_status(asked: Api, monkeypatch: pytest.MonkeyPatch) -> None:
    now = datetime.now(UTC)
    states = [outbox.Status.SENT, outbox.Status.FAILED, outbox.Status.SUPPRESSED] * 4
    kept = [notification(now - timedelta(hours=n), n, status=status) for n, status in enumerate(states)]
    for more in ({}, {"alert_id": "a"}):
        assert ids(asked.walk("/notifications", status="failed", limit="3", **more)) == kept[1::3]
    monkeypatch.setattr(notifications, "MAX_PAGE_ROWS", 4)
    page = asked.get("/notifications", status="failed").body
    assert ([item["id"] for item in page["items"]], page["stopped_after"]) == ([kept[1]], 4)
    assert ids(asked.walk("/notifications", status="failed")) == kept[1::3]
    assert asked.get("/notifications", status="lost").status == 422


def test_a_page_of_notifications_ends_before_it_is_too_large_for_an_answer(
    asked: Api, monkeypatch: pytest.MonkeyPatch
) -> None:
    now = datetime.now(UTC)
    kept = [notification(now - timedelta(hours=n), n) for n in range(3)]
    monkeypatch.setattr(notifications, "MAX_PAGE_BYTES", 1)
    page = asked.get("/notifications").body
    assert ([item["id"] for item in page["items"]], page["stopped_after"]) == (kept[:1], None)
    assert ids(asked.walk("/notifications")) == kept


def test_the_size_of_a_page_of_notifications_is_that_of_what_the_function_answers(
    asked: Api, monkeypatch: pytest.MonkeyPatch
) -> None:
    now = datetime.now(UTC)
    kept = [notification(now - timedelta(hours=n), n) for n in range(3)]
    one = asked.get("/notifications", limit="1").body["items"][0]
    monkeypatch.setattr(notifications, "MAX_PAGE_BYTES", len(json.dumps(one, separators=(",", ":"))))
    assert ids([asked.get("/notifications").body["items"]]) == kept[:1]  # escaped, the first is more than that


def test_a_page_of_notifications_reads_little(asked: Api, calls: "Calls") -> None:
    now = datetime.now(UTC)
    for n in range(12):
        notification(now, n)
    calls.clear()
    asked.get("/notifications", limit="3")
    assert calls.operations == ["Query"] * 4
    calls.clear()
    asked.get("/notifications", limit="3", alert_id="a")
    assert calls.operations == ["Query", "BatchGetItem"]


def test_an_outbox_that_is_kept_for_years_is_looked_through_in_pages(
    asked: Api, calls: "Calls", monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("EVENT_RETENTION_DAYS", "3650")
    old = notification(datetime.now(UTC) - timedelta(days=3600), 1)
    new = notification(datetime.now(UTC), 2)
    for direction, order in (("desc", [new, old]), ("asc", [old, new])):
        assert ids(asked.walk("/notifications", direction=direction)) == order
        calls.clear()
        asked.get("/notifications", direction=direction)
        assert len(calls) <= notifications.MAX_MONTHS * 4


@pytest.mark.parametrize("direction", ["asc", "desc"])
def test_a_page_of_a_history_reads_no_more_commits_than_it_shows(
    asked: Api, monkeypatch: pytest.MonkeyPatch, direction: str
) -> None:
    asked.history.task("1")
    for number in range(30):
        asked.history.append("task#1", TaskCommented(comment_id=str(number), comment="Noted."))
    asked.project()
    versions: list[int] = []

    def counted(load: Callable[..., Any]) -> Callable[..., Any]:
        def commits(*where: Any) -> Iterator[Commit]:
            for commit in load(*where):
                versions.append(commit.version)
                yield commit

        return commits

    name = "load" if direction == "asc" else "load_back"
    monkeypatch.setattr(asked.history.store, name, counted(getattr(asked.history.store, name)))

    page = asked.get("/tasks/1/history", limit="3", direction=direction).body
    assert [step["version"] for step in page["items"]] == ([1, 2, 3] if direction == "asc" else [31, 30, 29])
    assert len(versions) == 4  # one more tells that there is a next page
    versions.clear()
    rest = asked.get("/tasks/1/history", limit="200", direction=direction, cursor=page["next"]).body
    assert len(rest["items"]) == 28
    assert rest["next"] is None
    assert len(versions) == 29  # from the commit on with which the page before it ended


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
