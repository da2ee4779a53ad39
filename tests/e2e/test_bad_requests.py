"""Requests that make no sense, and some that are meant badly: each is refused clearly, and learns nothing."""

import base64
import http.client
import json
import re
from typing import Any
from urllib.parse import urlsplit

import pytest

from infra.settings import MAX_BODY_BYTES
from ops import openapi
from tests.e2e.system import Answer, Api, Person, System, unique, wait_for
from tests.e2e.test_security import NOBODY, is_problem

LEAKS = re.compile(
    r"Traceback|botocore|pydantic|dynamodb|arn:aws|opsledger-local|000000000000|/work|site-packages", re.IGNORECASE
)


def refused(answer: Answer, *statuses: int) -> bool:
    """Whether it is a problem of one of these statuses that tells nothing of the inside."""
    assert answer.status in statuses, answer
    assert is_problem(answer, answer.status)
    assert not LEAKS.search(json.dumps(answer.body)), answer.body
    assert len(json.dumps(answer.body)) < 10_000
    return True


def raw(api: Api, method: str, path: str) -> Answer:
    """A request whose path goes out as it is; every client library would tidy it up."""
    url = urlsplit(api.url)
    assert url.hostname
    connection = http.client.HTTPConnection(url.hostname, url.port, timeout=30)
    connection.putrequest(method, url.path + path, skip_accept_encoding=True)
    connection.putheader("Authorization", f"Bearer {api.token}")
    connection.endheaders()
    got = connection.getresponse()
    content = got.read()
    connection.close()
    headers = {name.lower(): value for name, value in got.getheaders()}
    return Answer(got.status, headers, json.loads(content) if content else None)


# ---- bodies


ROUTES_WITH_A_BODY = [
    (route.method, re.sub("<[^>]+>", NOBODY, route.path)) for route in openapi.all_routes() if route.body
]
NOT_JSON = {
    "empty": b"",
    "cut off": b'{"title": ',
    "no JSON": b"title=Disk",
    "no text": b"\xff\xfe\x00\x01",
    "a lone surrogate": b'{"title": "\\ud800"}',
    "NUL": b'{"title": "a\x00b"}',
    "NaN as a name": b"{NaN: 1}",
    "deep": b"[" * 100_000,
    "deep objects": b'{"a":' * 25_000,
    "deep and closed": b"[" * 65_000 + b"]" * 65_000,
    "a number without end": b"9" * 100_000,
}
NO_OBJECT = {"null": b"null", "list": b'[{"title": "Disk full"}]', "text": b'"title"', "number": b"7", "true": b"true"}


@pytest.mark.parametrize(("method", "path"), ROUTES_WITH_A_BODY)
def test_a_body_that_is_no_json_object_is_refused(method: str, path: str, admin: Api) -> None:
    for name, body in NOT_JSON.items():
        allowed = {200, 201, 404} if name == "empty" and path.endswith("/create-task") else set()
        answer = admin.call(method, path, body)
        assert answer.status in allowed or refused(answer, 400, 422), name
    for name, body in NO_OBJECT.items():
        assert refused(admin.call(method, path, body), 422), name


@pytest.mark.parametrize(("method", "path"), ROUTES_WITH_A_BODY)
def test_a_body_that_is_too_large_is_refused(method: str, path: str, admin: Api) -> None:
    for size in (MAX_BODY_BYTES + 1, 2 * MAX_BODY_BYTES):
        assert refused(admin.call(method, path, b'{"title": "' + b"x" * (size - 13) + b'"}'), 413)


@pytest.mark.parametrize("size", [7_000_000, 11_000_000])
def test_a_body_over_what_the_gateway_and_a_function_take_is_refused(size: int, admin: Api) -> None:
    assert admin.call("POST", "/tasks", b"x" * size).status == 413


