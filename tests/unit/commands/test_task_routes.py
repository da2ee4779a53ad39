"""Deleting tasks, and changing them only as they were read (`If-Match`)."""

import uuid
from typing import Any

import pytest

from commands import api, wiring
from domain.decider import fold
from domain.tasks import TASKS
from infra.history import WarmHistories
from infra.memory_event_store import MemoryEventStore
from tests.unit.commands.write_api import Answered, Tokens, called

ADA = "user/ada"
NEW = {"title": "Disk full", "description": "The disk of db-1 is full.", "assigned_user_id": "ada"}


def forget(monkeypatch: pytest.MonkeyPatch) -> None:
    """As in a new process."""
    warm = WarmHistories()
    monkeypatch.setattr(wiring, "warm", lambda: warm)


@pytest.fixture(autouse=True)
def store(monkeypatch: pytest.MonkeyPatch) -> MemoryEventStore:
    """The function as it is deployed, on a store in memory."""
    store = MemoryEventStore()
    monkeypatch.setattr(wiring, "store", lambda: store)
    monkeypatch.setattr(api.api, "_callers", Tokens)
    forget(monkeypatch)
    return store


@pytest.fixture
def path() -> str:
    """A task that Ada made for herself, at version 2."""
    task_id = called("POST", "/tasks", NEW, caller=ADA).body["id"]
    assert called("PUT", f"/tasks/{task_id}/status", {"status": "in_progress"}, caller=ADA).status == 200
    return f"/tasks/{task_id}"


# ---- deleting


def test_a_deleted_task_answers_nothing_and_names_its_version(path: str, store: MemoryEventStore) -> None:
    answer = called("DELETE", path)

    stream = f"task#{path.removeprefix('/tasks/')}"
    assert (answer.status, answer.body, answer.headers["Stream-Version"]) == (204, None, f"{stream}@3")
    state = fold(TASKS, store.load(stream))
    assert state is not None
    assert state.is_deleted


COMMANDS: list[tuple[str, str, Any]] = [
    ("PUT", "", {"title": "Another title"}),
    ("PUT", "/status", {"status": "closed"}),
    ("PUT", "/status", {"status": "in_progress"}),
    ("POST", "/comments", {"comment": "Hello?"}),
    ("DELETE", "", None),
]


@pytest.mark.parametrize(("method", "below", "body"), COMMANDS)
@pytest.mark.parametrize("warm", [True, False])
def test_every_command_to_a_deleted_task_is_answered_as_if_there_were_none(
    path: str, method: str, below: str, body: Any, monkeypatch: pytest.MonkeyPatch, *, warm: bool
) -> None:
    called("DELETE", path)
    if not warm:
        forget(monkeypatch)

    gone = called(method, f"{path}{below}", body)
    none = called(method, f"/tasks/{uuid.uuid4()}{below}", body)

    assert (gone.status, gone.body) == (none.status, none.body) == (404, none.body)


def test_only_an_admin_deletes(path: str) -> None:
    assert called("DELETE", path, caller=ADA).status == 403
    assert called("PUT", f"{path}/status", {"status": "open"}, caller=ADA).status == 200


def test_a_repeat_of_a_deletion_gets_the_first_answer(path: str) -> None:
    first, again = (called("DELETE", path, Idempotency_Key="k") for _ in range(2))

    assert (first.status, again.status) == (204, 204)
    assert first.headers["Stream-Version"] == again.headers["Stream-Version"]
    assert called("DELETE", path, Idempotency_Key="other").status == 404


def test_a_repeat_of_what_was_done_before_the_deletion_gets_its_answer_of_then() -> None:
    created = called("POST", "/tasks", NEW, caller=ADA, Idempotency_Key="k")
    called("DELETE", f"/tasks/{created.body['id']}")

    again = called("POST", "/tasks", NEW, caller=ADA, Idempotency_Key="k")

    assert (again.status, again.body) == (201, created.body)


def test_a_deletion_may_be_bound_to_the_version_that_was_read(path: str) -> None:
    assert called("DELETE", path, If_Match='"1"').status == 412
    assert called("DELETE", path, If_Match='"2"').status == 204


