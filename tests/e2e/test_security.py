"""The API through the real gateway: what is closed, and how it refuses."""

import time
import uuid
from typing import Any

import jwt
import pytest

from tests.e2e.system import Answer, Api, Person, System, alarm, unique, wait_for

NOBODY = str(uuid.UUID(int=7))
CLOSED = [
    ("GET", "/events"),
    ("GET", f"/events/1700000000-{NOBODY}"),
    ("POST", f"/events/1700000000-{NOBODY}/create-task"),
    ("GET", "/alerts"),
    ("GET", f"/alerts/{NOBODY}"),
    ("POST", f"/alerts/{NOBODY}/acknowledge"),
    ("POST", f"/alerts/{NOBODY}/snooze"),
    ("POST", f"/alerts/{NOBODY}/resolve"),
    ("POST", f"/alerts/{NOBODY}/create-task"),
    ("GET", "/tasks"),
    ("GET", f"/tasks/{NOBODY}"),
    ("GET", f"/tasks/{NOBODY}/history"),
    ("POST", "/tasks"),
    ("PUT", f"/tasks/{NOBODY}"),
    ("PUT", f"/tasks/{NOBODY}/status"),
    ("POST", f"/tasks/{NOBODY}/comments"),
    ("GET", "/users/me"),
    ("GET", "/dashboard/overview"),
    ("GET", "/notifications"),
]


def is_problem(answer: Answer, status: int) -> bool:
    """Whether it is a problem as RFC 9457 has it, and nothing that tells of the inside."""
    assert answer.status == status, answer
    assert answer.headers["content-type"].startswith("application/problem+json")
    assert answer.headers["cache-control"] == "no-store"
    assert {"type", "title", "status", "detail"} <= answer.body.keys()
    assert "Traceback" not in answer.body["detail"]
    return bool(answer.body["status"] == status)


def claims(**changes: Any) -> dict[str, Any]:
    now = int(time.time())
    return {
        "sub": NOBODY,
        "role": "admin",
        "sid": NOBODY,
        "type": "access",
        "iat": now,
        "exp": now + 60,
        "jti": str(uuid.uuid4()),
        **changes,
    }


@pytest.fixture(scope="module")
def bad_tokens(token_key: str) -> dict[str, str | None]:
    good = claims()
    parts = jwt.encode(good, token_key, algorithm="HS256").split(".")
    return {
        "none": None,
        "empty": "",
        "no token": "nonsense",
        "another key": jwt.encode(good, "x" * 64, algorithm="HS256"),
        "expired": jwt.encode(claims(exp=int(time.time()) - 1), token_key, algorithm="HS256"),
        "not signed": jwt.encode(good, "", algorithm="none"),
        "signature cut off": f"{parts[0]}.{parts[1]}.",
        "another algorithm": jwt.encode(good, token_key, algorithm="HS512"),
        "another type": jwt.encode(claims(type="refresh"), token_key, algorithm="HS256"),
        "an unknown role": jwt.encode(claims(role="root"), token_key, algorithm="HS256"),
        "without expiry": jwt.encode({k: v for k, v in good.items() if k != "exp"}, token_key, algorithm="HS256"),
    }


def test_a_token_signed_with_the_stacks_key_is_taken(system: System, token_key: str) -> None:
    """Otherwise the tests below would prove nothing."""
    token = jwt.encode(claims(), token_key, algorithm="HS256")
    assert system.api.as_caller(token).call("GET", "/tasks").status == 200


@pytest.mark.parametrize(("method", "path"), CLOSED)
def test_a_route_is_closed_without_a_valid_token(
    method: str, path: str, system: System, bad_tokens: dict[str, str | None]
) -> None:
    for name, token in bad_tokens.items():
        answer = system.api.as_caller(token).call(method, path, {} if method != "GET" else None)
        assert is_problem(answer, 401), name
        assert answer.headers["www-authenticate"] == "Bearer"


@pytest.mark.parametrize(("method", "path"), CLOSED)
def test_a_route_exists(method: str, path: str, admin: Api) -> None:
    answer = admin.call(method, path, {} if method != "GET" else None)
    assert answer.status in {200, 404, 422}, answer
    if answer.status == 404:
        assert answer.body["detail"].startswith(
            ("There is no such task", "There is no such event", "There is no such alert")
        ), answer


def test_health_is_open_and_tells_nothing_else(system: System) -> None:
    answer = system.api.call("GET", "/health")
    assert (answer.status, answer.body) == (200, {"status": "ok"})


@pytest.mark.parametrize("path", ["/nonsense", "/tasks/x/nonsense", "/users/me/nonsense"])
@pytest.mark.parametrize("method", ["GET", "POST", "PUT", "PATCH", "DELETE"])
def test_an_unknown_route_is_not_found(method: str, path: str, admin: Api) -> None:
    assert is_problem(admin.call(method, path), 404)


@pytest.mark.parametrize("address", ["the admin's", "NOBODY@example.com", "no address", "' OR 1=1 --"])
def test_a_login_with_a_wrong_password_says_nothing_about_the_address(address: str, system: System) -> None:
    email = system.status.admin_email if address == "the admin's" else address
    answer = system.api.call("POST", "/auth/login", {"email": email, "password": "wrong horse battery staple"})
    assert is_problem(answer, 401)
    assert answer.body["detail"] == "The e-mail address or the password is wrong."


