"""The write API, called as API Gateway calls it: who may do what, what is answered, how a refusal looks."""

import base64
import json
import time
import uuid
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

import jwt
import pytest

from commands import api, execution, wiring
from commands.execution import Order, execute
from domain.commit import Commit
from domain.monitoring_events import MONITORING_EVENTS, event_id
from domain.monitoring_events import recorded as monitoring_event_recorded
from domain.permissions import Permission, Role
from domain.sources.mapping import MappedEvent, State
from domain.users import USERS, UserRegistered
from infra import passwords
from infra.event_store import ConflictError, GuardWrite
from infra.memory_event_store import MemoryEventStore
from infra.rest import Route

KEY = "a key of tests that is long enough for HS256"
PASSWORD = "correct horse battery"
NOW = datetime.now(UTC).replace(microsecond=0)
TOMORROW = int((NOW + timedelta(days=1)).timestamp())
TASK = {"title": "Disk full", "description": "The disk of db-1 is full."}


class Store(MemoryEventStore):
    """Breaks, or is always too late, when it is told to."""

    def __init__(self) -> None:
        super().__init__()
        self.fault: Exception | None = None

    def append(self, commit: Commit, guards: Sequence[GuardWrite] = ()) -> None:
        if self.fault:
            raise self.fault
        super().append(commit, guards)

    @property
    def tasks(self) -> list[str]:
        return [stream for stream, commits in self.streams.items() if stream.startswith("task#") and commits]

    def commits(self, task_id: str) -> list[Commit]:
        return list(self.load(f"task#{task_id}"))


class Unthrottled:
    """Lets everybody try as often as they like."""

    def count(self, *attempt: object) -> None:
        """See `LoginThrottle.count`."""

    def give_back(self, *attempt: object) -> None:
        """See `LoginThrottle.give_back`."""


class Guards:
    """Who holds which address."""

    def __init__(self) -> None:
        self.owners: dict[str, str] = {}

    def owner_of_email(self, email: str) -> str | None:
        return self.owners.get(email)


@dataclass(frozen=True)
class Answered:
    status: int
    body: Any
    headers: Mapping[str, str]

    @property
    def faults(self) -> dict[str, str]:
        return {fault["field"]: fault["message"] for fault in self.body["errors"]}

    @property
    def named(self) -> set[str]:
        return set(self.faults)


Call = Callable[..., Answered]


def called(
    method: str, path: str, body: Any = None, *, token: str | None = None, headers: Mapping[str, str] | None = None
) -> Answered:
    """What the function answers to a request; text is sent as it is, anything else as JSON."""
    event = {
        "resource": "/{proxy+}",
        "path": path,
        "httpMethod": method,
        "headers": {**({"Authorization": f"Bearer {token}"} if token else {}), **(headers or {})} or None,
        "multiValueHeaders": None,
        "queryStringParameters": None,
        "multiValueQueryStringParameters": None,
        "pathParameters": {"proxy": path.removeprefix("/")},
        "stageVariables": None,
        "requestContext": {"path": path, "stage": "test", "httpMethod": method, "requestId": "r1"},
        "body": body if isinstance(body, str) or body is None else json.dumps(body),
        "isBase64Encoded": False,
    }
    return answered(api.handler(event, object()))


def answered(answer: dict[str, Any]) -> Answered:
    headers = {name: values[0] for name, values in answer["multiValueHeaders"].items()}
    return Answered(answer["statusCode"], json.loads(answer["body"]), headers)


@pytest.fixture(autouse=True)
def store(monkeypatch: pytest.MonkeyPatch) -> Iterator[Store]:
    """The function as it is deployed, on a store in memory."""
    store = Store()
    monkeypatch.setattr(wiring, "store", lambda: store)
    monkeypatch.setattr(wiring, "secret", lambda _arn, *_age: {"current": KEY})
    monkeypatch.setattr(wiring, "login_throttle", Unthrottled)
    monkeypatch.setattr(api.api, "_callers", wiring.tokens)  # whether tokens were stopped, test_sessions.py looks at
    monkeypatch.setenv("TOKEN_SECRET_ARN", "arn:token")
    monkeypatch.setattr(passwords, "PASSWORD_ROUNDS", 4)
    monkeypatch.setattr(execution, "RETRY_CAP_SECONDS", 0)
    for cached in (wiring.tokens, wiring.warm):
        cached.cache_clear()
    yield store
    for cached in (wiring.tokens, wiring.warm):
        cached.cache_clear()


