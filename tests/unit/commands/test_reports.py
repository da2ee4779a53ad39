"""The daily report: its figures are those of the ledger, and it is made once."""

import random
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from contextlib import suppress
from datetime import UTC, date, datetime, timedelta
from itertools import groupby

import pytest
from botocore.exceptions import BotoCoreError
from hypothesis import given, settings
from hypothesis import strategies as st
from pynamodb.exceptions import PynamoDBException

from commands.reports import make_due_report
from domain.alerts import ALERTS, Alert, AlertAcknowledged, AlertOpened, AlertReopened, AlertResolved, AlertState
from domain.commit import GENESIS, Commit, Recorded, sealed
from domain.event import DomainEvent
from domain.monitoring_events import MonitoringEventRecorded
from domain.report_days import Window, last_ended, window
from domain.reports import REPORTS, Compared, Figures, Report, report_id
from domain.tasks import TASKS, Status, Task
from infra import counts, generations, history, report_figures
from infra.commits import from_item
from infra.heartbeats import hear
from projections.projector import hints_of
from tests.in_memory import deployed
from tests.in_memory.dynamodb import InMemoryDynamoDB
from tests.in_memory.event_source import event
from tests.in_memory.faults import CrashError, Fault, at_request
from tests.in_memory.interleaving import interleaved, turns_of
from tests.unit.projections.ledger import START, Ledger

NINE = datetime(2026, 3, 3, 9, 0, tzinfo=UTC)
TODAY = NINE.date()
MINUTE, DAY = timedelta(minutes=1), timedelta(days=1)


@pytest.fixture
def db() -> Iterator[InMemoryDynamoDB]:
    generations.forget()
    with InMemoryDynamoDB(deployed.tables()).installed() as db:
        yield db
    generations.forget()


@pytest.fixture
def ledger(db: InMemoryDynamoDB, monkeypatch: pytest.MonkeyPatch) -> Ledger:
    made = Ledger(db, random.Random(1))
    monkeypatch.setattr(counts, "now", lambda: made.now)
    return made


def project(ledger: Ledger) -> None:
    """Bring the views up to date."""
    ledger.projector().project(hints_of(event(ledger.db.changes("events"))))


def hear_at(at: datetime, consumer: str = "projector") -> None:
    """Let the projector, or another consumer, have heard a heartbeat that was sent then."""
    beat = sealed(
        GENESIS,
        stream="heartbeat#1",
        version=1,
        count=1,
        id="1",
        at=at,
        by="system:scheduler",
        correlation_id="1",
        causation_id="1",
        command=None,
        encoded="[]",
    )
    assert hear(consumer, [beat])


def report(ledger: Ledger, day: date = TODAY) -> Report | None:
    return history.load(ledger.store, REPORTS, REPORTS.stream(report_id(day))).state


def reports_of(db: InMemoryDynamoDB) -> list[str]:
    """The streams of reports, once for each commit."""
    return [item["pk"]["S"] for item in db.items("events") if item["pk"]["S"].startswith("report#")]


# ---- the days


@pytest.mark.parametrize(
    ("now", "day"),
    [
        ("2026-03-03T09:00:00.000+00:00", "2026-03-03"),
        ("2026-03-03T08:59:59.999+00:00", "2026-03-02"),
        ("2026-03-04T08:59:59.999+00:00", "2026-03-03"),
        ("2026-03-29T10:30:00.000+02:00", "2026-03-28"),  # the day on which the clocks of Europe change
        ("2026-03-29T11:00:00.000+02:00", "2026-03-29"),
        ("2026-01-01T00:00:00.000+00:00", "2025-12-31"),
    ],
)
def test_a_report_is_due_from_nine_o_clock_utc_until_the_next_one_is(now: str, day: str) -> None:
    assert str(last_ended(datetime.fromisoformat(now))) == day


def test_the_time_of_a_report_is_24_hours_that_follow_on_those_of_the_day_before() -> None:
    reported = window(TODAY)
    assert reported == Window(NINE - DAY, NINE)
    assert reported.before == window(TODAY - DAY)
    assert reported.parts == ("2026-03-02T09", "2026-03-03T00")
    assert reported.before.parts == ("2026-03-01T09", "2026-03-02T00")


