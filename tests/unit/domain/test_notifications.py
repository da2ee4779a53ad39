"""Who is told of what, where and when: by the rules of the monitoring config, and in spite of them."""

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from domain.alerts import Alert, AlertState, Face
from domain.judgement import matchable
from domain.monitoring_config import Channel, GlobalSettings, MonitoringConfig, defaults
from domain.monitoring_rules import (
    Match,
    Matchable,
    NotificationAction,
    NotificationRule,
    QuietHours,
    TaskChange,
    Transition,
)
from domain.notifications import Decision, Happening, Outcome, Terms, decide, due
from domain.sources.mapping import MappedEvent, State
from domain.tasks import Priority, Status
from domain.told import AlertNews, AlertTold, TaskTold

NOW = datetime(2026, 3, 2, 12, 0, tzinfo=UTC)
ALL = tuple(Transition)


def minutes(count: float) -> timedelta:
    return timedelta(minutes=count)


def mapped(**facts: Any) -> MappedEvent:
    told = {
        "source": "aws.cloudwatch",
        "detail_type": "CloudWatch Alarm State Change",
        "account": "111122223333",
        "region": "eu-central-1",
        "title": "cpu: ALARM",
        "resource": "arn:aws:cloudwatch:eu-central-1:111122223333:alarm:cpu",
        "severity": 3,
        "state": State.OPEN,
        "fingerprint": "alarm:cpu",
        "order": 1,
    }
    return MappedEvent(**{**told, **facts})


def an_alert(**fields: Any) -> Alert:
    event = mapped()
    face = Face(source=event.source, detail_type=event.detail_type, title=event.title)
    told = {
        "fingerprint": "alarm:cpu",
        "state": AlertState.OPEN,
        "face": face,
        "severity": 3,
        "order": 1,
        "rank": 3,
        "openings": 1,
        "opened_at": NOW,
        "created_at": NOW,
        "updated_at": NOW,
    }
    return Alert(**{**told, **fields})


def happening(
    news: AlertNews = AlertNews.OPENED,
    *,
    at: datetime = NOW,
    event: MappedEvent | None = None,
    snoozed_until: datetime | None = None,
    **alert: Any,
) -> Happening:
    event, state = event or mapped(), an_alert(**alert)
    opened_at = int((state.opened_at or NOW).timestamp())
    told = AlertTold(
        alert_id="a",
        transition=news,
        event=event,
        published_at=1,
        severity=state.severity,
        count=1,
        openings=state.openings,
        opened_at=opened_at,
    )
    facts = matchable(event).model_copy(update={"severity": state.severity})
    return Happening(told=told, facts=facts, at=at, alert=state, snoozed_until=snoozed_until)


def task(change: TaskChange = TaskChange.CREATED, **facts: Any) -> Happening:
    told = TaskTold(task_id="t", change=change, title="Look at it", status=Status.OPEN, priority=Priority.HIGH)
    return Happening(told=told, facts=Matchable(text="Look at it", **facts), at=NOW)


def config(*rules: NotificationRule, **settings: Any) -> MonitoringConfig:
    channels = (Channel(name="default"), Channel(name="pager", rate_per_minute=5))
    changes = {"notification_rules": rules, "channels": channels, "global_settings": GlobalSettings(**settings)}
    return defaults().model_copy(update=changes)


def rule(name: str = "r", transitions: tuple[Transition, ...] = ALL, **fields: Any) -> NotificationRule:
    return NotificationRule(name=name, transitions=transitions, **fields)


def only(decisions: tuple[Decision, ...]) -> Decision:
    (decision,) = decisions
    return decision


# ---- which rule decides


@pytest.mark.parametrize(
    ("news", "severity", "outcome", "name"),
    [
        (AlertNews.OPENED, 2, Outcome.SEND, "alerts"),
        (AlertNews.OPENED, 1, Outcome.SUPPRESS, None),
        (AlertNews.SEVERITY_RAISED, 2, Outcome.SEND, "alerts"),
        (AlertNews.RESOLVED, 2, Outcome.SEND, "alerts"),
        (AlertNews.RESOLVED, 1, Outcome.SUPPRESS, None),
        (AlertNews.RECURRED, 5, Outcome.SUPPRESS, None),
    ],
)
def test_by_default_severe_alerts_are_told_when_they_open_get_worse_and_end(
    news: AlertNews, severity: int, outcome: Outcome, name: str | None
) -> None:
    decision = only(decide(happening(news, severity=severity), defaults(), NOW))
    assert (decision.outcome, decision.rule, decision.channel) == (outcome, name, "default")
    assert decision.reason


