"""A daily report goes the way of all messages: decided once, by the global settings, and sent once."""

from typing import Any

import pytest

from domain.commit import Commit
from domain.monitoring_config import Channel, DailyReport, GlobalSettings
from domain.report_days import window
from domain.reports import ReportMade, day_of
from infra import outbox
from infra.webhooks import Delivery
from tests.in_memory import deployed
from tests.in_memory.dynamodb import InMemoryDynamoDB
from tests.unit.projections.telling import Telling
from tests.unit.slack.test_report import BUSY, NOTHING


def made(world: Telling, day: str = "2026-03-02", figures: Any = BUSY) -> Commit:
    starts_at, ends_at = window(day_of(day))
    event = ReportMade(starts_at=starts_at, ends_at=ends_at, figures=figures)
    return world.history.append(f"report#daily-{day}", event, by="system:scheduler")


def settings(world: Telling, **daily_report: Any) -> None:
    names = {"111122223333": "shop-prod", "222233334444": "not mentioned"}
    wanted = GlobalSettings(account_names=names, daily_report=DailyReport(**daily_report))
    channels = (Channel(name="default"), Channel(name="pager", rate_per_minute=1))
    world.configure(global_settings=wanted, channels=channels)


def test_it_is_sent_to_the_default_channel_by_default(world: Telling) -> None:
    world.hear(made(world))
    world.deliver()

    (row,) = world.rows()
    shown = outbox.shown(row)
    assert (shown["status"], shown["channel"], shown["about"]) == ("sent", "default", "daily_report")
    assert (shown["title"], shown["rule"], shown["reason"]) == (
        "Daily report of 2026-03-02",
        None,
        "the daily report is switched on",
    )
    assert (shown["alert_id"], shown["task_id"], shown["event_id"], shown["severity"]) == (None, None, None, None)
    (posted,) = world.posted
    assert posted["text"] == "Daily report of 2026-03-02: 10 events, 3 alerts opened, 5 still open"


def test_it_is_sent_to_the_channel_that_the_settings_name_with_the_names_of_accounts(world: Telling) -> None:
    settings(world, channel="pager")
    world.hear(made(world))
    world.deliver()

    (row,) = world.rows()
    assert (row.status, row.channel, row.rate) == ("sent", "pager", 1)
    assert "shop-prod" in str(world.posted)
    assert "not mentioned" not in (row.told or "")


def test_switched_off_nobody_is_told_and_the_decision_is_kept(world: Telling) -> None:
    settings(world, enabled=False, channel="pager")
    commit = made(world)
    world.hear(commit)
    world.hear(commit)
    world.pass_time(5)

    (row,) = world.rows()
    assert (row.status, row.channel, row.reason) == ("suppressed", "pager", "the daily report is switched off")
    assert row.told is None
    assert world.posted == []


def test_the_same_record_again_tells_nobody_anything_even_if_the_channel_is_another_by_then(world: Telling) -> None:
    commit = made(world)
    world.hear(commit, commit)
    world.deliver()
    settings(world, channel="pager")
    world.hear(commit)
    world.pass_time(5)
    assert [message["url"][-1] for message in world.posted] == ["1"]
    assert world.statuses() == ["sent"]


def test_a_day_is_one_message_whatever_else_is_told(world: Telling) -> None:
    commits = [world.opened(), made(world), made(world, "2026-03-03", NOTHING)]
    world.hear(*commits)
    world.deliver()
    assert [message["text"].partition(":")[0] for message in world.posted if "report" in message["text"]] == [
        "Daily report of 2026-03-02",
        "Daily report of 2026-03-03",
    ]


def test_what_slack_refuses_for_now_is_sent_later(world: Telling) -> None:
    world.answers = [Delivery(sent=False, heals=True, error="Slack answered 500")]
    world.hear(made(world))
    world.settle()
    assert len(world.posted) == 1
    assert world.statuses() == ["sent"]


def test_a_report_that_is_decided_late_says_so(world: Telling) -> None:
    report, soon = made(world), made(world, "2026-03-03")
    world.hear(soon)
    world.deliver()
    world.now += 3600
    world.hear(report)
    world.deliver()
    assert ["Told late" in str(message) for message in world.posted] == [False, True]


def test_above_its_channels_rate_it_is_put_off_and_sent_in_the_next_minute(world: Telling) -> None:
    settings(world, channel="pager")
    world.hear(made(world), made(world, "2026-03-03"))
    world.settle()
    assert len(world.posted) == 2
    assert world.statuses() == ["sent", "sent"]


def test_a_crash_at_any_step_loses_nothing_and_tells_twice_only_between_post_and_mark() -> None:
    steps = steps_until_sent(None)
    marked = steps.index("before post") + 2
    assert steps[marked - 1 : marked + 1] == ["after post", "before UpdateItem"]
    for number in range(len(steps)):
        steps_until_sent(number, most=2 if number in {marked - 1, marked} else 1)


def steps_until_sent(crash_at: int | None, most: int = 1) -> list[str]:
    with InMemoryDynamoDB(deployed.tables()).installed() as db, pytest.MonkeyPatch.context() as patch:
        world = Telling(db, patch)
        commit = made(world)
        world.steps.crash_at = crash_at
        world.hear(commit)
        world.settle()
        assert world.statuses() == ["sent"], crash_at
        assert 1 <= len(world.posted) <= most, crash_at
        return world.steps.taken


def test_a_report_that_cannot_be_read_shows_as_failed(world: Telling) -> None:
    encoded = '[{"t": "report.made", "v": 9, "d": {}}]'
    world.hear(world.history.append_encoded("report#daily-2026-03-02", encoded))
    (row,) = world.rows()
    assert (row.status, row.title) == ("failed", "What happened to report#daily-2026-03-02 cannot be read")