@given(at=st.integers(1_600_000_000, 2_200_000_000))
def test_every_moment_belongs_to_one_report(at: int) -> None:
    moment = datetime.fromtimestamp(at, UTC)
    day = last_ended(moment) + DAY
    assert window(day).starts_at <= moment < window(day).ends_at


# ---- making it


@pytest.mark.parametrize("late", [timedelta(minutes=2), timedelta(hours=11), timedelta(hours=23, minutes=59)])
def test_it_is_made_by_the_first_run_after_nine_and_once(ledger: Ledger, db: InMemoryDynamoDB, late: timedelta) -> None:
    hear_at(NINE + MINUTE)
    assert make_due_report(ledger.store, NINE + late) == "made 2026-03-03"
    made = report(ledger)
    assert make_due_report(ledger.store, NINE + DAY - MINUTE) == "2026-03-03 is made"

    assert made
    assert (made.starts_at, made.ends_at, made.made_at) == (NINE - DAY, NINE, NINE + late)
    assert report(ledger) == made
    assert reports_of(db) == ["report#daily-2026-03-03"]


def test_before_nine_the_report_of_yesterday_is_still_made_up_for(ledger: Ledger) -> None:
    hear_at(NINE)
    assert make_due_report(ledger.store, NINE - MINUTE) == "made 2026-03-02"


def test_it_waits_until_the_projector_has_heard_a_heartbeat_sent_after_nine(
    ledger: Ledger, db: InMemoryDynamoDB
) -> None:
    waiting = "2026-03-03 waits for the projector"
    assert make_due_report(ledger.store, NINE + MINUTE) == waiting
    hear_at(NINE + timedelta(seconds=59))
    assert make_due_report(ledger.store, NINE + 2 * MINUTE) == waiting
    assert reports_of(db) == []
    hear_at(NINE + timedelta(seconds=60))
    assert make_due_report(ledger.store, NINE + 2 * MINUTE) == "made 2026-03-03"


def test_it_waits_while_a_shard_is_stuck_though_later_heartbeats_come(ledger: Ledger, db: InMemoryDynamoDB) -> None:
    for minute in range(-3, 3):
        hear_at(NINE + minute * MINUTE, "notifier")
    for minute in (-3, -1, 0, 1, 2):
        hear_at(NINE + minute * MINUTE)
    assert make_due_report(ledger.store, NINE + 2 * MINUTE) == "2026-03-03 waits for the projector"
    assert reports_of(db) == []
    hear_at(NINE - 2 * MINUTE)
    assert make_due_report(ledger.store, NINE + 7 * MINUTE) == "made 2026-03-03"


def test_it_says_who_made_it_and_why(ledger: Ledger) -> None:
    hear_at(NINE + MINUTE)
    make_due_report(ledger.store, NINE + MINUTE)
    (commit,) = ledger.store.load("report#daily-2026-03-03")
    assert (commit.by, commit.causation_id, commit.at) == ("system:scheduler", "schedule:daily-report", NINE + MINUTE)


def test_its_figures_stay_whatever_happens_then(ledger: Ledger) -> None:
    hear_at(NINE + MINUTE)
    ledger.work(40)
    project(ledger)
    ledger.now = NINE + MINUTE
    make_due_report(ledger.store, ledger.now)
    made = report(ledger)

    ledger.now = NINE - timedelta(hours=3)  # what is appended late, too
    ledger.work(20)
    project(ledger)
    make_due_report(ledger.store, NINE + timedelta(hours=5))

    assert made
    assert report(ledger) == made


def test_what_is_open_and_overdue_is_compared_with_the_report_of_the_day_before(ledger: Ledger) -> None:
    ledger.create_task(due_date=int(START.timestamp()) + 7200)
    ledger.take_events(fingerprint="disk")
    ledger.take_events(fingerprint="disk")
    project(ledger)
    for back in (1, 0):
        ledger.now = NINE - back * DAY + MINUTE
        hear_at(ledger.now)
        make_due_report(ledger.store, ledger.now)

    first, second = report(ledger, TODAY - DAY), report(ledger)

    assert first
    assert second
    assert first.figures.tasks.overdue == Compared(value=1)
    assert second.figures.tasks.overdue == Compared(value=1, before=1)
    assert first.figures.alerts.still_open == Compared(value=1)
    assert second.figures.alerts.still_open == Compared(value=1, before=1)


