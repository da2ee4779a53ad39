"""What monitoring events do to the alert of their fingerprint: one by one, and shuffled, repeated and batched."""

import itertools
import random
from collections.abc import Iterable, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from domain.alerts import (
    ALERTS,
    RECENT,
    Alert,
    AlertNoticed,
    AlertOpened,
    AlertProgressed,
    AlertRecurred,
    AlertReopened,
    AlertResolved,
    AlertSeverityChanged,
    AlertState,
    AlertSurfaced,
    Ending,
    acknowledge,
    resolve,
)
from domain.commit import Recorded
from domain.correlation import CLOCK_MARGIN, Occurrence, correlate, doubtful
from domain.decider import Context
from domain.event import DomainEvent
from domain.judgement import Judgement, Verdict
from domain.monitoring_config import Thresholds
from domain.sources.mapping import MappedEvent, State

NOW = datetime(2026, 5, 1, 9, tzinfo=UTC)
ONE = Thresholds()
STATES = {
    Verdict.PROBLEM: State.OPEN,
    Verdict.MINOR: State.OPEN,
    Verdict.OVER: State.RESOLVED,
    Verdict.PROGRESS: State.NO_DATA,
}


def occurrence(order: int, verdict: Verdict = Verdict.PROBLEM, name: str = "", **changes: Any) -> Occurrence:
    severity = changes.pop("severity", 3)
    mapped = MappedEvent(
        source="aws.cloudwatch",
        detail_type="CloudWatch Alarm State Change",
        title=changes.pop("title", "db-1 is slow"),
        severity=severity,
        state=STATES[verdict],
        status=changes.pop("status", verdict.upper()),
        fingerprint="alarm:db-1",
        order=order,
        **changes,
    )
    judged = Judgement(verdict=verdict, severity=severity, config=2)
    return Occurrence(f"{order}-{verdict}{name}", mapped, judged, order, NOW + timedelta(seconds=order))


def after(alert: Alert | None, events: Iterable[DomainEvent], at: datetime = NOW, by: str = "system:x") -> Alert | None:
    for event in events:
        alert = ALERTS.evolve(alert, Recorded(event, 1, at, by))
    return alert


def taken(*batches: Sequence[Occurrence], alert: Alert | None = None, limits: Thresholds = ONE) -> Alert | None:
    for batch in batches:
        alert = after(alert, correlate(alert, batch, limits, Context(at=NOW, by="system:x")))
    return alert


def names(*batch: Occurrence, alert: Alert | None = None, limits: Thresholds = ONE) -> list[Any]:
    return [type(event) for event in correlate(alert, batch, limits, Context(at=NOW, by="system:x"))]


def opened(*orders: int) -> Alert:
    alert = taken([occurrence(order) for order in orders or (1,)])
    assert alert is not None
    return alert


# ---- one by one


def test_a_problem_opens_recurs_and_is_resolved_by_its_source() -> None:
    assert names(occurrence(1)) == [AlertOpened]
    assert names(occurrence(2), alert=opened()) == [AlertRecurred]
    assert names(occurrence(2, Verdict.OVER), alert=opened()) == [AlertResolved]
    alert = taken([occurrence(1), occurrence(2)], [occurrence(3, Verdict.OVER)])
    assert alert is not None
    assert (alert.state, alert.count, alert.ending) == (AlertState.RESOLVED, 2, Ending.SOURCE)
    assert (alert.first_seen, alert.last_seen, alert.config, alert.openings) == (1, 2, 2, 1)


def test_it_reopens_when_the_problem_comes_back_and_what_people_did_is_of_the_past() -> None:
    alert = after(opened(), acknowledge(opened()))
    alert = taken([occurrence(5, Verdict.OVER)], [occurrence(7)], alert=alert)
    assert alert is not None
    assert (alert.state, alert.openings, alert.acknowledged_at, alert.resolved_at) == (AlertState.OPEN, 2, None, None)


def test_it_reopens_after_a_person_resolved_it() -> None:
    alert = after(opened(), resolve(opened()))
    assert names(occurrence(2), alert=alert) == [AlertReopened]