@pytest.mark.parametrize("change", TaskChange)
def test_by_default_tasks_are_told_when_they_are_made_and_assigned(change: TaskChange) -> None:
    decision = only(decide(task(change), defaults(), NOW))
    told = change in {TaskChange.CREATED, TaskChange.ASSIGNED}
    assert decision.outcome is (Outcome.SEND if told else Outcome.SUPPRESS)


def test_the_first_rule_that_matches_decides() -> None:
    rules = (
        rule("raised", (Transition.SEVERITY_RAISED,)),
        rule("others", match=Match(source="aws.health")),
        rule("mine", match=Match(text="CPU"), channels=("pager",)),
        rule("all"),
    )
    decision = only(decide(happening(), config(*rules), NOW))
    assert (decision.rule, decision.channel, decision.rate_per_minute) == ("mine", "pager", 5)


@pytest.mark.parametrize(
    "match",
    [
        Match(source="aws.cloudwatch"),
        Match(service="cloudwatch"),
        Match(account="111122223333"),
        Match(region="eu-central-1"),
        Match(resource="*alarm:cpu"),
        Match(text="CPU: alarm"),
        Match(min_severity=3, max_severity=3),
        None,
    ],
)
def test_a_rule_matches_by_what_is_known_of_the_alert(match: Match | None) -> None:
    assert only(decide(happening(), config(rule(match=match)), NOW)).outcome is Outcome.SEND


def test_the_severity_that_counts_is_the_alerts_own() -> None:
    severe = happening(event=mapped(severity=0), severity=4)
    assert only(decide(severe, config(rule(match=Match(min_severity=4))), NOW)).outcome is Outcome.SEND


def test_a_rule_may_say_that_nobody_is_told() -> None:
    quiet = rule("quiet", action=NotificationAction.SUPPRESS)
    decision = only(decide(happening(), config(quiet, rule("all")), NOW))
    assert (decision.outcome, decision.rule) == (Outcome.SUPPRESS, "quiet")


def test_no_rules_tell_nobody_and_say_so() -> None:
    decision = only(decide(happening(), config(), NOW))
    assert (decision.outcome, decision.rule, decision.reason) == (Outcome.SUPPRESS, None, "no rule matches")


def test_each_channel_of_a_rule_gets_a_decision() -> None:
    decisions = decide(happening(), config(rule(channels=("pager", "default", "gone"))), NOW)
    assert [(one.channel, one.rate_per_minute) for one in decisions] == [("pager", 5), ("default", 30), ("gone", 30)]


def test_what_aws_does_not_mean_for_people_is_not_told_whatever_the_rules_say() -> None:
    face = Face(source="aws.cloudwatch", detail_type="x", title="t", quiet="a sample finding")
    decision = only(decide(happening(severity=5, face=face), config(rule()), NOW))
    assert (decision.outcome, decision.rule) == (Outcome.SUPPRESS, None)
    assert "a sample finding" in decision.reason


@pytest.mark.parametrize(
    ("news", "outcome"),
    [
        (AlertNews.RECURRED, Outcome.SUPPRESS),
        (AlertNews.SEVERITY_RAISED, Outcome.SUPPRESS),
        (AlertNews.RESOLVED, Outcome.SEND),
    ],
)
def test_of_an_alert_that_people_know_of_they_learn_the_end_but_not_what_is_muted(
    news: AlertNews, outcome: Outcome
) -> None:
    muted = mapped(quiet="muted by AWS")
    decision = only(decide(happening(news, event=muted), config(rule()), NOW))
    assert decision.outcome is outcome
    assert ("muted by AWS" in decision.reason) == (outcome is Outcome.SUPPRESS)


@pytest.mark.parametrize("news", [AlertNews.RECURRED, AlertNews.SEVERITY_RAISED, AlertNews.RESOLVED])
def test_nothing_is_told_of_an_alert_while_it_is_snoozed(news: AlertNews) -> None:
    state = AlertState.RESOLVED if news is AlertNews.RESOLVED else AlertState.OPEN
    what = happening(news, state=state)
    assert what.alert is not None
    asleep = what.model_copy(update={"alert": what.alert.model_copy(update={"snoozed_until": NOW + minutes(1)})})
    awake = what.model_copy(update={"alert": what.alert.model_copy(update={"snoozed_until": NOW})})
    assert only(decide(asleep, config(rule()), NOW)).reason == "snoozed until 2026-03-02 12:01 UTC"
    assert only(decide(awake, config(rule()), NOW)).outcome is Outcome.SEND