@settings(deadline=None)
@given(seed=st.integers(0, 2**32))
def test_made_twice_at_once_it_is_one(seed: int) -> None:
    generations.forget()
    with InMemoryDynamoDB(deployed.tables()).installed() as db:
        ledger = Ledger(db, random.Random(seed))
        hear_at(NINE + MINUTE)

        def make() -> str:
            return make_due_report(ledger.store, NINE + MINUTE)

        outcomes = interleaved(db, [make, make, make], turns_of(random.Random(seed)))

        assert {outcome.result for outcome in outcomes} <= {"made 2026-03-03", "2026-03-03 is made"}
        assert reports_of(db) == ["report#daily-2026-03-03"]
    generations.forget()


def test_whatever_fails_the_next_run_makes_it_and_there_is_one(subtests: pytest.Subtests) -> None:
    """Each of its calls meets each fault."""
    with InMemoryDynamoDB(deployed.tables()).installed() as db, db.metered() as used:
        hear_at(NINE + MINUTE)
        make_due_report(Ledger(db, random.Random(1)).store, NINE + MINUTE)
    for number in range(used.calls.total() - 1):  # but for the heartbeat
        for fault in (Fault.UNSENT, Fault.LOST_ANSWER, Fault.CRASH_BEFORE, Fault.CRASH_AFTER):
            generations.forget()
            with subtests.test(call=number, fault=fault), InMemoryDynamoDB(deployed.tables()).installed() as db:
                ledger = Ledger(db, random.Random(1))
                hear_at(NINE + MINUTE)
                db.faults = at_request(number, fault)
                with suppress(BotoCoreError, PynamoDBException, CrashError):  # the schedule comes again
                    make_due_report(ledger.store, NINE + MINUTE)
                db.faults = iter(())
                make_due_report(ledger.store, NINE + 6 * MINUTE)
                assert reports_of(db) == ["report#daily-2026-03-03"]
    generations.forget()


# ---- the figures


def recorded_of(db: InMemoryDynamoDB) -> Mapping[str, list[Recorded]]:
    """What was recorded, by stream, in order."""
    commits: list[Commit] = sorted(map(from_item, db.items("events")), key=lambda one: (one.stream, one.version))
    by_stream = groupby(commits, key=lambda one: one.stream)
    return {name: [each for one in of_one for each in one.recorded()] for name, of_one in by_stream}


def recounted(db: InMemoryDynamoDB, reported: Window, now: datetime) -> dict[str, object]:
    """What the figures of a time must be, from the ledger's events alone."""
    of_kind: dict[str, dict[str, list[Recorded]]] = {"event": {}, "alert": {}, "task": {}}
    for stream, records in recorded_of(db).items():
        kind, _, key = stream.partition("#")
        of_kind.setdefault(kind, {})[key] = records
    return {
        **_recounted_events(of_kind["event"].values(), reported),
        **_recounted_alerts(of_kind["alert"], reported),
        "tasks": _recounted_tasks(of_kind["task"].values(), reported, now),
    }


def _within(one: Recorded, reported: Window) -> bool:
    return reported.starts_at <= one.at < reported.ends_at


def _recounted_events(streams: Iterable[list[Recorded]], reported: Window) -> dict[str, object]:
    sources, severities = Counter[str](), Counter[str]()
    for (one,) in streams:
        assert isinstance(one.event, MonitoringEventRecorded)
        mapped, judged = one.event.mapped, one.event.judged
        sources[mapped.source] += _within(one, reported)
        severities[str(judged.severity if judged else mapped.severity)] += _within(one, reported)
    return {"events": dict(+sources), "severities": dict(+severities)}


