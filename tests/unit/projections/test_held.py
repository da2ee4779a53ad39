"""What a rule or a snooze holds back is told when its time has come, alone or in a group, or not at all."""

import pytest

from domain.alerts import AlertSeverityChanged, AlertSnoozed
from domain.monitoring_rules import QuietHours
from infra.outbox import Notification
from tests.unit.projections.telling import RESOLVED, Telling, later, recurrence, reopened, rule

# ---- until it is open for long enough


def test_what_is_over_before_its_time_is_not_told_nor_is_its_end(world: Telling) -> None:
    world.configure(rule(only_if_open_after_minutes=10))
    world.hear(world.opened())
    assert world.statuses() == ["held"]
    world.pass_time(5)
    world.hear(world.happens("a", RESOLVED))
    world.pass_time(10)
    assert world.posted == []
    assert world.statuses() == ["suppressed", "suppressed"]
    assert [row.reason for row in world.rows()] == [
        "it was over before its time came",
        "it was open for less than 10 minutes, so nobody knows of it",
    ]


def test_what_stays_open_is_told_when_its_time_has_come_and_so_is_its_end(world: Telling) -> None:
    world.configure(rule(only_if_open_after_minutes=10))
    world.hear(world.opened())
    world.pass_time(9)
    assert world.posted == []
    world.pass_time(2)
    world.hear(world.happens("a", RESOLVED))
    world.pass_time(1)
    assert [row.status for row in world.rows()] == ["sent", "sent"]
    assert len(world.posted) == 2


@pytest.mark.parametrize("reopens_at", [3, 8])
def test_what_was_open_for_long_enough_is_told_although_it_opened_again_before_the_sweeper_came(
    world: Telling, reopens_at: int
) -> None:
    world.configure(rule(only_if_open_after_minutes=5))
    world.hear(world.opened())
    world.now += (reopens_at - 1) * 60
    world.hear(world.happens("a", RESOLVED))
    world.now += 60
    world.hear(world.happens("a", reopened(world)))
    world.now += 20 * 60
    world.settle()
    first = "suppressed" if reopens_at < 5 else "sent"
    assert [(row.about, row.status) for row in world.rows()] == [
        ("opened", first),
        ("resolved", first),
        ("opened", "sent"),
    ]


# ---- until quiet hours or a snooze end


def test_quiet_hours_end_in_the_morning(world: Telling) -> None:
    quiet = QuietHours.model_validate({"from": "11:00", "to": "12:30"})
    world.configure(rule(quiet_hours=quiet))
    world.hear(world.opened())
    world.pass_time(29)
    assert (world.posted, world.statuses()) == ([], ["held"])
    world.pass_time(2)
    assert (len(world.posted), world.statuses()) == (1, ["sent"])


def test_a_snooze_keeps_everything_quiet_and_its_end_is_told_if_it_is_still_open(world: Telling) -> None:
    commits = [world.opened(), world.happens("a", AlertSnoozed(until=later(world, 30)), by="ann")]
    world.hear(*commits)
    world.deliver()
    assert len(world.posted) == 1
    world.hear(world.happens("a", recurrence(), AlertSeverityChanged(old=3, new=5)))
    world.pass_time(29)
    assert len(world.posted) == 1
    world.pass_time(2)
    assert [(row.about, row.status) for row in world.rows()] == [
        ("opened", "sent"),
        ("still_open", "sent"),
        ("recurred", "suppressed"),
        ("severity_raised", "suppressed"),
    ]
    assert len(world.posted) == 2


def test_a_snooze_that_is_made_longer_is_told_at_its_last_end_only(world: Telling) -> None:
    world.hear(world.opened(), world.happens("a", AlertSnoozed(until=later(world, 10))))
    world.hear(world.happens("a", AlertSnoozed(until=later(world, 20))))
    world.pass_time(15)
    assert len(world.posted) == 1
    world.pass_time(10)
    assert [row.status for row in world.rows()] == ["sent", "suppressed", "sent"]
    assert world.posted_at[1] >= world.posted_at[0] + 1200


def test_a_snooze_that_is_set_back_to_an_earlier_time_is_told_once_at_its_end(world: Telling) -> None:
    first, second = later(world, 10), later(world, 20)
    world.hear(world.opened(), *(world.happens("a", AlertSnoozed(until=until)) for until in (first, second, first)))
    world.pass_time(30)
    assert world.statuses() == ["sent", "suppressed", "suppressed", "sent"]


def test_the_end_of_a_snooze_that_is_decided_late_is_not_told_of_what_is_over(world: Telling) -> None:
    world.hear(world.opened())
    snoozed = world.happens("a", AlertSnoozed(until=later(world, 10)), by="ann")
    over = world.happens("a", RESOLVED)
    world.now += 3 * 3600
    world.hear(snoozed, over)
    world.settle()
    assert [(row.about, row.status) for row in world.rows()] == [
        ("opened", "sent"),
        ("still_open", "suppressed"),
        ("resolved", "suppressed"),
    ]


def test_an_opening_that_is_held_beyond_a_snooze_is_told_alone(world: Telling) -> None:
    world.configure(rule(only_if_open_after_minutes=60))
    world.hear(world.opened())
    world.pass_time(5)
    world.hear(world.happens("a", AlertSnoozed(until=later(world, 15))))
    world.pass_time(60)
    assert [(row.about, row.status) for row in world.rows()] == [("opened", "sent"), ("still_open", "suppressed")]
    assert len(world.posted) == 1


def test_what_is_held_for_long_does_not_expire_before_its_time(world: Telling, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("EVENT_RETENTION_DAYS", "1")
    world.hear(world.opened(), world.happens("a", AlertSnoozed(until=later(world, 20 * 1440))))
    _, held = world.rows()
    assert held.ttl > held.due_at


# ---- in groups


def test_what_comes_within_a_window_is_told_in_one_message(world: Telling) -> None:
    world.configure(rule(group_within_minutes=5))
    world.hear(world.opened("a"), world.opened("b"))
    world.pass_time(2)
    world.hear(world.opened("c"))
    world.pass_time(4)
    assert len(world.posted) == 1
    assert all(f"{name} is broken" in str(world.posted[0]) for name in "abc")
    leader, *others = world.rows()
    assert leader.status == "sent"
    assert {(row.status, row.told_in) for row in others} == {("grouped", leader.id)}
    world.hear(world.opened("d"))
    world.pass_time(6)
    assert len(world.posted) == 2


def test_a_member_that_cannot_be_read_spoils_no_group(world: Telling) -> None:
    world.configure(rule(group_within_minutes=5))
    world.hear(world.opened("a"), world.opened("b"), world.opened("c"))
    spoilt = world.rows()[1]
    spoilt.update(actions=[Notification.told.set("{}")])
    world.pass_time(6)
    assert world.statuses() == ["sent", "failed", "grouped"]
    assert len(world.posted) == 1


def test_a_large_group_goes_in_messages_of_a_hundred(world: Telling) -> None:
    world.configure(rule(group_within_minutes=60))
    world.hear(*(world.opened(str(number)) for number in range(130)))
    world.pass_time(65)
    assert sorted(world.statuses()) == ["grouped"] * (130 - len(world.posted)) + ["sent"] * len(world.posted)
    assert len(world.posted) == 2
