"""The projector: whatever order commits come in, rows and counters end as a replay in order would leave them."""

import json
import os
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import replace
from datetime import UTC, datetime
from itertools import pairwise
from typing import TYPE_CHECKING, Any
from unittest.mock import patch

import pytest
from botocore.exceptions import ClientError
from hypothesis import given, settings
from hypothesis import strategies as st
from pynamodb.exceptions import PynamoDBException

from domain import event as event_types
from domain.commit import Commit, timestamp
from domain.tasks import (
    Priority,
    Status,
    TaskAssigned,
    TaskCommented,
    TaskDeleted,
    TaskDetailsChanged,
    TaskStatusChanged,
)
from domain.users import UserDeleted
from infra import changes, clients, counters, generations, marks, views
from infra.changes import Change, OutrunError, RefusedError, Unit
from infra.event_store import DynamoDBEventStore
from infra.generations import Bearings, Generations
from infra.personal_data import DynamoDBDataKeys, MemoryDataKeys, PersonalData
from infra.views import Key, Row
from projections import projector
from projections.projector import MAX_PASSES, MAX_STEP_EVENTS, OutrunTooOftenError, Projector, projections
from tests.integration.conftest import table_items

if TYPE_CHECKING:
    from domain.event import DomainEvent
    from tests.integration.conftest import Calls, History

Items = Callable[[], dict[tuple[str, str], dict[str, Any]]]
Shown = dict[Key, dict[str, Any]]

BY_CATEGORY = {projection.category: projection for projection in projections(PersonalData(MemoryDataKeys()))}
MAIN_ROWS = {"task": "task", "user": "user"}


class CrashError(Exception):
    """The function dies here."""


class Views:
    """The views table in memory: the part of `infra.views` that the projector uses, with the real cutting in groups.

    Args:
        faults: what happens at each transaction, in order; afterwards nothing does.
    """

    OutrunError = OutrunError
    RefusedError = RefusedError

    def __init__(self, faults: Sequence[str] = ()) -> None:
        self.rows: Shown = {}
        self.counters: Counter[Key] = Counter()
        self.marks: dict[str, tuple[int, str]] = {}
        self.faults = list(faults)
        self.overtake: Callable[[], object] = lambda: None

    def rows_by_key(self, keys: Iterable[Key]) -> dict[Key, Row]:
        return {key: Row(**self.rows[key]) for key in keys if key in self.rows}

    def bearings(self) -> Bearings:
        return Bearings(Generations(), {(1, stream) for stream in self.marks})

    def park(self, generation: int, stream: str, version: int, error: str) -> None:
        assert generation == 1
        self.marks[stream] = (version, error)

    def apply(self, units: Iterable[Unit], still_valid: Callable[[], bool]) -> None:
        assert still_valid()
        for units_together in changes._groups(units):
            group = [change for unit in units_together for change in unit]
            fault = self.faults.pop(0) if self.faults else ""
            if fault == "crash before":
                raise CrashError
            if fault == "conflict":
                raise OutrunError
            if fault == "overtaken":
                self.overtake()
            if any(self._version(change.row.key) != change.read_version for change in group):
                raise OutrunError
            for change in group:
                self._write(change)
            if fault == "crash after":
                raise CrashError

    def _write(self, change: Change) -> None:
        assert not {row.key for row in change.added} & set(change.removed)  # DynamoDB takes an item once
        for row in (change.row, *change.added):
            self.rows[row.key] = dict(row.attribute_values)
        for key in change.removed:
            self.rows.pop(key, None)
        self.counters.update(change.moves)
        if change.unparks:
            del self.marks[change.stream]

    def _version(self, key: Key) -> int:
        return int(self.rows[key]["version"]) if key in self.rows else 0

    def shown(self) -> tuple[Shown, dict[Key, int], dict[str, tuple[int, str]]]:
        return self.rows, {key: n for key, n in self.counters.items() if n}, self.marks

    def recounted(self) -> dict[Key, int]:
        """The counters, as the sum of what every row contributes."""
        sums: Counter[Key] = Counter()
        for key, row in self.rows.items():
            category = key.pk.partition("#")[0]
            if category == "event" or MAIN_ROWS.get(category) == key.sk:
                sums.update(BY_CATEGORY[category].contributions(Row(**row)))
        return dict(sums)


@contextmanager
def using(table: Views) -> Iterator[Views]:
    with (
        patch.object(projector, "views", table),
        patch.object(projector, "changes", table),
        patch.object(projector, "counters", table),
        patch.object(marks, "park", table.park),
        patch.object(generations, "bearings", table.bearings),
        patch.object(generations, "present", Generations),
    ):
        yield table


