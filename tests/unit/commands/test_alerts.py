"""The alert routes: what people do to alerts, and tasks made from them. Storage is in memory."""

import time
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any

import pytest

from commands import api, wiring
from commands.execution import Order, execute
from domain.alerts import (
    ALERTS,
    AlertNoticed,
    AlertOpened,
    AlertRecurred,
    AlertReopened,
    AlertResolved,
    Ending,
    Face,
    Seen,
)
from domain.event import DomainEvent
from domain.permissions import Permission
from infra.history import WarmHistories
from infra.memory_event_store import MemoryEventStore
from tests.unit.commands.write_api import Answered, Tokens, called

PATH = "/alerts/a-1"
LATER = int(time.time()) + 3_600
FACE = Face(
    source="aws.cloudwatch",
    detail_type="CloudWatch Alarm State Change",
    account="111122223333",
    region="eu-central-1",
    title="checkout-api 5xx rate: ALARM",
    resource="arn:aws:cloudwatch:eu-central-1:111122223333:alarm:checkout-api 5xx rate",
    console_url="https://console.aws.amazon.com/cloudwatch/home",
)
SEEN = Seen(ids=("1773130462-x",), count=1, first=1_773_130_462, last=1_773_130_462, order=1, rank=3, status="ALARM")
OPENED = AlertOpened(fingerprint="alarm:1", seen=SEEN, face=FACE, severity=4, config=2)
NOTICED = AlertNoticed(fingerprint="alarm:1", seen=SEEN, face=FACE, waiting=((1, 1_773_130_462),))
OVER = AlertResolved(ending=Ending.SOURCE)
AGAIN = AlertReopened(seen=SEEN.model_copy(update={"order": 2}), face=FACE, severity=4, config=2)
RECURRED = AlertRecurred(seen=SEEN.model_copy(update={"ids": ("1773130463-x",), "order": 2}))

Happen = Callable[..., None]


@pytest.fixture(autouse=True)
def store(monkeypatch: pytest.MonkeyPatch) -> MemoryEventStore:
    store, warm = MemoryEventStore(), WarmHistories()
    monkeypatch.setattr(wiring, "store", lambda: store)
    monkeypatch.setattr(wiring, "warm", lambda: warm)
    monkeypatch.setattr(api.api, "_callers", Tokens)
    return store


@pytest.fixture
def happen(store: MemoryEventStore) -> Happen:
    """Appends to the alert, as the ingest does."""

    def append(*events: DomainEvent) -> None:
        order = Order(by="system:ingest", at=datetime.now(UTC), correlation_id="c", causation_id="event:1")
        execute(store, ALERTS, "a-1", lambda _: events, order)

    return append


@pytest.fixture
def opened(happen: Happen) -> None:
    happen(OPENED)


def post(action: str, body: Any = None, **more: str) -> Answered:
    return called("POST", f"{PATH}/{action}", body, **more)


def events(store: MemoryEventStore) -> list[str]:
    return [event.t for commit in store.load("alert#a-1") for event in commit.stored_events()]


# ---- acknowledge, snooze, resolve


@pytest.mark.usefixtures("opened")
def test_an_alert_is_acknowledged_snoozed_and_resolved_by_anybody(store: MemoryEventStore) -> None:
    acknowledged = post("acknowledge", caller="user/ada")
    assert (acknowledged.status, acknowledged.headers["ETag"]) == (200, '"2"')
    assert acknowledged.headers["Stream-Version"] == "alert#a-1@2"
    assert acknowledged.body["acknowledged_by"] == {"id": "ada", "name": None}
    snoozed = post("snooze", {"until": LATER}, caller="user/bob")
    assert (snoozed.body["snoozed_until"], snoozed.body["snoozed_by"]["id"]) == (LATER, "bob")
    resolved = post("resolve", caller="user/ada")
    assert (resolved.body["state"], resolved.body["ending"], resolved.body["version"]) == ("resolved", "person", 4)
    assert resolved.body["resolved_by"] == {"id": "ada", "name": None}
    assert events(store) == ["alert.opened", "alert.acknowledged", "alert.snoozed", "alert.resolved"]
    assert [commit.by for commit in store.load("alert#a-1")] == ["system:ingest", "ada", "bob", "ada"]


