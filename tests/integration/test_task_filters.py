"""What the filters of a list of tasks take: what a look at each task takes, after any commands and deliveries."""

from collections import Counter
from itertools import product
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from domain.tasks import Priority, Status, TaskAssigned, TaskCommented, TaskDeleted, TaskStatusChanged
from infra.views import Row
from projections.projector import Projector, projections
from tests.integration.read_api import Api, directions, ids
from tests.integration.task_lists import EVENTS, FUTURE, PAST, PEOPLE, Query, details, expected, folded

if TYPE_CHECKING:
    from collections.abc import Sequence

    from domain.event import DomainEvent
    from tests.integration.conftest import History


def combinations(history: "History") -> list[dict[str, str]]:
    middle = int(history.commits[0].at.timestamp()) + 50
    choices: dict[str, Sequence[str | None]] = {
        "status": (None, "open", "closed"),
        "priority": (None, "high"),
        "assigned_user_id": (None, "ann"),
        "event_id": (None, EVENTS[0]),
        "overdue": (None, "true", "false"),
        "sort": (None, "due_date"),
    }
    found = [
        {name: value for name, value in zip(choices, values, strict=True) if value is not None}
        for values in product(*choices.values())
    ]
    found += [{**query, "created_from": str(middle)} for query in found[::7]]
    found += [{**query, "created_to": str(middle + 40)} for query in found[::11]]
    found += [{**query, "text": "DISK"} for query in found[::5]]
    return found


@pytest.mark.parametrize("caller", ["admin", "ann"])
def test_every_combination_of_filters_takes_what_a_look_at_each_task_takes(depot: Api, caller: str) -> None:
    sizes = Counter[int]()
    for query in combinations(depot.history):
        wanted = expected(depot.history, caller, query)
        found = depot.get("/tasks", caller, limit="200", **query)

        assert (query, [task["id"] for task in found.body["items"]], found.body["next"]) == (query, wanted, None)
        sizes[len(wanted)] += 1
    assert sizes[0] < sizes.total() * 0.6  # the comparison would hold of nothing, too


@pytest.mark.parametrize(
    "query",
    [
        {},
        {"status": "open"},
        {"status": "in_progress", "priority": "high"},
        {"assigned_user_id": "bob"},
        {"event_id": EVENTS[1]},
        {"overdue": "true"},
        {"overdue": "false", "sort": "due_date"},
        {"text": "cpu"},
    ],
    ids=str,
)
def test_pages_of_any_size_add_up_to_the_list(depot: Api, query: Query, subtests: pytest.Subtests) -> None:
    for caller in ("admin", "cat"):
        for direction, paging in directions(5):
            wanted = expected(depot.history, caller, {**query, "direction": direction})
            with subtests.test(caller=caller, **paging):
                pages = depot.walk("/tasks", caller, **query, **paging)

                assert ids(pages) == wanted
                assert all(len(page) == int(paging["limit"]) for page in pages[:-1])
                assert pages[-1] or not wanted


def test_overdue_tasks_come_by_due_date_and_others_newest_first(depot: Api) -> None:
    overdue = depot.walk("/tasks", overdue="true")[0]
    listed = depot.walk("/tasks")[0]

    assert [task["due_date"] for task in overdue] == sorted(task["due_date"] for task in overdue)
    assert [task["created_at"] for task in listed] == sorted((task["created_at"] for task in listed), reverse=True)
    assert {task["status"] for task in overdue} == {"open", "in_progress"}


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("status", "done"),
        ("priority", "urgent"),
        ("assigned_user_id", ""),
        ("assigned_user_id", "ann#open"),
        ("assigned_user_id", "\ud800"),
        ("event_id", "a b"),
        ("event_id", "x" * 65),
        ("overdue", "yes"),
        ("created_from", "-1"),
        ("created_from", "253402300800"),
        ("created_to", "tomorrow"),
        ("text", ""),
        ("text", "x" * 201),
        ("text", "\ud800"),
        ("sort", "title"),
        ("titel", "x"),
    ],
)
def test_a_filter_that_is_none_is_refused_by_name(asked: Api, name: str, value: str) -> None:
    answered = asked.get("/tasks", **{name: value})

    assert (answered.status, [fault["field"] for fault in answered.body["errors"]]) == (422, [name])