@pytest.fixture(autouse=True)
def guards(monkeypatch: pytest.MonkeyPatch) -> Guards:
    guards = Guards()
    monkeypatch.setattr(wiring, "guards", lambda: guards)
    return guards


def order(by: str = "system:test") -> Order:
    return Order(by=by, at=NOW, correlation_id="co", causation_id="ca")


@pytest.fixture
def person(store: Store, guards: Guards) -> Callable[..., str]:
    """Registers somebody; returns their id."""

    def register(name: str, role: Role = Role.USER) -> str:
        user_id = str(uuid.uuid4())
        registered = UserRegistered(
            email=f"{name}@example.com",
            full_name=name.title(),
            role=role,
            password_hash=passwords.hashed(PASSWORD),
        )
        execute(store, USERS, user_id, lambda _: [registered], order(), creates=True)
        guards.owners[f"{name}@example.com"] = user_id
        return user_id

    return register


@pytest.fixture
def ada(person: Callable[..., str]) -> str:
    return person("ada")


@pytest.fixture
def bob(person: Callable[..., str]) -> str:
    return person("bob")


@pytest.fixture
def root(person: Callable[..., str]) -> str:
    return person("root", Role.ADMIN)


def token(user_id: str, role: Role = Role.USER) -> str:
    return wiring.tokens().issue(user_id, role, datetime.now(UTC))


@pytest.fixture
def as_ada(ada: str) -> Call:
    return lambda *args, **options: called(*args, token=token(ada), **options)


@pytest.fixture
def as_bob(bob: str) -> Call:
    return lambda *args, **options: called(*args, token=token(bob), **options)


@pytest.fixture
def as_admin(root: str) -> Call:
    return lambda *args, **options: called(*args, token=token(root, Role.ADMIN), **options)


@pytest.fixture
def task_id(as_ada: Call, ada: str) -> str:
    """A task that Ada made for herself."""
    answer = as_ada("POST", "/tasks", {**TASK, "assigned_user_id": ada})
    assert answer.status == 201
    return str(answer.body["id"])


MAPPED = MappedEvent(
    source="aws.guardduty",
    detail_type="GuardDuty Finding",
    account="111122223333",
    region="eu-central-1",
    title="Port probe on i-1",
    text="EC2 instance i-1 is being probed.",
    resource="arn:aws:ec2:eu-central-1:111122223333:instance/i-1",
    severity=4,
    state=State.EVENT,
    fingerprint="f",
    order=1,
    console_url="https://console.aws.amazon.com/",
)


@pytest.fixture
def monitoring_event(store: Store) -> Callable[..., str]:
    """Records a monitoring event with these facts; returns its id."""

    def record(**facts: Any) -> str:
        name = str(uuid.uuid4())
        mapped = MAPPED.model_copy(update=facts)
        event = monitoring_event_recorded({}, mapped, 1_773_130_462, 1_900_000_000)
        execute(store, MONITORING_EVENTS, name, lambda _: [event], order("system:ingest"), creates=True)
        return event_id(1_773_130_462, name)

    return record


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


# ---- reading a request


@pytest.mark.parametrize("body", [None, "", "{", "title=Disk", '{"title": "\\ud800"}', "[" * 5_000])
def test_a_body_that_is_not_json_is_refused(as_ada: Call, store: Store, body: str | None) -> None:
    answer = as_ada("POST", "/tasks", body)
    assert (answer.status, answer.body["detail"]) == (400, "The body is not JSON.")
    assert answer.headers["Content-Type"] == "application/problem+json"
    assert store.tasks == []


@pytest.mark.parametrize("body", ["null", "[]", "7", '"text"'])
def test_a_body_that_is_no_object_is_refused_as_a_whole(as_ada: Call, body: str) -> None:
    answer = as_ada("POST", "/tasks", body)
    assert (answer.status, answer.faults) == (422, {"body": "should be an object"})