def _recounted_alerts(streams: Mapping[str, list[Recorded]], reported: Window) -> dict[str, object]:
    happened, times, occurred = Counter[str](), Counter[str](), Counter[str]()
    still_open = 0
    for key, records in streams.items():
        alert: Alert | None = None
        for one in records:
            alert = ALERTS.evolve(alert, one)
            if not _within(one, reported):
                continue
            seen = getattr(one.event, "seen", None)
            occurred[key] += seen.count if seen else 0
            name = _HAPPENED.get(type(one.event))
            if name:
                assert alert.opened_at
                happened[name] += 1
                times[name] += int((one.at - alert.opened_at).total_seconds())
        assert alert
        still_open += alert.state is AlertState.OPEN
        over = alert.resolved_at is not None and alert.resolved_at < reported.starts_at
        if alert.state is AlertState.UNOPENED or (alert.state is AlertState.RESOLVED and over):
            del occurred[key]
    means = {name: round(times[name] / n) for name, n in happened.items()}
    return {
        "happened": dict(happened),
        "to_resolve": means.get("resolved"),
        "to_acknowledge": means.get("acknowledged"),
        "still_open": still_open,
        "noisiest": dict(+occurred),
    }


_HAPPENED: Mapping[type[DomainEvent], str] = {
    AlertOpened: "opened",
    AlertReopened: "opened",
    AlertResolved: "resolved",
    AlertAcknowledged: "acknowledged",
}


def _recounted_tasks(streams: Iterable[list[Recorded]], reported: Window, now: datetime) -> tuple[int, int, int]:
    opened = closed = overdue = 0
    for records in streams:
        task: Task | None = None
        for one in records:
            task = TASKS.evolve(task, one)
        if task is None or task.is_deleted:
            continue
        opened += reported.starts_at <= task.created_at < reported.ends_at
        closed += task.closed_at is not None and reported.starts_at <= task.closed_at < reported.ends_at
        due = task.due_date if task.status is not Status.CLOSED else None
        overdue += due is not None and due <= now
    return opened, closed, overdue


def told(figures: Figures) -> dict[str, object]:
    """The same, as the report has it."""
    events, alerts, tasks = figures.events, figures.alerts, figures.tasks
    happened = {name: getattr(alerts, name).value for name in ("opened", "resolved", "acknowledged")}
    by_source = {one.source: one.total.value for one in events.by_source if one.total.value}
    by_severity = {severity: n.value for severity, n in events.by_severity.items() if n.value}
    assert sum(by_source.values()) == sum(by_severity.values()) == events.total.value
    assert [sum(one.by_severity.values()) for one in events.by_source] == [n.total.value for n in events.by_source]
    return {
        "events": by_source,
        "severities": by_severity,
        "happened": {name: n for name, n in happened.items() if n},
        "to_resolve": alerts.seconds_to_resolve.value,
        "to_acknowledge": alerts.seconds_to_acknowledge.value,
        "still_open": alerts.still_open.value,
        "noisiest": {one.alert_id: one.occurrences for one in alerts.noisiest},
        "tasks": (tasks.opened.value, tasks.closed.value, tasks.overdue.value),
    }


def told_of_before(figures: Figures) -> dict[str, object]:
    """What the report has of the 24 hours before, as far as these can be recounted."""
    events, alerts, tasks = figures.events, figures.alerts, figures.tasks
    happened = {name: getattr(alerts, name).before for name in ("opened", "resolved", "acknowledged")}
    return {
        "events": {one.source: one.total.before for one in events.by_source if one.total.before},
        "severities": {severity: n.before for severity, n in events.by_severity.items() if n.before},
        "happened": {name: n for name, n in happened.items() if n},
        "to_resolve": alerts.seconds_to_resolve.before,
        "to_acknowledge": alerts.seconds_to_acknowledge.before,
        "tasks": (tasks.opened.before, tasks.closed.before),
    }


@settings(deadline=None)
@given(seed=st.integers(0, 2**32), commits=st.integers(0, 150), pace=st.sampled_from([1000, 3000, 6000]))
def test_the_figures_are_those_of_a_recount_of_the_ledger(seed: int, commits: int, pace: int) -> None:
    generations.forget()
    with InMemoryDynamoDB(deployed.tables()).installed() as db, pytest.MonkeyPatch.context() as patch:
        ledger = Ledger(db, random.Random(seed), pace)
        patch.setattr(counts, "now", lambda: ledger.now)
        ledger.work(commits)
        project(ledger)
        for back in range(3):
            reported = window(last_ended(ledger.now) - back * DAY)
            figures = report_figures.figures(reported, None)
            expected = recounted(db, reported, ledger.now)
            if back:  # rows tell occurrences of their newest days only, which is enough for the report that is due
                del expected["noisiest"]
            assert {**expected, **told(figures)} == {**told(figures), **expected}
            before = recounted(db, reported.before, ledger.now)
            shown = told_of_before(figures)
            assert shown == {**{name: before[name] for name in shown}, "tasks": before["tasks"][:2]}  # type: ignore[index]
    generations.forget()


