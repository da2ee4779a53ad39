"""Heartbeats, lag and parked streams in the views table, and what GET /health tells of them to whom."""

import base64
import json
from collections.abc import Sequence
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from itertools import pairwise
from types import SimpleNamespace
from typing import Any

import pytest
from botocore.exceptions import EndpointConnectionError
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from commands import reactions
from commands.schedules import send_heartbeat
from domain.commit import Commit
from domain.permissions import Role
from infra import generations, heartbeats, marks, read_side
from infra.generations import Phase
from infra.memory_event_store import MemoryEventStore
from infra.tokens import Tokens
from projections import notifier
from tests.integration.conftest import Calls, History
from tests.integration.read_api import KEY, Api, ask

NOW = datetime(2026, 3, 1, 12, 0, tzinfo=UTC)


@pytest.fixture
def at(monkeypatch: pytest.MonkeyPatch) -> Any:
    """Sets what heartbeats.py takes for the present time: seconds after NOW."""

    def turn(seconds: float) -> None:
        monkeypatch.setattr(heartbeats, "time", SimpleNamespace(time=lambda: NOW.timestamp() + seconds))

    turn(0)
    monkeypatch.setattr(heartbeats, "_unnoted", {})
    return turn


def beat(sent: float = 0) -> Commit:
    """A heartbeat that was sent so many seconds after NOW."""
    store = MemoryEventStore()
    (commit,) = store.load(send_heartbeat(store))
    return replace(commit, at=NOW + timedelta(seconds=sent))


# ---- heartbeats


def test_a_heartbeat_is_one_commit_that_expires_after_a_day() -> None:
    store = MemoryEventStore()
    (commit,) = store.load(send_heartbeat(store))
    assert [event.t for event in commit.stored_events()] == ["heartbeat.sent"]
    assert commit.expires_at == int(commit.at.timestamp()) + 86_400
    assert commit.by == "system:scheduler"


def test_the_lag_is_what_the_last_heartbeat_took(aws: None, at: Any) -> None:  # noqa: ARG001
    at(2.5)
    assert heartbeats.hear("projector", [beat(0)])
    assert heartbeats.lags() == [heartbeats.Lag("projector", 2.5, NOW.timestamp())]


def test_the_lag_grows_when_the_next_heartbeat_is_overdue(aws: None, at: Any) -> None:  # noqa: ARG001
    at(0.2)
    heartbeats.hear("projector", [beat(0)])
    seconds = []
    for present in (30, 60, 61, 300):
        at(present)
        (lag,) = heartbeats.lags()
        seconds.append(lag.seconds)
    assert seconds == [0.2, 0.2, 1, 240]


@settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(batches=st.lists(st.lists(st.integers(0, 9), max_size=4), min_size=1, max_size=8))
def test_in_whatever_order_heartbeats_come_the_newest_counts(aws: None, at: Any, batches: Sequence[list[int]]) -> None:  # noqa: ARG001
    for mark in marks.of_partition(heartbeats.PARTITION):
        mark.delete()
    at(10)
    news = [heartbeats.hear("notifier", [beat(60 * sent) for sent in batch]) for batch in batches]
    heard = [set().union(*batches[:place]) for place in range(len(batches) + 1)]
    assert news == [now > before for before, now in pairwise(heard)]
    newest = [60 * max(heard[-1])] if heard[-1] else []
    assert [lag.heard_at - NOW.timestamp() for lag in heartbeats.lags()] == newest


# ---- one that is missing


@pytest.fixture
def hear(aws: None, at: Any) -> Any:  # noqa: ARG001
    """Lets a consumer hear heartbeats, each sent so many minutes after NOW, within half a second."""

    def hear(consumer: str, *minutes: int) -> None:
        for minute in minutes:
            at(60 * minute + 0.5)
            heartbeats.hear(consumer, [beat(60 * minute)])

    return hear


def lag_of(consumer: str) -> heartbeats.Lag:
    (lag,) = (lag for lag in heartbeats.lags() if lag.consumer == consumer)
    return lag


def test_a_heartbeat_that_is_missing_shows_as_lag_though_later_ones_are_heard(hear: Any, at: Any) -> None:
    """It is in the one shard that is stuck; that it was sent is known from who reads the other stream."""
    hear("projector", 0, 2, 4)
    hear("notifier", 0, 1, 2, 3, 4)
    at(250)
    assert lag_of("projector") == heartbeats.Lag("projector", 190, NOW.timestamp() + 240, NOW.timestamp() + 60)
    assert lag_of("notifier") == heartbeats.Lag("notifier", 0.5, NOW.timestamp() + 240)
    assert read_side.look().lag["projector"] == 190
    assert read_side.look().status == "degraded"

    hear("projector", 1, 3)  # late, which nobody asks for any more
    at(250)
    assert lag_of("projector") == heartbeats.Lag("projector", 0.5, NOW.timestamp() + 240)


def test_one_that_is_on_its_way_is_not_missing(hear: Any, at: Any) -> None:
    hear("notifier", 0, 1)
    hear("projector", 0)
    at(61)
    assert lag_of("projector") == heartbeats.Lag("projector", 1, NOW.timestamp())