@pytest.mark.parametrize(
    ("body", "named"),
    [
        ({}, {"title", "description"}),
        ({"title": "ab", "description": "too short"}, {"title", "description"}),
        (
            {**TASK, "priority": "urgent", "due_date": "tomorrow", "assigned_user_id": ""},
            {"priority", "due_date", "assigned_user_id"},
        ),
        ({**TASK, "titel": "Disk full"}, {"titel"}),
        ({**TASK, "status": "closed", "created_by": "root"}, {"status", "created_by"}),
        ({**TASK, "due_date": 1}, {"due_date"}),
    ],
)
def test_a_body_that_breaks_the_rules_is_refused_by_the_name_of_each_field(
    as_admin: Call, store: Store, body: dict[str, Any], named: set[str]
) -> None:
    answer = as_admin("POST", "/tasks", body)
    assert (answer.status, answer.named) == (422, named)
    assert all(message and "pydantic" not in message for message in answer.faults.values())
    assert store.tasks == []


def test_a_refusal_is_a_problem_as_rfc_9457_has_it(as_admin: Call) -> None:
    answer = as_admin("POST", "/tasks", {**TASK, "title": "ab"})
    assert answer.headers["Content-Type"] == "application/problem+json"
    assert answer.body == {
        "type": "about:blank",
        "title": "Some fields are not valid",
        "status": 422,
        "detail": "title: String should have at least 3 characters",
        "errors": [{"field": "title", "message": "String should have at least 3 characters"}],
    }


def test_a_body_may_come_in_base64(root: str) -> None:
    event = {
        "path": "/tasks",
        "httpMethod": "POST",
        "headers": {"Authorization": f"Bearer {token(root, Role.ADMIN)}"},
        "requestContext": {},
        "body": base64.b64encode(json.dumps(TASK).encode()).decode(),
        "isBase64Encoded": True,
    }
    assert answered(api.handler(dict(event), object())).status == 201
    assert answered(api.handler({**event, "body": "%%%"}, object())).status == 400


# ---- creating a task


def test_a_new_task_is_answered_as_a_get_would_show_it(as_ada: Call, ada: str) -> None:
    before = int(datetime.now(UTC).timestamp())
    answer = as_ada("POST", "/tasks", {**TASK, "priority": "high", "assigned_user_id": ada, "due_date": TOMORROW})
    assert answer.status == 201
    assert answer.body == {
        "id": answer.body["id"],
        "title": "Disk full",
        "description": "The disk of db-1 is full.",
        "status": "open",
        "priority": "high",
        "assigned_user": {"id": ada, "name": None},
        "event_id": None,
        "alert_id": None,
        "event_details": None,
        "due_date": TOMORROW,
        "created_at": answer.body["created_at"],
        "updated_at": answer.body["created_at"],
        "created_by": ada,
        "closed_at": None,
        "comment_count": 0,
        "comments": [],
    }
    assert before <= answer.body["created_at"] <= datetime.now(UTC).timestamp()


def test_a_new_task_says_where_it_is_and_in_which_version(as_admin: Call) -> None:
    answer = as_admin("POST", "/tasks", TASK)
    assert answer.headers["Location"] == f"/tasks/{answer.body['id']}"
    assert answer.headers["ETag"] == '"1"'
    assert answer.headers["Content-Type"] == "application/json"
    assert answer.headers["Cache-Control"] == "no-store"


def test_what_is_stored_says_who_made_it_and_in_which_request(as_ada: Call, ada: str, store: Store) -> None:
    body = {**TASK, "assigned_user_id": ada}
    answer = as_ada("POST", "/tasks", body, headers={"X-Correlation-Id": "req-1"})
    (commit,) = store.commits(answer.body["id"])
    assert (commit.by, commit.correlation_id, commit.causation_id) == (ada, "req-1", "api:req-1")


def test_a_user_makes_tasks_for_themselves_only(as_ada: Call, ada: str, bob: str, store: Store) -> None:
    for body in (TASK, {**TASK, "assigned_user_id": bob}, {**TASK, "assigned_user_id": "nobody"}):
        answer = as_ada("POST", "/tasks", body)
        assert (answer.status, answer.body["title"]) == (403, "Not allowed")
        assert answer.headers["Content-Type"] == "application/problem+json"
    assert store.tasks == []
    assert as_ada("POST", "/tasks", {**TASK, "assigned_user_id": ada}).status == 201