def projected(history: "History", hints: Iterable[Commit], table: Views) -> int:
    """Projects into a table in memory. Returns how many streams moved."""
    with using(table):
        return projector_of(history).project(hints)


def projector_of(history: "History", sleep: Callable[[float], None] = lambda _seconds: None) -> Projector:
    return Projector(history.store, projections(history.people), sleep)


def replayed(history: "History") -> Views:
    """A fresh table after every commit, one by one in order."""
    table = Views()
    for commit in history.commits:
        projected(history, [commit], table)
    return table


# ---- any order, any duplicates, any holes, any crash

LATER = TaskDetailsChanged(
    title="A title",
    description="A description",
    priority=Priority.HIGH,
    due_date=datetime(2026, 8, 1, tzinfo=UTC),
)
STEPS: Mapping[str, Sequence["DomainEvent"]] = {
    "comment": [TaskCommented(comment_id="c", comment="Looked at it.")],
    "two comments": [TaskCommented(comment_id=c, comment=f"Said {c}.") for c in "ab"],
    "start": [TaskStatusChanged(old=Status.OPEN, new=Status.IN_PROGRESS)],
    "close": [TaskStatusChanged(old=Status.IN_PROGRESS, new=Status.CLOSED)],
    "assign": [TaskAssigned(user_id="bob")],
    "unassign": [TaskAssigned(previous_user_id="bob")],
    "reopen": [TaskStatusChanged(old=Status.CLOSED, new=Status.IN_PROGRESS)],
    "low": [TaskDetailsChanged(title="Another title", description="Another description", priority=Priority.LOW)],
    "due": [LATER],
    "due and assigned": [LATER, TaskAssigned(user_id="bob")],
    "due later": [LATER.model_copy(update={"due_date": datetime(2026, 9, 1, tzinfo=UTC)})],
    "give back": [TaskAssigned(user_id="ann", previous_user_id="bob")],
    "delete": [TaskDeleted()],
}
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


# ---- streams that cannot be projected

FUTURE = '[{"t": "task.remarked", "v": 1, "d": {"comment_id": "c", "comment": "From newer code."}}]'


@pytest.fixture
def poisoned(history: "History") -> "History":
    """Three tasks; the second one's third commit is an event that this code does not know; one more follows."""
    for number in ("1", "2", "3"):
        history.task(number)
    history.append("task#2", *STEPS["start"])
    history.append_encoded("task#2", FUTURE)
    history.append("task#2", *STEPS["close"])
    return history


@pytest.fixture
def fixed(monkeypatch: pytest.MonkeyPatch) -> Callable[[], None]:
    """Deploys code that knows the event."""
    return lambda: monkeypatch.setitem(event_types._types, "task.remarked", TaskCommented)


def test_a_poisoned_stream_is_parked_with_its_error_and_holds_up_no_other(poisoned: "History") -> None:
    table = Views()

    projected(poisoned, poisoned.commits, table)

    versions = {key.pk: row["version"] for key, row in table.rows.items() if key.sk == "task"}
    assert versions == {"task#1": 1, "task#2": 2, "task#3": 1}
    assert set(table.marks) == {"task#2"}
    version, error = table.marks["task#2"]
    assert version == 2
    assert error.startswith("UnreadableEventError: no code for the event 'task.remarked' v1")


def test_what_came_before_the_poison_stays_visible_and_what_follows_waits_behind_it(poisoned: "History") -> None:
    table = Views()

    for commit in poisoned.commits:
        projected(poisoned, [commit], table)

    row = table.rows[Key("task#2", "task")]
    assert (row["version"], json.loads(row["data"])["status"]) == (2, "in_progress")
    assert table.marks["task#2"][0] == 2
    assert table.shown()[1] == table.recounted()


@pytest.mark.parametrize("one_by_one", [True, False])
def test_after_the_fix_the_next_hint_heals_the_stream_and_removes_the_mark(
    poisoned: "History",
    fixed: Callable[[], None],
    one_by_one: bool,  # noqa: FBT001
) -> None:
    table = Views()
    for batch in [[commit] for commit in poisoned.commits] if one_by_one else [poisoned.commits]:
        projected(poisoned, batch, table)
    fixed()

    hint = poisoned.append("task#2", *STEPS["comment"])
    projected(poisoned, [hint], table)

    assert table.marks == {}
    assert table.shown() == replayed(poisoned).shown()
    assert json.loads(table.rows[Key("task#2", "task")]["data"])["comment_count"] == 2


