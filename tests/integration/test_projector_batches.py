"""Batches of stream records on DynamoDB: in any order, cut off, outrun, with items that are no commits."""

from collections.abc import Callable, Iterable, Iterator
from typing import TYPE_CHECKING

import pytest

from infra import changes, counters
from infra.changes import Unit
from infra.views import Key
from projections import projector
from tests.integration.projecting import STEPS, CrashError, Items, batch, counter, projector_of, record, replayed

if TYPE_CHECKING:
    from domain.commit import Commit
    from tests.integration.conftest import Calls, History


@pytest.mark.parametrize("order", ["reversed", "twice", "holes", "split"])
def test_deliveries_out_of_order_end_like_a_replay(stored: "History", view_items: Items, order: str) -> None:
    for number in range(2):
        stored.task(str(number))
        for step in ("comment", "start", "assign", "close"):
            stored.append(f"task#{number}", *STEPS[step])
    stored.event()
    commits = stored.commits
    batches = {
        "reversed": [commits[::-1]],
        "twice": [commits, commits + commits],
        "holes": [[commits[2], commits[0]], [commits[4], commits[9], commits[10]]],
        "split": [commits[5:], commits[:5]],
    }[order]

    for commits_of_batch in batches:
        projector.handler(batch(stored, commits_of_batch), None)

    rows, counters, _ = replayed(stored).shown()
    items = view_items()
    found = {Key(*key): item for key, item in items.items() if "n" not in item}
    assert {key: int(item["version"]["N"]) for key, item in found.items()} == {
        key: row["version"] for key, row in rows.items()
    }
    assert {key: item["data"]["S"] for key, item in found.items()} == {key: row["data"] for key, row in rows.items()}
    assert {Key(*key): int(item["n"]["N"]) for key, item in items.items() if "n" in item and item["n"]["N"] != "0"} == (
        counters
    )


def test_a_row_outrun_between_read_and_write_is_read_again(
    stored: "History", view_items: Items, monkeypatch: pytest.MonkeyPatch
) -> None:
    stored.task("1")
    stored.append("task#1", *STEPS["comment"])
    apply = changes.apply
    others: list[Commit] = [stored.commits[0]]

    def overtaken(units: Iterable[Unit], still_valid: Callable[[], bool]) -> None:
        if others:
            projector_of(stored).project([others.pop()])
        apply(units, still_valid)

    monkeypatch.setattr(changes, "apply", overtaken)
    moved = projector_of(stored).project(stored.commits)

    assert moved == 1
    assert view_items()["task#1", "task"]["version"]["N"] == "2"
    assert counter(view_items, counters.TASKS_COUNTER) == {"open#high#": 1}


def test_a_crash_between_transactions_heals_with_the_next_delivery(
    stored: "History", view_items: Items, calls: "Calls", monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(changes, "MAX_TRANSACTION_ITEMS", 3)
    for number in range(2):
        stored.task(str(number))
    groups = changes._groups

    def cut(units: Iterable[Unit]) -> Iterator[list[Unit]]:
        yield next(groups(units))
        raise CrashError

    with monkeypatch.context() as crashing:
        crashing.setattr(changes, "_groups", cut)
        with pytest.raises(CrashError):
            projector.handler(batch(stored, stored.commits), None)
    assert counter(view_items, counters.TASKS_COUNTER) == {"open#high#": 1}
    calls.clear()
    projector.handler(batch(stored, stored.commits), None)

    assert calls.operations.count("TransactWriteItems") == 1
    assert counter(view_items, counters.TASKS_COUNTER) == {"open#high#": 2}


def test_items_that_are_no_commits_are_skipped(
    stored: "History", view_items: Items, caplog: pytest.LogCaptureFixture
) -> None:
    stored.task("1")
    by_hand = {"pk": {"S": "task#1"}, "sk": {"N": "2"}, "note": {"S": "hello"}}
    odd = {**stored.image(stored.commits[0]), "pk": {"S": "task#9"}, "at": {"S": "yesterday"}}
    no_category = {**stored.image(stored.commits[0]), "pk": {"S": "nothing"}}

    records = [record(item) for item in (by_hand, odd, no_category)] + batch(stored, stored.commits)["Records"]
    projector.handler({"Records": records}, None)

    assert {pk for pk, _ in view_items()} == {"task#1", "creator#ann", counters.TASKS_COUNTER}
    assert [entry.getMessage() for entry in caplog.records].count("not a commit") == 2


def test_expiries_change_nothing(stored: "History", view_items: Items, caplog: pytest.LogCaptureFixture) -> None:
    stored.event()
    projector.handler(batch(stored, stored.commits), None)
    before = view_items()

    projector.handler({"Records": [record(stored.image(stored.commits[0]), "REMOVE")]}, None)

    assert view_items() == before
    assert "not a commit" not in caplog.text


@pytest.mark.parametrize("name", ["REMOVE", "MODIFY"])
def test_only_what_was_appended_is_projected(stored: "History", view_items: Items, name: str) -> None:
    stored.event()

    projector.handler({"Records": [record(stored.image(stored.commits[0]), name)]}, None)

    assert view_items() == {}


def test_more_than_a_hundred_items_go_in_several_transactions_each_whole(stored: "History", calls: "Calls") -> None:
    for number in range(60):
        stored.task(f"{number:02}")
    calls.clear()

    projector.handler(batch(stored, stored.commits), None)

    written = [request["TransactItems"] for operation, request in calls if operation == "TransactWriteItems"]
    assert [len(items) for items in written] == [99, 23]
    for items in written:
        puts = [item["Put"]["Item"] for item in items if "Put" in item]
        tasks = {item["pk"]["S"].partition("#")[2] for item in puts if item["pk"]["S"].startswith("1|task#")}
        pointed = {item["sk"]["S"].partition("#")[2] for item in puts if item["pk"]["S"].startswith("1|creator#")}
        assert tasks == pointed
        (update,) = [item["Update"] for item in items if "Update" in item]
        assert {"N": str(len(tasks))} in update["ExpressionAttributeValues"].values()


def test_calls_of_a_batch(stored: "History", calls: "Calls") -> None:
    for number in range(10):
        stored.task(str(number))
        stored.event()
    stored.append("task#1", *STEPS["comment"])
    calls.clear()

    projector.handler(batch(stored, stored.commits[:-1]), None)
    in_order = calls.operations
    assert [request.get("ConsistentRead") for operation, request in calls if operation == "Query"] == [True]
    calls.clear()
    projector.handler(batch(stored, stored.commits[:-1]), None)
    known_already = calls.operations
    stored.append("task#1", *STEPS["comment"])
    calls.clear()
    projector.handler(batch(stored, stored.commits[-1:]), None)
    with_a_gap = calls.operations

    assert in_order == ["Query", "BatchGetItem", "TransactWriteItems"]
    assert known_already == ["Query", "BatchGetItem"]
    assert with_a_gap == ["Query", "BatchGetItem", "Query", "TransactWriteItems"]