def test_a_login_gives_a_token_for_a_quarter_of_an_hour(person: Person, token_key: str) -> None:
    assert person.api.token is not None
    told = jwt.decode(person.api.token, token_key, algorithms=["HS256"])
    assert (told["sub"], told["role"], told["exp"] - told["iat"]) == (person.id, "user", 900)


@pytest.mark.parametrize(
    ("method", "path", "body", "fields"),
    [
        ("POST", "/auth/login", {"email": 5}, {"email", "password"}),
        (
            "POST",
            "/tasks",
            {"title": "x", "description": "short", "priority": "urgent", "due_date": "soon", "assigned_user_id": 5}
            | {"colour": "red"},
            {"title", "description", "priority", "due_date", "assigned_user_id", "colour"},
        ),
        ("POST", "/tasks", {}, {"title", "description"}),
        ("POST", "/tasks", [], {"body"}),
        ("POST", "/tasks", {"title": "In the past", "description": "Long enough.", "due_date": 1}, {"due_date"}),
        (
            "POST",
            "/tasks",
            {"title": "For nobody", "description": "Long enough.", "assigned_user_id": NOBODY},
            {"assigned_user_id"},
        ),
        ("PUT", f"/tasks/{NOBODY}/status", {"status": "done"}, {"status"}),
        ("POST", f"/tasks/{NOBODY}/comments", {"comment": "  "}, {"comment"}),
        ("PUT", f"/tasks/{NOBODY}", {"title": "a\nb"}, {"title"}),
        ("GET", "/events?limit=0", None, {"limit"}),
        ("GET", "/events?limit=9999", None, {"limit"}),
        ("GET", "/alerts?state=unopened&severity=9", None, {"state", "severity"}),
        ("GET", "/tasks?direction=up", None, {"direction"}),
        ("GET", "/notifications?cursor=nonsense", None, {"cursor"}),
    ],
)
def test_a_bad_request_names_each_field(method: str, path: str, body: Any, fields: set[str], admin: Api) -> None:
    answer = admin.call(method, path, body)
    assert is_problem(answer, 422)
    assert {fault["field"] for fault in answer.body["errors"]} == fields, answer.body
    assert all(fault["message"] for fault in answer.body["errors"])


def test_a_body_that_is_no_json_is_refused(admin: Api) -> None:
    assert is_problem(admin.call("POST", "/tasks", b'{"title": '), 400)


@pytest.mark.parametrize(
    ("method", "path", "body"),
    [
        ("GET", f"/events/1700000000-{NOBODY}", None),
        ("GET", "/events/nonsense", None),
        ("GET", f"/events/999999999999-{NOBODY}", None),
        ("POST", f"/events/1700000000-{NOBODY}/create-task", {}),
        ("GET", f"/alerts/{NOBODY}", None),
        ("GET", "/alerts/nonsense", None),
        ("POST", f"/alerts/{NOBODY}/acknowledge", None),
        ("POST", "/alerts/nonsense/snooze", {"until": 4_102_444_800}),
        ("POST", f"/alerts/{NOBODY}/resolve", None),
        ("POST", f"/alerts/{NOBODY}/create-task", {}),
        ("GET", f"/tasks/{NOBODY}", None),
        ("GET", f"/tasks/{NOBODY}/history", None),
        ("GET", "/tasks/%2e%2e%2fevents", None),
        ("PUT", f"/tasks/{NOBODY}", {"title": "Something"}),
        ("PUT", f"/tasks/{NOBODY}/status", {"status": "closed"}),
        ("POST", f"/tasks/{NOBODY}/comments", {"comment": "Hello?"}),
    ],
)
def test_an_unknown_id_is_not_found(method: str, path: str, body: Any, admin: Api) -> None:
    assert is_problem(admin.call(method, path, body), 404)


def test_an_event_is_found_under_its_own_time_only(system: System, admin: Api) -> None:
    name = unique("own-time")
    system.hand_in(alarm(name))
    (event,) = wait_for(lambda: admin.events(name))
    other = f"{event['published_at'] - 1}-{event['id'].partition('-')[2]}"
    assert is_problem(admin.call("GET", f"/events/{other}"), 404)
    assert is_problem(admin.call("POST", f"/events/{other}/create-task", {}), 404)


def test_an_illegal_change_of_status_is_a_conflict_and_changes_nothing(admin: Api) -> None:
    created = admin.call("POST", "/tasks", {"title": unique("illegal"), "description": "To be closed at once."})
    task = f"/tasks/{created.body['id']}"
    answer = admin.call("PUT", f"{task}/status", {"status": "closed"})
    assert is_problem(answer, 409)
    assert answer.body["detail"] == "A task that is open can become in_progress, not closed."
    shown = wait_for(lambda: admin.call("GET", task), lambda shown: shown.status == 200)
    assert (shown.body["status"], shown.headers["etag"]) == ("open", '"1"')


def test_a_create_that_is_sent_twice_with_one_key_makes_one_task(admin: Api) -> None:
    body, key = {"title": unique("once"), "description": "The answer was lost."}, unique("key")
    first, again = (admin.call("POST", "/tasks", body, idempotency_key=key) for _ in range(2))
    assert (first.status, first.body) == (again.status, again.body)
    other = admin.call("POST", "/tasks", {**body, "description": "Another request."}, idempotency_key=key)
    assert is_problem(other, 422)
    wait_for(lambda: admin.call("GET", f"/tasks/{first.body['id']}").status, lambda status: status == 200)
    assert [task["id"] for task in admin.all("/tasks") if task["title"] == body["title"]] == [first.body["id"]]