@pytest.mark.usefixtures("opened")
def test_the_answer_is_the_alert() -> None:
    body = post("acknowledge", caller="user/ada").body
    at = body["acknowledged_at"]
    assert body == {
        "id": "a-1",
        "fingerprint": "alarm:1",
        "state": "open",
        **FACE.model_dump(),
        "severity": 4,
        "status": "ALARM",
        "count": 1,
        "first_seen": 1_773_130_462,
        "last_seen": 1_773_130_462,
        "openings": 1,
        "opened_at": body["created_at"],
        "acknowledged_at": at,
        "acknowledged_by": {"id": "ada", "name": None},
        "snoozed_until": None,
        "snoozed_by": None,
        "resolved_at": None,
        "resolved_by": None,
        "ending": None,
        "task_ids": [],
        "config_version": 2,
        "created_at": body["created_at"],
        "updated_at": at,
        "version": 2,
    }
    assert abs(at - time.time()) < 60


@pytest.mark.usefixtures("opened")
@pytest.mark.parametrize(("action", "body"), [("acknowledge", None), ("snooze", {"until": LATER}), ("resolve", None)])
def test_doing_it_again_changes_nothing(store: MemoryEventStore, action: str, body: Any) -> None:
    first, second = post(action, body), post(action, body)
    assert (second.status, second.body) == (200, first.body)
    assert len(events(store)) == 2


@pytest.mark.parametrize("action", ["acknowledge", "snooze", "resolve", "create-task"])
@pytest.mark.parametrize("noticed", [False, True])
def test_an_alert_that_never_opened_is_not_found(
    store: MemoryEventStore, happen: Happen, action: str, *, noticed: bool
) -> None:
    if noticed:
        happen(NOTICED)
    answer = post(action, {"until": LATER} if action == "snooze" else None)
    assert (answer.status, answer.body["detail"]) == (404, "There is no such alert.")
    assert not [stream for stream in store.streams if stream.startswith("task#")]


@pytest.mark.parametrize(("action", "body"), [("acknowledge", None), ("snooze", {"until": LATER})])
def test_a_resolved_alert_is_a_conflict(happen: Happen, action: str, body: Any) -> None:
    happen(OPENED, OVER)
    answer = post(action, body)
    assert (answer.status, answer.body["title"]) == (409, "Conflict")
    assert answer.body["detail"].startswith("An alert that is resolved cannot be")


def test_what_opened_again_since_this_process_looked_is_acknowledged(happen: Happen) -> None:
    happen(OPENED)
    assert post("resolve").status == 200
    happen(AGAIN)
    assert post("acknowledge").body["acknowledged_by"]["id"] == "root"


@pytest.mark.usefixtures("opened")
@pytest.mark.parametrize(
    "body", [{}, {"until": None}, {"until": "soon"}, {"until": 1}, {"until": LATER + 31 * 86_400}, {"until": 2**60}]
)
def test_a_time_that_is_none_is_refused_by_name(store: MemoryEventStore, body: Any) -> None:
    answer = post("snooze", body)
    assert (answer.status, answer.named) == (422, {"until"})
    assert len(events(store)) == 1


@pytest.mark.usefixtures("opened")
def test_a_change_is_refused_when_the_alert_moved_on(happen: Happen, store: MemoryEventStore) -> None:
    happen(RECURRED)
    assert post("acknowledge", If_Match='"1"').status == 412
    assert post("acknowledge", If_Match='"2"').status == 200
    assert len(events(store)) == 3


