"""Tasks on the read side: whose lists show them, one task with its comments, its history, and when it is deleted."""

import json
from collections.abc import Callable, Mapping
from datetime import timedelta
from typing import TYPE_CHECKING, Any

import pytest

from domain.tasks import (
    Priority,
    Status,
    TaskAssigned,
    TaskCommented,
    TaskDeleted,
    TaskDetailsChanged,
    TaskStatusChanged,
)
from tests.integration.read_api import Api, directions, ids, turned
from tests.integration.task_lists import details

if TYPE_CHECKING:
    from tests.integration.conftest import Calls


# ---- lists


def owned_by(person: str) -> list[str]:
    """The office's tasks that a person created or has, newest first."""
    who = [("ann", "bob", "cat")[number % 3] for number in range(12)]
    assigned = [(None, "ann", "bob", who[number])[number % 4] for number in range(12)]
    return [f"{number:02}" for number in reversed(range(12)) if person in {who[number], assigned[number]}]


def test_an_admin_sees_every_task_once_whatever_its_state(office: Api, subtests: pytest.Subtests) -> None:
    newest_first = [f"{number:02}" for number in reversed(range(12))]
    for direction, query in directions(1, 5, 12, 13):
        with subtests.test(**query):
            pages = office.walk("/tasks", **query)

            assert ids(pages) == turned(newest_first, direction)
            assert all(len(page) == int(query["limit"]) for page in pages[:-1])


@pytest.mark.parametrize("person", ["ann", "bob", "cat"])
def test_a_user_sees_the_tasks_they_created_or_have_each_once(
    office: Api, person: str, subtests: pytest.Subtests
) -> None:
    for direction, query in directions(1, 2, 3, 50):
        with subtests.test(**query):
            pages = office.walk("/tasks", person, **query)

            assert ids(pages) == turned(owned_by(person), direction)
            assert all(len(page) == int(query["limit"]) for page in pages[:-1])


def test_a_task_follows_its_assignment(office: Api) -> None:
    office.history.task("moved", by="cat", assigned_user_id="ann")
    office.project()
    assert "moved" in ids(office.walk("/tasks", "ann"))

    office.history.append("task#moved", TaskAssigned(user_id="bob", previous_user_id="ann"))
    office.project()

    assert "moved" not in ids(office.walk("/tasks", "ann"))
    assert "moved" in ids(office.walk("/tasks", "bob"))
    assert "moved" in ids(office.walk("/tasks", "cat"))


def test_a_cursor_of_ones_own_tasks_is_of_no_use_to_others(office: Api) -> None:
    cursor = office.get("/tasks", "ann", limit="1").body["next"]

    assert office.get("/tasks", "bob", cursor=cursor).status == 422
    assert office.get("/tasks", "admin", cursor=cursor).status == 422


def test_a_list_shows_the_names_of_those_who_have_the_tasks(office: Api) -> None:
    office.history.task("x", assigned_user_id="nobody-we-know")
    office.project()

    shown = {task["id"]: task["assigned_user"] for task in office.walk("/tasks")[0]}

    assert shown["01"] == {"id": "ann", "name": "Ann Example"}
    assert shown["00"] is None
    assert shown["x"] == {"id": "nobody-we-know", "name": None}


def test_a_task_is_shown_with_its_comments_and_names(office: Api) -> None:
    due = office.history.now + timedelta(days=1)
    office.history.task("t", title="The title", by="cat", assigned_user_id="bob", due_date=due)
    for place, who in enumerate(["ann", "bob", "cat"] * 4):
        office.history.append("task#t", TaskCommented(comment_id=f"c{place}", comment=f"Said {place}."), by=who)
    office.project()

    answered = office.get("/tasks/t", "bob")

    assert answered.status == 200
    assert answered.headers["ETag"] == '"13"'
    assert answered.body["title"] == "The title"
    assert answered.body["created_by"] == "cat"
    assert answered.body["assigned_user"] == {"id": "bob", "name": "Bob Example"}
    assert answered.body["due_date"] == int(due.timestamp())
    assert answered.body["comment_count"] == 12
    assert [said["comment"] for said in answered.body["comments"]] == [f"Said {place}." for place in range(12)]
    assert [said["user_name"] for said in answered.body["comments"][:3]] == ["Ann Example", "Bob Example", None]
    assert office.get("/tasks/t", "admin").body == answered.body


def test_what_the_system_says_and_does_by_itself_has_its_name(office: Api) -> None:
    office.history.task("t", by="ann")
    said = TaskCommented(comment_id="c", comment="The alert opened again.")
    office.history.append("task#t", said, by="system:reactions")
    office.project()

    (comment,) = office.get("/tasks/t", "ann").body["comments"]
    actors = [step["actor"] for step in office.get("/tasks/t/history", "ann").body["items"]]

    assert (comment["user_id"], comment["user_name"]) == ("system:reactions", "opsledger")
    assert actors == [{"id": "ann", "name": "Ann Example"}, {"id": "system:reactions", "name": "opsledger"}]


@pytest.mark.parametrize("suffix", ["", "/history"])
def test_anothers_task_is_not_found_and_not_told_apart_from_none(office: Api, suffix: str) -> None:
    another = office.get(f"/tasks/00{suffix}", "bob")
    none = office.get(f"/tasks/99{suffix}", "bob")

    assert office.get(f"/tasks/00{suffix}", "ann").status == 200
    assert another.status == none.status == 404
    assert another.body == none.body


