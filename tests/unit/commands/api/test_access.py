"""Who may call the write API: what each route asks for, whose token opens it, and how one gets a token."""

import base64
import json
import time
import uuid
from typing import Any

import jwt
import pytest

from commands import api
from domain.permissions import Permission
from infra.rest import Route
from tests.unit.commands.api.calling import KEY, PASSWORD, TASK, Answered, Store, called, token

# ---- routes

# As the table of routes has it: which permission opens each.
TABLE = {
    "POST /auth/login": Permission.OPEN,
    "POST /auth/refresh": Permission.OPEN,
    "POST /auth/logout": Permission.ANY_USER,
    "POST /events/<event_id>/create-task": Permission.CREATE_OWN_TASKS,
    "POST /alerts/<alert_id>/acknowledge": Permission.ANY_USER,
    "POST /alerts/<alert_id>/snooze": Permission.ANY_USER,
    "POST /alerts/<alert_id>/resolve": Permission.ANY_USER,
    "POST /alerts/<alert_id>/create-task": Permission.CREATE_OWN_TASKS,
    "POST /tasks": Permission.CREATE_OWN_TASKS,
    "PUT /tasks/<task_id>": Permission.UPDATE_OWN_TASKS,
    "PUT /tasks/<task_id>/status": Permission.UPDATE_OWN_TASKS,
    "POST /tasks/<task_id>/comments": Permission.UPDATE_OWN_TASKS,
    "DELETE /tasks/<task_id>": Permission.DELETE_TASKS,
    "POST /users": Permission.USERS,
    "PUT /users/<user_id>": Permission.OWN_PROFILE,
    "PUT /users/<user_id>/password": Permission.OWN_PROFILE,
    "DELETE /users/<user_id>": Permission.USERS,
    "POST /config/aws": Permission.CONFIG,
    "PUT /config/aws/<config_id>": Permission.CONFIG,
    "POST /config/aws/<config_id>/test": Permission.CONFIG,
    "PUT /config/monitoring": Permission.CONFIG,
    "POST /notifications/<notification_id>/redrive": Permission.REDRIVE,
}
ROUTES = sorted(api.api.routes, key=str)
CLOSED = [route for route in ROUTES if route.permission is not Permission.OPEN]


def path_of(route: Route) -> str:
    return route.path.replace("<event_id>", f"1-{uuid.UUID(int=1)}").replace("<task_id>", str(uuid.UUID(int=2)))


def test_every_route_has_the_permission_that_the_table_of_routes_gives_it() -> None:
    assert {str(route): route.permission for route in ROUTES} == TABLE
    assert len({str(route) for route in ROUTES}) == len(ROUTES)


def test_only_logging_in_and_refreshing_are_open() -> None:
    assert {route.path for route in ROUTES if route not in CLOSED} == {"/auth/login", "/auth/refresh"}


def test_the_write_function_answers_no_reading_method() -> None:
    assert {route.method for route in ROUTES} <= {"POST", "PUT", "PATCH", "DELETE"}


@pytest.mark.parametrize("path", ["/", "/nothing", "/task", "/tasks/1/2/3", "/auth"])
def test_a_route_that_does_not_exist_is_a_problem_too(path: str) -> None:
    answer = called("POST", path, {})
    assert (answer.status, answer.headers["Content-Type"]) == (404, "application/problem+json")
    assert answer.body["title"] == "Not found"


# ---- tokens


def bad_tokens() -> dict[str, str]:
    claims: dict[str, Any] = {
        "sub": "ada",
        "role": "admin",
        "type": "access",
        "iat": int(time.time()),
        "exp": int(time.time()) + 900,
        "jti": "1",
    }
    header, body, signature = jwt.encode(claims, KEY, algorithm="HS256").split(".")
    forged = base64.urlsafe_b64encode(json.dumps({**claims, "sub": "root"}).encode()).rstrip(b"=").decode()
    return {
        "garbage": "garbage",
        "forged": f"{header}.{forged}.{signature}",
        "without a signature": f"{header}.{body}.",
        "alg=none": jwt.encode(claims, "", algorithm="none"),
        "expired": jwt.encode({**claims, "exp": int(time.time()) - 1}, KEY, algorithm="HS256"),
        "signed with another key": jwt.encode(claims, KEY.upper(), algorithm="HS256"),
        "a refresh token": jwt.encode({**claims, "type": "refresh"}, KEY, algorithm="HS256"),
        "of an unknown role": jwt.encode({**claims, "role": "god"}, KEY, algorithm="HS256"),
    }


