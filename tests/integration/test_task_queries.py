"""Tasks on the read side: lists and what their filters take, one task, its history, and reading one's own write."""

import json
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from itertools import product
from random import Random
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from domain.decider import fold
from domain.tasks import (
    TASKS,
    Priority,
    Status,
    Task,
    TaskAssigned,
    TaskCommented,
    TaskDeleted,
    TaskDetailsChanged,
    TaskStatusChanged,
)
from infra.problems import RetryLaterError
from infra.settings import READ_YOUR_WRITE_SECONDS
from infra.views import Key, Row
from projections.projector import Projector, projections
from queries import read_your_write, search, task_listing
from queries.read_your_write import await_version
from tests.integration.read_api import Api, directions, ids, turned

if TYPE_CHECKING:
    from domain.commit import Commit
    from domain.event import DomainEvent
    from tests.integration.conftest import Calls, History

STARTED = TaskStatusChanged(old=Status.OPEN, new=Status.IN_PROGRESS)
CLOSED = TaskStatusChanged(old=Status.IN_PROGRESS, new=Status.CLOSED)


def details(**fields: Any) -> TaskDetailsChanged:
    told = {"title": "Another", "description": "Another description", "priority": Priority.LOW}
    return TaskDetailsChanged(**{**told, **fields})


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


def test_a_page_of_tasks_costs_a_fixed_number_of_calls(office: Api, calls: "Calls") -> None:
    office.get("/tasks")
    as_admin = list(calls.operations)
    calls.clear()
    office.get("/tasks", "ann")
    as_user = list(calls.operations)
    read = [keys for operation, request in calls for keys in request.get("RequestItems", {}).values()]

    assert as_admin == ["Query"] * 12 + ["BatchGetItem"]
    assert as_user == ["Query"] * 4 + ["BatchGetItem"] * 2
    # Tasks that she has came with the first query; only those of hers that others have are fetched, then the names.
    assert [len(keys["Keys"]) for keys in read] == [2, 2]


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


# ---- filters

PEOPLE = ("ann", "bob", "cat")
EVENTS = ("1772355600-a", "1772355600-b")
PAST = timedelta(days=1)
FUTURE = timedelta(days=36_500)
Query = Mapping[str, str]


def folded(history: "History") -> dict[str, Task]:
    """Every task that there is, from its commits."""
    streams: dict[str, list[Commit]] = {}
    for commit in history.commits:
        if commit.stream.startswith("task#"):
            streams.setdefault(commit.stream, []).append(commit)
    tasks = {stream.partition("#")[2]: fold(TASKS, commits) for stream, commits in streams.items()}
    return {task_id: task for task_id, task in tasks.items() if task and not task.is_deleted}


def expected(history: "History", caller: str, query: Query) -> list[str]:
    """What a list is to show, in order, told from the commits and without any index."""
    now = datetime.now(UTC)
    by_due = query.get("sort", "due_date" if query.get("overdue") == "true" else "created_at") == "due_date"

    def shown(task: Task) -> bool:
        overdue = task.status is not Status.CLOSED and task.due_date is not None and task.due_date < now
        return all(
            (
                caller == "admin" or caller in (task.created_by, task.assigned_user_id),
                query.get("status", task.status) == task.status,
                query.get("priority", task.priority) == task.priority,
                query.get("assigned_user_id", task.assigned_user_id) == task.assigned_user_id,
                query.get("event_id", task.event_id) == task.event_id,
                query.get("overdue", str(overdue).lower()) == str(overdue).lower(),
                task.created_at.timestamp() >= int(query.get("created_from", 0)),
                task.created_at.timestamp() < int(query.get("created_to", 10**10)),
                query.get("text", "").lower() in task.title.lower(),
                task.due_date is not None or not by_due,
            )
        )

    def place(task_id: str, task: Task) -> tuple[datetime, str]:
        at = task.due_date if by_due else task.created_at
        assert at
        return at, task_id

    found = sorted(place(task_id, task) for task_id, task in folded(history).items() if shown(task))
    ascending = query.get("direction", "asc" if by_due else "desc") == "asc"
    return [task_id for _, task_id in (found if ascending else found[::-1])]


