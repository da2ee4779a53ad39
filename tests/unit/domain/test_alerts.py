"""What people do to alerts: each command, what it refuses, and what becomes of the alert."""

from collections.abc import Callable
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from domain.alert_shape import shown
from domain.alerts import (
    ALERTS,
    MAX_SNOOZE,
    Alert,
    AlertAcknowledged,
    AlertNoticed,
    AlertOpened,
    AlertRecurred,
    AlertReopened,
    AlertResolved,
    AlertSnoozed,
    AlertState,
    AlertTaskLinked,
    Ending,
    Face,
    Seen,
    SnoozeAlert,
    acknowledge,
    alert_id,
    is_snoozed,
    link_task,
    resolve,
    snooze,
)
from domain.commit import Recorded
from domain.decider import Context
from domain.errors import InvalidError, NotFoundError, StateConflictError
from domain.event import DomainEvent
from domain.users import UserDeactivated

NOW = datetime(2026, 4, 1, 12, 0, tzinfo=UTC)
CONTEXT = Context(at=NOW, by="ada")
FACE = Face(source="aws.cloudwatch", detail_type="CloudWatch Alarm State Change", title="5xx rate: ALARM")
OVER = AlertResolved(ending=Ending.PERSON)


def seen(order: int = 1, count: int = 1) -> Seen:
    at = 1_775_044_800 + order
    return Seen(ids=(f"{at}-x",), count=count, first=at, last=at, order=order, rank=3, status="ALARM")


OPENED = AlertOpened(fingerprint="alarm:1", seen=seen(), face=FACE, severity=3, config=2)
REOPENED = AlertReopened(seen=seen(9), face=FACE, severity=4, config=5)
NOTICED = AlertNoticed(fingerprint="alarm:1", seen=seen(), face=FACE, waiting=((1, 1_775_044_801),))


def alert(*events: DomainEvent) -> Alert:
    """The alert after these events, a minute apart; the first happens at NOW."""
    state = None
    for version, event in enumerate(events, start=1):
        state = ALERTS.evolve(state, Recorded(event, version, NOW + timedelta(minutes=version - 1), "ada"))
    assert state is not None
    return state


def until(**ahead: int) -> SnoozeAlert:
    return SnoozeAlert(until=int((NOW + timedelta(**ahead)).timestamp()))


COMMANDS: list[Callable[[Alert | None], list[DomainEvent]]] = [
    acknowledge,
    lambda alert: snooze(alert, until(hours=1), CONTEXT),
    resolve,
    lambda alert: link_task(alert, "task-1"),
]


@pytest.mark.parametrize("command", COMMANDS)
@pytest.mark.parametrize("state", [None, alert(NOTICED)])
def test_what_never_opened_is_no_alert_that_anybody_sees(
    command: Callable[[Alert | None], list[DomainEvent]], state: Alert | None
) -> None:
    with pytest.raises(NotFoundError, match="no such alert"):
        command(state)


# ---- acknowledging


def test_an_open_alert_is_acknowledged_once_and_the_first_is_kept() -> None:
    assert acknowledge(alert(OPENED)) == [AlertAcknowledged()]
    acknowledged = alert(OPENED, AlertAcknowledged())
    assert (acknowledged.acknowledged_at, acknowledged.acknowledged_by) == (NOW + timedelta(minutes=1), "ada")
    assert acknowledge(acknowledged) == []


def test_a_recurrence_changes_nothing_about_who_looks_after_it() -> None:
    assert acknowledge(alert(OPENED, AlertAcknowledged(), AlertRecurred(seen=seen(2)))) == []


@pytest.mark.parametrize("command", COMMANDS[:2])
def test_a_resolved_alert_is_neither_acknowledged_nor_snoozed(
    command: Callable[[Alert | None], list[DomainEvent]],
) -> None:
    with pytest.raises(StateConflictError, match="resolved cannot be"):
        command(alert(OPENED, OVER))


# ---- snoozing


def test_an_alert_is_snoozed_until_a_time_which_the_next_snooze_changes() -> None:
    (event,) = snooze(alert(OPENED), until(hours=1), CONTEXT)
    assert event == AlertSnoozed(until=NOW + timedelta(hours=1))
    snoozed = alert(OPENED, event)
    assert (snoozed.snoozed_until, snoozed.snoozed_by) == (NOW + timedelta(hours=1), "ada")
    assert snooze(snoozed, until(hours=1), CONTEXT) == []
    assert snooze(snoozed, until(hours=2), CONTEXT) == [AlertSnoozed(until=NOW + timedelta(hours=2))]


def test_a_snooze_is_over_at_its_time() -> None:
    snoozed = alert(OPENED, AlertSnoozed(until=NOW + timedelta(hours=1)))
    assert is_snoozed(snoozed, NOW + timedelta(minutes=59))
    assert not is_snoozed(snoozed, NOW + timedelta(hours=1))
    assert not is_snoozed(alert(OPENED), NOW)