def test_a_late_older_state_changes_nothing_but_the_count() -> None:
    alert = taken([occurrence(10)], [occurrence(20, Verdict.OVER)])
    assert names(occurrence(15, severity=5), alert=alert) == [AlertRecurred]
    late = taken([occurrence(15, severity=5, title="another")], alert=alert)
    assert alert is not None
    assert late is not None
    assert (late.state, late.count, late.severity, late.face) == (AlertState.RESOLVED, 2, 3, alert.face)
    assert names(occurrence(5, Verdict.OVER), alert=opened(10)) == []
    assert names(occurrence(5, Verdict.PROGRESS), alert=opened(10)) == []


def test_an_end_that_comes_before_its_beginning_is_remembered() -> None:
    assert names(occurrence(9, Verdict.OVER)) == [AlertNoticed]
    alert = taken([occurrence(9, Verdict.OVER)], [occurrence(8)])
    assert alert is not None
    assert (alert.state, alert.count, alert.openings) == (AlertState.UNOPENED, 1, 0)


def test_severity_moves_with_the_newest_and_a_problem_that_became_small_is_over() -> None:
    raised: list[Any] = [AlertRecurred, AlertSeverityChanged]
    assert names(occurrence(2, severity=4), alert=opened()) == raised
    alert = taken([occurrence(2, Verdict.MINOR, severity=0)], alert=opened())
    assert alert is not None
    assert (alert.state, alert.ending, alert.severity) == (AlertState.RESOLVED, Ending.MINOR, 3)


def test_of_the_same_moment_the_problem_wins_and_the_graver_one() -> None:
    alert = taken([occurrence(4, Verdict.OVER)], [occurrence(4)], [occurrence(4, name="b", severity=5)])
    assert alert is not None
    assert (alert.state, alert.severity) == (AlertState.OPEN, 5)
    assert names(occurrence(4, name="c", severity=4), alert=alert) == [AlertRecurred]


def test_progress_is_told_of_an_open_alert_only() -> None:
    assert names(occurrence(2, Verdict.PROGRESS), alert=opened()) == [AlertProgressed]
    assert names(occurrence(2, Verdict.PROGRESS)) == []
    alert = taken([occurrence(2, Verdict.PROGRESS, status="INSUFFICIENT_DATA")], alert=opened())
    assert alert is not None
    assert (alert.state, alert.status, alert.severity) == (AlertState.OPEN, "INSUFFICIENT_DATA", 3)


def test_what_was_muted_surfaces_when_it_is_no_longer() -> None:
    alert = taken([occurrence(1, quiet="muted")])
    assert names(occurrence(2, quiet="muted"), alert=alert) == [AlertRecurred]
    assert names(occurrence(2), alert=alert) == [AlertRecurred, AlertSurfaced]


def test_what_people_were_told_of_is_no_secret_until_it_ends() -> None:
    alert = taken([occurrence(1)], [occurrence(2, quiet="muted", title="db-1 is slower")])
    assert alert is not None
    assert (alert.face.title, alert.face.quiet) == ("db-1 is slower", None)
    assert names(occurrence(3), alert=alert) == [AlertRecurred]  # and does not surface again
    again = taken([occurrence(4, Verdict.OVER)], [occurrence(5, quiet="muted")], alert=alert)
    assert again is not None
    assert again.face.quiet == "muted"  # of this opening nobody was told


def test_it_surfaces_by_an_older_occurrence_that_was_not_muted_unless_an_end_lies_between() -> None:
    muted = taken([occurrence(5, quiet="muted", title="db-1 is slower")])
    assert names(occurrence(4, quiet="muted"), alert=muted) == [AlertRecurred]
    assert names(occurrence(4, severity=5), alert=muted) == [AlertRecurred, AlertSurfaced]
    loud = taken([occurrence(4, severity=5)], alert=muted)
    assert loud is not None
    assert (loud.face.title, loud.face.quiet, loud.severity) == ("db-1 is slower", None, 3)
    assert names(occurrence(3), alert=loud) == [AlertRecurred]
    again = taken([occurrence(2, Verdict.OVER)], [occurrence(5, quiet="muted")])
    assert names(occurrence(1), alert=again) == [AlertRecurred]