def test_a_range_of_creation_that_holds_nothing_is_refused(asked: Api) -> None:
    answered = asked.get("/tasks", created_from="5", created_to="5")

    assert (answered.status, answered.body["errors"][0]["field"]) == (422, "created_to")
    assert asked.get("/tasks", created_from="5", created_to="6").status == 200


def test_a_cursor_serves_its_own_filters_only(depot: Api) -> None:
    query = {"status": "open", "limit": "2"}
    cursor = depot.get("/tasks", **query).body["next"]

    assert depot.get("/tasks", **query, cursor=cursor).status == 200
    others: list[dict[str, str]] = [{}, {"status": "closed"}, {"status": "open", "priority": "high"}]
    others += [{"status": "open", "sort": "due_date"}, {"status": "open", "direction": "asc"}]
    assert [depot.get("/tasks", **other, cursor=cursor).status for other in others] == [422] * len(others)
    assert depot.get("/tasks", "ann", **query, cursor=cursor).status == 422


# ---- any commands, any deliveries, any filters


WHO = st.sampled_from(PEOPLE)
MAYBE = st.sampled_from([None, *PEOPLE])
DUE = st.sampled_from([None, -PAST, FUTURE])
STEP = st.one_of(
    st.tuples(st.just("status"), st.sampled_from(list(Status))),
    st.tuples(st.just("details"), st.tuples(st.sampled_from(list(Priority)[:2]), DUE)),
    st.tuples(st.just("assign"), MAYBE),
    st.tuples(st.just("comment"), st.none()),
    st.tuples(st.just("delete"), st.none()),
)
CREATED = st.tuples(WHO, MAYBE, DUE, st.sampled_from([None, *EVENTS]))
ASKED: st.SearchStrategy[dict[str, str]] = st.fixed_dictionaries(
    {"limit": st.sampled_from(["1", "2", "3"])},
    optional={
        "status": st.sampled_from(list(Status)).map(str),
        "priority": st.sampled_from(list(Priority)[:2]).map(str),
        "assigned_user_id": WHO,
        "event_id": st.sampled_from(EVENTS),
        "overdue": st.sampled_from(["true", "false"]),
        "sort": st.sampled_from(["created_at", "due_date"]),
        "direction": st.sampled_from(["asc", "desc"]),
        "text": st.sampled_from(["TASK", "another"]),
    },
)


def step_of(history: "History", kind: str, what: Any) -> "DomainEvent":
    if kind == "status":
        return TaskStatusChanged(old=Status.OPEN, new=what)
    if kind == "details":
        priority, due = what
        return details(priority=priority, due_date=due and history.now + due)
    if kind == "assign":
        return TaskAssigned(user_id=what)
    return TaskDeleted() if kind == "delete" else TaskCommented(comment_id="c", comment="Noted.")


@settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    tasks=st.lists(st.tuples(CREATED, st.lists(STEP, max_size=5)), min_size=1, max_size=6),
    deliveries=st.lists(st.lists(st.integers(0, 999), min_size=1, max_size=6), max_size=4),
    queries=st.lists(st.tuples(st.sampled_from(["admin", *PEOPLE]), ASKED), min_size=3, max_size=6),
)
def test_any_list_shows_what_a_fresh_fold_of_the_commits_holds(
    asked: Api,
    new_history: type["History"],
    tasks: list[Any],
    deliveries: list[list[int]],
    queries: list[tuple[str, dict[str, str]]],
) -> None:
    history = new_history()
    for number, ((by, assignee, due, event_id), steps) in enumerate(tasks):
        history.task(
            str(number), by=by, assigned_user_id=assignee, due_date=due and history.now + due, event_id=event_id
        )
        for kind, what in steps:
            history.append(f"task#{number}", step_of(history, kind, what))
            if kind == "delete":
                break
    for row in list(Row.scan(Row.sk.exists())):
        row.delete()
    projector = Projector(history.store, projections(history.people))
    for batch in deliveries:
        projector.project([history.commits[place % len(history.commits)] for place in batch])
    projector.project(history.commits[::-1])

    for caller, query in queries:
        assert ids(asked.walk("/tasks", caller, **query)) == expected(history, caller, query)
    present = folded(history)
    total = asked.get("/dashboard/overview").body["tasks"]
    assert total["total"] == len(present)
    assert total["by_status"] == {status: sum(task.status == status for task in present.values()) for status in Status}
