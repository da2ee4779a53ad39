"""The frame of the API by itself: paths and methods, what clients accept and send, pages of other origins."""

import json
from collections.abc import Callable, Mapping
from typing import Any

import pytest
from botocore.exceptions import ClientError, EndpointConnectionError
from pynamodb.exceptions import GetError
from typing_extensions import TypedDict

from domain.permissions import Caller, Permission
from domain.value import Value
from infra import documents
from infra.problems import RetryLaterError
from infra.request import BadTokenError, Callers, Query, QueryNumber
from infra.rest import Answer, Api, Html, Request, size_in_answer

PAGE = "https://ops.example.com"


class Said(TypedDict):
    said: str


class Say(Value):
    word: str


class Sayings(Query):
    limit: QueryNumber = 3


class Nobody:
    def caller(self, token: str) -> Caller:
        raise AssertionError(token)


def say(request: Request, body: Say) -> Answer[Said]:  # noqa: ARG001
    return Answer({"said": body.word})


def sayings(request: Request, query: Sayings) -> Answer[Said]:  # noqa: ARG001
    return Answer({"said": "word " * query.limit})


def page(request: Request) -> Answer[Html]:  # noqa: ARG001
    return Answer(Html("<p>said</p>"))


def forget(request: Request) -> Answer[None]:  # noqa: ARG001
    return Answer(None)


@pytest.fixture
def api(monkeypatch: pytest.MonkeyPatch) -> Api:
    monkeypatch.setenv("ALLOWED_ORIGINS", PAGE)
    made = Api(Nobody)
    # At paths that the document has, for the table of methods is its.
    made.route("POST", "/tasks", Permission.OPEN, say, 201)
    made.route("GET", "/tasks", Permission.OPEN, sayings)
    made.route("GET", "/docs", Permission.OPEN, page)
    made.route("DELETE", "/tasks/<task_id>", Permission.OPEN, lambda request, task_id: forget(request), 204)  # noqa: ARG005
    made.routes[-1].handler.__annotations__["return"] = Answer[None]
    return made


class Answered:
    def __init__(self, answer: dict[str, Any]) -> None:
        self.status: int = answer["statusCode"]
        self.headers = {name: values[0] for name, values in answer["multiValueHeaders"].items()}
        self.text: str = answer["body"]

    @property
    def body(self) -> Any:
        return json.loads(self.text)


def call(
    api: Api,
    method: str,
    path: str,
    body: str | None = None,
    headers: Mapping[str, str] | None = None,
    **query: list[str],
) -> Answered:
    event = {
        "path": path,
        "httpMethod": method,
        "headers": dict(headers or {}),
        "queryStringParameters": {name: values[-1] for name, values in query.items()} or None,
        "multiValueQueryStringParameters": query or None,
        "requestContext": {},
        "body": body,
        "isBase64Encoded": False,
    }
    return Answered(api(event, object()))


# ---- paths and methods


@pytest.mark.parametrize(
    ("method", "path", "allow"),
    [
        ("PATCH", "/tasks", "GET, POST, OPTIONS"),
        ("HEAD", "/tasks", "GET, POST, OPTIONS"),
        ("PATCH", "/tasks/", "GET, POST, OPTIONS"),
        ("POST", "/health", "GET, OPTIONS"),  # the other function's
        ("GET", "/tasks/7/status", "PUT, OPTIONS"),
    ],
)
def test_a_method_that_a_path_does_not_have_is_not_allowed_and_those_it_has_are_told(
    api: Api, method: str, path: str, allow: str
) -> None:
    answer = call(api, method, path)
    assert (answer.status, answer.headers["Allow"]) == (405, allow)
    assert answer.headers["Content-Type"] == "application/problem+json"
    assert answer.body["title"] == "Method not allowed"


@pytest.mark.parametrize(
    "path", ["/", "", "//", "//tasks", "/task", "/tasks/1/2/3", "/TASKS", "/tasks;a=1", "/./tasks", "/tasks/../tasks"]
)
@pytest.mark.parametrize("method", ["GET", "PATCH", "OPTIONS"])
def test_a_path_that_no_route_has_is_not_found(api: Api, method: str, path: str) -> None:
    answer = call(api, method, path, headers={"Origin": PAGE})
    assert (answer.status, answer.body["title"]) == (404, "Not found")