def test_a_consumer_that_is_new_does_not_miss_what_was_sent_before_its_time(hear: Any, at: Any) -> None:
    hear("notifier", 0, 1, 2, 3)
    hear("projector", 2, 3)
    at(181)
    assert lag_of("projector") == heartbeats.Lag("projector", 0.5, NOW.timestamp() + 180)


def test_marks_of_before_there_were_places_say_nothing(hear: Any, at: Any) -> None:
    for consumer, minute in (("notifier", 1), ("projector", 0)):
        marks.Mark(heartbeats.PARTITION, consumer, version=(NOW.timestamp() + 60 * minute) * 1000, data="0.1").save()
    hear("notifier", 2, 3)
    hear("projector", 2, 3)
    at(181)
    assert {lag.missing_since for lag in heartbeats.lags()} == {None}


def test_heartbeats_of_an_hour_are_kept_and_none_that_was_written_over_is_missed(hear: Any, at: Any) -> None:
    hear("projector", *range(59))
    hear("notifier", *range(65))
    hear("projector", *range(60, 64))  # of minute 59 its place holds nothing; of minutes 0 to 3, something later
    at(64 * 60)
    assert lag_of("projector").missing_since == NOW.timestamp() + 59 * 60
    hear("projector", 59)
    assert [lag.missing_since for lag in heartbeats.lags()] == [None, None]
    assert len(marks.of_partition(heartbeats.PARTITION)) == 2 * 60


def test_one_that_is_missing_is_forgotten_when_the_next_one_with_its_place_is_heard(hear: Any) -> None:
    hear("notifier", 0, 1, 2, 59)
    hear("projector", 0, 2, 59)
    assert lag_of("projector").missing_since == NOW.timestamp() + 60
    hear("notifier", 61)
    hear("projector", 61)
    assert lag_of("projector").missing_since is None


# ---- what it costs to hear one


def test_commits_without_a_heartbeat_cost_no_call(calls: Calls, history: History) -> None:
    assert not heartbeats.hear("projector", [history.task("1")])
    assert calls.operations == []


