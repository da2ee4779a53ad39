"""From what happened to Slack: whatever ends a process, whatever Slack says, people are told once, and in time."""

import traceback
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from typing import Any

import pytest
from botocore.exceptions import EndpointConnectionError
from hypothesis import given, settings
from hypothesis import strategies as st
from pynamodb.exceptions import TransactWriteError

from domain.alerts import (
    AlertAcknowledged,
    AlertNoticed,
    AlertRecurred,
    AlertReopened,
    AlertResolved,
    AlertSeverityChanged,
    AlertSnoozed,
    Ending,
    Face,
    Seen,
)
from domain.event import UnreadableEventError
from domain.monitoring_config import Channel
from domain.monitoring_rules import Match, QuietHours, Transition
from domain.tasks import Priority, TaskAssigned, TaskCommented
from domain.told import AlertTold
from infra import outbox, webhooks
from infra.delivery_rate import Turn, pause, turn
from infra.outbox import Notification, Status
from infra.settings import SWEEP_SECONDS
from infra.webhooks import Delivery
from projections import facts, notifier, sender, sweeper
from projections.messages import NothingToTellError, told_of
from tests.in_memory import deployed
from tests.in_memory.dynamodb import InMemoryDynamoDB
from tests.in_memory.faults import CrashError, Fault, at_request
from tests.unit.projections.telling import Telling, later, rule

RESOLVED = AlertResolved(ending=Ending.SOURCE)

OlderRelease = Callable[[], AbstractContextManager[None]]


@pytest.fixture
def world(db: InMemoryDynamoDB, monkeypatch: pytest.MonkeyPatch) -> Telling:
    return Telling(db, monkeypatch)


def recurrence(*ids: str) -> AlertRecurred:
    return AlertRecurred(seen=Seen(ids=ids or ("1-x",), count=1, first=1, last=1, order=2, rank=3))


def refused(status: int, retry_after: int | None = None) -> Delivery:
    return Delivery(sent=False, heals=True, retry_after=retry_after, error=f"Slack answered {status}")


# ---- what is told


def test_an_alert_is_told_when_it_opens_gets_worse_and_ends(world: Telling) -> None:
    opened = world.opened(severity=2)
    worse = world.happens("a", recurrence(), AlertSeverityChanged(old=2, new=4))
    better = world.happens("a", recurrence("2-x"), AlertSeverityChanged(old=4, new=3))
    over = world.happens("a", RESOLVED)
    world.hear(opened, worse, better, over)
    world.deliver()
    assert [(row.about, row.severity, row.status, row.rule) for row in world.rows()] == [
        ("opened", 2, "sent", "alerts"),
        ("recurred", 2, "suppressed", None),
        ("severity_raised", 4, "sent", "alerts"),
        ("recurred", 4, "suppressed", None),
        ("resolved", 3, "sent", "alerts"),
    ]
    assert len(world.posted) == 3
    assert {row.stream for row in world.rows()} == {"alert#a"}


def test_a_message_shows_the_monitoring_event_and_if_that_has_expired_what_the_alert_shows(world: Telling) -> None:
    opened = world.opened()
    world.hear(opened)
    world.deliver()
    assert "And how." in str(world.posted)
    other = world.opened("b")
    event = world.history.commits[-2]
    table = world.db._tables["events"]
    table.write(table.place_of({"pk": {"S": event.stream}, "sk": {"N": "1"}}), None)
    world.hear(other)
    world.deliver()
    assert "b is broken" in str(world.posted[1])
    assert "And how." not in str(world.posted[1])


def reopened(world: Telling, order: int = 9) -> AlertReopened:
    face = Face(source="aws.cloudwatch", detail_type="x", title="a is broken")
    seen = Seen(ids=(f"{order}-z",), count=1, first=int(world.now), last=int(world.now), order=order, rank=3)
    return AlertReopened(seen=seen, face=face, severity=1, config=1)