@pytest.mark.parametrize("name", ['"', "\\", "a\x00b", "\ud800", "?", "#", "`"])
def test_an_id_of_characters_that_no_id_has_is_not_found(api: Api, name: str) -> None:
    assert call(api, "DELETE", f"/tasks/{name}").status == 404


def test_an_answer_without_a_body_has_no_content_type(api: Api) -> None:
    answer = call(api, "DELETE", "/tasks/7")
    assert (answer.status, answer.text) == (204, "")
    assert "Content-Type" not in answer.headers


# ---- media types


@pytest.mark.parametrize(
    "accept",
    [
        None,
        "",
        "*/*",
        "application/json",
        "application/*;q=0.1",
        "text/html, */*;q=0.8",
        "APPLICATION/JSON",
        "application/problem+json",
        "application/json;q=1.0, text/csv;q=0",
    ],
)
def test_an_accept_that_leaves_room_for_json_gets_json(api: Api, accept: str | None) -> None:
    answer = call(api, "GET", "/tasks", headers={} if accept is None else {"Accept": accept})
    assert (answer.status, answer.headers["Content-Type"]) == (200, "application/json")


@pytest.mark.parametrize(
    "accept", ["text/csv", "text/html", "image/*", "application/json;q=0", "application/json; q=0.000, text/csv", "x"]
)
def test_an_accept_that_leaves_json_out_is_refused(api: Api, accept: str) -> None:
    answer = call(api, "GET", "/tasks", headers={"Accept": accept})
    assert (answer.status, answer.headers["Content-Type"]) == (406, "application/problem+json")
    assert "application/json" in answer.body["detail"]


def test_a_page_is_answered_to_who_takes_html(api: Api) -> None:
    answer = call(api, "GET", "/docs", headers={"Accept": "text/html,application/xhtml+xml"})
    assert (answer.status, answer.text) == (200, "<p>said</p>")
    assert answer.headers["Content-Type"] == "text/html; charset=utf-8"
    assert call(api, "GET", "/docs", headers={"Accept": "application/json"}).status == 406


@pytest.mark.parametrize(
    "content_type", [None, "application/json", "Application/JSON; charset=utf-8", "application/merge-patch+json"]
)
def test_a_body_is_json_or_not_said_to_be_anything_else(api: Api, content_type: str | None) -> None:
    headers = {} if content_type is None else {"Content-Type": content_type}
    answer = call(api, "POST", "/tasks", '{"word": "hello"}', headers)
    assert (answer.status, answer.body) == (201, {"said": "hello"})


@pytest.mark.parametrize(
    "content_type", ["", "text/plain", "application/x-www-form-urlencoded", "application/xml", "json"]
)
def test_a_body_that_is_said_to_be_something_else_is_refused(api: Api, content_type: str) -> None:
    answer = call(api, "POST", "/tasks", '{"word": "hello"}', {"Content-Type": content_type})
    assert (answer.status, answer.body["title"]) == (415, "Not JSON")


# ---- many faults, large answers


def test_of_many_faults_the_first_are_named_and_the_others_counted(api: Api) -> None:
    body = json.dumps({f"field {number}": number for number in range(5_000)})
    answer = call(api, "POST", "/tasks", body)
    assert answer.status == 422
    assert [fault["field"] for fault in answer.body["errors"]] == ["word", *(f"field {n}" for n in range(19))]
    assert answer.body["detail"].startswith("word: ")
    assert answer.body["detail"].endswith("field 3: Extra inputs are not permitted; and 4,996 more")
    assert len(answer.text) < 3_000


@pytest.mark.parametrize(
    "text", ["plain", 'a "quoted" word', "\\" * 50, '{"policy": "{\\"a\\": 1}"}', "größe 💥", "two\nlines\x01"]
)
def test_the_size_of_a_part_is_what_it_takes_of_the_runtimes_answer(text: str) -> None:
    body = json.dumps({"said": text}, ensure_ascii=False, separators=(",", ":"))
    assert size_in_answer({"said": text}) == len(json.dumps(body, ensure_ascii=False).encode()) - len('""')