def test_a_heartbeat_costs_one_write_and_is_measured(
    calls: Calls, at: Any, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("STAGE", "dev")
    at(1.25)
    heartbeats.hear("reactions", [beat(0), beat(0)])
    assert calls.operations == ["PutItem"]
    told = json.loads(capsys.readouterr().out)
    assert (told["ProjectionLag"], told["consumer"], told["stage"]) == ([1.25], "reactions", "dev")


@pytest.mark.parametrize("consumer", [notifier, reactions])
def test_the_readers_of_the_kinesis_stream_hear_heartbeats_and_do_nothing_more(calls: Calls, consumer: Any) -> None:
    store = MemoryEventStore()
    (commit,) = store.load(send_heartbeat(store))
    change = {"eventName": "INSERT", "dynamodb": {"NewImage": History.image(commit)}}
    record = {"kinesis": {"data": base64.b64encode(json.dumps(change).encode()).decode()}}

    consumer.handler({"Records": [record, record]}, None)

    assert calls.operations == ["PutItem"]
    assert [lag.consumer for lag in heartbeats.lags()] == [consumer.__name__.rpartition(".")[2]]


def test_a_heartbeat_that_cannot_be_noted_holds_up_nobody_and_is_noted_with_what_comes_next(
    calls: Calls, history: History, at: Any
) -> None:
    for minute in range(5):
        at(60 * minute + 0.5)
        heartbeats.hear("projector", [beat(60 * minute)])
        if minute in {1, 4}:
            continue
        assert heartbeats.hear("notifier", [beat(60 * minute)])
        if minute == 0:
            at(60 * 1.5)
            calls.refuse["PutItem"] = EndpointConnectionError(endpoint_url="views")
            calls.clear()
            assert heartbeats.hear("notifier", [beat(60), beat(60.1)])
            assert calls.operations == ["PutItem"]  # a second one would take as long to fail
            del calls.refuse["PutItem"]
    assert lag_of("notifier") == heartbeats.Lag("notifier", 0.5, NOW.timestamp() + 180)

    calls.clear()
    assert not heartbeats.hear("notifier", [history.task("1")])
    assert calls.operations == []


def test_a_heartbeat_that_could_not_be_noted_is_noted_as_it_came_in(calls: Calls, history: History, at: Any) -> None:
    at(1)
    calls.refuse["PutItem"] = EndpointConnectionError(endpoint_url="views")
    assert heartbeats.hear("notifier", [beat(0)])
    assert heartbeats.lags() == []
    del calls.refuse["PutItem"]
    at(50)
    assert not heartbeats.hear("notifier", [history.task("1"), beat(0)])
    assert heartbeats.lags() == [heartbeats.Lag("notifier", 1, NOW.timestamp())]


def test_of_heartbeats_that_cannot_be_noted_those_of_an_hour_are_kept(calls: Calls, at: Any) -> None:
    at(1)
    calls.refuse["PutItem"] = EndpointConnectionError(endpoint_url="views")
    for minute in range(70):
        heartbeats.hear("notifier", [beat(60 * minute)])
    del calls.refuse["PutItem"]
    calls.clear()
    heartbeats.hear("notifier", [])
    assert calls.operations == ["PutItem"] * 60


# ---- parked streams


def test_a_parked_stream_keeps_when_it_was_parked_and_tells_when_it_was_last_tried(aws: None) -> None:  # noqa: ARG001
    marks.park(1, "task#1", 3, "ValueError: first")
    (first,) = marks.parked()
    marks.park(1, "task#1", 4, "ValueError: second")
    (second,) = marks.parked()
    assert (second.stream, second.version, second.error) == ("task#1", 4, "ValueError: second")
    assert second.since == first.since == first.tried < second.tried


def test_a_mark_is_taken_off_unless_the_stream_was_tried_in_vain_again(aws: None) -> None:  # noqa: ARG001
    marks.park(1, "task#1", 3, "ValueError")
    (first,) = marks.parked()
    marks.park(1, "task#1", 3, "ValueError")
    (second,) = marks.parked()
    assert not marks.unpark(first)
    assert marks.parked() == [second]
    assert marks.unpark(second)
    assert marks.parked() == []


# ---- how the read side is


@pytest.fixture
def heard(aws: None, at: Any) -> Any:  # noqa: ARG001
    """Lets consumers hear a heartbeat that was sent now, so many seconds later."""

    def hear(**took: float) -> None:
        for consumer, seconds in took.items():
            at(seconds)
            heartbeats.hear(consumer, [beat(0)])
        at(0)

    return hear


def test_before_the_first_heartbeat_nothing_is_known_and_nothing_wrong(aws: None) -> None:  # noqa: ARG001
    found = read_side.look()
    assert (found.status, found.parked, found.rebuild) == ("ok", [], None)
    assert found.lag == {"projector": None, "notifier": None, "reactions": None}


@pytest.mark.parametrize(
    ("took", "status"),
    [
        ({"projector": 0.1, "notifier": 0.2, "reactions": 120}, "ok"),
        ({"projector": 0.1, "notifier": 0.2, "reactions": 120.1}, "degraded"),
        ({"projector": 0.1, "notifier": 0.2}, "degraded"),
    ],
)
def test_it_is_degraded_when_a_consumer_is_late_or_alone_hears_nothing(
    heard: Any, took: dict[str, float], status: str
) -> None:
    heard(**took)
    assert read_side.look().status == status


def test_it_is_degraded_when_a_stream_is_parked(heard: Any) -> None:
    heard(projector=0.1, notifier=0.1, reactions=0.1)
    marks.park(1, "task#1", 3, "ValueError")
    found = read_side.look()
    assert (found.status, [parked.stream for parked in found.parked]) == ("degraded", ["task#1"])


def test_streams_parked_in_a_generation_that_is_not_live_do_not_count(heard: Any) -> None:
    heard(projector=0.1, notifier=0.1, reactions=0.1)
    marks.park(2, "task#1", 3, "ValueError")
    assert read_side.look().status == "ok"
    generations.move(lambda state: state.model_copy(update={"live": {"task": 2}, "phase": Phase.SWAPPED}))
    found = read_side.look()
    assert (found.status, found.rebuild) == ("degraded", Phase.SWAPPED)


# ---- GET /health

DETAILS = {"status": "ok", "lag": {"projector": 0.1, "notifier": 0.2, "reactions": 0.3}, "parked": 0, "rebuild": None}


def test_an_admin_is_told_how_the_read_side_is(asked: Api, heard: Any) -> None:
    heard(projector=0.1, notifier=0.2, reactions=0.3)
    assert asked.get("/health").body == DETAILS
    marks.park(1, "task#1", 3, "ValueError")
    answered = asked.get("/health")
    assert (answered.status, answered.body) == (200, {**DETAILS, "status": "degraded", "parked": 1})


@pytest.mark.parametrize(
    "authorization",
    [None, "", "Bearer", "Basic YTpi", "Bearer not.a.token", "user", "must change password"],
)
def test_nobody_else_is_told_anything_and_nothing_is_read(
    signed: None,  # noqa: ARG001
    calls: Calls,
    authorization: str | None,
) -> None:
    tokens = Tokens(lambda: KEY)
    if authorization == "user":
        authorization = f"Bearer {tokens.issue('ann', Role.USER, datetime.now(UTC))}"
    if authorization == "must change password":
        issued = tokens.issue("admin", Role.ADMIN, datetime.now(UTC), must_change_password=True)
        authorization = f"Bearer {issued}"
    marks.park(1, "task#1", 3, "ValueError")
    calls.clear()

    answered = ask("/health", {} if authorization is None else {"Authorization": authorization})

    assert (answered.status, answered.body) == (200, {"status": "ok"})
    assert calls.operations == []


def test_the_details_cost_two_queries(asked: Api, calls: Calls) -> None:
    asked.get("/health")
    assert calls.operations == ["Query", "Query"]