ODD_TASK_IDS = ["-1", "1" * 40, "1" * 5_000, "\u00e4" * 2_000, "task", "a b", "task%231", "~", "comment", "..", "#"]


def test_an_id_of_no_task_is_not_found(office: Api, calls: "Calls", subtests: pytest.Subtests) -> None:
    for odd in ODD_TASK_IDS:
        for suffix in ("", "/history"):
            with subtests.test(odd=odd[:50], suffix=suffix):
                assert office.get(f"/tasks/{odd}{suffix}").status == 404
    # DynamoDB, unlike its double, refuses a partition key of more than 2,048 bytes.
    assert all(len(json.dumps(request, ensure_ascii=False, default=str).encode()) < 2_048 for _, request in calls)


# ---- history


@pytest.fixture
def worked(office: Api) -> Api:
    """A task with seven steps, two of them in one commit."""
    office.history.task("w", by="ann")
    office.history.append("task#w", TaskStatusChanged(old=Status.OPEN, new=Status.IN_PROGRESS), by="bob")
    said = TaskCommented(comment_id="c", comment="Noted.")
    office.history.append("task#w", TaskAssigned(user_id="bob"), said, by="admin")
    details = TaskDetailsChanged(title="Another", description="Another description", priority=Priority.LOW)
    office.history.append("task#w", details, by="ann")
    office.history.append("task#w", said, by="system:scheduler")
    office.history.append("task#w", TaskStatusChanged(old=Status.IN_PROGRESS, new=Status.CLOSED), by="bob")
    office.project()
    return office


def test_the_history_tells_every_step_with_its_actor_and_time(worked: Api) -> None:
    steps = worked.get("/tasks/w/history", "ann").body["items"]

    assert [(step["version"], step["type"], step["actor"]["id"], step["actor"]["name"]) for step in steps] == [
        (1, "task.created", "ann", "Ann Example"),
        (2, "task.status-changed", "bob", "Bob Example"),
        (3, "task.assigned", "admin", "The Admin"),
        (4, "task.commented", "admin", "The Admin"),
        (5, "task.details-changed", "ann", "Ann Example"),
        (6, "task.commented", "system:scheduler", "opsledger"),
        (7, "task.status-changed", "bob", "Bob Example"),
    ]
    commits = [commit for commit in worked.history.commits if commit.stream == "task#w"]
    times = [int(commit.at.timestamp()) for commit in commits for _ in range(commit.count)]
    assert [step["at"] for step in steps] == times
    assert steps[1]["changes"] == {"old": "open", "new": "in_progress"}


def test_walking_the_history_gives_each_step_once(worked: Api, subtests: pytest.Subtests) -> None:
    for direction, query in directions(1, 2, 3, 6, 7, 8):
        with subtests.test(**query):
            pages = worked.walk("/tasks/w/history", **query)

            assert [step["version"] for page in pages for step in page] == turned(range(7, 0, -1), direction)
            assert all(len(page) == int(query["limit"]) for page in pages[:-1])
            assert pages[-1]


def test_the_history_comes_oldest_first_unless_asked_otherwise(worked: Api) -> None:
    assert [step["version"] for step in worked.get("/tasks/w/history").body["items"]] == list(range(1, 8))


def test_a_history_shows_times_in_unix_seconds(office: Api) -> None:
    due = office.history.now + timedelta(days=1)
    office.history.task("d", due_date=due)
    office.history.append("task#d", details(due_date=due + timedelta(days=1)), details())
    office.project()

    steps = office.get("/tasks/d/history").body["items"]

    assert [step["changes"].get("due_date") for step in steps] == [
        int(due.timestamp()),
        int(due.timestamp()) + 86_400,
        None,
    ]


# ---- deleted tasks


@pytest.fixture
def deleted(office: Api) -> Api:
    """Task 01 of bob's, which ann has, was commented on and then deleted."""
    office.history.append("task#01", TaskCommented(comment_id="c", comment="Noted."))
    office.history.append("task#01", TaskDeleted(), by="admin")
    office.project()
    return office


def test_a_deleted_task_is_gone_but_its_history_is_there_for_those_who_saw_it(deleted: Api) -> None:
    for person in ("admin", "ann", "bob", "cat"):
        assert deleted.get("/tasks/01", person).status == 404
        assert "01" not in ids(deleted.walk("/tasks", person))
    assert [deleted.get("/tasks/01/history", person).status for person in ("admin", "ann", "bob", "cat")] == [
        200,
        200,
        200,
        404,
    ]
    last = deleted.get("/tasks/01/history", "bob").body["items"][-1]
    assert (last["type"], last["actor"]["id"], last["changes"]) == ("task.deleted", "admin", {})


def test_a_deleted_task_is_the_same_as_none(deleted: Api) -> None:
    assert deleted.get("/tasks/01", "ann").body == deleted.get("/tasks/99", "ann").body


def test_a_deleted_task_leaves_only_its_row_and_its_comments(
    deleted: Api, view_items: Callable[[], Mapping[tuple[str, str], Mapping[str, Any]]]
) -> None:
    items = view_items()

    assert {key for key in items if key[1].endswith("#01") or key[0] == "task#01"} == {
        ("task#01", "task"),
        ("task#01", "comment#000000"),
    }
    assert set(items["task#01", "task"]) == {"pk", "sk", "version", "data"}
    assert deleted.get("/dashboard/overview").body["tasks"]["total"] == 11
