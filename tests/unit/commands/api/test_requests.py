"""How the write API reads a request, answers a repeated one, and tells of a fault."""

import base64
import json
import uuid
from typing import Any

import pytest

from commands import api
from domain.permissions import Role
from infra.event_store import ConflictError
from tests.unit.commands.api.calling import TASK, Call, Store, answered, token

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