# ---- when


def test_what_must_stay_open_is_held_until_then_and_told_only_if_it_does() -> None:
    what = happening()
    decision = only(decide(what, config(rule(only_if_open_after_minutes=10)), NOW + minutes(1)))
    assert (decision.outcome, decision.until) == (Outcome.HOLD, NOW + minutes(10))
    assert decision.terms is not None
    at = NOW + minutes(10)
    assert due(what.told, decision.terms, an_alert(), at) is None
    over = an_alert(state=AlertState.RESOLVED, resolved_at=NOW + minutes(9))
    assert outcome(due(what.told, decision.terms, over, at)) is Outcome.SUPPRESS
    just_after = an_alert(state=AlertState.RESOLVED, resolved_at=at)
    assert due(what.told, decision.terms, just_after, at + minutes(1)) is None
    again = an_alert(openings=2, opened_at=NOW + minutes(9))
    assert outcome(due(what.told, decision.terms, again, at)) is Outcome.SUPPRESS
    snoozed = an_alert(snoozed_until=at + minutes(1))
    assert outcome(due(what.told, decision.terms, snoozed, at)) is Outcome.SUPPRESS


def test_what_opened_again_is_judged_as_it_was_when_it_had_to_be_open() -> None:
    what, at = happening(), NOW + minutes(20)
    terms = Terms(severity=3, open_at=NOW + minutes(10))
    again = an_alert(openings=2, opened_at=NOW + minutes(15))
    assert due(what.told, terms, again, at, an_alert()) is None
    over = an_alert(state=AlertState.RESOLVED, resolved_at=NOW + minutes(9))
    assert outcome(due(what.told, terms, again, at, over)) is Outcome.SUPPRESS
    snoozed = again.model_copy(update={"snoozed_until": at + minutes(1)})
    assert outcome(due(what.told, terms, snoozed, at, an_alert())) is Outcome.SUPPRESS


def outcome(decision: Decision | None) -> Outcome | None:
    return None if decision is None else decision.outcome


def test_what_has_been_open_for_long_enough_is_told_at_once() -> None:
    what = happening(AlertNews.RECURRED, at=NOW + minutes(11))
    decision = only(decide(what, config(rule(only_if_open_after_minutes=10)), NOW + minutes(11)))
    assert decision.outcome is Outcome.SEND


@given(before=st.integers(-20, 600), late=st.integers(0, 300))
def test_however_late_the_decision_what_must_stay_open_is_judged_first(before: int, late: int) -> None:
    at = NOW + minutes(10) - timedelta(seconds=before)
    what, now = happening(AlertNews.RECURRED, at=at), at + minutes(late)
    decision = only(decide(what, config(rule(only_if_open_after_minutes=10)), now))
    if before <= 0:  # it was open for long enough when it happened
        assert (decision.outcome, decision.wanted_at) == (Outcome.SEND, at)
        return
    assert (decision.outcome, decision.until) == (Outcome.HOLD, max(NOW + minutes(10), now))
    assert decision.wanted_at == (NOW + minutes(10) if now >= NOW + minutes(10) else None)
    over = an_alert(state=AlertState.RESOLVED, resolved_at=NOW + minutes(9))
    assert decision.terms is not None
    assert outcome(due(what.told, decision.terms, over, now)) is Outcome.SUPPRESS


def test_what_happens_by_a_clock_that_is_ahead_is_told_at_once() -> None:
    decision = only(decide(happening(at=NOW + minutes(0.01)), config(rule()), NOW))
    assert (decision.outcome, decision.wanted_at) == (Outcome.SEND, NOW)