# ---- If-Match


@pytest.mark.parametrize("if_match", ['"7"', "no tag"])
def test_it_says_nothing_where_no_one_thing_is_changed(if_match: str) -> None:
    assert called("POST", "/tasks", NEW, caller=ADA, If_Match=if_match).status == 201


def changed(path: str, if_match: str | None, caller: str = ADA) -> Answered:
    headers = {} if if_match is None else {"If_Match": if_match}
    return called("PUT", path, {"title": "Disk nearly full"}, caller=caller, **headers)


@pytest.mark.parametrize("if_match", [None, "*", " * ", '"2"', '"1", "2"', '"1","2" ', '"abc", "2"', 'W/"9", "2"'])
def test_a_change_of_the_version_that_was_read_goes_through(path: str, if_match: str | None) -> None:
    answer = changed(path, if_match)

    assert (answer.status, answer.headers["ETag"]) == (200, '"3"')


@pytest.mark.parametrize("if_match", ['"1"', '"3"', '"1", "3"', 'W/"2"', '"abc"', '""', '"02x"', f'"{"9" * 40}"'])
def test_a_change_of_another_version_is_refused_and_says_which_it_is(
    path: str, if_match: str, store: MemoryEventStore
) -> None:
    answer = changed(path, if_match)

    assert (answer.status, answer.body["title"]) == (412, "Changed meanwhile")
    assert "version 2" in answer.body["detail"]
    assert answer.headers["Content-Type"] == "application/problem+json"
    assert sum(commit.count for commit in store.load(f"task#{path.removeprefix('/tasks/')}")) == 2


@pytest.mark.parametrize("if_match", ["", "2", '"2', "2, 3", '"2" "3"', 'w/"2"', '"2",', '"ü"', "**"])
def test_what_is_no_entity_tag_is_refused(path: str, if_match: str) -> None:
    answer = changed(path, if_match)

    assert (answer.status, answer.body["title"]) == (400, "Unreadable request")


def test_that_somebody_was_faster_goes_before_what_the_rules_say(path: str) -> None:
    """The client meant another state: that its command does not fit this one is no news to it."""
    illegal = {"status": "open"}
    called("PUT", f"{path}/status", {"status": "closed"}, caller=ADA)

    assert called("PUT", f"{path}/status", illegal, caller=ADA, If_Match='"2"').status == 412
    assert called("PUT", f"{path}/status", illegal, caller=ADA, If_Match='"3"').status == 409
    assert called("PUT", path, {"title": None}, caller=ADA, If_Match='"2"').status == 412
    assert called("PUT", path, {"title": None}, caller=ADA, If_Match='"3"').status == 422


def test_who_may_not_see_a_task_learns_no_version(path: str) -> None:
    theirs = changed(path, '"7"', caller="user/bob")
    none = changed(f"/tasks/{uuid.uuid4()}", '"7"', caller="user/bob")

    assert (theirs.status, theirs.body) == (none.status, none.body) == (404, none.body)


def test_a_command_that_would_change_nothing_is_bound_to_its_version_too(path: str) -> None:
    same = {"status": "in_progress"}

    assert called("PUT", f"{path}/status", same, caller=ADA, If_Match='"1"').status == 412
    assert called("PUT", f"{path}/status", same, caller=ADA, If_Match='"2"').status == 200


def test_a_repeat_is_answered_although_its_version_is_past(path: str) -> None:
    comment = {"comment": "Noted."}
    first, again = (
        called("POST", f"{path}/comments", comment, caller=ADA, If_Match='"2"', Idempotency_Key="k") for _ in range(2)
    )

    assert (first.status, again.status, again.body) == (201, 201, first.body)


def test_a_process_that_knows_an_older_version_looks_again_before_it_refuses(
    path: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    knows_version_2, another = wiring.warm(), WarmHistories()
    monkeypatch.setattr(wiring, "warm", lambda: another)
    called("PUT", f"{path}/status", {"status": "closed"}, caller=ADA)
    monkeypatch.setattr(wiring, "warm", lambda: knows_version_2)

    assert changed(path, '"3"').status == 200