def test_a_mark_is_removed_only_together_with_the_row_that_heals(
    poisoned: "History", fixed: Callable[[], None]
) -> None:
    table = Views()
    projected(poisoned, poisoned.commits, table)
    fixed()
    table.faults = ["crash before"]

    with pytest.raises(CrashError):
        projected(poisoned, poisoned.commits, table)
    marked = set(table.marks)
    projected(poisoned, poisoned.commits, table)

    assert marked == {"task#2"}
    assert table.marks == {}


@pytest.mark.parametrize(
    ("stream", "encoded"),
    [
        ("event#1", "[]"),
        ("event#1", "no json"),
        ("event#1", '[{"t": "monitoring-event.recorded", "v": 1, "d": {"published_at": 1}}]'),
        ("event#1", '[{"t": "monitoring-event.recorded", "v": 1, "d": {"published_at": 99999999999999}}]'),
        ("event#1", '[{"t": "monitoring-event.recorded", "v": 1, "d": {"published_at": "now"}}]'),
        ("task#1", "[]"),
        ("task#1", "no json"),
        ("task#1", '[{"t": "task.commented", "v": 1, "d": {"comment_id": "c", "comment": "Before it was made."}}]'),
        ("user#1", '[{"t": "user.registered", "v": 2, "d": {}}]'),
    ],
)
def test_whatever_is_wrong_with_an_event_parks_its_stream_only(history: "History", stream: str, encoded: str) -> None:
    history.append_encoded(stream, encoded)
    history.task("2")
    table = Views()

    assert projected(history, history.commits, table) == 1
    assert set(table.marks) == {stream}
    assert Key("task#2", "task") in table.rows


def test_personal_data_that_was_sealed_for_another_parks_its_stream_only(history: "History") -> None:
    ann = history.user("ann", "Ann Example")
    history.append_encoded("user#bob", ann.encoded)
    history.people.seal("bob", "email", "bob@example.com")  # bob has a key
    table = Views()

    assert projected(history, history.commits, table) == 1
    assert set(table.marks) == {"user#bob"}
    assert table.marks["user#bob"][1] == "UnsealedTextError: email of bob was sealed for something else"


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


# ---- cutting a batch into transactions


def test_groups_are_cut_by_bytes_not_by_characters() -> None:
    fat = "\N{PILE OF POO}" * 50_000  # 4 bytes each
    units = [[Change(1, f"task#{n}", 0, Row(f"task#{n}", "task", version=1, data=fat), (), {})] for n in range(40)]

    groups = list(changes._groups(units))

    assert [unit for group in groups for unit in group] == units
    for group in groups:
        assert sum(len(change.row.data.encode()) for (change,) in group) < 4_000_000  # DynamoDB's limit
    assert len(groups) == 3


@settings(max_examples=200, deadline=None)
@given(
    st.lists(
        st.tuples(st.integers(0, 30), st.sets(st.integers(0, 9), max_size=4), st.booleans(), st.integers(0, 3)),
        max_size=40,
    ),
    st.sampled_from([(1,), (1, 2), (3, 4)]),
)
def test_groups_hold_at_most_a_hundred_items_and_are_as_few_as_fit_in_order(
    plan: list[tuple[int, set[int], bool, int]], kept: tuple[int, ...]
) -> None:
    """Where changes are written in two generations, both are in one group, and what they touch are different items."""
    units = [
        [
            Change(
                generation,
                f"s#{n}",
                0,
                Row(f"s#{n}", "row", version=1, data="{}"),
                tuple(Row(f"s#{n}", f"added#{place}", version=0, data="") for place in range(added)),
                {Key("counter", str(counter)): 1 for counter in counters},
                unparks,
                tuple(Key(f"s#{n}", f"removed#{place}") for place in range(removed)),
            )
            for generation in kept
        ]
        for n, (added, counters, unparks, removed) in enumerate(plan)
    ]

    def items(group: Sequence[Unit]) -> int:
        changes = [change for unit in group for change in unit]
        merged = {(change.generation, key) for change in changes for key in change.moves}
        own = (1 + len(change.added) + change.unparks + len(change.removed) for change in changes)
        return sum(own) + len(merged)

    groups = list(changes._groups(units))

    assert [unit for group in groups for unit in group] == units
    assert all(items(group) <= 100 for group in groups)
    assert all(items([*group, following[0]]) > 100 for group, following in pairwise(groups))


def test_nothing_to_write_is_no_transaction() -> None:
    assert list(changes._groups([])) == []


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


# ---- on DynamoDB