def test_the_end_is_told_to_those_who_know_of_the_problem_although_it_is_less_severe_by_then(world: Telling) -> None:
    commits = [
        world.opened(severity=3),
        world.happens("a", recurrence(), AlertSeverityChanged(old=3, new=1)),
        world.happens("a", RESOLVED),
        world.opened("b", severity=3),
        world.happens("b", AlertSeverityChanged(old=3, new=0), AlertResolved(ending=Ending.MINOR)),
        world.opened("c", severity=1),
        world.happens("c", AlertSeverityChanged(old=1, new=0), RESOLVED),
    ]
    world.hear(*commits[::-1])
    ends = [(row.stream, row.severity, row.status) for row in world.rows() if row.about == "resolved"]
    assert ends == [("alert#a", 1, "decided"), ("alert#b", 0, "decided"), ("alert#c", 0, "suppressed")]


def test_the_end_of_what_opened_again_less_severely_is_not_told_for_nobody_knows_of_it(world: Telling) -> None:
    world.hear(world.opened(severity=4), world.happens("a", RESOLVED))
    world.hear(world.happens("a", reopened(world)), world.happens("a", RESOLVED))
    assert world.statuses() == ["decided", "decided", "suppressed", "suppressed"]


def test_a_late_older_occurrence_of_what_is_over_or_never_opened_is_not_told(world: Telling) -> None:
    world.configure(rule())
    seen = Seen(ids=("2-x",), count=0, first=1, last=1, order=2, rank=0)
    face = Face(source="aws.cloudwatch", detail_type="x", title="b is well")
    world.hear(
        world.opened(),
        world.happens("a", RESOLVED),
        world.happens("a", recurrence("1-late")),
        world.happens("b", AlertNoticed(fingerprint="b", seen=seen, face=face)),
        world.happens("b", recurrence("1-late")),
    )
    assert [(row.stream, row.about) for row in world.rows()] == [("alert#a", "opened"), ("alert#a", "resolved")]


def test_each_event_is_told_with_the_alert_as_it_was_then(world: Telling) -> None:
    world.configure(rule())
    commits = [world.opened(), world.happens("a", recurrence()), world.happens("a", recurrence("2-x"), RESOLVED)]
    world.hear(*commits[::-1])
    told = [told_of(row) for row in world.rows()]
    assert [one.count for one in told if isinstance(one, AlertTold)] == [1, 2, 3, 3]


def test_a_task_is_told_when_it_is_made_and_assigned_and_not_when_it_is_commented(world: Telling) -> None:
    task = world.history.task("t", title="Look at it", priority=Priority.LOW)
    more = world.history.append("task#t", TaskAssigned(user_id="bob"), TaskCommented(comment_id="c", comment="Hm."))
    world.hear(task, more)
    world.deliver()
    assert [(row.about, row.status) for row in world.rows()] == [
        ("created", "sent"),
        ("assigned", "sent"),
        ("commented", "suppressed"),
    ]
    assert "Look at it" in str(world.posted[0])


def test_nobody_is_named_in_a_message_or_a_row(world: Telling) -> None:
    world.history.user("bob", "Bob Example")
    task = world.history.task("t", assigned_user_id="bob", by="ann")
    world.hear(task)
    world.deliver()
    assert "Bob" not in str(world.posted) + str(world.db.items("outbox"))


# ---- once


def test_the_same_records_again_and_backwards_and_a_replay_tell_nobody_anything(world: Telling) -> None:
    commits = [world.opened(), world.happens("a", recurrence()), world.happens("a", RESOLVED), world.opened("b")]
    world.hear(*commits[::-1])
    world.hear(*commits)
    world.deliver()
    world.pass_time(5)
    before = world.db.items("outbox")
    world.now += 86_400
    for commit in commits:
        world.hear(commit, commit)
    world.pass_time(5)
    assert len(world.posted) == 3
    assert world.db.items("outbox") == before