def test_an_alert_waits_for_so_many_occurrences_within_so_many_seconds() -> None:
    limits = Thresholds(occurrences=3, seconds=100)
    alert = taken([occurrence(1), occurrence(50)], [occurrence(140)], limits=limits)
    assert alert is not None
    assert (alert.state, alert.count) == (AlertState.UNOPENED, 3)  # the first one is too long ago
    assert names(occurrence(149), alert=alert, limits=limits) == [AlertOpened]
    ended = taken([occurrence(145, Verdict.OVER)], alert=alert, limits=limits)
    assert names(occurrence(149), alert=ended, limits=limits) == [AlertNoticed]


def test_they_may_arrive_in_any_order() -> None:
    limits = Thresholds(occurrences=3, seconds=100)
    alert = taken([occurrence(30)], [occurrence(10)], [occurrence(20)], limits=limits)
    assert alert is not None
    assert (alert.state, alert.count, alert.order) == (AlertState.OPEN, 3, 30)
    ended = taken([occurrence(30)], [occurrence(15, Verdict.OVER)], [occurrence(10)], [occurrence(20)], limits=limits)
    assert ended is not None
    assert (ended.state, ended.count) == (AlertState.UNOPENED, 3)  # what was before the end does not wait any more
    also = taken([occurrence(10)], [occurrence(30)], [occurrence(15, Verdict.OVER)], [occurrence(20)], limits=limits)
    assert also is not None
    assert (also.state, also.waiting) == (AlertState.UNOPENED, ((30, 30), (20, 20)))


@pytest.mark.parametrize("order", list(itertools.permutations(range(3))))
def test_an_alert_that_waited_is_as_severe_as_its_newest_occurrence(order: tuple[int, ...]) -> None:
    limits = Thresholds(occurrences=3, seconds=100)
    life = [occurrence(10, severity=4), occurrence(20, severity=1), occurrence(30, severity=3, name="newest")]
    alert = taken(*([life[place]] for place in order), limits=limits)
    assert alert is not None
    assert (alert.state, alert.severity, alert.worst) == (AlertState.OPEN, 3, 3)


@pytest.mark.parametrize("order", list(itertools.permutations(range(3))))
def test_of_a_tie_the_problem_waits_on(order: tuple[int, ...]) -> None:
    limits = Thresholds(occurrences=2, seconds=100)
    life = [occurrence(10), occurrence(10, Verdict.OVER), occurrence(20)]
    alert = taken(*([life[place]] for place in order), limits=limits)
    assert alert is not None
    assert (alert.state, alert.count) == (AlertState.OPEN, 2)


def test_the_worst_severity_is_that_of_the_present_opening() -> None:
    alert = taken([occurrence(1, severity=2)], [occurrence(2, severity=4)], [occurrence(3, severity=1)])
    assert alert is not None
    assert (alert.severity, alert.worst) == (1, 4)
    again = taken([occurrence(4, Verdict.OVER)], [occurrence(5, severity=3)], alert=alert)
    assert again is not None
    assert again.worst == 3


def test_what_a_person_ended_opens_again_by_what_is_newer_only() -> None:
    alert = after(opened(10), resolve(opened(10)))
    assert names(occurrence(9), alert=alert) == [AlertRecurred]
    assert names(occurrence(11), alert=alert) == [AlertReopened]


def test_progress_that_is_repeated_or_late_changes_nothing() -> None:
    working, waiting = occurrence(5, Verdict.PROGRESS, status="B"), occurrence(4, Verdict.PROGRESS, status="A")
    alert = taken([working], alert=opened())
    assert names(working, waiting, alert=alert) == []
    assert alert is not None
    assert (alert.status, alert.order) == ("B", 1)
    assert names(occurrence(3, Verdict.OVER), alert=alert) == [AlertResolved]


