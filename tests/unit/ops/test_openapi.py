"""The API's document and page: what they say is what the code has, and every route says everything."""

import inspect
import json
import re
from pathlib import Path
from typing import Any, get_origin

import pytest
from openapi_spec_validator import OpenAPIV31SpecValidator
from typer.testing import CliRunner

from domain.permissions import Permission
from domain.value import Value
from infra.request import Query
from infra.rest import Answer, Route
from ops import api_page, cli, openapi
from ops.openapi_examples import BODIES

# The table of routes: method, path and the one permission of each.
TABLE = """
POST    /auth/login                      open
POST    /auth/refresh                    open
POST    /auth/logout                     any_user
GET     /health                          open
GET     /openapi.json                    open
GET     /docs                            open
GET     /events                          read:events
GET     /events/<event_id>               read:events
POST    /events/<event_id>/create-task   create:own_tasks
GET     /alerts                          read:events
GET     /alerts/<alert_id>               read:events
POST    /alerts/<alert_id>/acknowledge   any_user
POST    /alerts/<alert_id>/snooze        any_user
POST    /alerts/<alert_id>/resolve       any_user
POST    /alerts/<alert_id>/create-task   create:own_tasks
GET     /tasks                           read:own_tasks
GET     /tasks/<task_id>                 read:own_tasks
GET     /tasks/<task_id>/history         read:own_tasks
POST    /tasks                           create:own_tasks
PUT     /tasks/<task_id>                 update:own_tasks
PUT     /tasks/<task_id>/status          update:own_tasks
POST    /tasks/<task_id>/comments        update:own_tasks
DELETE  /tasks/<task_id>                 delete:tasks
GET     /users                           users
POST    /users                           users
GET     /users/me                        any_user
GET     /users/<user_id>                 own_profile
PUT     /users/<user_id>                 own_profile
PUT     /users/<user_id>/password        own_profile
DELETE  /users/<user_id>                 users
GET     /config/aws                      config
POST    /config/aws                      config
PUT     /config/aws/<config_id>          config
POST    /config/aws/<config_id>/test     config
GET     /config/monitoring               config
PUT     /config/monitoring               config
GET     /dashboard/overview              any_user
GET     /dashboard/events-stats          any_user
GET     /dashboard/alerts-stats          any_user
GET     /dashboard/tasks-stats           any_user
GET     /dashboard/users-stats           users
GET     /notifications                   any_user
POST    /notifications/<notification_id>/redrive redrive
GET     /reports/daily/<day>             any_user
"""
ROUTES = openapi.all_routes()
DOCUMENT = openapi.document()

every_route = pytest.mark.parametrize("route", ROUTES, ids=str)


def parameters_of(route: Route) -> list[str]:
    return re.findall(r"<(\w+)>", route.path)


def operations() -> list[tuple[str, str, dict[str, Any]]]:
    return [(method, path, operation) for path, item in DOCUMENT["paths"].items() for method, operation in item.items()]


# ---- routes


def test_the_routes_and_their_permissions_are_those_of_the_table() -> None:
    told = {(method, path): permission for method, path, permission in map(str.split, TABLE.strip().splitlines())}
    assert {(route.method, route.path): str(route.permission) for route in ROUTES} == told
    assert len(ROUTES) == len(told)


@every_route
def test_a_handler_says_what_it_answers_and_takes_what_its_path_names(route: Route) -> None:
    signature = inspect.signature(route.handler)
    assert get_origin(signature.return_annotation) is Answer
    assert next(iter(signature.parameters)) == "request"
    assert set(signature.parameters) - {"request", "body", "query"} == set(parameters_of(route))
    assert all(signature.parameters[name].annotation is str for name in parameters_of(route))


@every_route
def test_bodies_and_queries_refuse_what_they_do_not_know(route: Route) -> None:
    for model in (route.body, route.query):
        if model is not None:
            assert issubclass(model, Value | Query)
            assert model.model_config["extra"] == "forbid"
            assert model.model_config["frozen"]


@every_route
def test_only_what_changes_something_takes_a_body(route: Route) -> None:
    assert route.body is None or route.method in {"POST", "PUT"}


# ---- the document


def test_the_document_that_is_checked_in_is_the_one_that_the_code_makes() -> None:
    assert openapi.FILE.read_text(encoding="utf-8") == openapi.text(), "run `make openapi` and commit docs/openapi.json"


def test_the_document_is_valid_openapi() -> None:
    assert list(OpenAPIV31SpecValidator(json.loads(openapi.text())).iter_errors()) == []


def test_every_route_is_described_once_with_its_permission() -> None:
    told = {(method.upper(), path): operation["x-permission"] for method, path, operation in operations()}
    wanted = {(route.method, re.sub(r"<(\w+)>", r"{\1}", route.path)): str(route.permission) for route in ROUTES}
    assert told == wanted
    names = [operation["operationId"] for _, _, operation in operations()]
    assert len(set(names)) == len(names)


@pytest.mark.parametrize(("method", "path", "operation"), operations())
def test_an_operation_says_what_it_does_in_a_sentence(method: str, path: str, operation: dict[str, Any]) -> None:
    assert operation["summary"].endswith("."), (method, path)
    assert operation["tags"][0] in {tag["name"] for tag in DOCUMENT["tags"]}


@pytest.mark.parametrize(("method", "path", "operation"), operations())
def test_only_open_operations_go_without_a_token(method: str, path: str, operation: dict[str, Any]) -> None:
    is_open = operation["x-permission"] == Permission.OPEN
    assert operation["security"] == ([] if is_open else [{"accessToken": []}]), (method, path)
    assert is_open or {"401", "403"} <= operation["responses"].keys()


