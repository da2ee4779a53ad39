"""The projector: whatever order commits come in, rows and counters end as a replay in order would leave them."""

import json
from collections.abc import Callable, Iterable, Iterator
from typing import TYPE_CHECKING
from unittest.mock import patch

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from domain.commit import Commit
from infra import changes, counters
from infra.changes import Unit
from infra.views import Key
from projections.projector import MAX_PASSES, MAX_STEP_EVENTS, OutrunTooOftenError
from tests.integration.projecting import STEPS, CrashError, Views, projected, projector_of, replayed, using

if TYPE_CHECKING:
    from tests.integration.conftest import History

FAULTS = ["", "crash before", "crash after", "conflict", "overtaken"]


@settings(max_examples=300, deadline=None)
@given(
    tasks=st.lists(st.lists(st.sampled_from(sorted(STEPS)), max_size=8), min_size=1, max_size=5),
    severities=st.lists(st.integers(0, 5), max_size=4),
    users=st.integers(0, 2),
    deliveries=st.lists(st.lists(st.integers(0, 999), min_size=1, max_size=12), max_size=8),
    faults=st.lists(st.sampled_from(FAULTS), max_size=12),
    transaction_items=st.sampled_from([4, 10, 100]),
)
def test_any_delivery_ends_like_a_replay_in_order(
    *,
    new_history: type["History"],
    tasks: list[list[str]],
    severities: list[int],
    users: int,
    deliveries: list[list[int]],
    faults: list[str],
    transaction_items: int,
) -> None:
    history = new_history()
    for number, steps in enumerate(tasks):
        history.task(str(number))
        for step in steps:
            history.append(f"task#{number}", *STEPS[step])
    for severity in severities:
        history.event(severity=severity)
    for number in range(users):
        history.user(str(number), "Some Name")
    commits = history.commits
    last_of_each = list({commit.stream: commit for commit in commits}.values())
    # Each stream's last commit comes at last, so that all others may be missing.
    batches = [[commits[place % len(commits)] for place in batch] for batch in deliveries]
    table = Views(faults)
    table.overtake = lambda: projected(history, last_of_each, table)

    with patch.object(changes, "MAX_TRANSACTION_ITEMS", transaction_items):
        for batch in [*batches, last_of_each[::-1]]:
            while True:  # as Lambda does: a batch that failed is delivered again
                try:
                    projected(history, batch, table)
                    break
                except (CrashError, OutrunTooOftenError):
                    continue
            assert table.shown()[1] == table.recounted()

    assert table.shown() == replayed(history).shown()


def test_commits_delivered_in_reverse_one_by_one_are_each_applied_once(history: "History") -> None:
    history.task("1")
    for step in ("comment", "start", "two comments", "close"):
        history.append("task#1", *STEPS[step])
    table = Views()

    moved = [projected(history, [commit], table) for commit in reversed(history.commits)]

    assert moved == [1, 0, 0, 0, 0]
    comments = [f"comment#00000{place}" for place in range(3)]
    assert [key.sk for key in table.rows if key.pk == "task#1"] == ["task", *comments]
    assert table.counters[Key(counters.TASKS_COUNTER, "closed#high#")] == 1


def test_a_gap_is_filled_from_the_store_and_what_is_known_already_is_not_read(history: "History") -> None:
    first = history.task("1")
    for _ in range(3):
        history.append("task#1", *STEPS["comment"])
    table = Views()
    projected(history, [first], table)
    read: list[tuple[str, int]] = []
    load = history.store.load

    def noted(stream: str, after: int = 0) -> Iterator[Commit]:
        read.append((stream, after))
        return load(stream, after)

    with patch.object(history.store, "load", noted):
        projected(history, [history.commits[3], history.commits[1]], table)

    assert read == [("task#1", 2)]
    assert table.shown() == replayed(history).shown()


def test_a_crash_between_two_transactions_leaves_whole_changes_and_heals(
    history: "History", monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(changes, "MAX_TRANSACTION_ITEMS", 3)
    for number in range(3):
        history.task(str(number))
    table = Views(["", "crash before"])

    with pytest.raises(CrashError):
        projected(history, history.commits, table)
    half_way = table.shown()[1]
    projected(history, history.commits, table)

    assert half_way == {Key(counters.TASKS_COUNTER, "open#high#"): 1}
    assert table.shown() == replayed(history).shown()


def test_a_lost_answer_is_not_counted_twice(history: "History") -> None:
    history.task("1")
    table = Views(["crash after"])

    with pytest.raises(CrashError):
        projected(history, history.commits, table)
    moved_again = projected(history, history.commits, table)

    assert moved_again == 0
    assert table.counters[Key(counters.TASKS_COUNTER, "open#high#")] == 1


def test_rows_that_keep_moving_bring_the_batch_back(history: "History") -> None:
    history.task("1")
    table = Views(["conflict"] * MAX_PASSES)
    waits: list[float] = []

    with using(table), pytest.raises(OutrunTooOftenError, match="1 streams"):
        projector_of(history, waits.append).project(history.commits)

    assert len(waits) == MAX_PASSES - 1  # after the last pass the batch goes back at once
    assert not table.rows
    assert projected(history, history.commits, table) == 1


def test_rows_that_moved_fewer_times_are_applied_in_the_same_invocation(history: "History") -> None:
    history.task("1")
    table = Views(["conflict"] * (MAX_PASSES - 1))

    assert projected(history, history.commits, table) == 1


def test_a_stream_far_behind_is_brought_up_in_steps_that_fit_into_a_transaction(history: "History") -> None:
    history.task("1")
    for _ in range(3 * MAX_STEP_EVENTS):
        history.append("task#1", *STEPS["comment"])
    other = history.task("2")
    table = Views()
    sizes: list[int] = []
    apply = table.apply

    def noted(units: Iterable[Unit], still_valid: Callable[[], bool]) -> None:
        groups = list(changes._groups(units))
        sizes.extend(sum(len(changes._items(change)) for (change,) in group) for group in groups)
        apply((unit for group in groups for unit in group), still_valid)

    with patch.object(table, "apply", noted):
        moved = projected(history, [history.commits[-2], other], table)

    assert moved == 2
    assert len(sizes) == 4
    assert max(sizes) <= changes.MAX_TRANSACTION_ITEMS
    assert table.shown() == replayed(history).shown()


def test_a_hundred_comments_in_one_batch_go_through(history: "History") -> None:
    history.task("1")
    for _ in range(100):
        history.append("task#1", *STEPS["comment"])
    table = Views()

    projected(history, history.commits, table)

    assert json.loads(table.rows[Key("task#1", "task")]["data"])["comment_count"] == 100
    assert table.shown() == replayed(history).shown()


def test_streams_that_no_projection_knows_are_ignored(history: "History") -> None:
    history.append_encoded("report#2026-03-01", '[{"t": "report.made", "v": 1, "d": {}}]')
    table = Views()

    assert projected(history, history.commits, table) == 0
    assert table.shown() == ({}, {}, {})