def happen(history: "History", number: int) -> None:
    """A task with a bit of everything, the same for the same number."""
    chance = Random(number)
    due = chance.choice([None, history.now - PAST, history.now + FUTURE])
    history.task(
        f"{number:03}",
        by=chance.choice(PEOPLE),
        assigned_user_id=chance.choice([None, *PEOPLE]),
        title=f"{chance.choice(['Disk', 'disk', 'CPU'])} of db-{chance.randrange(5)} is full",
        priority=chance.choice(list(Priority)),
        event_id=chance.choice([None, None, *EVENTS]),
        due_date=due,
    )
    steps: Sequence[Sequence[DomainEvent]] = ((), (STARTED,), (STARTED, CLOSED), (STARTED, CLOSED, TaskDeleted()))
    for step in steps[number % 7 % 4]:
        history.append(f"task#{number:03}", step)


@pytest.fixture
def depot(asked: Api) -> Api:
    """60 tasks of three people with all sorts of statuses, priorities, due dates and origins."""
    for number in range(60):
        happen(asked.history, number)
    asked.project()
    return asked


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


# ---- what a list costs


@dataclass
class Cost:
    """Calls, and the rows that these may have read at most."""

    operations: list[str]
    rows: int


def cost(depot: Api, calls: "Calls", caller: str, query: Query) -> Cost:
    calls.clear()
    assert depot.get("/tasks", caller, limit="5", **query).status == 200
    keys = [keys["Keys"] for _, request in calls for keys in request.get("RequestItems", {}).values()]
    return Cost(calls.operations, sum(request.get("Limit", 0) for _, request in calls) + sum(map(len, keys)))


FLAT: list[tuple[str, dict[str, str], int]] = [
    # who asks for what, and the partitions that are read for it
    ("admin", {}, 12),
    ("admin", {"status": "open"}, 4),
    ("admin", {"priority": "low"}, 3),
    ("admin", {"status": "open", "priority": "critical"}, 1),
    ("admin", {"assigned_user_id": "dan"}, 3),
    ("admin", {"assigned_user_id": "dan", "status": "open"}, 1),
    ("admin", {"event_id": "1-x"}, 1),
    ("admin", {"overdue": "true"}, 1),
    ("admin", {"created_to": "1772366401"}, 12),
    ("dan", {}, 4),
    ("dan", {"status": "open"}, 2),
    ("dan", {"event_id": "1-x"}, 1),
    ("dan", {"overdue": "true"}, 1),
]


def test_a_page_costs_the_same_however_many_other_tasks_there_are(
    asked: Api, calls: "Calls", subtests: pytest.Subtests
) -> None:
    def others(count: int) -> None:
        """Eve's, of every status and priority in turn."""
        for number in range(count):
            steps = ((), (STARTED,), (STARTED, CLOSED))[number % 3]
            task_id, priority = str(len(asked.history.commits)), list(Priority)[number % 4]
            due = asked.history.now + FUTURE
            asked.history.task(task_id, *steps, by="eve", assigned_user_id="eve", priority=priority, due_date=due)
        asked.project()

    def dans() -> None:
        due = asked.history.now - timedelta(days=99)
        asked.history.task("of dan", by="dan", assigned_user_id="dan")
        asked.history.task("by dan", by="dan", event_id="1-x", due_date=due, priority=Priority.CRITICAL)

    dans()
    others(36)
    before = [cost(asked, calls, caller, query) for caller, query, _ in FLAT]
    others(108)
    after = [cost(asked, calls, caller, query) for caller, query, _ in FLAT]

    for (caller, query, partitions), small, large in zip(FLAT, before, after, strict=True):
        with subtests.test(caller=caller, query=query):
            assert large.operations.count("Query") == partitions
            assert len(large.operations) <= partitions + 2  # tasks behind pointers, and names
            assert large == small
            assert large.rows <= 30