@pytest.mark.parametrize(("method", "path", "operation"), operations())
def test_a_change_can_be_sent_again_and_made_conditional(method: str, path: str, operation: dict[str, Any]) -> None:
    names = {parameter.get("$ref", "").rpartition("/")[2] for parameter in operation["parameters"]}
    assert ("IdempotencyKey" in names) is (method != "get" and not path.startswith("/auth/"))
    assert ("IfMatch" in names) is ("412" in operation["responses"])
    if method == "put":
        assert "IfMatch" in names


def test_what_makes_a_thing_of_its_own_and_a_logout_are_bound_to_no_version() -> None:
    made = ("/tasks", "/users", "/config/aws", "/events/{event_id}/create-task", "/alerts/{alert_id}/create-task")
    for path in (*made, "/auth/logout", "/notifications/{notification_id}/redrive"):
        assert "412" not in DOCUMENT["paths"][path]["post"]["responses"]
    for path in ("/tasks/{task_id}/comments", "/config/aws/{config_id}/test"):
        assert "412" in DOCUMENT["paths"][path]["post"]["responses"]


def test_the_version_of_a_stream_is_promised_where_an_answer_shows_one() -> None:
    told = {
        f"{method} {path}": {"ETag", "Stream-Version"} & answer["headers"].keys()
        for method, path, operation in operations()
        for status, answer in operation["responses"].items()
        if status < "300"
    }
    assert {name for name, headers in told.items() if not headers} == {
        "post /auth/login",
        "post /auth/refresh",
        "post /auth/logout",
        "get /users",
        "get /events",
        "get /alerts",
        "get /tasks",
        "get /tasks/{task_id}/history",
        "get /config/aws",
        "get /dashboard/alerts-stats",
        "get /dashboard/events-stats",
        "get /dashboard/overview",
        "get /dashboard/tasks-stats",
        "get /dashboard/users-stats",
        "get /notifications",
        "post /notifications/{notification_id}/redrive",
        "get /health",
        "get /openapi.json",
        "get /docs",
    }
    assert all("Stream-Version" in headers for name, headers in told.items() if headers and name[:4] != "get ")


def test_every_problem_has_the_same_shape() -> None:
    responses = DOCUMENT["components"]["responses"]
    for status, (name, _) in openapi.PROBLEMS.items():
        assert responses[name]["content"].keys() == {"application/problem+json"}
        assert ("Retry-After" in responses[name]["headers"]) is (status in {409, 429, 503})
    problem = DOCUMENT["components"]["schemas"]["Problem"]
    assert problem["required"] == ["type", "title", "status", "detail"]


def test_bounds_enumerations_and_descriptions_of_a_query_are_told() -> None:
    told = {each["name"]: each for each in DOCUMENT["paths"]["/tasks"]["get"]["parameters"] if "name" in each}
    assert told["limit"]["schema"] == {"type": "integer", "minimum": 1, "maximum": 200, "default": 50}
    assert told["direction"]["schema"] == {"type": "string", "enum": ["asc", "desc"]}
    assert all(each["description"] for each in told.values())
    assert not any("null" in json.dumps(each["schema"]) for each in told.values())


def test_schemas_have_names_for_people() -> None:
    names = DOCUMENT["components"]["schemas"]
    assert [name for name in names if not re.fullmatch(r"[A-Z][A-Za-z]+", name)] == []
    assert {"TaskShown", "ListOfStep", "TasksStatus", "CreateTask"} <= names.keys()


@pytest.mark.parametrize("route", [route for route in ROUTES if route.body], ids=str)
def test_every_body_has_an_example_that_is_valid(route: Route) -> None:
    assert route.body
    route.body.model_validate_json(json.dumps(BODIES[str(route)]))


def test_there_are_examples_of_bodies_that_exist_only() -> None:
    assert BODIES.keys() <= {str(route) for route in ROUTES if route.body}


# ---- the page


def test_the_page_shows_every_operation_and_schema() -> None:
    page = api_page.render(DOCUMENT)
    for _, path, operation in operations():
        assert f'id="{operation["operationId"]}"' in page
        assert path in page
    for name in DOCUMENT["components"]["schemas"]:
        assert f'id="schema-{name}"' in page
    targets = set(re.findall(r'href="#([^"]+)"', page))
    assert targets <= set(re.findall(r'id="([^"]+)"', page))


def test_the_page_runs_nothing_and_loads_nothing() -> None:
    page = api_page.render(DOCUMENT)
    assert not re.search(r"<script|<link|<img|<iframe|<form|\bon\w+=|\bstyle=|javascript:|@import|url\(", page)
    assert set(re.findall(r'href="([^#"]+)"', page)) == {"openapi.json"}


def test_what_a_document_says_is_text_on_the_page_and_never_markup() -> None:
    evil = "<b onclick=alert(1)>&`</code><i>`"
    document = json.loads(json.dumps(DOCUMENT))
    document["paths"]["/tasks"]["get"]["summary"] = evil
    document["components"]["schemas"]["TaskShown"]["description"] = evil
    page = api_page.render(document)
    assert "<b onclick" not in page
    assert "<i>" not in page
    assert page.count("&lt;b onclick=alert(1)&gt;&amp;<code>&lt;/code&gt;&lt;i&gt;</code>") == 2


def test_the_page_tells_how_to_call_a_route_from_a_shell() -> None:
    page = api_page.render(DOCUMENT)
    assert "--header &#34;Authorization: Bearer $token&#34;" in page
    assert "&#34;$url/tasks/{task_id}/status&#34;" in page


# ---- the command


def test_the_command_renews_the_document(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(openapi, "FILE", tmp_path / "openapi.json")
    assert CliRunner().invoke(cli.app, ["openapi"]).exit_code == 0
    assert json.loads((tmp_path / "openapi.json").read_text(encoding="utf-8")) == DOCUMENT