def test_a_body_of_just_the_limit_is_read(admin: Api) -> None:
    start = b'{"title": "Large enough", "description": "'
    body = start + b"x" * (MAX_BODY_BYTES - len(start) - 2) + b'"}'
    assert len(body) == MAX_BODY_BYTES
    answer = admin.call("POST", "/tasks", body)
    assert refused(answer, 422)
    assert [fault["field"] for fault in answer.body["errors"]] == ["description"]


@pytest.mark.parametrize(
    "value",
    [
        [],
        {},
        None,
        True,
        7,
        0.5,
        "x",
        "\x00" * 20,
        "\u202e" * 2,
        [[[]]],
        {"$ref": "#"},
        "x" * 6000,
        -1,
        10**30,
        "' OR 1=1 --",
    ],
)
def test_a_field_of_another_kind_is_refused_by_name(value: Any, admin: Api) -> None:
    good = {"title": "Disk full", "description": "The disk of db-1 is full."}
    for name in ("title", "description", "priority", "due_date", "assigned_user_id"):
        if value is None and name in {"due_date", "assigned_user_id"}:
            continue
        answer = admin.call("POST", "/tasks", {**good, name: value})
        if answer.status == 201:
            assert name in {"title", "description"}
            assert isinstance(value, str)
            continue
        assert refused(answer, 422), name
        assert [fault["field"].split(".")[0] for fault in answer.body["errors"]] == [name]


def test_only_json_is_read(admin: Api) -> None:
    body = b'{"title": "Disk full", "description": "The disk of db-1 is full."}'
    for kind in (
        "application/x-www-form-urlencoded",
        "multipart/form-data; boundary=x",
        "text/plain",
        "application/xml",
    ):
        assert refused(admin.call("POST", "/tasks", body, content_type=kind), 415)


# ---- other people's things


def test_of_others_a_user_sees_and_changes_nothing(person: Person, admin: Api) -> None:
    task = admin.call("POST", "/tasks", {"title": unique("secret"), "description": "Nobody else's business."}).body[
        "id"
    ]
    me = admin.get("/users/me")["id"]
    wait_for(lambda: admin.call("GET", f"/tasks/{task}").status, lambda status: status == 200)
    for method, path, body in (
        ("GET", "/tasks/{}", None),
        ("GET", "/tasks/{}/history", None),
        ("PUT", "/tasks/{}", {"title": "Mine now"}),
        ("PUT", "/tasks/{}/status", {"status": "closed"}),
        ("POST", "/tasks/{}/comments", {"comment": "Hello?"}),
    ):
        theirs, nobodys = (person.api.call(method, path.format(one), body) for one in (task, NOBODY))
        assert refused(theirs, 404)
        assert theirs.body == nobodys.body
    for method, body in (("GET", None), ("PUT", {"full_name": "Somebody Else"})):
        theirs, nobodys = (person.api.call(method, f"/users/{one}", body) for one in (me, NOBODY))
        assert refused(theirs, 403, 404)
        assert (theirs.status, theirs.body) == (nobodys.status, nobodys.body)
    reset = {"new_password": unique("a long password")}
    assert refused(person.api.call("PUT", f"/users/{me}/password", reset), 403, 404)
    assert refused(person.api.call("PUT", f"/users/{person.id}", {"role": "admin"}), 403, 422)


# ---- cursors


@pytest.fixture(scope="module")
def cursor(admin: Api) -> str:
    """That of the admin's tasks."""
    for _ in range(2):
        admin.call("POST", "/tasks", {"title": unique("page"), "description": "One of several."})
    found = wait_for(lambda: admin.get("/tasks?limit=1"), lambda page: page["next"])
    return str(found["next"])