@given(open_for=st.integers(0, 1200), late=st.integers(0, 300))
def test_an_end_is_told_exactly_if_the_opening_is(open_for: int, late: int) -> None:
    """Whenever the sweeper comes, and whichever is decided first."""
    rules = config(rule(only_if_open_after_minutes=10))
    opened = happening()
    decision = only(decide(opened, rules, NOW))
    over_at = NOW + timedelta(seconds=open_for)
    over: dict[str, Any] = {"state": AlertState.RESOLVED, "resolved_at": over_at}
    end = only(decide(happening(AlertNews.RESOLVED, at=over_at, **over), rules, over_at))
    assert decision.terms is not None
    assert decision.until is not None
    swept_at = decision.until + timedelta(seconds=late)
    then = an_alert(**over) if over_at <= swept_at else an_alert()
    opening_told = due(opened.told, decision.terms, then, swept_at) is None
    assert opening_told is (end.outcome is Outcome.SEND)


QUIET = QuietHours.model_validate({"from": "22:00", "to": "07:00"})


def test_in_quiet_hours_it_is_held_until_they_end_by_the_settings_clock() -> None:
    night = datetime(2026, 3, 2, 22, 30, tzinfo=UTC)
    what = happening(at=night)
    decision = only(decide(what, config(rule(quiet_hours=QUIET), timezone="Europe/Berlin"), night))
    assert (decision.outcome, decision.until) == (Outcome.HOLD, datetime(2026, 3, 3, 6, 0, tzinfo=UTC))
    assert decision.terms is not None
    assert due(what.told, decision.terms, an_alert(), datetime(2026, 3, 3, 6, 0, tzinfo=UTC)) is None
    evening = due(what.told, decision.terms, an_alert(), datetime(2026, 3, 3, 22, 0, tzinfo=UTC))
    assert evening is not None
    assert (evening.outcome, evening.until) == (Outcome.HOLD, datetime(2026, 3, 4, 6, 0, tzinfo=UTC))


def test_what_was_over_by_the_morning_is_told_all_the_same() -> None:
    night = datetime(2026, 3, 2, 23, 0, tzinfo=UTC)
    decision = only(decide(happening(at=night), config(rule(quiet_hours=QUIET)), night))
    assert decision.terms is not None
    assert decision.until is not None
    over = an_alert(state=AlertState.RESOLVED, resolved_at=night)
    assert due(happening().told, decision.terms, over, decision.until) is None


def test_what_is_severe_enough_breaks_the_quiet() -> None:
    night = datetime(2026, 3, 2, 23, 0, tzinfo=UTC)
    loud = QuietHours.model_validate({"from": "22:00", "to": "07:00", "except_min_severity": 4})
    assert only(decide(happening(severity=4), config(rule(quiet_hours=loud)), night)).outcome is Outcome.SEND
    assert only(decide(happening(severity=3), config(rule(quiet_hours=loud)), night)).outcome is Outcome.HOLD


def test_the_end_of_a_hold_may_fall_into_quiet_hours() -> None:
    late = datetime(2026, 3, 2, 21, 55, tzinfo=UTC)
    both = rule(quiet_hours=QUIET, only_if_open_after_minutes=10)
    decision = only(decide(happening(at=late, opened_at=late), config(both), late))
    assert decision.until == datetime(2026, 3, 3, 7, 0, tzinfo=UTC)


def test_a_window_gathers_what_comes_within_it() -> None:
    rules = config(rule("w", group_within_minutes=5, channels=("default", "pager")))
    first = decide(happening(), rules, NOW + minutes(0.5))
    second = decide(happening(AlertNews.RESOLVED), rules, NOW + minutes(4.9))
    later = decide(happening(), rules, NOW + minutes(5))
    assert [one.until for one in (*first, *second)] == [NOW + minutes(5)] * 4
    assert {one.group for one in first} == {one.group for one in second}
    assert len({one.group for one in first}) == 2
    assert later[0].until == NOW + minutes(10)
    assert later[0].group != first[0].group


@given(st.integers(0, 10**6), st.integers(1, 10_080))
def test_a_window_ends_after_now_and_within_its_length(seconds: int, length: int) -> None:
    now = NOW + timedelta(seconds=seconds)
    decision = only(decide(happening(), config(rule(group_within_minutes=length)), now))
    assert decision.until is not None
    assert now < decision.until <= now + minutes(length)


def test_a_task_waits_for_quiet_hours_and_windows_but_not_to_stay_open() -> None:
    tasks = NotificationRule(name="t", task_changes=tuple(TaskChange), only_if_open_after_minutes=10)
    assert only(decide(task(), config(tasks), NOW)).outcome is Outcome.SEND
    grouped = tasks.model_copy(update={"group_within_minutes": 5})
    decision = only(decide(task(), config(grouped), NOW))
    assert decision.terms is not None
    assert due(task().told, decision.terms, None, NOW + minutes(5)) is None


