"""Which rows and counters come of what happened to people, tasks and events."""

import json
from collections.abc import Sequence
from datetime import UTC, datetime
from typing import TYPE_CHECKING

import pytest

from domain.commit import timestamp
from domain.tasks import TaskAssigned
from domain.users import UserDeleted
from infra import counters, views
from infra.views import Key
from projections import projector
from tests.integration.projecting import STEPS, Items, batch, counter, projected, replayed

if TYPE_CHECKING:
    from tests.integration.conftest import History


def test_a_batch_of_stream_records_becomes_rows_and_counters(stored: "History", view_items: Items) -> None:
    event = stored.event(severity=4, source="aws.guardduty", detail={"a": [1, "ü"]})
    stored.task("t", due_date=stored.now)
    stored.append("task#t", *STEPS["start"], *STEPS["assign"], *STEPS["comment"], by="bob")
    stored.user("ann", "Ann Example")

    projector.handler(batch(stored, stored.commits), None)

    items = view_items()
    row = next(item for (pk, _), item in items.items() if pk.startswith("event#"))
    assert row["pk"]["S"].startswith("event#2026-03-01#")
    assert row["sk"]["S"] == f"00{int(event.at.timestamp())}-{event.stream.partition('#')[2]}"
    assert row["ttl"]["N"] == str(event.expires_at)
    task = items["task#t", "task"]
    assert [task[name] for name in ("version", "gsi1pk", "gsi2pk")] == [
        {"N": "4"},
        {"S": "tasks#in_progress#high"},
        {"S": "assignee#bob#in_progress"},
    ]
    assert json.loads(items["task#t", "comment#000000"]["data"]["S"])["user_id"] == "bob"
    assert task["gsi1sk"] == task["gsi2sk"]
    assert ("creator#ann", task["gsi1sk"]["S"]) in items
    due = items["due#open", f"{timestamp(stored.commits[1].at)}#t"]["data"]["S"]
    assert json.loads(due) == {"assigned_user_id": "bob", "created_by": "ann", "event_id": None, "alert_id": None}
    user = items["user#ann", "user"]["data"]["S"]
    assert (json.loads(user)["full_name"], json.loads(user)["email"]) == ("Ann Example", "ann@example.com")
    assert "$2b$" not in user
    assert counter(view_items, counters.TASKS_COUNTER) == {"in_progress#high#bob": 1}
    assert counter(view_items, counters.EVENTS_COUNTER) == {"2026-03-01T09#aws.guardduty#4": 1}
    (day,) = [sk for pk, sk in items if pk == views.EVENT_DAYS]
    assert day.startswith(row["pk"]["S"].removeprefix("event#"))


@pytest.mark.parametrize("source", ["s" * 2_048, "\N{PILE OF POO}" * 2_048])
def test_a_source_of_any_length_is_counted_under_a_key_that_dynamodb_takes(history: "History", source: str) -> None:
    history.event(source=source)

    for key in replayed(history).counters:
        assert len(key.sk.encode()) <= 1_024


# ---- people


def test_a_person_whose_key_is_gone_is_shown_as_erased(history: "History") -> None:
    history.user("ann", "Ann Example")
    history.people.erase("ann")

    row = replayed(history).rows[Key("user#ann", "user")]

    assert json.loads(row["data"])["full_name"] == "erased"


def test_a_deleted_person_is_erased_from_the_row(history: "History") -> None:
    history.user("ann", "Ann Example")
    table = replayed(history)
    assert "Ann Example" in table.rows[Key("user#ann", "user")]["data"]

    history.append("user#ann", UserDeleted())
    projected(history, history.commits[-1:], table)

    assert "Ann Example" not in table.rows[Key("user#ann", "user")]["data"]
    assert json.loads(table.rows[Key("user#ann", "user")]["data"])["email"] == "erased"


# ---- pointers to tasks


def pointers_of(history: "History") -> set[str]:
    return {f"{key.pk} {key.sk.rpartition('#')[2]}" for key in replayed(history).rows if not key.pk.startswith("task#")}


@pytest.mark.parametrize(
    ("assignees", "pointers"),
    [
        ((None,), {"creator#ann 1"}),
        (("ann",), set()),
        (("bob",), {"creator#ann 1"}),
        (("ann", "bob"), {"creator#ann 1"}),
        (("ann", None), {"creator#ann 1"}),
        (("bob", "ann"), set()),
        (("ann", "bob", "ann"), set()),
        ((None, "cat", "bob"), {"creator#ann 1"}),
    ],
)
def test_a_creator_who_does_not_have_a_task_has_a_pointer_to_it(
    history: "History", assignees: Sequence[str | None], pointers: set[str]
) -> None:
    history.task("1", assigned_user_id=assignees[0])
    for assignee in assignees[1:]:
        history.append("task#1", TaskAssigned(user_id=assignee))

    assert pointers_of(history) == pointers


def test_a_due_date_has_one_pointer_which_moves_and_goes(history: "History") -> None:
    history.task("1", assigned_user_id="ann")
    assert pointers_of(history) == set()
    seen = []
    for step in ("due", "start", "close", "reopen", "due later", "low", "due", "delete"):
        history.append("task#1", *STEPS[step])
        seen.append({f"{key.pk} {key.sk[:7]}" for key in replayed(history).rows if key.pk.startswith("due#")})

    august = {"due#open 2026-08"}
    assert seen == [august, august, {"due#closed 2026-08"}, august, {"due#open 2026-09"}, set(), august, set()]


def test_a_task_from_an_event_has_a_pointer_there_until_it_is_deleted(history: "History") -> None:
    history.task("1", assigned_user_id="ann", event_id="1-x")
    assert pointers_of(history) == {"from#1-x 1"}
    history.append("task#1", *STEPS["delete"])
    assert pointers_of(history) == set()


def test_what_is_counted_of_a_task(history: "History") -> None:
    history.task("1", assigned_user_id="bob", due_date=datetime(2026, 8, 1, 23, 59, 59, tzinfo=UTC))
    assert replayed(history).shown()[1] == {
        Key("counter#tasks", "open#high#bob"): 1,
        Key("counter#tasks-due", "2026-08-01#bob"): 1,
    }
    history.append("task#1", *STEPS["start"])
    history.now = datetime(2026, 3, 3, 12, 0, 0, 900_000, tzinfo=UTC)
    history.append("task#1", *STEPS["close"])
    assert replayed(history).shown()[1] == {
        Key("counter#tasks", "closed#high#bob"): 1,
        Key("counter#tasks-closed", "2026-03-03T09#count"): 1,
        Key("counter#tasks-closed", "2026-03-03T09#seconds"): 2 * 86_400,
    }
    history.append("task#1", *STEPS["reopen"])
    assert replayed(history).shown()[1] == {
        Key("counter#tasks", "in_progress#high#bob"): 1,
        Key("counter#tasks-due", "2026-08-01#bob"): 1,
    }
    history.append("task#1", *STEPS["delete"])
    assert replayed(history).shown()[1] == {}
