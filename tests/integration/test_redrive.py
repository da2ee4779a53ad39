"""Redrive: what becomes of streams that were parked, told by their marks in the views table."""

import json
from collections.abc import Callable, Iterable, Sequence

import pytest

from commands.schedules import send_heartbeat
from domain import event as events
from domain.commit import encode_events
from domain.event import StoredEvent
from domain.tasks import TaskCommented, TaskStatusChanged
from infra import heartbeats, marks
from infra.event_store import DynamoDBEventStore
from infra.views import Row
from projections import projector as projector_module
from projections.projector import Projector, projections
from projections.redrive import redrive, report_parked
from tests.integration.conftest import Calls, History, aws_client


class CatchingUp:
    """A projector that parks what it is told to park, and takes the mark off what it can show."""

    def __init__(self) -> None:
        self.asked: list[Sequence[str]] = []
        self.unreadable: dict[str, str] = {}
        self.meanwhile: Callable[[], None] = lambda: None

    def catch_up(self, streams: Iterable[str]) -> None:
        self.asked.append(list(streams))
        for stream, error in self.unreadable.items():
            marks.park(1, stream, 1, error)
        self.meanwhile()


@pytest.fixture
def projector() -> CatchingUp:
    return CatchingUp()


@pytest.fixture(autouse=True)
def two_tasks(aws: None, history: History) -> History:  # noqa: ARG001
    """`task#1` of two commits, `task#2` of one."""
    history.task("1")
    history.append("task#1", TaskCommented(comment_id="c", comment="Noted."))
    history.task("2")
    return history


def parked() -> list[str]:
    return [one.stream for one in marks.parked()]


def test_a_stream_is_named_once_and_told_of_with_its_version(projector: CatchingUp, history: History) -> None:
    assert redrive(projector, history.store, ["task#1", "task#2", "task#1"]) == {
        "task#1": {"version": 2, "parked": None},
        "task#2": {"version": 1, "parked": None},
    }
    assert projector.asked == [["task#1", "task#2"]]


def test_a_stream_that_still_cannot_be_shown_stays_parked_with_the_present_reason(
    projector: CatchingUp, history: History
) -> None:
    marks.park(1, "task#1", 1, "ValueError: before")
    projector.unreadable = {"task#1": "ValueError: now"}
    assert redrive(projector, history.store, ["task#1"]) == {"task#1": {"version": 2, "parked": "ValueError: now"}}
    assert parked() == ["task#1"]


def test_a_stream_that_could_not_be_shown_for_the_first_time_is_told_of_too(
    projector: CatchingUp, history: History
) -> None:
    projector.unreadable = {"task#1": "ValueError: now"}
    assert redrive(projector, history.store, ["task#1"])["task#1"]["parked"] == "ValueError: now"


def test_a_mark_goes_also_when_there_was_nothing_left_to_apply(projector: CatchingUp, history: History) -> None:
    """What the stream was parked for is gone from the ledger; so nothing moved that would take the mark off."""
    marks.park(1, "task#1", 1, "ValueError")
    marks.park(1, "task#2", 1, "ValueError")
    assert redrive(projector, history.store, ["task#1"]) == {"task#1": {"version": 2, "parked": None}}
    assert parked() == ["task#2"]


def test_a_mark_goes_when_the_stream_has_expired(projector: CatchingUp, history: History) -> None:
    marks.park(1, "event#gone", 0, "ValueError")
    assert redrive(projector, history.store, ["event#gone"]) == {"event#gone": {"version": 0, "parked": None}}
    assert parked() == []


def test_an_item_that_somebody_put_by_hand_holds_up_its_own_stream_only(projector: CatchingUp) -> None:
    store = DynamoDBEventStore(aws_client("dynamodb"), "events")
    aws_client("dynamodb").put_item(TableName="events", Item={"pk": {"S": "task#1"}, "sk": {"N": "7"}})
    marks.park(1, "task#1", 2, "NotACommitError")
    done = redrive(projector, store, ["task#1", "task#2"])
    assert str(done["task#1"]["parked"]).startswith("NotACommitError: ")
    assert done["task#2"]["parked"] is None
    assert projector.asked == [["task#2"]]
    assert parked() == ["task#1"]


