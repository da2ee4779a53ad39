"""Reading one's own write: a list or a task that waits for a version and shows it although an index lags."""

from collections.abc import Callable, Iterator
from datetime import timedelta
from typing import TYPE_CHECKING, Any

import pytest

from domain.tasks import TaskDeleted
from infra.problems import RetryLaterError
from infra.settings import READ_YOUR_WRITE_SECONDS
from infra.views import Key, Row
from queries import read_your_write, task_listing
from queries.read_your_write import await_version
from tests.integration.read_api import Api, directions, ids, turned
from tests.integration.task_lists import CLOSED, STARTED, details

if TYPE_CHECKING:
    from tests.integration.conftest import Calls


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