def test_the_24_hours_begin_at_nine_and_end_before_nine(ledger: Ledger) -> None:
    moments = [NINE - DAY - MINUTE, NINE - DAY, NINE - timedelta(milliseconds=1), NINE]
    ledger.chance = _OneSecond(1)
    for at in moments:
        for act in (ledger.record_event, ledger.create_task):
            ledger.now = at - timedelta(seconds=1)
            act()
    project(ledger)

    figures = report_figures.figures(window(TODAY), None)

    assert figures.events.total == Compared(value=2, before=1)
    assert figures.tasks.opened == Compared(value=2, before=1)


class _OneSecond(random.Random):
    """Each command comes one second after the last."""

    def randint(self, a: int, b: int) -> int:  # noqa: ARG002
        return a


def test_a_day_on_which_nothing_happened_has_zeros_and_no_means(ledger: Ledger) -> None:
    figures = report_figures.figures(window(TODAY), None)
    nothing = Compared(value=0, before=0)
    assert figures.events.total == figures.alerts.opened == figures.tasks.closed == nothing
    assert figures.events.by_severity == {str(severity): nothing for severity in range(6)}
    assert (figures.events.by_source, figures.alerts.noisiest) == ((), ())
    assert figures.alerts.seconds_to_resolve == figures.alerts.seconds_to_acknowledge == Compared()
    assert figures.alerts.still_open == figures.tasks.overdue == Compared(value=0)
    assert ledger.now == START


def test_sources_beyond_the_most_frequent_are_one_sum(ledger: Ledger, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(report_figures, "MAX_SOURCES", 1)
    ledger.work(60)
    project(ledger)

    began = window(last_ended(START) + DAY)
    events = report_figures.figures(began, None).events
    a_day_later = report_figures.figures(window(began.ends_at.date() + DAY), None).events

    assert events.total.value == a_day_later.total.before
    for shown in (events, a_day_later):
        assert len(shown.by_source) == 1
        (named,) = shown.by_source
        assert shown.other_sources
        assert (named.total.value or 0) + (shown.other_sources.value or 0) == shown.total.value
        assert (named.total.before or 0) + (shown.other_sources.before or 0) == shown.total.before


def opened(ledger: Ledger, number: int) -> None:
    for n in range(number):
        ledger.now = NINE - timedelta(hours=2)
        ledger.chance = random.Random(7)
        ledger.take_events(fingerprint=f"problem {n}")
        ledger.take_events(fingerprint=f"problem {n}")
    project(ledger)


def test_ten_of_the_noisiest_are_told(ledger: Ledger) -> None:
    opened(ledger, 15)
    for n in (3, 3, 8):
        ledger.now = NINE - timedelta(hours=1)
        ledger.take_events(fingerprint=f"problem {n}")
    project(ledger)

    alerts = report_figures.figures(window(TODAY), None).alerts

    assert len(alerts.noisiest) == 10
    assert [one.occurrences for one in alerts.noisiest] == sorted(
        (one.occurrences for one in alerts.noisiest), reverse=True
    )
    assert alerts.looked_at is None


def test_it_says_when_there_were_more_alerts_than_it_looked_at(ledger: Ledger, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(report_figures, "MAX_ALERTS_READ", 5)
    opened(ledger, 6)
    assert report_figures.figures(window(TODAY), None).alerts.looked_at == 5


def test_however_much_there_is_it_takes_so_many_reads(ledger: Ledger, db: InMemoryDynamoDB) -> None:
    opened(ledger, 250)
    with db.metered() as used:
        report_figures.figures(window(TODAY), None)
    assert used.calls["BatchGetItem"] == 3
    assert used.calls["Query"] <= 90
    assert set(used.calls) <= {"Query", "BatchGetItem", "GetItem"}
