"""Every route of the deployed API, as its own document lists them: who is let in, and who is not."""

import time
from typing import Any

import jwt
import pytest

from domain.permissions import Caller, Permission, Role
from ops import openapi
from tests.e2e.system import Api, Person, System
from tests.e2e.test_security import NOBODY, is_problem

OPEN = {
    ("POST", "/auth/login"),
    ("POST", "/auth/refresh"),  # it carries its own token
    ("GET", "/health"),
    ("GET", "/openapi.json"),
    ("GET", "/docs"),
}
USER = Caller(user_id=NOBODY, role=Role.USER)


@pytest.fixture(scope="module")
def routes(system: System) -> dict[tuple[str, str], Permission]:
    """The permission of each method and path, as the API serves them."""
    paths: dict[str, dict[str, Any]] = system.api.get("/openapi.json")["paths"]
    return {
        (method.upper(), path): Permission(operation["x-permission"])
        for path, item in paths.items()
        for method, operation in item.items()
    }


@pytest.fixture(scope="module")
def bad_tokens(person: Person, token_key: str) -> dict[str, str]:
    """What is no token of anybody's, made from a good one."""
    assert person.api.token is not None
    header, payload, signature = person.api.token.split(".")
    claims = {**jwt.decode(person.api.token, options={"verify_signature": False}), "role": "admin"}
    forged = jwt.encode(claims, "x" * 64, algorithm="HS256").split(".")
    return {
        "forged": f"{header}.{forged[1]}.{signature}",
        "another key": ".".join(forged),
        "not signed": jwt.encode(claims, "", algorithm="none"),
        "signature cut off": f"{header}.{payload}.",
        "another algorithm": jwt.encode(claims, token_key, algorithm="HS512"),
        "expired": jwt.encode({**claims, "exp": int(time.time()) - 1}, token_key, algorithm="HS256"),
        "nonsense": "nonsense",
    }


def call(api: Api, method: str, path: str) -> Any:
    for name in ("event", "alert", "task", "user", "config", "notification"):
        path = path.replace(f"{{{name}_id}}", NOBODY)
    path = path.replace("{day}", "2026-01-01")
    assert "{" not in path
    return api.call(method, path, None if method == "GET" else {})


def test_the_deployed_routes_are_those_of_the_code_and_each_has_a_permission(
    routes: dict[tuple[str, str], Permission],
) -> None:
    wanted = {
        (route.method, route.path.replace("<", "{").replace(">", "}")): route.permission
        for route in openapi.all_routes()
    }
    assert routes == wanted


def test_the_routes_that_are_open_are_the_ones_named_so(routes: dict[tuple[str, str], Permission]) -> None:
    assert {route for route, permission in routes.items() if permission is Permission.OPEN} == OPEN


def test_without_a_token_every_other_route_is_closed(system: System, routes: dict[tuple[str, str], Permission]) -> None:
    for method, path in routes.keys() - OPEN:
        answer = call(system.api, method, path)
        assert is_problem(answer, 401), (method, path)
        assert answer.headers["www-authenticate"] == "Bearer"


def test_a_token_that_is_none_opens_no_route(
    system: System, routes: dict[tuple[str, str], Permission], bad_tokens: dict[str, str]
) -> None:
    for name, token in bad_tokens.items():
        for method, path in routes.keys() - OPEN:
            assert is_problem(call(system.api.as_caller(token), method, path), 401), (name, method, path)


def test_what_is_open_answers_without_a_token(system: System) -> None:
    for path in ("/health", "/openapi.json", "/docs"):
        assert system.api.call("GET", path).status == 200
    for path in ("/auth/login", "/auth/refresh"):
        assert is_problem(system.api.call("POST", path, {}), 422)


def test_a_user_is_let_in_where_users_are_and_nowhere_else(
    person: Person, routes: dict[tuple[str, str], Permission]
) -> None:
    for (method, path), permission in routes.items():
        if path == "/auth/logout":
            continue  # it would end the session that the others need
        answer = call(person.api, method, path)
        if USER.may(permission):
            assert answer.status in {200, 403, 404, 422}, (method, path, answer)
            assert "permission" not in str(answer.body), (method, path, answer)  # 403: not for others
        elif permission is not Permission.OPEN:
            assert is_problem(answer, 403), (method, path)
            assert answer.body["detail"] == f"This needs the permission {permission}."


def test_there_are_routes_that_users_are_kept_out_of(routes: dict[tuple[str, str], Permission]) -> None:
    """Otherwise the test before this one would prove nothing."""
    closed = {permission for permission in routes.values() if not USER.may(permission)} - {Permission.OPEN}
    assert {Permission.USERS, Permission.CONFIG, Permission.DELETE_TASKS} <= closed


def test_an_admin_is_let_in_everywhere(admin: Api, routes: dict[tuple[str, str], Permission]) -> None:
    for method, path in routes.keys() - OPEN - {("POST", "/auth/logout")}:
        answer = call(admin, method, path)
        assert answer.status in {200, 204, 404, 422}, (method, path, answer)