@pytest.mark.parametrize("channels", [("pager",), ("pager", "default"), ("default",)])
def test_a_replay_after_the_rules_changed_tells_nobody_anything(world: Telling, channels: tuple[str, ...]) -> None:
    commits = [world.opened(), world.opened("minor", severity=1)]
    world.hear(*commits)
    world.deliver()
    world.configure(rule(channels=channels))
    world.hear(*commits)
    world.pass_time(5)
    assert len(world.posted) == 1
    assert world.statuses() == ["sent", "suppressed"]


def test_a_decision_for_several_channels_is_kept_as_a_whole(world: Telling) -> None:
    world.configure(rule(channels=("default", "pager")))
    world.hear(world.opened())
    world.deliver()
    assert sorted(message["url"][-1] for message in world.posted) == ["1", "2"]
    assert world.statuses() == ["sent", "sent"]


def test_a_decision_that_met_another_transaction_is_taken_again_for_both_may_have_been_refused(world: Telling) -> None:
    world.configure(rule(channels=("default", "pager")))
    opened = world.opened()
    world.db.faults = at_request(3, Fault.CONFLICT)  # after the config, the monitoring event and what was decided
    with pytest.raises(TransactWriteError):
        world.hear(opened)
    assert world.statuses() == []
    world.hear(opened)
    world.deliver()
    assert world.statuses() == ["sent", "sent"]


@settings(max_examples=40, deadline=None)
@given(st.data())
def test_in_whatever_order_and_however_often_commits_come_each_is_told_once(data: st.DataObject) -> None:
    with InMemoryDynamoDB(deployed.tables()).installed() as db, pytest.MonkeyPatch.context() as patched:
        world = Telling(db, patched)
        commits = [
            world.opened(severity=2),
            world.happens("a", recurrence(), AlertSeverityChanged(old=2, new=4)),
            world.opened("b", severity=1),
            world.happens("a", RESOLVED),
            world.history.task("t"),
        ]
        handed = data.draw(st.lists(st.sampled_from(range(len(commits))), max_size=8).map(tuple))
        order = [*handed, *data.draw(st.permutations(range(len(commits))))]
        for size in data.draw(st.lists(st.integers(1, 4), min_size=len(order), max_size=len(order))):
            batch, order = order[:size], order[size:]
            if batch:
                world.hear(*(commits[number] for number in batch))
                world.deliver()
        world.settle()
        assert [(row.about, row.severity, row.status) for row in world.rows()] == [
            ("opened", 2, "sent"),
            ("recurred", 2, "suppressed"),
            ("severity_raised", 4, "sent"),
            ("opened", 1, "suppressed"),
            ("resolved", 4, "sent"),
            ("created", None, "sent"),
        ]
        assert len(world.posted) == 4


def scenario(world: Telling, kind: str) -> None:
    match kind:
        case "at once":
            world.hear(world.opened())
        case "two channels":
            world.configure(rule(channels=("default", "pager")))
            world.hear(world.opened())
        case "held":
            world.configure(rule(only_if_open_after_minutes=3))
            world.hear(world.opened())
        case "grouped":
            world.configure(rule(group_within_minutes=3))
            world.hear(*(world.opened(name) for name in "abc"))
        case "too many":
            world.configure(rule(), channels=(Channel(name="default", rate_per_minute=1),))
            world.hear(*(world.opened(name) for name in "abc"))
        case "refused":
            world.answers = [refused(500), refused(429, 70)]
            world.hear(world.opened())


KINDS = ["at once", "two channels", "held", "grouped", "too many", "refused"]


@pytest.mark.parametrize("kind", KINDS)
def test_wherever_a_process_ends_the_message_arrives_and_twice_only_if_it_ended_before_the_mark(
    monkeypatch: pytest.MonkeyPatch, kind: str
) -> None:
    steps, posts = lived_through(monkeypatch, kind, None)
    for number, step in enumerate(steps):
        posted = lived_through(monkeypatch, kind, number)[1]
        unmarked = "after post" in {step, steps[number - 1] if step == "before UpdateItem" else None}
        assert posted == posts + unmarked, (number, step)