@pytest.mark.parametrize(
    ("seconds", "message"),
    [
        (0, "must be in the future"),
        (-1, "must be in the future"),
        (MAX_SNOOZE.total_seconds() + 1, "must be within 30 days"),
    ],
)
def test_a_snooze_ends_in_the_future_but_not_far_from_now(seconds: float, message: str) -> None:
    with pytest.raises(InvalidError) as raised:
        snooze(alert(OPENED), until(seconds=int(seconds)), CONTEXT)
    assert [tuple(fault) for fault in raised.value.faults] == [("until", message)]


@pytest.mark.parametrize("seconds", [1, int(MAX_SNOOZE.total_seconds())])
def test_the_shortest_and_the_longest_snooze_are_taken(seconds: int) -> None:
    assert snooze(alert(OPENED), until(seconds=seconds), CONTEXT)


# ---- resolving and reopening


def test_a_person_resolves_an_alert_once() -> None:
    assert resolve(alert(OPENED)) == [OVER]
    resolved = alert(OPENED, OVER)
    assert (resolved.state, resolved.resolved_at, resolved.resolved_by, resolved.ending) == (
        AlertState.RESOLVED,
        NOW + timedelta(minutes=1),
        "ada",
        Ending.PERSON,
    )
    assert resolve(resolved) == []


def test_a_reopened_alert_begins_anew_but_for_what_is_since_ever() -> None:
    before = alert(
        OPENED, AlertAcknowledged(), AlertSnoozed(until=NOW + timedelta(days=1)), AlertTaskLinked(task_id="t-1"), OVER
    )
    after = ALERTS.evolve(before, Recorded(REOPENED, 6, NOW + timedelta(hours=1), "system:ingest"))
    assert after.model_dump(
        include={"acknowledged_at", "acknowledged_by", "snoozed_until", "snoozed_by", "resolved_at", "resolved_by"}
    ) == dict.fromkeys(
        ("acknowledged_at", "acknowledged_by", "snoozed_until", "snoozed_by", "resolved_at", "resolved_by")
    )
    assert (after.state, after.severity, after.config, after.openings) == (AlertState.OPEN, 4, 5, 2)
    assert (after.opened_at, after.created_at) == (NOW + timedelta(hours=1), NOW)
    assert (after.count, after.task_ids, after.ending) == (2, ("t-1",), None)
    assert acknowledge(after) == [AlertAcknowledged()]


# ---- tasks


def test_a_task_is_linked_once_also_to_a_resolved_alert() -> None:
    for state in (alert(OPENED), alert(OPENED, OVER)):
        assert link_task(state, "t-1") == [AlertTaskLinked(task_id="t-1")]
    linked = alert(OPENED, AlertTaskLinked(task_id="t-1"))
    assert link_task(linked, "t-1") == []
    assert link_task(linked, "t-2") == [AlertTaskLinked(task_id="t-2")]


# ---- ids, and events that do not belong here


@given(st.text())
def test_a_fingerprint_always_leads_to_the_same_alert(fingerprint: str) -> None:
    assert alert_id(fingerprint) == alert_id(fingerprint)
    assert alert_id(fingerprint) != alert_id(f"{fingerprint}.")


@pytest.mark.parametrize("event", [AlertAcknowledged(), REOPENED, UserDeactivated()])
def test_a_stream_begins_with_what_made_the_alert(event: DomainEvent) -> None:
    with pytest.raises(ValueError, match=r"before alert\.noticed or alert\.opened"):
        alert(event)


def test_an_event_of_something_else_is_an_error() -> None:
    with pytest.raises(ValueError, match=r"does not know the event user\.deactivated"):
        alert(OPENED, UserDeactivated())


# ---- how it looks


def test_an_alert_is_shown_with_unix_seconds_and_with_names_where_they_are_known() -> None:
    state = alert(OPENED, AlertAcknowledged(), AlertSnoozed(until=NOW + timedelta(hours=1)), OVER)
    body = shown("a-1", state, 4, {"ada": "Ada"})
    assert (body["id"], body["version"], body["state"], body["ending"]) == ("a-1", 4, "resolved", "person")
    start = int(NOW.timestamp())
    assert (body["opened_at"], body["acknowledged_at"], body["resolved_at"]) == (start, start + 60, start + 180)
    assert (body["snoozed_until"], body["created_at"], body["updated_at"]) == (start + 3600, start, start + 180)
    ada = {"id": "ada", "name": "Ada"}
    assert body["acknowledged_by"] == body["snoozed_by"] == body["resolved_by"] == ada
    assert (body["title"], body["severity"], body["config_version"]) == ("5xx rate: ALARM", 3, 2)
    assert shown("a-1", state, 4)["acknowledged_by"] == {"id": "ada", "name": None}


def test_nobody_is_shown_for_what_no_person_did() -> None:
    body = shown("a-1", alert(OPENED, AlertResolved(ending=Ending.SOURCE, seen=seen(2, count=0))), 2)
    assert (body["resolved_by"], body["ending"]) == (None, "source")
    assert (body["acknowledged_by"], body["acknowledged_at"], body["snoozed_by"]) == (None, None, None)