def test_an_admin_makes_tasks_for_anybody_and_for_nobody(as_admin: Call, bob: str) -> None:
    assert as_admin("POST", "/tasks", TASK).body["assigned_user"] is None
    assert as_admin("POST", "/tasks", {**TASK, "assigned_user_id": bob}).body["assigned_user"]["id"] == bob


def test_an_assignee_has_to_exist(as_admin: Call, store: Store) -> None:
    answer = as_admin("POST", "/tasks", {**TASK, "assigned_user_id": str(uuid.uuid4())})
    assert (answer.status, answer.faults) == (422, {"assigned_user_id": "is not an active user"})
    assert store.tasks == []


# ---- creating a task from a monitoring event


@pytest.mark.parametrize("body", [{}, None, ""])
def test_a_task_from_an_event_takes_everything_from_it(
    as_admin: Call, monitoring_event: Callable[..., str], body: Any
) -> None:
    event = monitoring_event()
    answer = as_admin("POST", f"/events/{event}/create-task", body)
    assert (answer.status, answer.headers["Location"]) == (201, f"/tasks/{answer.body['id']}")
    assert answer.body["title"] == "Port probe on i-1"
    assert answer.body["description"] == (
        "aws.guardduty: GuardDuty Finding, severity 4.\n\nEC2 instance i-1 is being probed."
    )
    assert (answer.body["priority"], answer.body["status"], answer.body["event_id"]) == ("critical", "open", event)
    assert answer.body["event_details"] == {
        "source": "aws.guardduty",
        "detail_type": "GuardDuty Finding",
        "title": "Port probe on i-1",
        "severity": 4,
        "account": "111122223333",
        "region": "eu-central-1",
        "resource": "arn:aws:ec2:eu-central-1:111122223333:instance/i-1",
        "console_url": "https://console.aws.amazon.com/",
        "published_at": 1_773_130_462,
    }


def test_what_is_sent_goes_before_what_the_event_says(
    as_admin: Call, monitoring_event: Callable[..., str], bob: str
) -> None:
    sent = {"title": "Close it", "description": "Close the port.", "priority": "low", "due_date": TOMORROW}
    answer = as_admin("POST", f"/events/{monitoring_event()}/create-task", {**sent, "assigned_user_id": bob})
    assert {name: answer.body[name] for name in sent} == sent
    assert answer.body["assigned_user"]["id"] == bob


@pytest.mark.parametrize("title", ["", "x", "\x00\x07", "two\nlines", "y" * 300])
def test_an_event_with_an_odd_title_can_be_made_a_task(
    as_admin: Call, monitoring_event: Callable[..., str], title: str
) -> None:
    answer = as_admin("POST", f"/events/{monitoring_event(title=title, text=None)}/create-task", {})
    assert answer.status == 201
    assert 3 <= len(answer.body["title"]) <= 200


def test_a_user_makes_tasks_from_events_for_themselves_only(
    as_ada: Call, ada: str, monitoring_event: Callable[..., str]
) -> None:
    path = f"/events/{monitoring_event()}/create-task"
    assert as_ada("POST", path, {}).status == 403
    assert as_ada("POST", path, {"assigned_user_id": ada}).status == 201


@pytest.mark.parametrize(
    "name", ["nonsense", f"1773130462-{uuid.UUID(int=9)}", f"-{uuid.UUID(int=9)}", str(uuid.UUID(int=9))]
)
def test_an_event_that_does_not_exist_is_not_found(as_admin: Call, name: str, store: Store) -> None:
    answer = as_admin("POST", f"/events/{name}/create-task", {})
    assert (answer.status, answer.body["title"]) == (404, "Not found")
    assert store.tasks == []


def test_an_event_is_found_by_its_whole_id_only(as_admin: Call, monitoring_event: Callable[..., str]) -> None:
    _, _, name = monitoring_event().partition("-")
    assert as_admin("POST", f"/events/1773130463-{name}/create-task", {}).status == 404


def test_a_field_that_breaks_a_rule_is_named_here_too(as_admin: Call, monitoring_event: Callable[..., str]) -> None:
    answer = as_admin("POST", f"/events/{monitoring_event()}/create-task", {"title": "ab", "severity": 5})
    assert (answer.status, answer.named) == (422, {"title", "severity"})


# ---- changing a task