@pytest.mark.parametrize("kind", bad_tokens())
def test_a_bad_token_opens_nothing(kind: str, store: Store) -> None:
    answer = called("POST", "/tasks", TASK, token=bad_tokens()[kind])
    assert (answer.status, answer.headers["WWW-Authenticate"]) == (401, "Bearer")
    assert answer.headers["Content-Type"] == "application/problem+json"
    assert store.tasks == []


@pytest.mark.parametrize("route", CLOSED, ids=lambda route: f"{route.method} {route.path}")
@pytest.mark.parametrize("header", [None, "", "Bearer", "Bearer ", "Basic YWRhOnNlY3JldA==", "Bearer null"])
def test_every_route_but_logging_in_is_closed_without_a_token(route: Route, header: str | None) -> None:
    answer = called(route.method, path_of(route), {}, headers=None if header is None else {"Authorization": header})
    assert (answer.status, answer.body["title"]) == (401, "Log in first")


def test_the_header_and_its_scheme_may_be_written_in_any_case(ada: str) -> None:
    for name, scheme in (("authorization", "bearer"), ("AUTHORIZATION", "BEARER")):
        body = {**TASK, "assigned_user_id": ada}
        assert called("POST", "/tasks", body, headers={name: f"{scheme} {token(ada)}"}).status == 201


def test_who_calls_is_found_out_before_what_is_sent_is_read() -> None:
    assert called("POST", "/tasks", "not json").status == 401


# ---- logging in


def login(email: Any, password: Any, **more: Any) -> Answered:
    return called("POST", "/auth/login", {"email": email, "password": password, **more})


def test_the_right_password_gets_a_token_that_opens_the_api(ada: str) -> None:
    answer = login("ada@example.com", PASSWORD)
    assert (answer.status, answer.body["token_type"], answer.body["expires_in"]) == (200, "Bearer", 900)
    assert answer.body["refresh_expires_in"] == 7 * 86_400
    assert answer.body["password_change_required"] is False
    body = {**TASK, "assigned_user_id": ada}
    assert called("POST", "/tasks", body, token=answer.body["access_token"]).status == 201


def test_a_token_says_who_it_is_and_in_which_role(root: str) -> None:
    access = login("root@example.com", PASSWORD).body["access_token"]
    told = jwt.decode(access, KEY, algorithms=["HS256"])
    assert (told["sub"], told["role"]) == (root, "admin")


@pytest.mark.usefixtures("ada")
def test_the_address_may_be_typed_in_any_case() -> None:
    assert login(" ADA@Example.Com ", PASSWORD).status == 200


@pytest.mark.usefixtures("ada")
def test_a_wrong_password_and_an_unknown_address_get_the_same_answer() -> None:
    refused = [
        login("ada@example.com", "wrong password"),
        login("eve@example.com", PASSWORD),
        login("no address at all", PASSWORD),
        login("ada@example.com", "x" * 1000),
        login("ada@example.com", PASSWORD[:-1]),
    ]
    assert {answer.status for answer in refused} == {401}
    assert len({json.dumps(answer.body) for answer in refused}) == 1
    assert len({frozenset(answer.headers) for answer in refused}) == 1


@pytest.mark.parametrize(
    ("body", "named"),
    [
        ({}, {"email", "password"}),
        ({"email": "ada@example.com"}, {"password"}),
        ({"email": 7, "password": True}, {"email", "password"}),
        ({"email": "", "password": ""}, {"email", "password"}),
        ({"email": "x" * 321, "password": "x" * 1001}, {"email", "password"}),
        ({"email": "a", "password": "b", "role": "admin"}, {"role"}),
    ],
)
def test_a_login_that_is_none_names_its_fields_and_repeats_no_password(body: dict[str, Any], named: set[str]) -> None:
    answer = called("POST", "/auth/login", body)
    assert (answer.status, answer.named) == (422, named)
    assert "xxx" not in json.dumps(answer.body)