def test_a_search_that_read_enough_ends_its_page_and_says_so(
    depot: Api, monkeypatch: pytest.MonkeyPatch, subtests: pytest.Subtests
) -> None:
    monkeypatch.setattr(search, "MAX_PAGE_ROWS", 7)
    searches: list[dict[str, str]] = [
        {"text": "db-3"},
        {"assigned_user_id": "ann", "priority": "low"},
        {"overdue": "true", "priority": "low"},
        {"overdue": "true", "assigned_user_id": "ann"},
        {"sort": "due_date", "event_id": EVENTS[0]},
    ]
    for caller, query in product(("admin", "ann"), searches):
        with subtests.test(caller=caller, **query):
            pages: list[Any] = [depot.get("/tasks", caller, limit="3", **query).body]
            while pages[-1]["next"]:
                cursor = pages[-1]["next"]
                pages.append(depot.get("/tasks", caller, limit="3", cursor=cursor, **query).body)

            assert ids(page["items"] for page in pages) == expected(depot.history, caller, query)
            early = [page for page in pages if page["stopped_after"] is not None]
            assert {page["stopped_after"] for page in early} <= {7}
            assert all(len(page["items"]) == 3 for page in pages[:-1] if page not in early)
    assert depot.get("/tasks", limit="3", text="nowhere").body["stopped_after"] == 7


def test_a_search_asks_for_more_rows_each_time_and_stops_at_its_budget(
    asked: Api, calls: "Calls", monkeypatch: pytest.MonkeyPatch
) -> None:
    for number in range(60):
        asked.history.task(str(number))
    asked.project()
    monkeypatch.setattr(search, "MAX_PAGE_ROWS", 20)

    spent = cost(asked, calls, "admin", {"text": "nowhere", "status": "open", "priority": "high"})

    assert spent == Cost(["Query"] * 3, 6 + 12 + 24)


@pytest.mark.parametrize(
    ("caller", "query"),
    [("admin", {"event_id": EVENTS[0]}), ("admin", {"assigned_user_id": "bob"}), ("ann", {})],
)
def test_what_a_pointer_rules_out_is_not_fetched(depot: Api, calls: "Calls", caller: str, query: Query) -> None:
    by_due_date = {**query, "sort": "due_date", "limit": "200"}

    assert depot.get("/tasks", caller, **by_due_date).status == 200

    fetched = next(request for operation, request in calls if operation == "BatchGetItem")
    (keys,) = (part["Keys"] for part in fetched["RequestItems"].values())
    wanted = expected(depot.history, caller, by_due_date)
    assert 0 < len(wanted) < 20
    assert {key["pk"]["S"] for key in keys} == {f"1|task#{task_id}" for task_id in wanted}