def test_a_task_is_started_closed_and_reopened(as_ada: Call, task_id: str) -> None:
    path = f"/tasks/{task_id}/status"
    started = as_ada("PUT", path, {"status": "in_progress"})
    assert (started.status, started.headers["ETag"], started.body["status"]) == (200, '"2"', "in_progress")
    closed = as_ada("PUT", path, {"status": "closed"})
    assert (closed.headers["ETag"], closed.body["closed_at"]) == ('"3"', closed.body["updated_at"])
    reopened = as_ada("PUT", path, {"status": "in_progress"})
    assert (reopened.headers["ETag"], reopened.body["closed_at"]) == ('"4"', None)


def test_an_illegal_change_of_status_is_a_conflict_that_says_what_is_possible(as_ada: Call, task_id: str) -> None:
    answer = as_ada("PUT", f"/tasks/{task_id}/status", {"status": "closed"})
    assert (answer.status, answer.headers["Content-Type"]) == (409, "application/problem+json")
    assert answer.body["detail"] == "A task that is open can become in_progress, not closed."


@pytest.mark.parametrize("body", [{}, {"status": "done"}, {"status": None}, {"status": ["open"]}])
def test_an_unknown_status_is_refused_by_name(as_ada: Call, task_id: str, body: dict[str, Any]) -> None:
    answer = as_ada("PUT", f"/tasks/{task_id}/status", body)
    assert (answer.status, answer.named) == (422, {"status"})


def test_the_status_that_it_has_already_changes_nothing(as_ada: Call, task_id: str, store: Store) -> None:
    answer = as_ada("PUT", f"/tasks/{task_id}/status", {"status": "open"})
    assert (answer.status, answer.headers["ETag"]) == (200, '"1"')
    assert len(store.commits(task_id)) == 1


def test_details_that_are_sent_change_and_the_others_stay(as_ada: Call, ada: str, task_id: str) -> None:
    answer = as_ada("PUT", f"/tasks/{task_id}", {"title": "Disk nearly full", "due_date": TOMORROW})
    assert (answer.status, answer.headers["ETag"]) == (200, '"2"')
    assert (answer.body["title"], answer.body["due_date"]) == ("Disk nearly full", TOMORROW)
    assert (answer.body["description"], answer.body["assigned_user"]["id"]) == (TASK["description"], ada)
    cleared = as_ada("PUT", f"/tasks/{task_id}", {"due_date": None, "assigned_user_id": None})
    assert (cleared.body["due_date"], cleared.body["assigned_user"], cleared.headers["ETag"]) == (None, None, '"4"')


def test_null_for_what_every_task_has_is_refused_by_name(as_ada: Call, task_id: str) -> None:
    answer = as_ada("PUT", f"/tasks/{task_id}", {"title": None, "priority": None})
    assert (answer.status, answer.faults) == (422, {"title": "cannot be null", "priority": "cannot be null"})


def test_a_task_is_assigned_to_somebody_who_exists(as_ada: Call, bob: str, task_id: str) -> None:
    assert as_ada("PUT", f"/tasks/{task_id}", {"assigned_user_id": bob}).body["assigned_user"]["id"] == bob
    refused = as_ada("PUT", f"/tasks/{task_id}", {"assigned_user_id": "nobody"})
    assert (refused.status, refused.faults) == (422, {"assigned_user_id": "is not an active user"})


def test_a_comment_is_answered_with_its_author_and_time(as_ada: Call, ada: str, task_id: str) -> None:
    answer = as_ada("POST", f"/tasks/{task_id}/comments", {"comment": " Looking at it. "})
    assert (answer.status, answer.headers["ETag"]) == (201, '"2"')
    assert answer.body == {
        "id": answer.body["id"],
        "user_id": ada,
        "user_name": None,
        "comment": "Looking at it.",
        "created_at": answer.body["created_at"],
    }
    assert as_ada("PUT", f"/tasks/{task_id}/status", {"status": "open"}).body["comments"] == [answer.body]


@pytest.mark.parametrize("comment", ["", "  ", "x" * 5001, 7, None, "bell\x07"])
def test_a_comment_that_is_none_is_refused_by_name(as_ada: Call, task_id: str, comment: Any) -> None:
    answer = as_ada("POST", f"/tasks/{task_id}/comments", {"comment": comment})
    assert (answer.status, answer.named) == (422, {"comment"})