def test_a_fault_of_the_infrastructure_leaves_the_marks(projector: CatchingUp, history: History) -> None:
    def away() -> None:
        raise ConnectionError

    marks.park(1, "task#1", 1, "ValueError")
    projector.meanwhile = away
    with pytest.raises(ConnectionError):
        redrive(projector, history.store, ["task#1"])
    assert parked() == ["task#1"]


def test_streams_of_another_generation_are_left_to_the_rebuild(projector: CatchingUp, history: History) -> None:
    marks.park(2, "task#1", 1, "ValueError")
    assert redrive(projector, history.store, ["task#1"]) == {"task#1": {"version": 2, "parked": None}}
    assert parked() == ["task#1"]


def test_it_reads_the_marks_of_its_own_streams_however_many_are_parked(
    projector: CatchingUp, history: History, calls: Calls
) -> None:
    for number in range(30):
        marks.park(1, f"event#{number}", 0, "ValueError")
    marks.park(1, "task#2", 1, "ValueError")
    calls.clear()
    redrive(projector, history.store, ["task#1", "task#2"])
    assert calls.operations == ["GetItem", "BatchGetItem", "GetItem", "BatchGetItem", "DeleteItem"]


def test_the_number_of_parked_streams_is_measured(capsys: pytest.CaptureFixture[str]) -> None:
    marks.park(1, "task#1", 1, "ValueError")
    report_parked()
    assert '"ParkedStreams":[1.0]' in capsys.readouterr().out


# ---- with the projector itself


def test_a_parked_stream_goes_on_in_order_when_the_code_can_read_it(
    history: History, monkeypatch: pytest.MonkeyPatch
) -> None:
    projector = Projector(history.store, projections(history.people))
    closed = encode_events([StoredEvent("task.not-known-yet", 1, {"old": "open", "new": "in_progress"})])
    history.append_encoded("task#1", closed)
    history.append("task#1", TaskCommented(comment_id="d", comment="Later."))
    projector.project(history.commits)
    (one,) = marks.parked()
    assert (one.stream, one.version) == ("task#1", 2)

    still = redrive(projector, history.store, ["task#1"])["task#1"]
    assert "task.not-known-yet" in str(still["parked"])

    monkeypatch.setitem(events._types, "task.not-known-yet", TaskStatusChanged)  # the fix is deployed
    assert redrive(projector, history.store, ["task#1"]) == {"task#1": {"version": 4, "parked": None}}
    assert parked() == []
    row = Row.get("task#1", "task")
    assert (row.version, json.loads(row.data)["status"]) == (4, "in_progress")


def test_the_function_takes_streams_to_redrive_in_place_of_records(
    history: History, monkeypatch: pytest.MonkeyPatch
) -> None:
    made = Projector(history.store, projections(history.people))
    monkeypatch.setattr(projector_module, "_projector", lambda: made)
    monkeypatch.setattr(projector_module, "DynamoDBEventStore", lambda *_: history.store)
    marks.park(1, "task#1", 0, "ValueError")
    answered = projector_module.handler({"redrive": ["task#1"]}, None)
    assert json.loads(json.dumps(answered)) == {"task#1": {"version": 2, "parked": None}}
    assert parked() == []
    assert Row.get("task#1", "task").version == 2


def test_a_batch_with_a_heartbeat_is_measured_and_its_other_commits_are_projected(
    history: History, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    made = Projector(history.store, projections(history.people))
    monkeypatch.setattr(projector_module, "_projector", lambda: made)
    (beat,) = history.store.load(send_heartbeat(history.store))
    records = [
        {"eventName": "INSERT", "dynamodb": {"NewImage": history.image(commit)}} for commit in [*history.commits, beat]
    ]

    assert projector_module.handler({"Records": records}, None) is None

    assert Row.get("task#1", "task").version == 2
    assert [lag.consumer for lag in heartbeats.lags()] == ["projector"]
    assert parked() == []
    measured = capsys.readouterr().out
    assert '"ParkedStreams":[0.0]' in measured
    assert '"consumer":"projector"' in measured
