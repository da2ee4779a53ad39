"""Streams that cannot be projected are parked with their error; a fault of the infrastructure parks none."""

import json
from collections.abc import Callable, Iterator
from dataclasses import replace
from typing import TYPE_CHECKING

import pytest
from botocore.exceptions import ClientError
from pynamodb.exceptions import PynamoDBException

from domain import event as event_types
from domain.commit import Commit
from domain.tasks import TaskCommented
from infra import clients
from infra.views import Key
from projections import projector
from tests.integration.projecting import STEPS, CrashError, Items, Views, batch, projected, projector_of, replayed

if TYPE_CHECKING:
    from tests.integration.conftest import Calls, History

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
    for hints in [[commit] for commit in poisoned.commits] if one_by_one else [poisoned.commits]:
        projected(poisoned, hints, table)
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


# ---- on DynamoDB


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
