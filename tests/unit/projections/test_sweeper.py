"""The sweeper brings back what got lost, however much is due and whoever comes at the same time."""

from collections import Counter
from typing import Any

import pytest

from domain.monitoring_rules import Match
from infra import webhooks
from infra.settings import SWEEP_SECONDS
from infra.webhooks import Delivery
from projections import sweeper
from tests.in_memory.faults import CrashError, Fault, at_request
from tests.unit.projections.telling import Telling, refused, rule

# ---- what gets lost


def test_a_decision_that_never_reached_the_queue_is_queued_after_two_minutes(world: Telling) -> None:
    world.hear(world.opened())
    world.queue.waiting.clear()
    world.pass_time(1)
    assert world.statuses() == ["decided"]
    world.pass_time(2)
    assert world.statuses() == ["sent"]


def test_a_delivery_that_the_queue_gave_up_is_brought_back(world: Telling) -> None:
    world.answers = [refused(503, 3600)]
    world.hear(world.opened())
    world.deliver()
    world.queue.waiting.clear()
    world.pass_time(59)
    assert world.posted == []
    world.pass_time(5)
    assert world.statuses() == ["sent"]


def test_a_queue_that_is_only_slow_is_not_filled_again_and_again(world: Telling) -> None:
    world.hear(*(world.opened(str(number)) for number in range(5)))
    for _ in range(15):
        world.now += 60
        world.sweep()
    assert len(world.queue.waiting) == 10


def test_senders_that_die_again_and_again_end_in_a_failure_that_people_see(
    world: Telling, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def dies(*_: Any) -> None:
        raise CrashError

    monkeypatch.setattr(webhooks, "post", dies)
    world.hear(world.opened())
    world.settle(most_minutes=150)
    (row,) = world.rows()
    assert (row.status, row.error) == ("failed", "given up: no sender survived 33 attempts")
    assert capsys.readouterr().out.count('"NotificationsFailed":[1.0]') == 1


# ---- a run among others


@pytest.mark.parametrize("other_at", range(24))
def test_two_sweepers_at_the_same_time_do_what_one_would(world: Telling, other_at: int) -> None:
    world.configure(rule("grouped", match=Match(text="group"), group_within_minutes=5), rule(group_within_minutes=None))
    world.hear(world.opened("group1"), world.opened("group2"), world.opened("alone"))
    world.queue.waiting.clear()
    world.now += 360
    steps = 0

    def other(_operation: str) -> None:
        nonlocal steps
        steps += 1
        if steps == other_at + 1:
            world.sweep()
            world.deliver()

    world.db.before_request = other
    world.sweep()
    world.deliver()
    world.pass_time(5)
    assert sorted(world.statuses()) == ["grouped", "sent", "sent"]
    assert len(world.posted) == 2


def test_a_run_of_the_sweeper_looks_at_all_that_is_due(world: Telling, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sweeper, "SWEEP_ROWS", 8)
    world.configure(rule(only_if_open_after_minutes=1))
    world.hear(*(world.opened(str(number)) for number in range(30)))
    world.now += 120
    world.sweep()
    assert world.statuses() == ["decided"] * 30
    assert len(world.queue.waiting) == 30


def test_a_run_of_the_sweeper_ends_in_time_and_the_next_one_goes_on(
    world: Telling, monkeypatch: pytest.MonkeyPatch
) -> None:
    def takes_time(operation: str) -> None:
        world.now += operation == "UpdateItem"

    monkeypatch.setattr(sweeper, "SWEEP_ROWS", 40)
    monkeypatch.setattr(sweeper, "SWEEP_SECONDS", 20)
    world.configure(rule(only_if_open_after_minutes=1))
    world.hear(*(world.opened(str(number)) for number in range(60)))
    world.now += 120
    world.db.before_request = takes_time
    begun = world.now
    world.sweep()
    assert 20 <= world.now - begun <= 40
    assert set(world.statuses()) == {"decided", "held"}
    for _ in range(2):  # by chance a partition has more rows than a run takes
        world.sweep()
    assert world.statuses() == ["decided"] * 60


def test_a_fault_holds_up_its_row_until_the_next_run_and_no_other(world: Telling) -> None:
    world.configure(rule(only_if_open_after_minutes=1))
    world.hear(world.opened("a"), world.opened("b"))
    world.now += 120
    with world.db.metered() as used:
        world.db.faults = at_request(5, Fault.THROTTLED)
        with pytest.raises(sweeper.SweepError, match="1 notifications"):
            sweeper.handler({}, None)
    assert used.calls["Query"] == 6
    assert sorted(world.statuses()) == ["decided", "held"]
    world.settle()
    assert world.statuses() == ["sent", "sent"]


def test_groups_are_whole_however_many_rows_are_due(world: Telling, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sweeper, "SWEEP_ROWS", 8)
    world.configure(*(rule(name, match=Match(text=name), group_within_minutes=10) for name in ("red", "blue")))
    world.hear(*(world.opened(f"{name}{number}") for number in range(25) for name in ("red", "blue")))
    world.now += 600
    world.sweep()
    world.deliver()
    assert Counter(world.statuses()) == {"sent": 2, "grouped": 48}


def test_no_more_rows_of_groups_are_gathered_than_a_run_can_hold(
    world: Telling, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sweeper, "SWEEP_ROWS", 8)
    monkeypatch.setattr(sweeper, "SWEEP_GROUPED", 10)
    world.configure(rule(group_within_minutes=10))
    world.hear(*(world.opened(str(number)) for number in range(25)))
    world.now += 600
    world.sweep()
    world.deliver()
    assert set(world.statuses()) == {"sent", "grouped"}
    assert 2 <= len(world.posted) <= 3


def test_groups_that_a_run_has_no_time_for_are_told_by_the_next_one(
    world: Telling, monkeypatch: pytest.MonkeyPatch
) -> None:
    world.configure(rule(group_within_minutes=10))
    world.hear(world.opened("a"), world.opened("b"))
    world.now += 600
    with monkeypatch.context() as hurried:
        hurried.setattr(sweeper, "GROUPING_SECONDS", -SWEEP_SECONDS)
        world.sweep()
    assert world.statuses() == ["held", "held"]
    world.sweep()
    assert world.statuses() == ["decided", "grouped"]


def test_nothing_is_left_in_the_index_of_what_is_due(world: Telling) -> None:
    world.configure(rule(only_if_open_after_minutes=1))
    world.answers = [refused(500), Delivery(sent=False, error="Slack answered 404")]
    world.hear(world.opened("a"), world.opened("b"))
    world.settle()
    assert sorted(world.statuses()) == ["failed", "sent"]
    assert not [item for item in world.db.items("outbox") if "due_partition" in item]


def test_an_idle_minute_costs_a_query_for_each_partition(world: Telling) -> None:
    with world.db.metered() as used:
        world.sweep()
    assert used.calls == {"Query": 4}