CHANGES = [
    ("PUT", "", {"title": "Another title"}),
    ("PUT", "/status", {"status": "in_progress"}),
    ("POST", "/comments", {"comment": "Hello?"}),
]


@pytest.mark.parametrize(("method", "below", "body"), CHANGES)
def test_a_task_that_does_not_exist_and_one_that_is_anothers_get_the_same_answer(
    as_bob: Call, task_id: str, method: str, below: str, body: Any
) -> None:
    theirs = as_bob(method, f"/tasks/{task_id}{below}", body)
    none = as_bob(method, f"/tasks/{uuid.uuid4()}{below}", body)
    assert (theirs.status, theirs.body) == (none.status, none.body) == (404, theirs.body)
    assert theirs.headers["Content-Type"] == "application/problem+json"


@pytest.mark.parametrize(("method", "below", "body"), CHANGES)
def test_an_admin_changes_everybodys_tasks(as_admin: Call, task_id: str, method: str, below: str, body: Any) -> None:
    assert as_admin(method, f"/tasks/{task_id}{below}", body).status in {200, 201}


@pytest.mark.parametrize(("method", "below", "body"), CHANGES)
def test_the_assignee_of_a_task_changes_it_like_its_creator(  # noqa: PLR0917 - fixtures
    as_admin: Call, as_bob: Call, bob: str, method: str, below: str, body: Any
) -> None:
    task = as_admin("POST", "/tasks", {**TASK, "assigned_user_id": bob}).body["id"]
    assert as_bob(method, f"/tasks/{task}{below}", body).status in {200, 201}


@pytest.mark.parametrize("name", ["x", "1", "a b", "%00", "..", "x" * 300])
def test_what_is_no_id_is_not_found(as_admin: Call, name: str) -> None:
    assert as_admin("PUT", f"/tasks/{name}/status", {"status": "open"}).status == 404


# ---- idempotency


def keyed(key: str) -> dict[str, dict[str, str]]:
    return {"headers": {"Idempotency-Key": key}}


def test_a_repeat_of_a_create_gets_the_first_answer_and_appends_nothing(as_admin: Call, store: Store) -> None:
    first = as_admin("POST", "/tasks", TASK, **keyed("k1"))
    again = as_admin("POST", "/tasks", dict(reversed(TASK.items())), **keyed("k1"))
    assert (first.status, again.status) == (201, 201)
    assert again.body == first.body
    assert [again.headers[name] for name in ("Location", "ETag")] == [
        first.headers[name] for name in ("Location", "ETag")
    ]
    assert len(store.tasks) == 1


def test_a_repeat_of_a_create_is_answered_as_it_was_then_although_the_task_went_on(as_admin: Call) -> None:
    first = as_admin("POST", "/tasks", TASK, **keyed("k1"))
    as_admin("PUT", f"/tasks/{first.body['id']}/status", {"status": "in_progress"})
    again = as_admin("POST", "/tasks", TASK, **keyed("k1"))
    assert (again.body["status"], again.headers["ETag"]) == ("open", '"1"')


def test_a_repeat_of_a_comment_says_it_once(as_ada: Call, task_id: str, store: Store) -> None:
    first = as_ada("POST", f"/tasks/{task_id}/comments", {"comment": "Once."}, **keyed("k1"))
    as_ada("POST", f"/tasks/{task_id}/comments", {"comment": "Another."}, **keyed("k2"))
    again = as_ada("POST", f"/tasks/{task_id}/comments", {"comment": "Once."}, **keyed("k1"))
    assert (again.body, again.headers["ETag"]) == (first.body, '"2"')
    assert len(store.commits(task_id)) == 3


def test_a_repeat_of_a_change_of_status_is_no_conflict(as_ada: Call, task_id: str) -> None:
    path = f"/tasks/{task_id}/status"
    first = as_ada("PUT", path, {"status": "in_progress"}, **keyed("k1"))
    as_ada("PUT", path, {"status": "closed"}, **keyed("k2"))
    again = as_ada("PUT", path, {"status": "in_progress"}, **keyed("k1"))
    assert (again.status, again.body) == (200, first.body)


