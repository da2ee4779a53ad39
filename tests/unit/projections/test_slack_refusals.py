"""A Slack that refuses, hangs or is away gets each message once, not before it wants it, and late ones say so."""

from typing import Any

import pytest
from botocore.exceptions import EndpointConnectionError

from domain.monitoring_config import Channel
from domain.monitoring_rules import Match
from infra import outbox, webhooks
from infra.webhooks import Delivery
from projections import sender
from tests.unit.projections.telling import RESOLVED, Telling, refused, rule

# ---- what Slack wants later


def test_slack_that_is_busy_gets_the_message_once_and_not_before_the_time_that_it_asks_for(world: Telling) -> None:
    world.answers = [refused(500), refused(500), refused(429, 600)]
    world.hear(world.opened())
    began = world.now
    world.pass_time(9, step=1)
    assert (world.posted, world.answers) == ([], [])
    world.pass_time(5, step=1)
    (row,) = world.rows()
    assert (row.status, row.attempts) == ("sent", 4)
    assert world.posted_at[0] >= began + 600
    assert len(world.posted) == 1


def test_a_repeat_of_the_record_does_not_hurry_what_slack_wants_later(world: Telling) -> None:
    world.answers = [refused(429, 600)]
    opened = world.opened()
    world.hear(opened)
    world.deliver()
    world.hear(opened)
    world.deliver()
    assert world.steps.taken.count("before post") == 1
    world.pass_time(11)
    assert world.statuses() == ["sent"]


def test_an_outage_of_three_hours_is_survived(world: Telling) -> None:
    world.answers = [refused(503)] * 100
    world.hear(world.opened())
    world.pass_time(178)
    assert world.statuses() == ["decided"]
    world.answers = []
    world.pass_time(17)
    assert world.statuses() == ["sent"]


def test_another_copy_of_a_delivery_does_not_hurry_what_slack_wants_later_and_takes_no_attempt(world: Telling) -> None:
    world.answers = [refused(429, 3600)]
    world.hear(world.opened())
    began = world.now
    (_, body), *_ = world.queue.waiting.values()
    for _ in range(3):
        world.queue.send_message(QueueUrl="queue", MessageBody=body)
    world.pass_time(65)
    (row,) = world.rows()
    assert (row.status, row.attempts, len(world.posted)) == ("sent", 2, 1)
    assert world.posted_at[0] >= began + 3600


def test_what_slack_asks_of_one_message_holds_for_all_of_its_channel_and_no_other(world: Telling) -> None:
    world.configure(
        rule("pager", match=Match(text="pager"), channels=("pager",)),
        rule(),
        channels=(Channel(name="default"), Channel(name="pager")),
    )
    world.answers = [refused(429, 600)]
    world.hear(world.opened("a"))
    world.deliver()
    began = world.now
    world.hear(*(world.opened(str(number)) for number in range(5)), world.opened("pager"))
    world.deliver()
    assert [message["url"][-1] for message in world.posted] == ["2"]
    waiting = [row for row in world.rows() if row.status == "held"]
    assert {(row.attempts, row.error) for row in waiting} == {(0, "the channel refuses messages for now")}
    world.pass_time(14, step=1)
    assert set(world.statuses()) == {"sent"}
    assert world.posted_at[1] >= began + 600
    assert "a is broken" in world.posted[1]["text"]
    assert {row.attempts for row in waiting} == {0}


def test_a_short_refusal_holds_up_no_other_message(world: Telling) -> None:
    world.answers = [refused(500)]
    world.hear(world.opened("a"))
    world.deliver()
    world.hear(world.opened("b"))
    world.deliver()
    assert world.statuses() == ["decided", "sent"]
    world.pass_time(1, step=10)
    assert world.statuses() == ["sent", "sent"]


def test_a_webhook_that_hangs_keeps_no_sender_from_the_other_channels(
    world: Telling, monkeypatch: pytest.MonkeyPatch
) -> None:
    tried = []

    def hanging(url: str, _message: Any) -> Delivery:
        tried.append(world.now)
        if url.endswith("2"):
            return Delivery(sent=True)
        world.now += 10
        return Delivery(sent=False, heals=True, timed_out=True, error="Slack did not answer in time")

    monkeypatch.setattr(webhooks, "post", hanging)
    world.configure(
        rule("pager", match=Match(text="pager"), channels=("pager",)),
        rule(),
        channels=(Channel(name="default"), Channel(name="pager")),
    )
    began = world.now
    world.hear(*(world.opened(str(number)) for number in range(20)), world.opened("pager"))
    world.deliver()
    assert world.rows()[-1].sent_at <= began + 11
    tried.clear()
    world.pass_time(60, step=10)
    assert len(tried) <= 20  # one message tries the channel for the others, less and less often
    assert max(row.attempts for row in world.rows()[1:]) <= 2


