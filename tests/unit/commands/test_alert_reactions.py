"""Reactions about alerts: tasks are linked, and learn of their alert once, however the stream repeats and reorders."""

import base64
import json
import time
from collections.abc import Iterator, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from botocore.exceptions import ClientError
from hypothesis import given, settings
from hypothesis import strategies as st

from commands import alert_reactions, causation, execution, reactions
from commands.execution import Order, execute
from domain.alert_news import MAX_TOLD
from domain.alerts import (
    ALERTS,
    Alert,
    AlertOpened,
    AlertRecurred,
    AlertReopened,
    AlertResolved,
    Ending,
    Face,
    Seen,
)
from domain.commit import Commit
from domain.decider import Decider, fold
from domain.event import DomainEvent
from domain.monitoring_config import (
    CONFIG_ID,
    MONITORING_CONFIG,
    GlobalSettings,
    ResolvedAlertPolicy,
    defaults,
    replace,
)
from domain.tasks import TASKS, Priority, Status, Task, TaskCommented, TaskCreated, TaskDeleted, TaskStatusChanged
from infra.commits import to_item
from infra.event_store import ConflictError
from infra.memory_event_store import MemoryEventStore

START = datetime(2026, 4, 1, 12, 0, tzinfo=UTC)
FACE = Face(source="aws.cloudwatch", detail_type="CloudWatch Alarm State Change", title="5xx rate: ALARM")


def seen(order: int) -> Seen:
    return Seen(ids=(f"{order}-x",), count=1, first=order, last=order, order=order, rank=3, status="ALARM")


OPENED = AlertOpened(fingerprint="alarm:1", seen=seen(1), face=FACE, severity=3, config=0)
OVER = AlertResolved(ending=Ending.SOURCE)
BY_A_PERSON = AlertResolved(ending=Ending.PERSON)
AGAIN = AlertReopened(seen=seen(2), face=FACE, severity=3, config=0)


class World:
    """An alert, the tasks made from it, and the stream that tells of both. A minute goes by from commit to commit."""

    def __init__(self) -> None:
        self.store = Counting()
        self.at = START

    def append(self, decider: Decider[Any], name: str, *events: DomainEvent, by: str = "ada") -> Commit:
        self.at += timedelta(minutes=1)
        order = Order(by=by, at=self.at, correlation_id="request-1", causation_id="api:request-1")
        execute(self.store, decider, name, lambda _: events, order)
        return self.store.streams[decider.stream(name)][-1]

    def alert(self, *events: DomainEvent, by: str = "system:ingest") -> Commit:
        return self.append(ALERTS, "a-1", *events, by=by)

    def task(self, name: str = "t-1", alert_id: str | None = "a-1") -> Commit:
        created = TaskCreated(
            title="Look into it", description="Something is wrong.", priority=Priority.HIGH, alert_id=alert_id
        )
        return self.append(TASKS, name, created)

    def linked_task(self, name: str = "t-1") -> None:
        react(self.task(name))

    def configure(self, policy: ResolvedAlertPolicy) -> None:
        global_settings = GlobalSettings(resolved_alert_policy=policy, timezone="Europe/Berlin")
        wanted = defaults().model_copy(update={"global_settings": global_settings})
        self.append(MONITORING_CONFIG, CONFIG_ID, *replace(None, wanted))
        reactions._config.cache_clear()

    def shown(self, name: str = "t-1") -> Task:
        task = fold(TASKS, self.store.load(f"task#{name}"))
        assert task
        return task

    def said(self, name: str = "t-1") -> list[str]:
        return [comment.comment for comment in self.shown(name).comments]

    def links(self) -> tuple[str, ...]:
        alert: Alert | None = fold(ALERTS, self.store.load("alert#a-1"))
        assert alert
        return alert.task_ids


class Counting(MemoryEventStore):
    """Counts what it is asked for, and fails when it is told to."""

    def __init__(self) -> None:
        super().__init__()
        self.calls: list[str] = []
        self.fault: Exception | None = None

    def append(self, commit: Commit, guards: Any = ()) -> None:
        self.calls.append(f"append {commit.stream}")
        if self.fault:
            raise self.fault
        super().append(commit, guards)

    def load_back(self, stream: str, until: int | None = None) -> Iterator[Commit]:
        self.calls.append(f"load {stream}")
        return super().load_back(stream, until)


def react(*commits: Commit) -> None:
    """Hand over a batch as Kinesis does."""

    def data(commit: Commit) -> bytes:
        item = {**to_item(commit), "h": {"B": base64.b64encode(commit.hash).decode()}}
        return json.dumps({"eventName": "INSERT", "dynamodb": {"NewImage": item}}).encode()

    records = [{"kinesis": {"data": base64.b64encode(data(commit)).decode()}} for commit in commits]
    reactions.handler({"Records": records}, None)