def test_a_task_made_by_hand_has_no_severity_to_match() -> None:
    severe = NotificationRule(name="t", task_changes=(TaskChange.CREATED,), match=Match(min_severity=0))
    assert only(decide(task(), config(severe), NOW)).outcome is Outcome.SUPPRESS
    assert only(decide(task(severity=1), config(severe), NOW)).outcome is Outcome.SEND


# ---- the end of a snooze


def snoozed(until: datetime, **alert: Any) -> Happening:
    what = happening(AlertNews.STILL_OPEN, snoozed_until=until, **alert)
    assert what.alert is not None
    return what.model_copy(update={"alert": what.alert.model_copy(update={"snoozed_until": until})})


def test_the_end_of_a_snooze_is_told_to_those_who_learn_of_openings_if_it_is_still_open() -> None:
    until = NOW + minutes(60)
    what = snoozed(until)
    decision = only(decide(what, config(rule("o", (Transition.OPENED,))), NOW))
    assert (decision.outcome, decision.until, decision.rule) == (Outcome.HOLD, until, "o")
    terms = decision.terms
    assert terms is not None
    assert due(what.told, terms, an_alert(snoozed_until=until, snoozed_at=NOW), until) is None
    gone = {
        "over": an_alert(snoozed_until=until, snoozed_at=NOW, state=AlertState.RESOLVED, resolved_at=NOW),
        "snoozed again": an_alert(snoozed_until=until + minutes(1), snoozed_at=NOW),
        "snoozed to another time and back": an_alert(snoozed_until=until, snoozed_at=NOW + minutes(1)),
        "opened again": an_alert(openings=2),
    }
    for why, alert in gone.items():
        assert outcome(due(what.told, terms, alert, until)) is Outcome.SUPPRESS, why


def test_what_was_held_before_the_time_of_a_snooze_was_noted_goes_by_its_end() -> None:
    until = NOW + minutes(60)
    terms = Terms.model_validate_json('{"snoozed_until": "2026-03-02T13:00:00Z"}')
    assert due(snoozed(until).told, terms, an_alert(snoozed_until=until, snoozed_at=NOW), until) is None


@pytest.mark.parametrize(
    ("held", "until"),
    [
        ({"only_if_open_after_minutes": 60}, 60),
        ({"group_within_minutes": 60}, 60),
        ({"quiet_hours": QuietHours.model_validate({"from": "11:00", "to": "12:30"})}, 30),
    ],
)
def test_the_end_of_a_snooze_is_not_told_if_the_opening_itself_is_told_only_then(
    held: dict[str, Any], until: int
) -> None:
    rules = config(rule(**held))
    assert only(decide(snoozed(NOW + minutes(until)), rules, NOW)).outcome is Outcome.SUPPRESS
    assert only(decide(snoozed(NOW + minutes(until + 1)), rules, NOW)).outcome is Outcome.HOLD


def test_the_end_of_a_snooze_is_told_if_the_alert_was_once_too_severe_for_quiet_hours() -> None:
    hours = QuietHours.model_validate({"from": "11:00", "to": "12:30", "except_min_severity": 4})
    rules, what = config(rule(quiet_hours=hours)), snoozed(NOW + minutes(10))
    assert what.alert is not None
    assert only(decide(what, rules, NOW)).outcome is Outcome.SUPPRESS
    severe = what.model_copy(update={"alert": what.alert.model_copy(update={"worst": 4})})
    assert only(decide(severe, rules, NOW)).outcome is Outcome.HOLD


def test_the_end_of_a_snooze_is_not_told_where_openings_are_not() -> None:
    what = snoozed(NOW + minutes(60))
    assert only(decide(what, config(rule("r", (Transition.RECURRED,))), NOW)).outcome is Outcome.SUPPRESS


# ---- what is kept


def test_terms_survive_being_stored() -> None:
    night = datetime(2026, 3, 2, 23, 0, tzinfo=UTC)
    both = rule(quiet_hours=QUIET, only_if_open_after_minutes=10)
    terms = only(decide(happening(at=night), config(both), night)).terms
    assert terms is not None
    assert Terms.model_validate_json(terms.model_dump_json(exclude_none=True)) == terms
