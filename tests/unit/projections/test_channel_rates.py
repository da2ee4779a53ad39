"""A channel gets no more messages than it may have in a minute; the others wait for their places."""

from collections import Counter

import pytest

from domain.alerts import AlertSnoozed
from domain.monitoring_config import Channel
from domain.monitoring_rules import Match, Transition
from infra.delivery_rate import Turn, pause, turn
from projections import sender
from tests.unit.projections.telling import RESOLVED, Telling, later, reopened, rule

# ---- what is put off


def test_a_channel_gets_no_more_than_its_messages_of_a_minute_and_the_others_in_the_next_ones(world: Telling) -> None:
    world.configure(
        rule("pager", match=Match(text="pager"), channels=("pager",)),
        rule(),
        channels=(Channel(name="default", rate_per_minute=3), Channel(name="pager", rate_per_minute=3)),
    )
    world.hear(*(world.opened(str(number)) for number in range(10)), world.opened("pager"))
    world.deliver()
    assert len(world.posted) == 4
    assert Counter(world.statuses()) == {"sent": 4, "held": 7}
    held = next(row for row in world.rows() if row.status == "held")
    assert (held.attempts, held.error) == (0, "the channel has had its 3 messages of this minute")
    assert world.queue.waiting == {}
    world.settle()
    assert len(world.posted) == 11
    by_minute = Counter(int(at // 60) for at in world.posted_at)
    assert max(by_minute.values()) <= 4
    assert {row.attempts for row in world.rows()} == {1}
    assert not any(row.error for row in world.rows())
    assert {row.reason for row in world.rows()} == {"the rule tells of alerts: opened"}


def test_what_is_put_off_goes_before_what_comes_later(world: Telling) -> None:
    world.configure(rule(), channels=(Channel(name="default", rate_per_minute=2),))
    number = 0
    for minute in range(6):
        for _ in range(4 if minute == 0 else 2):
            world.hear(world.opened(f"{number:02}"))
            number += 1
        world.deliver()
        world.pass_time(1)
    world.settle()
    told = [int(message["text"].partition(" is broken")[0][-2:]) for message in world.posted]
    assert [one // 2 for one in told] == [one // 2 for one in range(number)]
    by_minute = Counter(int(at // 60) for at in world.posted_at)
    assert max(by_minute.values()) == 2


def test_however_many_wait_each_is_looked_at_within_the_hour_and_keeps_its_place(
    world: Telling, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sender, "MAX_PUT_OFF_MINUTES", 3)
    world.configure(rule(), channels=(Channel(name="default", rate_per_minute=1),))
    world.hear(*(world.opened(str(number)) for number in range(8)))
    began = world.now
    world.deliver()
    assert max(row.due_at for row in world.rows() if row.status == "held") <= began + 180
    world.settle()
    assert [int((at - began) // 60) for at in world.posted_at] == list(range(8))


def test_when_the_sweeper_was_away_the_places_of_its_minutes_do_not_all_count_at_once(world: Telling) -> None:
    world.configure(rule(), channels=(Channel(name="default", rate_per_minute=5),))
    world.hear(*(world.opened(str(number)) for number in range(60)))
    world.deliver()
    world.now += 15 * 60
    world.settle()
    by_minute = Counter(int(at // 60) for at in world.posted_at)
    assert max(by_minute.values()) == 5
    assert len(world.posted) == 60


def test_a_place_is_good_in_the_minute_after_its_own_for_the_sweeper_may_be_as_late(world: Telling) -> None:
    world.configure(rule(), channels=(Channel(name="default", rate_per_minute=2),))
    number = 0
    for _ in range(8):  # more than it takes, so that a new place would always be later than now
        for _ in range(3):
            world.hear(world.opened(str(number)))
            number += 1
        world.deliver()
        world.now += 59
        world.sweep()
        world.now += 1
    assert len(world.posted) >= 14
    by_minute = Counter(int(at // 60) for at in world.posted_at)
    assert max(by_minute.values()) <= 4


@pytest.mark.parametrize("minutes", [None, 1])
def test_what_is_put_off_is_not_told_if_the_alert_was_snoozed_meanwhile(world: Telling, minutes: int | None) -> None:
    world.configure(rule(only_if_open_after_minutes=minutes), channels=(Channel(name="default", rate_per_minute=1),))
    world.hear(world.opened("a"), world.opened("b"))
    world.now += 61 * (minutes or 0)
    world.sweep()
    world.deliver()
    assert world.statuses() == ["sent", "held"]
    world.hear(world.happens("b", AlertSnoozed(until=later(world, 300))))
    world.pass_time(3)
    assert world.statuses() == ["sent", "suppressed", "held"]
    assert world.rows()[1].error is None


def test_what_was_let_go_and_is_put_off_is_told_although_it_is_over_or_open_again_by_then(world: Telling) -> None:
    world.configure(
        rule(only_if_open_after_minutes=5, transitions=(Transition.OPENED,)),
        channels=(Channel(name="default", rate_per_minute=1),),
    )
    world.hear(world.opened("x"), world.opened("a"), world.opened("b"))
    world.now += 305
    world.sweep()
    world.deliver()
    assert world.statuses() == ["sent", "held", "held"]
    world.happens("a", RESOLVED)
    world.happens("b", RESOLVED)
    world.happens("b", reopened(world))
    world.settle()
    assert world.statuses() == ["sent", "sent", "sent"]


def test_a_group_that_is_put_off_is_told_although_the_alert_that_leads_it_was_snoozed(world: Telling) -> None:
    world.configure(
        rule("grouped", match=Match(text="group"), group_within_minutes=1),
        rule(),
        channels=(Channel(name="default", rate_per_minute=1),),
    )
    world.hear(world.opened("group1"), world.opened("group2"))
    world.now += 60
    world.hear(world.opened("alone"))
    world.deliver()
    world.sweep()
    world.deliver()
    assert world.statuses() == ["held", "grouped", "sent"]
    world.happens("group1", AlertSnoozed(until=later(world, 300)))
    world.settle()
    assert world.statuses() == ["sent", "grouped", "sent"]


# ---- places


@pytest.mark.usefixtures("world")
def test_a_kept_place_whose_counter_has_expired_is_good() -> None:
    assert turn("c", 7, 660, kept=600) == Turn(at=660, paused=0)


@pytest.mark.usefixtures("world")
def test_a_pause_takes_the_places_until_its_end_and_the_longer_one_stays() -> None:
    kept = turn("c", 1, 600).at, turn("c", 1, 600).at
    pause("c", 1, 900)
    pause("c", 1, 700)
    assert turn("c", 1, 660, kept=kept[1]) == Turn(at=960, paused=300)
    assert turn("c", 1, 700, kept=700) == Turn(at=1020, paused=260)
    assert turn("c", 1, 901) == Turn(at=1080, paused=59)
    assert turn("c", 1, 901, kept=900) == Turn(at=901, paused=0)
    assert turn("c", 1, 961, kept=960) == Turn(at=961, paused=0)
    assert turn("c", 2, 700) == Turn(at=700, paused=0)


@pytest.mark.usefixtures("world")
def test_a_channel_that_was_idle_has_all_its_places() -> None:
    assert [turn("c", 7, 600).at for _ in range(15)] == [600] * 7 + [660] * 7 + [720]
    assert [turn("c", 7, 730).at for _ in range(7)] == [730] * 6 + [780]  # one is kept for what waits
    assert [turn("c", 7, 6000).at for _ in range(8)] == [6000] * 7 + [6060]
    assert turn("other", 1, 6000).at == 6000