@pytest.fixture
def world(monkeypatch: pytest.MonkeyPatch) -> Iterator[World]:
    monkeypatch.setattr(execution, "RETRY_CAP_SECONDS", 0)
    yield from _worlds(monkeypatch)


def _worlds(monkeypatch: pytest.MonkeyPatch) -> Iterator[World]:
    made = World()
    monkeypatch.setattr(reactions, "_store", lambda: made.store)
    monkeypatch.setattr(causation, "now", lambda: made.at)
    reactions._config.cache_clear()
    yield made
    reactions._config.cache_clear()


# ---- links


def test_a_task_made_from_an_alert_is_linked_to_it(world: World) -> None:
    world.alert(OPENED)
    cause = world.task()
    react(cause, cause)
    assert world.links() == ("t-1",)
    link = world.store.streams["alert#a-1"][-1]
    assert (link.by, link.correlation_id, link.causation_id) == ("system:reactions", "request-1", f"event:{cause.id}")
    assert len(world.store.streams["alert#a-1"]) == 2


def test_other_tasks_are_linked_to_nothing(world: World) -> None:
    world.alert(OPENED)
    world.store.calls.clear()
    react(world.task(alert_id=None), world.append(TASKS, "t-1", TaskDeleted()))
    assert world.links() == ()
    assert not [call for call in world.store.calls if "alert#" in call]


def test_a_task_from_an_alert_that_is_not_there_holds_up_nothing(world: World) -> None:
    lost, found = world.task("t-1", alert_id="a-2"), world.task("t-2")
    world.alert(OPENED)
    react(lost, found)
    assert world.links() == ("t-2",)


# ---- what tasks learn


def test_a_task_is_told_that_its_alert_was_resolved_by_its_source_and_after_how_long(world: World) -> None:
    world.alert(OPENED)
    world.linked_task()
    cause = world.alert(OVER)
    react(cause)
    (comment,) = world.shown().comments
    assert comment.user_id == "system:reactions"
    assert comment.comment == "The alert was resolved by its source, aws.cloudwatch, 2 min after it opened."
    commit = world.store.streams["task#t-1"][-1]
    assert (commit.correlation_id, commit.causation_id) == ("request-1", f"event:{cause.id}")


def test_a_person_who_resolves_it_is_told_by_id(world: World) -> None:
    world.alert(OPENED)
    world.linked_task()
    react(world.alert(BY_A_PERSON, by="0198d6d4"))
    assert world.said() == ["The alert was resolved by the user 0198d6d4, 2 min after it opened."]


def test_by_the_policy_to_close_a_task_is_closed_in_one_commit(world: World) -> None:
    world.configure(ResolvedAlertPolicy.CLOSE)
    world.alert(OPENED)
    world.linked_task()
    react(world.alert(OVER))
    task = world.shown()
    assert (task.status, task.closed_at, len(task.comments)) == (Status.CLOSED, world.at, 1)
    commit = world.store.streams["task#t-1"][-1]
    assert [event.t for event in commit.stored_events()] == [
        "task.commented",
        "task.status-changed",
        "task.status-changed",
    ]


def test_by_the_policy_to_do_nothing_nothing_happens(world: World) -> None:
    world.configure(ResolvedAlertPolicy.NOTHING)
    world.alert(OPENED)
    world.linked_task()
    react(world.alert(OVER))
    assert (world.said(), world.shown().status) == ([], Status.OPEN)