def test_a_key_with_another_body_is_refused(as_admin: Call, task_id: str, store: Store) -> None:
    as_admin("POST", "/tasks", TASK, **keyed("k1"))
    as_admin("POST", f"/tasks/{task_id}/comments", {"comment": "One."}, **keyed("k1"))
    for path, body in (("/tasks", {**TASK, "title": "Other"}), (f"/tasks/{task_id}/comments", {"comment": "Two."})):
        answer = as_admin("POST", path, body, **keyed("k1"))
        assert (answer.status, answer.body["title"]) == (422, "Idempotency-Key reused")
    assert len(store.tasks) == 2
    assert len(store.commits(task_id)) == 2


def test_a_key_is_its_senders_own(as_ada: Call, ada: str, as_bob: Call, bob: str, store: Store) -> None:
    mine = as_ada("POST", "/tasks", {**TASK, "assigned_user_id": ada}, **keyed("k1"))
    yours = as_bob("POST", "/tasks", {**TASK, "assigned_user_id": bob}, **keyed("k1"))
    assert (mine.status, yours.status) == (201, 201)
    assert len(store.tasks) == 2


def test_a_key_is_its_routes_own(as_ada: Call, task_id: str) -> None:
    started = as_ada("PUT", f"/tasks/{task_id}/status", {"status": "in_progress"}, **keyed("k1"))
    renamed = as_ada("PUT", f"/tasks/{task_id}", {"title": "Another title"}, **keyed("k1"))
    assert (started.status, renamed.status, renamed.body["title"]) == (200, 200, "Another title")


def test_without_a_key_the_same_request_makes_two_tasks(as_admin: Call, store: Store) -> None:
    for _ in range(2):
        as_admin("POST", "/tasks", TASK)
    assert len(store.tasks) == 2


@pytest.mark.parametrize("key", ["", "x" * 201, "tab\there", "ü"])
def test_a_key_that_is_none_is_refused_by_name(as_admin: Call, key: str, store: Store) -> None:
    answer = as_admin("POST", "/tasks", TASK, **keyed(key))
    assert (answer.status, answer.named) == (422, {"Idempotency-Key"})
    assert store.tasks == []


def test_a_refused_request_does_not_use_up_its_key(as_admin: Call) -> None:
    assert as_admin("POST", "/tasks", {**TASK, "title": "ab"}, **keyed("k1")).status == 422
    assert as_admin("POST", "/tasks", TASK, **keyed("k1")).status == 201


# ---- correlation


@pytest.mark.parametrize("status", [201, 400])
def test_the_clients_correlation_id_comes_back(as_admin: Call, status: int) -> None:
    body = TASK if status == 201 else "{"
    answer = as_admin("POST", "/tasks", body, headers={"x-correlation-id": "Run-7.a:b_c"})
    assert (answer.status, answer.headers["X-Correlation-Id"]) == (status, "Run-7.a:b_c")


@pytest.mark.parametrize("given", [None, "", "two words", "line\nbreak", "x" * 101, "ü", '{"a":1}'])
def test_without_a_usable_one_there_is_a_new_correlation_id(as_admin: Call, given: str | None) -> None:
    headers = {} if given is None else {"X-Correlation-Id": given}
    first, second = (as_admin("POST", "/tasks", TASK, headers=headers).headers["X-Correlation-Id"] for _ in range(2))
    assert uuid.UUID(first).version == 7
    assert first != second


# ---- faults of ours


def test_a_fault_of_ours_is_answered_without_any_inner_detail(as_admin: Call, store: Store) -> None:
    store.fault = RuntimeError("the table events-1a2b in account 111122223333 has a problem")
    answer = as_admin("POST", "/tasks", TASK, headers={"X-Correlation-Id": "req-1"})
    assert (answer.status, answer.headers["Content-Type"]) == (500, "application/problem+json")
    assert answer.headers["X-Correlation-Id"] == "req-1"
    assert answer.body["title"] == "Internal error"
    told = json.dumps([answer.body, dict(answer.headers)])
    assert not any(word in told for word in ("events-1a2b", "111122223333", "RuntimeError", "Traceback"))


def test_a_task_that_others_change_all_the_time_is_a_conflict_to_be_tried_again(
    as_ada: Call, task_id: str, store: Store
) -> None:
    store.fault = ConflictError("version 2 of task#… is taken")
    answer = as_ada("POST", f"/tasks/{task_id}/comments", {"comment": "Hello?"})
    assert (answer.status, answer.headers["Retry-After"]) == (409, "1")
    assert answer.body["detail"] == "Others changed this at the same time; try again."