@pytest.fixture
def stored(aws: None, new_history: type["History"]) -> "History":  # noqa: ARG001
    """A history in the events table, with the people's keys in theirs."""
    client = clients.dynamodb()
    keys = DynamoDBDataKeys(client, "keys", clients.kms, os.environ["DATA_KEY_ARN"])
    return new_history(DynamoDBEventStore(client, "events"), keys)


def record(image: Mapping[str, Any], name: str = "INSERT") -> dict[str, Any]:
    keys = {name: value for name, value in image.items() if name in {"pk", "sk"}}
    change = {"Keys": keys, "OldImage" if name == "REMOVE" else "NewImage": dict(image)}
    return {"eventID": "1", "eventName": name, "eventSource": "aws:dynamodb", "dynamodb": change}


def batch(history: "History", commits: Iterable[Commit]) -> dict[str, Any]:
    return {"Records": [record(history.image(commit)) for commit in commits]}


def counter(items: Items, partition: str) -> dict[str, int]:
    return {sk: int(item["n"]["N"]) for (pk, sk), item in items().items() if pk == partition}


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


def test_a_parked_stream_is_visible_and_its_mark_goes_with_the_fix(
    stored: "History", view_items: Items, fixed: Callable[[], None]
) -> None:
    stored.task("1")
    stored.append_encoded("task#1", FUTURE)
    stored.task("2")

    projector.handler(batch(stored, stored.commits), None)
    parked = view_items()["projections", "parked#1#task#1"]
    fixed()
    projector.handler(batch(stored, stored.commits[1:2]), None)

    assert parked["version"]["N"] == "1"
    assert "no code for the event 'task.remarked'" in parked["data"]["S"]
    assert ("projections", "parked#1#task#1") not in view_items()
    assert view_items()["task#1", "task"]["version"]["N"] == "2"


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


def test_an_item_that_was_put_by_hand_into_a_stream_parks_that_stream_only(
    stored: "History", view_items: Items
) -> None:
    stored.task("1")
    by_hand = {"pk": {"S": "task#1"}, "sk": {"N": "2"}, "note": {"S": "what is this?"}}
    clients.dynamodb().put_item(TableName="events", Item=by_hand)
    stored.task("2")
    behind = replace(stored.commits[0], version=3)

    projector.handler(batch(stored, [*stored.commits, behind]), None)

    parked = view_items()["projections", "parked#1#task#1"]
    assert (parked["version"]["N"], parked["data"]["S"].partition(":")[0]) == ("1", "NotACommitError")
    assert view_items()["task#1", "task"]["version"]["N"] == "1"
    assert ("task#2", "task") in view_items()


@pytest.mark.parametrize("operation", ["BatchGetItem", "Query", "TransactWriteItems"])
def test_a_fault_of_the_infrastructure_raises_and_parks_nothing(
    stored: "History", view_items: Items, calls: "Calls", operation: str
) -> None:
    stored.task("1")
    stored.append("task#1", *STEPS["comment"])
    fault = {"Error": {"Code": "ProvisionedThroughputExceededException", "Message": "slow down"}}
    calls.refuse[operation] = ClientError(fault, operation)  # type: ignore[arg-type]

    with pytest.raises((ClientError, PynamoDBException)):
        projector.handler(batch(stored, stored.commits[1:]), None)

    calls.refuse.clear()
    assert view_items() == {}
    projector.handler(batch(stored, stored.commits[1:]), None)
    assert view_items()["task#1", "task"]["version"]["N"] == "2"


def test_a_key_that_cannot_be_fetched_raises_and_parks_nothing(
    stored: "History", view_items: Items, calls: "Calls"
) -> None:
    stored.user("ann", "Ann Example")
    fault = {"Error": {"Code": "ThrottlingException", "Message": "slow down"}}
    calls.refuse["Decrypt"] = ClientError(fault, "Decrypt")  # type: ignore[arg-type]

    with pytest.raises(ClientError):
        projector.handler(batch(stored, stored.commits), None)

    calls.refuse.clear()
    assert view_items() == {}
    projector.handler(batch(stored, stored.commits), None)
    assert ("user#ann", "user") in view_items()


def test_a_fault_while_a_gap_is_read_raises_and_parks_nothing(
    stored: "History", view_items: Items, monkeypatch: pytest.MonkeyPatch
) -> None:
    stored.task("1")
    stored.append("task#1", *STEPS["comment"])

    def fails(_stream: str, _after: int = 0) -> Iterator[Commit]:
        raise TimeoutError

    monkeypatch.setattr(stored.store, "load", lambda stream, after=0: fails(stream, after))
    with pytest.raises(TimeoutError):
        projector_of(stored).project(stored.commits[1:])

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