# ---- batches, repeats


def test_a_storm_in_one_batch_is_two_events() -> None:
    batch = [occurrence(order) for order in range(1, 1_001)]
    assert names(*batch) == [AlertOpened, AlertRecurred]
    alert = taken(batch)
    assert alert is not None
    assert (alert.count, alert.first_seen, alert.last_seen, len(alert.recent)) == (1_000, 1, 1_000, RECENT)
    assert alert.forgotten_at == NOW


def test_a_repeat_that_the_state_remembers_counts_once() -> None:
    alert = opened(1, 2, 3)
    assert names(occurrence(2), occurrence(3), alert=alert) == []
    assert names(occurrence(4), occurrence(4), alert=alert) == [AlertRecurred]


def test_only_what_may_have_been_forgotten_is_looked_up() -> None:
    alert: Alert | None = None
    for order in range(1, 2 * RECENT + 1):
        alert = after(alert, told(alert, occurrence(order)), NOW + timedelta(seconds=order))
    assert doubtful(alert, [occurrence(1), occurrence(500)]) == []  # all are remembered
    alert = after(alert, told(alert, occurrence(2 * RECENT + 1)), NOW + timedelta(seconds=2 * RECENT + 1))
    assert alert is not None
    assert alert.forgotten_at == NOW + timedelta(seconds=RECENT + 1)
    recorded_then = RECENT + 1 + int(CLOCK_MARGIN.total_seconds())
    old, new = occurrence(recorded_then, name="old"), occurrence(recorded_then + 1, name="new")
    assert doubtful(alert, [old, new, occurrence(2 * RECENT), occurrence(1, Verdict.OVER)]) == [old]
    assert doubtful(None, [old]) == []


def told(alert: Alert | None, one: Occurrence) -> list[DomainEvent]:
    return correlate(alert, [one], ONE, Context(at=NOW, by="system:x"))


LIVES = st.lists(
    st.tuples(
        st.integers(1, 12),
        st.sampled_from([Verdict.PROBLEM, Verdict.PROBLEM, *STATES]),
        st.integers(1, 5),
        st.sampled_from([None, "muted"]),
    ),
    min_size=1,
    max_size=25,
)


@given(LIVES, st.randoms(use_true_random=False))
def test_however_a_life_is_shuffled_repeated_and_batched_it_ends_as_its_newest_says(
    life: list[tuple[int, Verdict, int, str | None]], chance: random.Random
) -> None:
    occurrences = [
        occurrence(order, verdict, f"-{place}", severity=0 if verdict is Verdict.MINOR else severity, quiet=quiet)
        for place, (order, verdict, severity, quiet) in enumerate(life)
    ]
    told = [*occurrences, *chance.choices(occurrences, k=chance.randrange(10))]
    chance.shuffle(told)
    alert = None
    while told:
        size = chance.randint(1, 5)
        alert, told = taken(told[:size], alert=alert), told[size:]
    problems = [one for one in occurrences if one.judged.verdict is Verdict.PROBLEM]
    decisive = [one for one in occurrences if one.judged.verdict is not Verdict.PROGRESS]
    if not decisive:
        assert alert is None
        return
    newest = max(decisive, key=lambda one: (one.mapped.order, one.rank, one.judged.severity))
    assert alert is not None
    assert alert.count == len(problems)
    assert (alert.first_seen, alert.last_seen) == (
        min((one.published_at for one in problems), default=None),
        max((one.published_at for one in problems), default=None),
    )
    assert (alert.state is AlertState.OPEN) == (newest.judged.verdict is Verdict.PROBLEM)
    if alert.state is AlertState.OPEN:
        assert alert.severity == newest.judged.severity
        ends = [one.moment for one in decisive if one.judged.verdict is not Verdict.PROBLEM]
        since = [one for one in problems if one.moment > max(ends, default=(0, 0))]
        if any(one.mapped.quiet is None for one in since):
            assert alert.face.quiet is None
