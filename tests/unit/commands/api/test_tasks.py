"""Tasks by the write API: who may make and change which, and what is answered."""

import uuid
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any

import pytest

from commands.execution import execute
from domain.monitoring_events import MONITORING_EVENTS, event_id
from domain.monitoring_events import recorded as monitoring_event_recorded
from domain.sources.mapping import MappedEvent, State
from tests.unit.commands.api.calling import TASK, TOMORROW, Call, Store, order

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