@pytest.mark.parametrize(
    "path",
    [
        "/events?cursor={}",
        "/users?cursor={}",
        "/notifications?cursor={}",
        "/tasks?cursor={}&direction=asc",
        "/tasks?cursor={}&status=open",
        "/tasks?cursor={}&sort=due_date",
    ],
)
def test_a_cursor_of_another_list_is_refused(path: str, admin: Api, cursor: str) -> None:
    assert admin.call("GET", f"/tasks?cursor={cursor}").status == 200
    answer = admin.call("GET", path.format(cursor))
    assert refused(answer, 422)
    assert [fault["field"] for fault in answer.body["errors"]] == ["cursor"]


def test_a_cursor_of_somebody_elses_list_is_refused(person: Person, cursor: str) -> None:
    assert refused(person.api.call("GET", f"/tasks?cursor={cursor}"), 422)


def forged(content: Any) -> str:
    text = content if isinstance(content, bytes) else json.dumps(content).encode()
    return base64.urlsafe_b64encode(text).decode().rstrip("=")


@pytest.mark.parametrize("path", ["/tasks", "/events", "/users", "/notifications", "/config/aws"])
def test_a_cursor_that_somebody_made_up_is_refused(path: str, admin: Api) -> None:
    name = path.removeprefix("/")
    for made_up in (
        *("", "x", "=", "....", "%00", "a" * 2_001, forged(b"\xff"), forged(b"[" * 1_400), forged(None), forged([])),
        *(
            forged([name, False]),
            forged([name, False, None]),
            forged([name, False, {"S": "x"}]),
            forged([name, False, ""]),
        ),
        *(forged([name, False, "é", "é"]), forged([name, False, *"abcdef"]), forged([name, False, "x" * 1_000])),
    ):
        assert refused(admin.call("GET", f"{path}?cursor={made_up}"), 422), made_up


@pytest.mark.parametrize("path", ["/tasks", "/users", "/notifications", "/config/aws"])
@pytest.mark.parametrize("position", ["\x00", "~", "x" * 200, "2026", "#", '"'])
def test_a_place_that_somebody_made_up_is_a_place_in_a_list_and_nothing_else(
    path: str, position: str, admin: Api
) -> None:
    for descending in (False, True):
        answer = admin.call("GET", f"{path}?cursor={forged([path.removeprefix('/'), not descending, position])}")
        assert answer.status == 200 or refused(answer, 422)


# ---- paths and queries


@pytest.mark.parametrize(
    "path",
    [
        *("/", "//", "//tasks", "/./tasks", "/tasks/../users/me", "/tasks/..%2fusers%2fme", "/tasks/%2e%2e%2fusers"),
        *("/TASKS", "/tasks;a=1", "/tasks.json", "/tasks/%00", "/tasks/a%00b", "/tasks/%ff%fe", "/tasks/%ed%a0%80"),
        *("/tasks/%", "/tasks/%zz", "/tasks/%2", "/tasks/%25", "/tasks/%22", "/tasks/%5c", "/tasks/%3f", "/tasks/%23"),
        *(
            "/tasks/*",
            "/tasks/$",
            "/tasks/{task_id}",
            "/tasks/<task_id>",
            "/tasks/%3Cscript%3E",
            "/tasks/..",
            "/tasks/.",
        ),
        *(f"/tasks/{'x' * 101}", f"/tasks/{'x' * 5_000}", f"/{'x/' * 500}", "/tasks/%F0%9F%92%A5", "/tasks/task%23x"),
        *("/events/1-%00", f"/events/-1-{NOBODY}", f"/events/99999999999999999999-{NOBODY}", "/events/%31-x"),
        *("/users/%2e%2e%2fme", "/users/%00", f"/users/{NOBODY}%20"),
    ],
)
def test_a_path_that_is_a_trick_leads_nowhere(path: str, admin: Api) -> None:
    assert refused(raw(admin, "GET", path), 404)


def test_a_path_beyond_all_measure_is_refused(admin: Api) -> None:
    url = urlsplit(admin.url)
    connection = http.client.HTTPConnection(str(url.hostname), url.port, timeout=30)
    connection.request("GET", f"{url.path}/tasks/{'x' * 100_000}")
    assert 400 <= connection.getresponse().status < 500
    connection.close()


