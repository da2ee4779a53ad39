"""What a batch costs: how it is cut into transactions, and the write units of each operation."""

import json
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from itertools import pairwise
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from domain.tasks import TaskAssigned
from infra import changes
from infra.changes import Change, Unit
from infra.views import Key, Row
from projections import projector
from tests.integration.conftest import table_items
from tests.integration.projecting import LATER, STEPS, batch

if TYPE_CHECKING:
    from domain.event import DomainEvent
    from tests.integration.conftest import Calls, History


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


# ---- write units


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