def lived_through(monkeypatch: pytest.MonkeyPatch, kind: str, crash_at: int | None) -> tuple[list[str], int]:
    """Let something happen, with a process that ends at a step. Returns the steps taken, and how many posts arrived."""
    with InMemoryDynamoDB(deployed.tables()).installed() as db, monkeypatch.context() as patched:
        world = Telling(db, patched)
        world.steps.crash_at = crash_at
        scenario(world, kind)
        world.settle()
        assert Status.SENT in set(world.statuses()) <= {Status.SENT, Status.GROUPED}, (crash_at, world.statuses())
        return world.steps.taken, len(world.posted)


# ---- when


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


# ---- what gets lost, and who comes at the same time


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


def test_an_alert_that_cannot_be_read_fails_its_row_and_holds_up_no_other(
    world: Telling, capsys: pytest.CaptureFixture[str]
) -> None:
    world.configure(rule(only_if_open_after_minutes=1))
    world.hear(world.opened("a"), world.opened("b"))
    world.history.append_encoded("alert#a", "no json")
    world.settle()
    assert world.statuses() == ["failed", "sent"]
    assert "cannot be read" in (world.rows()[0].error or "")
    assert capsys.readouterr().out.count('"NotificationsFailed":[1.0]') == 1


def test_what_cannot_be_decided_sets_off_the_alarm_once(world: Telling, capsys: pytest.CaptureFixture[str]) -> None:
    unreadable = world.history.append_encoded("alert#a", "no json")
    world.hear(unreadable)
    world.hear(unreadable)
    assert world.statuses() == ["failed"]
    assert capsys.readouterr().out.count('"NotificationsFailed":[1.0]') == 1


@pytest.fixture
def older_release(monkeypatch: pytest.MonkeyPatch) -> OlderRelease:
    """What happens inside meets a notifier that does not know the newest events yet."""

    def unreadable(*_: object) -> Any:
        raise UnreadableEventError("alert.opened 2")

    @contextmanager
    def deployed() -> Iterator[None]:
        with monkeypatch.context() as patched:
            patched.setattr(facts, "happenings", unreadable)
            yield

    return deployed


def redriven(row: Notification) -> str | None:
    return notifier.handler({"redrive": {"stream": row.stream, "commit": row.key.commit_id}}, None)


@pytest.mark.parametrize("channels", [("default",), ("pager",), ("default", "pager")])
@pytest.mark.parametrize("by_replay", [False, True])
def test_what_could_not_be_decided_is_decided_once_it_can_be_read(
    world: Telling,
    older_release: OlderRelease,
    channels: tuple[str, ...],
    by_replay: bool,  # noqa: FBT001
) -> None:
    world.configure(rule(channels=channels))
    opened = world.opened()
    with older_release():
        world.hear(opened)
        (row,) = world.rows()
        assert redriven(row) == "UnreadableEventError: alert.opened 2"
    if by_replay:
        world.hear(opened)
    assert redriven(row) is None
    assert redriven(row) is None
    world.hear(opened)
    world.deliver()
    told = {row.channel: row.status for row in world.rows()}
    assert told == {"default": "suppressed", **dict.fromkeys(channels, "sent")}
    assert len(world.posted) == len(channels)


def test_what_was_over_before_its_time_is_not_told_when_it_is_decided_later(
    world: Telling, older_release: OlderRelease
) -> None:
    world.configure(rule(only_if_open_after_minutes=10))
    opened = world.opened()
    with older_release():
        world.hear(opened)
    world.now += 180
    world.hear(world.happens("a", RESOLVED))
    world.now += 3 * 3600
    assert redriven(world.rows()[0]) is None
    world.settle()
    assert world.statuses() == ["suppressed", "suppressed"]
    assert world.posted == []