@pytest.mark.parametrize(
    "query",
    [
        "%",
        "%00=1",
        "limit=%ff",
        "limit=1&limit=1",
        "limit[]=1",
        "limit=%D9%A1",
        "limit=1_0",
        "limit=+1",
        "limit=1e1",
        "=",
        "x=1",
        "cursor=%00",
        f"cursor={'x' * 5000}",
        f"{'x' * 3000}=1",
        "direction=asc%00",
        "limit=",
    ],
)
def test_a_query_that_is_a_trick_is_refused_by_name(query: str, admin: Api) -> None:
    answer = raw(admin, "GET", f"/tasks?{query}")
    assert refused(answer, 422)
    assert answer.body["errors"]


# ---- methods and media types


@pytest.mark.parametrize(
    ("method", "path", "allow"),
    [
        ("PATCH", "/tasks", "GET, POST, OPTIONS"),
        ("DELETE", "/tasks", "GET, POST, OPTIONS"),
        ("POST", "/health", "GET, OPTIONS"),
        ("GET", "/auth/login", "POST, OPTIONS"),
        ("GET", f"/tasks/{NOBODY}/status", "PUT, OPTIONS"),
    ],
)
def test_a_method_that_a_path_does_not_have_is_told_those_it_has(
    method: str, path: str, allow: str, system: System
) -> None:
    answer = system.api.call(method, path)
    assert refused(answer, 405)
    assert answer.headers["allow"] == allow


def test_a_head_request_is_answered_without_a_body(system: System) -> None:
    answer = system.api.call("HEAD", "/tasks")
    assert (answer.status, answer.headers["allow"]) == (405, "GET, POST, OPTIONS")


@pytest.mark.parametrize("method", ["TRACE", "QUERY", "NONSENSE"])
def test_a_method_that_the_gateway_does_not_know_gets_a_problem_too(method: str, admin: Api) -> None:
    answer = raw(admin, method, "/tasks")
    assert refused(answer, 404)
    assert answer.headers["access-control-allow-origin"] == "*"  # here pages may call, and it tells nobody anything


@pytest.mark.parametrize("accept", ["text/csv", "text/html", "application/json;q=0"])
def test_who_takes_no_json_is_told_that_there_is_nothing_else(accept: str, admin: Api) -> None:
    assert refused(admin.call("GET", "/tasks", accept=accept), 406)


# ---- pages of other origins


def test_a_page_of_this_machine_may_call_and_one_from_elsewhere_may_not(system: System) -> None:
    asked = {"origin": "http://localhost:5173", "access_control_request_method": "PUT"}
    allowed = system.api.call("OPTIONS", f"/tasks/{NOBODY}", **asked)
    assert (allowed.status, allowed.headers["access-control-allow-origin"]) == (204, asked["origin"])
    assert allowed.headers["access-control-allow-methods"] == "DELETE, GET, PUT"
    assert "If-Match" in allowed.headers["access-control-allow-headers"]
    problem = system.api.call("GET", "/tasks", origin=asked["origin"])
    assert (problem.status, problem.headers["access-control-allow-origin"]) == (401, asked["origin"])
    for method, path in (("OPTIONS", "/tasks"), ("GET", "/health"), ("GET", "/tasks")):
        answer = system.api.call(method, path, origin="https://evil.example")
        assert not [name for name in answer.headers if name.lower().startswith("access-control")]


# ---- the page


def test_the_page_is_html_that_can_load_nothing(system: System) -> None:
    answer = system.api.call("GET", "/docs")
    assert (answer.status, answer.headers["content-type"]) == (200, "text/html; charset=utf-8")
    policy = answer.headers["content-security-policy"]
    assert policy.startswith("default-src 'none'; style-src 'sha256-")
    assert "unsafe" not in policy
    assert b'id="list_tasks"' in answer.body