@pytest.mark.parametrize("source", ["s" * 2_048, "\N{PILE OF POO}" * 2_048])
def test_a_source_of_any_length_is_counted_under_a_key_that_dynamodb_takes(history: "History", source: str) -> None:
    history.event(source=source)

    for key in replayed(history).counters:
        assert len(key.sk.encode()) <= 1_024


INDEXES = (("gsi1pk", "gsi1sk"), ("gsi2pk", "gsi2sk"))


def write_units(request: Mapping[str, Any], before: Mapping[tuple[str, str], Any]) -> int:
    """What a transaction costs, its items being smaller than 1 KB, over what stood there before.

    From "Read and write capacity" and "Using Global Secondary Indexes" in the DynamoDB Developer Guide: 2 units for
    each item; 1 for each index entry that is put or removed, 2 for one whose key changes.
    """
    units = 0
    for written in request["TransactItems"]:
        ((kind, what),) = written.items()
        item = what.get("Item") or what.get("Key")
        assert len(json.dumps(item)) < 1_024
        old = before.get((item["pk"]["S"], item["sk"]["S"]), {})
        new = item if kind == "Put" else {}
        units += 2
        for index in INDEXES:
            entries = [[entry[name] for name in index] for entry in (old, new) if index[0] in entry]
            units += len(entries) - (len(entries) == 2 and entries[0] == entries[1])
    return units


UNITS: Mapping[str, tuple[Sequence[Sequence["DomainEvent"]], float]] = {
    # what happened before, with the operation last, and what the plan in infra.views says of it
    "title": ((STEPS["due"], [LATER.model_copy(update={"title": "Another"})]), 4),
    "priority": ((STEPS["low"],), 5),
    "status": ((STEPS["start"],), 6),
    "closed": ((STEPS["start"], STEPS["close"]), 6),
    "reassigned": (([TaskAssigned(user_id="cat")],), 5),
    "given back to its creator": (([TaskAssigned(user_id="ann")],), 7),
    "given back to nobody": (([TaskAssigned()],), 4),
    "commented": ((STEPS["comment"],), 6),
    "deleted": ((STEPS["delete"],), 4 + 2),
    "due date set": ((STEPS["due"],), 4 + 2),
    "due date changed": ((STEPS["due"], STEPS["due later"]), 4 + 4),
    "closed with a due date": ((STEPS["due"], STEPS["start"], STEPS["close"]), 6 + 4),
    "reassigned with a due date": ((STEPS["due"], [TaskAssigned(user_id="cat")]), 5 + 2),
}


@pytest.mark.parametrize(
    ("operation", "size"), [("status", 100), *((operation, 20) for operation in UNITS if operation != "status")]
)
def test_write_units_of_a_change_of_a_task_in_a_batch(
    stored: "History", calls: "Calls", operation: str, size: int
) -> None:
    steps, units = UNITS[operation]
    for number in range(size):
        stored.task(f"{number:02}", assigned_user_id="bob")
    for step in steps[:-1]:
        for number in range(size):
            stored.append(f"task#{number:02}", *step)
    projector.handler(batch(stored, stored.commits), None)
    before = {(item["pk"]["S"], item["sk"]["S"]): item for item in table_items("views")}
    calls.clear()
    operations = [stored.append(f"task#{number:02}", *steps[-1]) for number in range(size)]

    projector.handler(batch(stored, operations), None)

    written = [request for name, request in calls if name == "TransactWriteItems"]
    spent = sum(write_units(request, before) for request in written) / size
    assert units <= spent <= units + 0.5  # the rest is the counters', which the batch shares


@pytest.mark.parametrize(
    ("fields", "units"),
    [
        ({"assigned_user_id": "ann"}, 4),
        ({"assigned_user_id": "bob"}, 6),
        ({}, 5),
        ({"assigned_user_id": "bob", "event_id": "1-x"}, 8),
        ({"assigned_user_id": "ann", "due_date": datetime(2026, 8, 1, tzinfo=UTC)}, 6),
    ],
)
def test_write_units_of_a_new_task(stored: "History", calls: "Calls", fields: dict[str, Any], units: float) -> None:
    for number in range(20):
        stored.task(f"{number:02}", **fields)
    calls.clear()

    projector.handler(batch(stored, stored.commits), None)

    spent = sum(write_units(request, {}) for name, request in calls if name == "TransactWriteItems") / 20
    assert units <= spent <= units + 0.5
