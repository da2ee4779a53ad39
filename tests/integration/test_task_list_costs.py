"""What a list of tasks costs: its calls, the rows that they read, and where a search stops."""

from dataclasses import dataclass
from datetime import timedelta
from itertools import product
from typing import TYPE_CHECKING, Any

import pytest

from domain.tasks import Priority
from queries import search
from tests.integration.read_api import Api, ids
from tests.integration.task_lists import CLOSED, EVENTS, FUTURE, STARTED, Query, expected

if TYPE_CHECKING:
    from tests.integration.conftest import Calls


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