@pytest.mark.parametrize("answer", [refused(429, 300), Delivery(sent=True)])
def test_a_pause_is_neither_shortened_nor_ended_by_a_message_that_was_on_its_way_by_then(
    world: Telling, monkeypatch: pytest.MonkeyPatch, answer: Delivery
) -> None:
    post = webhooks.post

    def meanwhile(*arguments: Any) -> Delivery:
        monkeypatch.setattr(webhooks, "post", post)
        world.hear(world.opened("b"))
        world.deliver()
        return post(*arguments)

    monkeypatch.setattr(webhooks, "post", meanwhile)
    world.answers = [refused(429, 600), answer]
    world.hear(world.opened("a"))
    world.deliver()
    began, early = world.now, len(world.posted)
    world.hear(world.opened("c"))
    world.pass_time(15, step=10)
    assert set(world.statuses()) == {"sent"}
    assert early == answer.sent
    assert world.posted_at[early] >= began + 599
    assert "b is broken" in world.posted[early]["text"]


def test_what_waits_for_a_channel_that_is_dead_is_given_up_after_hours_and_none_of_its_attempts_is_used(
    world: Telling, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sender, "MAX_WAIT_SECONDS", 3600)
    world.answers = [refused(503, 60)] * 1000
    world.hear(world.opened("a"))
    world.deliver()
    world.hear(world.opened("b"))
    world.pass_time(150)
    first, second = world.rows()
    assert first.status == "decided"
    assert (second.status, second.error) == ("failed", "given up: its channel refused messages for 1 hours")
    assert second.attempts <= 1
    world.answers = []
    assert outbox.redrive(second)
    world.settle()
    assert world.statuses() == ["sent", "sent"]


def test_an_outage_of_what_keeps_the_webhooks_is_survived_for_as_long_as_one_of_slack(
    world: Telling, monkeypatch: pytest.MonkeyPatch
) -> None:
    def unreachable(_arn: str) -> None:
        raise EndpointConnectionError(endpoint_url="secretsmanager")

    with monkeypatch.context() as outage:
        outage.setattr(sender, "secret", unreachable)
        world.hear(world.opened())
        world.pass_time(170)
        (row,) = world.rows()
        fault = "what it needs, such as the webhook, could not be read (EndpointConnectionError)"
        assert (row.status, row.error) == ("decided", fault)
    world.pass_time(17)
    assert world.statuses() == ["sent"]


def test_what_is_redriven_waits_no_more(world: Telling) -> None:
    world.answers = [refused(429, 3600), Delivery(sent=False, error="Slack answered 404")]
    world.hear(world.opened())
    world.deliver()
    world.now += 3600
    world.deliver()
    (row,) = world.rows()
    assert outbox.redrive(row)
    assert row.not_before is None


# ---- what comes late


def test_a_message_that_comes_late_says_so_and_goes_before_the_end_of_its_alert(world: Telling) -> None:
    world.answers = [refused(503, 1800)]
    world.hear(world.opened())
    world.deliver()
    world.pass_time(5)
    world.hear(world.happens("a", RESOLVED))
    world.pass_time(40)
    opened, resolved = world.posted
    assert "Opened" in opened["text"]
    assert "Resolved" in resolved["text"]
    since = int(world.rows()[0].decided_at)
    words, date = opened["blocks"][1]["elements"]
    assert words["text"] == "Told late: this was to be told on"
    assert date["text"].startswith(f"<!date^{since}^")
    assert "Told late" in str(resolved)


def test_a_message_that_was_held_as_the_rule_says_is_not_late(world: Telling) -> None:
    world.configure(rule(only_if_open_after_minutes=30))
    world.hear(world.opened())
    world.settle()
    assert len(world.posted) == 1
    assert "Told late" not in str(world.posted)


def test_what_is_decided_late_says_so(world: Telling) -> None:
    world.configure(rule(match=Match(min_severity=4)), rule("lasting", only_if_open_after_minutes=10))
    severe, lasting = world.opened("a", severity=4), world.opened("b")
    happened_at = int(world.now)
    world.now += 3 * 3600  # the notifier's shard was stuck
    world.hear(severe, lasting)
    world.settle()
    dates = [message["blocks"][1]["elements"][1]["text"] for message in world.posted]
    assert [date.partition("^")[2].partition("^")[0] for date in dates] == [f"{happened_at}", f"{happened_at + 600}"]