def test_the_policy_is_the_one_of_now_and_read_again_after_some_seconds(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    clock = [time.monotonic()]
    monkeypatch.setattr("commands.reactions.time.monotonic", lambda: clock[0])
    world.alert(OPENED)
    world.linked_task()
    react(world.alert(OVER))
    wanted = GlobalSettings(resolved_alert_policy=ResolvedAlertPolicy.CLOSE)
    world.append(
        MONITORING_CONFIG, CONFIG_ID, *replace(None, defaults().model_copy(update={"global_settings": wanted}))
    )
    world.alert(AGAIN)
    clock[0] += 16
    react(world.alert(OVER))
    assert world.shown().status is Status.CLOSED


@pytest.mark.parametrize("policy", [ResolvedAlertPolicy.COMMENT, ResolvedAlertPolicy.CLOSE])
def test_each_open_task_is_told_and_the_others_are_left_alone(world: World, policy: ResolvedAlertPolicy) -> None:
    world.configure(policy)
    world.alert(OPENED)
    for name in ("open", "closed", "deleted"):
        world.linked_task(name)
    world.append(
        TASKS,
        "closed",
        TaskStatusChanged(old=Status.OPEN, new=Status.IN_PROGRESS),
        TaskStatusChanged(old=Status.IN_PROGRESS, new=Status.CLOSED),
    )
    world.append(TASKS, "deleted", TaskDeleted())
    react(world.alert(OVER))
    assert [len(world.said(name)) for name in ("open", "closed", "deleted")] == [1, 0, 0]


def test_a_task_made_after_the_alert_was_resolved_is_not_told_of_it(world: World) -> None:
    world.alert(OPENED)
    over = world.alert(OVER)
    made = world.task()
    react(made, over, made)
    assert (world.links(), world.said()) == (("t-1",), [])


def test_a_link_that_comes_late_finds_what_the_task_is_to_learn(world: World) -> None:
    world.configure(ResolvedAlertPolicy.CLOSE)
    world.alert(OPENED)
    made = world.task()
    react(world.alert(OVER))
    assert world.shown().status is Status.OPEN
    react(made)
    assert (world.shown().status, len(world.said())) == (Status.CLOSED, 1)


def test_a_task_that_was_closed_by_its_alert_and_opened_by_a_person_stays_open(world: World) -> None:
    world.configure(ResolvedAlertPolicy.CLOSE)
    world.alert(OPENED)
    made = world.task()
    over = world.alert(OVER)
    react(made, over)
    world.append(TASKS, "t-1", TaskStatusChanged(old=Status.CLOSED, new=Status.IN_PROGRESS))
    react(over, made)
    assert (world.shown().status, len(world.said())) == (Status.IN_PROGRESS, 1)


def test_an_alert_that_opens_again_tells_open_tasks_and_opens_none(world: World) -> None:
    world.alert(OPENED)
    for name in ("open", "closed"):
        world.linked_task(name)
    world.append(TASKS, "closed", TaskStatusChanged(old=Status.IN_PROGRESS, new=Status.CLOSED))
    over = world.alert(OVER)
    react(over, world.alert(AGAIN))
    assert world.said("open") == [
        "The alert was resolved by its source, aws.cloudwatch. It has opened again since then.",
        "The alert opened again.",
    ]
    assert (world.said("closed"), world.shown("closed").status) == ([], Status.CLOSED)


@pytest.mark.parametrize(
    ("events", "text"),
    [
        ((OVER, AGAIN, OVER), "The alert was resolved by its source, aws.cloudwatch, 0 s after it opened."),
        ((OVER, AGAIN), "The alert opened again."),
    ],
)
def test_what_a_batch_made_of_an_alert_is_told_as_it_ended(
    world: World, events: Sequence[DomainEvent], text: str
) -> None:
    world.alert(OPENED)
    world.linked_task()
    react(world.alert(*events))
    assert world.said() == [text]


def test_a_link_that_comes_late_tells_in_the_order_in_which_it_happened(world: World) -> None:
    world.alert(OPENED)
    made = world.task()
    for events in (OVER, AGAIN, BY_A_PERSON, AGAIN):
        world.alert(events)
    react(made)
    assert world.said() == [
        "The alert was resolved by its source, aws.cloudwatch. It has opened again since then.",
        "The alert was resolved by the user system:ingest. It has opened again since then.",
        "The alert opened again.",
    ]


def test_a_task_that_takes_no_comment_of_its_alert_any_more_is_closed_once_too(world: World) -> None:
    world.configure(ResolvedAlertPolicy.CLOSE)
    world.alert(OPENED)
    world.linked_task()
    for number in range(MAX_TOLD):
        said = TaskCommented(comment_id=f"c-{number}", comment="The alert opened again.")
        world.append(TASKS, "t-1", said, by="system:reactions")
    over = world.alert(OVER)
    react(over)
    assert world.shown().status is Status.CLOSED
    world.append(TASKS, "t-1", TaskStatusChanged(old=Status.CLOSED, new=Status.IN_PROGRESS))
    react(over)
    assert (world.shown().status, len(world.said())) == (Status.IN_PROGRESS, MAX_TOLD)


# ---- however it is delivered


@settings(max_examples=60, deadline=None)
@given(data=st.data(), policy=st.sampled_from(ResolvedAlertPolicy))
def test_in_whatever_order_and_however_often_it_is_delivered_each_task_learns_each_thing_once(
    data: st.DataObject, policy: ResolvedAlertPolicy
) -> None:
    """The alert is resolved in the end. The tasks made before learn that; one that comes after does not."""
    with pytest.MonkeyPatch.context() as monkeypatch:
        for world in _worlds(monkeypatch):
            world.configure(policy)
            commits = [world.alert(OPENED), world.task("early"), world.alert(OVER)]
            commits += [world.alert(AGAIN), world.task("late"), world.alert(BY_A_PERSON, by="bob"), world.task("after")]
            places = range(len(commits))
            order: Sequence[int] = data.draw(st.permutations(places))
            repeats = data.draw(st.lists(st.sampled_from(places), max_size=6))
            batch = [commits[place] for place in [*order, *repeats]]
            cut = data.draw(st.integers(0, len(batch)))

            react(*batch[:cut])
            react(*batch[cut:])

            assert sorted(world.links()) == ["after", "early", "late"]
            closes = policy is ResolvedAlertPolicy.CLOSE
            for name in ("early", "late"):
                assert world.shown(name).status is (Status.CLOSED if closes else Status.OPEN)
                ids = [comment.id for comment in world.shown(name).comments]
                assert len(ids) == len(set(ids))
                by_bob = [said for said in world.said(name) if "resolved by the user bob, 2 min after" in said]
                assert len(by_bob) == (policy is not ResolvedAlertPolicy.NOTHING)
            if policy is ResolvedAlertPolicy.COMMENT:
                by_source = [said for said in world.said("early") if "by its source" in said]
                assert len(by_source) == 1
            assert (world.said("after"), world.shown("after").status) == ([], Status.OPEN)


@pytest.mark.parametrize(
    "fault", [ClientError({"Error": {"Code": "ThrottlingException"}}, "PutItem"), ConflictError("others write")]
)
def test_a_fault_of_the_infrastructure_brings_the_batch_back(world: World, fault: Exception) -> None:
    world.alert(OPENED)
    made = world.task()
    world.store.fault = fault
    with pytest.raises(type(fault)):
        react(made)
    world.store.fault = None
    react(made)
    over = world.alert(OVER)
    world.store.fault = fault
    with pytest.raises(type(fault)):
        react(over)
    world.store.fault = None
    react(over)
    assert (world.links(), len(world.said())) == (("t-1",), 1)


def test_a_task_that_cannot_be_read_holds_up_no_other(world: World, caplog: pytest.LogCaptureFixture) -> None:
    world.alert(OPENED)
    for name in ("broken", "sound"):
        world.linked_task(name)
    world.store.streams["task#broken"].append(world.alert(AlertRecurred(seen=seen(3))))
    react(world.alert(OVER))
    assert len(world.said("sound")) == 1
    assert "task not told" in caplog.text


def test_a_crash_between_the_link_and_the_news_is_made_up_for(world: World) -> None:
    world.alert(OPENED)
    made = world.task()
    world.alert(OVER)
    with pytest.MonkeyPatch.context() as crashing:

        def crash(*_: object) -> None:
            raise ClientError({"Error": {"Code": "InternalServerError"}}, "Query")

        crashing.setattr(alert_reactions, "_news_since", crash)
        with pytest.raises(ClientError):
            react(made)
    assert (world.links(), world.said()) == (("t-1",), [])
    react(made)
    assert len(world.said()) == 1


# ---- what it costs


def test_a_recurrence_costs_no_call(world: World) -> None:
    world.alert(OPENED)
    world.linked_task()
    cause = world.alert(AlertRecurred(seen=seen(3)))
    world.store.calls.clear()
    react(cause)
    assert world.store.calls == []


def test_the_end_of_an_alert_without_tasks_costs_one_query(world: World) -> None:
    world.alert(OPENED)
    cause = world.alert(OVER)
    world.store.calls.clear()
    react(cause)
    assert world.store.calls == ["load alert#a-1"]


def test_the_end_of_an_alert_costs_two_calls_for_each_task_beside_the_alert_and_the_config(world: World) -> None:
    world.alert(OPENED)
    for name in ("t-1", "t-2"):
        world.linked_task(name)
    cause = world.alert(OVER)
    world.store.calls.clear()
    react(cause)
    assert world.store.calls == [
        "load alert#a-1",
        "load task#t-1",
        "load monitoring-config#main",
        "append task#t-1",
        "load task#t-2",
        "append task#t-2",
    ]
    world.store.calls.clear()
    react(cause)
    assert not [call for call in world.store.calls if call.startswith("append")]


def test_a_link_costs_three_calls(world: World) -> None:
    world.alert(OPENED)
    made = world.task()
    world.store.calls.clear()
    react(made)
    assert world.store.calls == ["load alert#a-1", "append alert#a-1", "load alert#a-1"]