# ---- queries


def test_a_parameter_that_is_given_twice_is_refused_by_name(api: Api) -> None:
    assert call(api, "GET", "/tasks", limit=["1"]).status == 200
    answer = call(api, "GET", "/tasks", limit=["1", "2"])
    assert answer.status == 422
    assert answer.body["errors"] == [{"field": "limit", "message": "is given more than once"}]


# ---- pages of other origins


@pytest.mark.parametrize("status", [201, 422, 404, 405])
def test_a_page_that_may_call_can_read_every_answer_problems_too(api: Api, status: int) -> None:
    method, path = {404: ("POST", "/nothing"), 405: ("PATCH", "/tasks")}.get(status, ("POST", "/tasks"))
    answer = call(api, method, path, '{"word": "hello"}' if status == 201 else "{}", {"Origin": PAGE})
    assert answer.status == status
    assert answer.headers["Access-Control-Allow-Origin"] == PAGE
    other = call(api, method, path, "{}", {"Origin": "https://evil.example"})
    assert "Access-Control-Allow-Origin" not in other.headers
    assert other.headers["Vary"] == answer.headers["Vary"] == "Origin"


def test_a_preflight_is_answered_with_the_methods_of_its_path(api: Api) -> None:
    asked = {"Origin": PAGE, "Access-Control-Request-Method": "POST"}
    answer = call(api, "OPTIONS", "/tasks", headers=asked)
    assert (answer.status, answer.text) == (204, "")
    assert answer.headers["Access-Control-Allow-Origin"] == PAGE
    assert answer.headers["Access-Control-Allow-Methods"] == "GET, POST"
    closed = call(api, "OPTIONS", "/tasks", headers={**asked, "Origin": "https://evil.example"})
    assert closed.status == 204
    assert not [name for name in closed.headers if name.startswith("Access-Control")]


# ---- open routes that tell more to some


class Unsure:
    """Cannot tell who calls."""

    def __init__(self, error: Exception) -> None:
        self.error = error

    def caller(self, token: str) -> Caller:  # noqa: ARG002
        raise self.error


def who(request: Request) -> Answer[Said]:
    return Answer({"said": "to an admin" if request.is_from_admin else "to anybody"})


def answer_of_open_route(callers: Callable[[], Callers]) -> Answered:
    api = Api(callers)
    api.route("GET", "/health", Permission.OPEN, who, recognises=True)
    return call(api, "GET", "/health", headers={"Authorization": "Bearer token"})


AWAY = [
    BadTokenError("It is expired."),
    RetryLaterError("Try again.", 1),
    EndpointConnectionError(endpoint_url="https://secretsmanager"),
    ClientError({"Error": {"Code": "AccessDeniedException", "Message": ""}}, "GetSecretValue"),
    GetError(cause=EndpointConnectionError(endpoint_url="https://dynamodb")),
]


@pytest.mark.parametrize("error", AWAY, ids=lambda error: type(error).__name__)
def test_an_open_route_answers_while_it_cannot_be_found_out_who_calls(error: Exception) -> None:
    answer = answer_of_open_route(lambda: Unsure(error))
    assert (answer.status, answer.body) == (200, {"said": "to anybody"})


def test_an_open_route_answers_while_the_key_of_tokens_cannot_be_read() -> None:
    def callers() -> Callers:
        raise EndpointConnectionError(endpoint_url="https://secretsmanager")

    assert answer_of_open_route(callers).body == {"said": "to anybody"}


def test_a_fault_of_ours_is_not_taken_for_a_caller_who_is_unknown() -> None:
    assert answer_of_open_route(lambda: Unsure(ValueError("ours"))).status == 500


# ---- the document beside the code


def test_what_was_packaged_goes_before_what_is_checked_in(tmp_path: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / documents.DOCUMENT).write_text('{"paths": {}}')
    monkeypatch.setattr(documents, "PACKAGED", tmp_path)
    assert documents.document() == '{"paths": {}}'
    monkeypatch.setattr(documents, "PACKAGED", tmp_path / "nowhere")
    assert json.loads(documents.document())["openapi"] == "3.1.0"