@pytest.mark.usefixtures("opened")
def test_a_command_that_is_sent_again_is_answered_as_it_was_then(happen: Happen, store: MemoryEventStore) -> None:
    first = post("resolve", Idempotency_Key="k")
    happen(AGAIN)
    again = post("resolve", Idempotency_Key="k")
    assert (again.status, again.body, again.headers["ETag"]) == (200, first.body, '"2"')
    assert events(store) == ["alert.opened", "alert.resolved", "alert.reopened"]


@pytest.mark.parametrize("action", ["acknowledge", "snooze", "resolve"])
def test_every_user_may_do_this(action: str) -> None:
    (route,) = (route for route in api.api.routes if str(route) == f"POST /alerts/<alert_id>/{action}")
    assert route.permission is Permission.ANY_USER


# ---- tasks


@pytest.mark.usefixtures("opened")
@pytest.mark.parametrize("body", [None, {}])
def test_a_task_from_an_alert_takes_everything_from_it(store: MemoryEventStore, body: Any) -> None:
    answer = post("create-task", body)
    assert (answer.status, answer.headers["Location"]) == (201, f"/tasks/{answer.body['id']}")
    assert (answer.body["alert_id"], answer.body["event_id"]) == ("a-1", None)
    assert (answer.body["title"], answer.body["priority"]) == (FACE.title, "critical")
    assert answer.body["description"] == (
        f"aws.cloudwatch: CloudWatch Alarm State Change, severity 4.\n\n{FACE.title}\n\n{FACE.console_url}"
    )
    assert answer.body["event_details"] == {
        **FACE.model_dump(exclude={"quiet", "tags"}),
        "severity": 4,
        "published_at": 1_773_130_462,
    }
    (commit,) = store.load(f"task#{answer.body['id']}")
    assert commit.stored_events()[0].d["alert_id"] == "a-1"


@pytest.mark.usefixtures("opened")
def test_what_is_sent_goes_before_what_the_alert_says() -> None:
    sent = {"title": "Scale it", "description": "Grow the pool to 40.", "priority": "low", "due_date": LATER}
    answer = post("create-task", sent)
    assert {name: answer.body[name] for name in sent} == sent


def test_a_task_can_be_made_from_a_resolved_alert_and_from_one_without_a_link(happen: Happen) -> None:
    happen(OPENED.model_copy(update={"face": FACE.model_copy(update={"console_url": None})}), OVER)
    answer = post("create-task")
    assert (answer.status, answer.body["event_details"]["console_url"]) == (201, None)
    assert answer.body["description"].endswith(f"severity 4.\n\n{FACE.title}")


@pytest.mark.usefixtures("opened")
def test_a_user_makes_tasks_from_alerts_for_themselves_only() -> None:
    assert post("create-task", caller="user/ada").status == 403
    assert post("create-task", {"assigned_user_id": "ada"}, caller="user/ada").status == 201


@pytest.mark.usefixtures("opened")
def test_a_task_is_made_once_under_one_key_whatever_becomes_of_the_alert(
    happen: Happen, store: MemoryEventStore
) -> None:
    first = post("create-task", Idempotency_Key="k")
    happen(RECURRED, OVER)
    again = post("create-task", Idempotency_Key="k")
    assert (again.status, again.body) == (201, first.body)
    assert len([stream for stream in store.streams if stream.startswith("task#")]) == 1


@pytest.mark.usefixtures("opened")
@pytest.mark.parametrize("if_match", ['"1"', '"7"', "no tag"])
def test_a_task_is_bound_to_no_version_of_its_alert(if_match: str) -> None:
    answer = post("create-task", If_Match=if_match)
    assert (answer.status, answer.headers["ETag"]) == (201, '"1"')


@pytest.mark.usefixtures("opened")
def test_a_field_that_breaks_a_rule_is_named() -> None:
    answer = post("create-task", {"title": "ab", "alert_id": "a-2"})
    assert (answer.status, answer.named) == (422, {"title", "alert_id"})
