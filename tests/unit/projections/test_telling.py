"""What is told of alerts and tasks: each once, whatever comes again and wherever a process ends."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pynamodb.exceptions import TransactWriteError

from domain.alerts import AlertAcknowledged, AlertNoticed, AlertResolved, AlertSeverityChanged, Ending, Face, Seen
from domain.monitoring_config import Channel
from domain.tasks import Priority, TaskAssigned, TaskCommented
from domain.told import AlertTold
from infra.outbox import Status
from projections.messages import told_of
from tests.in_memory import deployed
from tests.in_memory.dynamodb import InMemoryDynamoDB
from tests.in_memory.faults import Fault, at_request
from tests.unit.projections.telling import RESOLVED, Telling, recurrence, refused, reopened, rule

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