def test_a_page_of_tasks_ends_at_its_size(depot: Api, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(search, "MAX_PAGE_BYTES", 1)

    pages = depot.walk("/tasks", status="open")

    assert ids(pages) == expected(depot.history, "admin", {"status": "open"})
    assert {len(page) for page in pages} == {1}


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


# ---- reading one's own write


def named(stream: str, version: int) -> dict[str, str]:
    return {"min_version": f"{stream}@{version}"}


@pytest.fixture
def stop_indexes(monkeypatch: pytest.MonkeyPatch) -> Callable[[], None]:
    """From its call on, lists are read from the table as it was then: their reads may lag, a row's own does not."""

    def stop() -> None:
        then = list(Row.scan(Row.sk.exists()))

        def lagging(
            _query: Any, sort_key: Any, pk: str, low: str | None, high: str | None, *, ascending: bool, **_: Any
        ) -> Iterator[Row]:
            partition = sort_key.attr_name.replace("sk", "pk")

            def place(row: Row) -> str:
                return str(getattr(row, sort_key.attr_name))

            rows = [row for row in then if getattr(row, partition, None) == pk]
            wanted = [row for row in rows if (low or "") <= place(row) <= (high or "~")]
            yield from sorted(wanted, key=place, reverse=not ascending)

        monkeypatch.setattr(task_listing, "rows_between", lagging)

    return stop


def listed(api: Api, caller: str = "admin", **query: str) -> dict[str, str]:
    answered = api.get("/tasks", caller, **query)
    assert answered.status == 200, answered.body
    return {task["id"]: task["title"] for task in answered.body["items"]}


def test_a_list_shows_ones_own_write_although_the_index_lags(office: Api, stop_indexes: Callable[[], None]) -> None:
    stop_indexes()
    office.history.append("task#04", details(title="Renamed"), STARTED)
    new = office.history.task("new", by="ann")
    office.project()

    # Without naming the version, the index's word stands: this is what the overlay is for.
    assert "04" in listed(office, status="open")
    assert "04" not in listed(office, status="in_progress")
    own = named("task#04", 3)
    assert "04" not in listed(office, status="open", **own)
    assert listed(office, status="in_progress", **own)["04"] == "Renamed"
    assert list(listed(office, **own)) == list(listed(office))
    assert listed(office, **own)["04"] == "Renamed"
    assert "04" not in listed(office, text="task 04", **own)
    assert listed(office, text="RENAMED", **own) == {"04": "Renamed"}

    assert "new" not in listed(office)
    assert next(iter(listed(office, **named(new.stream, 1)))) == "new"
    assert next(iter(listed(office, "ann", **named(new.stream, 1)))) == "new"


def test_ones_own_write_is_on_the_page_where_it_belongs_and_on_no_other(
    office: Api, stop_indexes: Callable[[], None]
) -> None:
    stop_indexes()
    office.history.append("task#04", details(title="Renamed"), STARTED)
    office.history.append("task#11", TaskDeleted())
    office.project()

    for own, wanted in ((named("task#04", 3), 12), (named("task#11", 4), 11)):
        for direction, query in directions(1, 2, 5):
            pages = office.walk("/tasks", **query, **own)
            assert ids(pages) == turned([f"{n:02}" for n in reversed(range(wanted))], direction)


def test_a_list_goes_on_without_the_version_that_its_first_page_waited_for(office: Api) -> None:
    first = office.get("/tasks", limit="5", **named("task#04", 1)).body
    rest = office.get("/tasks", limit="50", cursor=first["next"])

    assert ids([first["items"], rest.body["items"]]) == [f"{n:02}" for n in reversed(range(12))]


def test_ones_own_due_date_moves_a_task_in_the_order_of_due_dates(
    office: Api, stop_indexes: Callable[[], None]
) -> None:
    day = timedelta(days=1)
    for number in range(4):
        office.history.append(f"task#{number:02}", details(due_date=office.history.now + number * day))
    office.project()
    stop_indexes()
    office.history.append("task#00", details(due_date=office.history.now + 2 * day + day / 2))
    office.project()

    walked = office.walk("/tasks", sort="due_date", limit="2", **named("task#00", 3))

    assert ids(walked) == ["01", "02", "00", "03"]


def test_a_pointer_that_is_out_of_date_shows_no_task_in_a_place_that_it_has_left(
    office: Api, stop_indexes: Callable[[], None]
) -> None:
    for number in range(3):
        due = office.history.now + number * timedelta(days=1)
        office.history.append(f"task#{number:02}", details(due_date=due))
    office.project()
    stop_indexes()
    office.history.append("task#02", details(due_date=office.history.now - timedelta(days=9)))
    office.project()

    assert list(listed(office, sort="due_date")) == ["00", "01"]
    assert list(listed(office, sort="due_date", **named("task#02", 3))) == ["02", "00", "01"]


def test_closing_ones_task_takes_it_from_the_overdue_ones(office: Api, stop_indexes: Callable[[], None]) -> None:
    office.history.append("task#04", STARTED, details(due_date=office.history.now))
    office.project()
    assert "04" in listed(office, overdue="true")
    stop_indexes()
    office.history.append("task#04", CLOSED)
    office.project()

    assert "04" not in listed(office, overdue="true", **named("task#04", 4))


def test_a_task_is_shown_once_it_has_come_so_far(office: Api, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(read_your_write, "READ_YOUR_WRITE_SECONDS", 0)
    office.history.task("t", by="ann")
    paths = {"/tasks/t": "ann", "/tasks/t/history": "ann", "/tasks": "bob"}

    early = {path: office.get(path, caller, **named("task#t", 1)) for path, caller in paths.items()}
    office.project()
    later = {path: office.get(path, caller, **named("task#t", 1)).status for path, caller in paths.items()}

    assert [(answered.status, answered.headers["Retry-After"]) for answered in early.values()] == [(503, "1")] * 3
    assert later == {"/tasks/t": 200, "/tasks/t/history": 200, "/tasks": 503}  # it is not bob's to see


@pytest.mark.parametrize("version", [1, 2])
def test_waiting_tells_nobody_whether_anothers_task_exists_or_how_far_it_has_come(
    office: Api, calls: "Calls", monkeypatch: pytest.MonkeyPatch, version: int
) -> None:
    monkeypatch.setattr(read_your_write, "READ_YOUR_WRITE_SECONDS", 0.05)
    assert office.get("/tasks/00", "ann").headers["Stream-Version"] == "task#00@1"

    def asked(path: str, task_id: str) -> tuple[Any, ...]:
        calls.clear()
        answered = office.get(path, "bob", **named(f"task#{task_id}", version))
        return answered.status, answered.body, answered.headers["Retry-After"], set(calls.operations)

    for path in ("/tasks/{}", "/tasks/{}/history", "/tasks"):
        another, none = (asked(path.format(task_id), task_id) for task_id in ("00", "99"))
        assert another == none
        assert another[0] == 503


def test_waiting_for_what_is_there_already_costs_no_more_than_one_read(office: Api, calls: "Calls") -> None:
    for path, query in (("/tasks/00", {}), ("/tasks", {"limit": "1"})):
        calls.clear()
        assert office.get(path, "ann", **query).status == 200
        without = list(calls.operations)
        calls.clear()
        assert office.get(path, "ann", **query, **named("task#00", 1)).status == 200
        assert sorted(calls.operations) == sorted(["GetItem", *without])


def test_an_answer_names_what_it_may_be_asked_for_again(office: Api) -> None:
    shown = office.get("/tasks/04").headers["Stream-Version"]

    assert shown == "task#04@1"
    assert office.get("/tasks/04", min_version=shown).status == 200


@pytest.mark.parametrize(
    "wrong",
    [
        *(
            "",
            "task",
            "task#04",
            "task#04@",
            "task#04@0",
            "task#04@x",
            "04@1",
            "task%2304@1",
            "task#04@1@1",
            "@1",
            "#@1",
        ),
        *("task#04@" + "9" * 16, f"task#{'x' * 65}@1", "task#04@\u0661", " task#04@1", "user#04@1", "x" * 200),
    ],
)
def test_a_version_that_is_none_or_of_another_kind_is_refused(office: Api, wrong: str) -> None:
    for path in ("/tasks", "/tasks/04", "/tasks/04/history"):
        answered = office.get(path, min_version=wrong)
        assert (answered.status, answered.body["errors"][0]["field"]) == (422, "min_version")


def test_another_tasks_version_is_of_no_use_to_a_route_of_one_task(office: Api) -> None:
    assert office.get("/tasks/04", **named("task#05", 1)).status == 422
    assert office.get("/tasks", **named("task#05", 1)).status == 200


def test_naming_a_version_costs_one_read_more(office: Api, calls: "Calls") -> None:
    office.get("/tasks", status="open", priority="high")
    without = list(calls.operations)
    calls.clear()
    office.get("/tasks", status="open", priority="high", **named("task#04", 1))

    assert calls.operations == ["GetItem", *without]
    assert calls[0][1]["ConsistentRead"] is True


def test_a_read_waits_with_growing_pauses_until_the_row_shows_the_version(office: Api) -> None:
    office.history.append("task#04", STARTED)
    pauses: list[float] = []

    def sleep(seconds: float) -> None:
        pauses.append(seconds)
        if len(pauses) == 4:
            office.project()

    row = await_version(Key("task#04", "task"), 2, sleep=sleep, clock=lambda: sum(pauses))

    assert row.version == 2
    assert pauses == [0.02, 0.04, 0.08, 0.16]


def test_a_read_gives_up_when_its_time_is_over(office: Api) -> None:
    pauses: list[float] = []

    with pytest.raises(RetryLaterError) as raised:
        await_version(Key("task#04", "task"), 2, sleep=pauses.append, clock=lambda: sum(pauses))

    assert raised.value.seconds == 1
    assert sum(pauses) == pytest.approx(READ_YOUR_WRITE_SECONDS)
    assert office.get("/tasks/04").headers["ETag"] == '"1"'