def test_what_could_not_be_decided_and_tells_nobody_anything_is_given_up_no_more(
    world: Telling, older_release: OlderRelease
) -> None:
    world.hear(world.opened(), world.happens("a", RESOLVED))
    late = world.happens("a", recurrence("1-late"))
    with older_release():
        world.hear(late)
    assert world.statuses() == ["decided", "decided", "failed"]
    assert redriven(world.rows()[-1]) is None
    (_, _, row) = world.rows()
    assert (row.status, row.reason) == ("suppressed", "it could be read later, and was decided then")
    assert not row.error


def test_a_decision_stands_although_an_older_release_meets_the_commit_again(
    world: Telling, older_release: OlderRelease
) -> None:
    world.opened()
    over = world.happens("a", AlertAcknowledged(), RESOLVED)
    world.hear(over)
    with older_release():
        world.hear(over)
    world.deliver()
    assert world.statuses() == ["sent"]


def test_what_is_not_in_the_ledger_cannot_be_decided(world: Telling) -> None:
    world.opened()
    assert notifier.handler({"redrive": {"stream": "alert#a", "commit": "x"}}, None) == "it is not in the ledger"


def test_a_config_that_cannot_be_read_brings_the_batch_back_and_fails_nothing(world: Telling) -> None:
    opened = world.opened()
    world.history.append_encoded("monitoring-config#main", '[{"t": "monitoring-config.started", "v": 99, "d": {}}]')
    with pytest.raises(UnreadableEventError):
        world.hear(opened)
    assert world.statuses() == []


def test_what_people_wrote_is_in_no_log_when_a_row_cannot_be_read(world: Telling) -> None:
    world.hear(world.opened())
    row = world.rows()[0]
    row.told = '{"comment": "call Ann"}'
    with pytest.raises(NothingToTellError) as raised:
        told_of(row)
    assert "call Ann" not in "".join(traceback.format_exception(raised.value))


def test_nothing_is_left_in_the_index_of_what_is_due(world: Telling) -> None:
    world.configure(rule(only_if_open_after_minutes=1))
    world.answers = [refused(500), Delivery(sent=False, error="Slack answered 404")]
    world.hear(world.opened("a"), world.opened("b"))
    world.settle()
    assert sorted(world.statuses()) == ["failed", "sent"]
    assert not [item for item in world.db.items("outbox") if "due_partition" in item]


def test_what_is_held_for_long_does_not_expire_before_its_time(world: Telling, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("EVENT_RETENTION_DAYS", "1")
    world.hear(world.opened(), world.happens("a", AlertSnoozed(until=later(world, 20 * 1440))))
    _, held = world.rows()
    assert held.ttl > held.due_at


# ---- what it costs


def test_calls_and_units_of_a_decision_that_is_sent_at_once(world: Telling) -> None:
    commit = world.opened()
    with world.db.metered() as used:
        world.hear(commit)
    # The config, the monitoring event, what was decided before; the decision.
    assert used.calls == {"Query": 3, "PutItem": 1}
    with world.db.metered() as used:
        world.deliver()
    # Lease, the place in the channel's minute, mark.
    assert used.calls == {"UpdateItem": 3}
    again = world.happens("a", recurrence(f"1-{'0' * 36}"))
    with world.db.metered() as used:
        world.hear(again)
    # The alert before, its monitoring event, what was decided before; the config is known.
    assert used.calls == {"Query": 3, "PutItem": 1}
    assert used.write_units["outbox"] == 2  # the row and its place in the index of its alert


def test_what_nobody_is_ever_told_of_costs_nothing(world: Telling) -> None:
    world.hear(world.opened())
    acknowledged = world.happens("a", AlertAcknowledged(), by="ann")
    user = world.history.user("bob", "Bob Example")
    with world.db.metered() as used:
        world.hear(acknowledged, user)
    assert not used.calls


def test_an_idle_minute_costs_a_query_for_each_partition(world: Telling) -> None:
    with world.db.metered() as used:
        world.sweep()
    assert used.calls == {"Query": 4}
