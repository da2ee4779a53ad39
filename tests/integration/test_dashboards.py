"""The dashboards, asked as API Gateway asks for them: sums of counters that the projector moved."""

import random
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any, TypeVar

import pytest
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st

from domain.commit import Commit
from domain.decider import Decider
from domain.monitoring_events import MONITORING_EVENTS, MonitoringEvent
from domain.permissions import Role
from domain.tasks import (
    TASKS,
    Priority,
    Status,
    Task,
    TaskAssigned,
    TaskDeleted,
    TaskDetailsChanged,
    TaskStatusChanged,
)
from domain.users import USERS, UserDeactivated, UserDeleted, UserFirstLoggedIn, UserReactivated, UserRoleChanged
from infra import counts
from infra.counters import (
    ALERTS_COUNTER,
    ALERTS_DAYS_COUNTER,
    COUNTER_SHARDS,
    EVENTS_COUNTER,
    LOGINS_COUNTER,
    TASKS_CLOSED_COUNTER,
    TASKS_COUNTER,
    TASKS_DUE_COUNTER,
    USERS_COUNTER,
    CounterRow,
    sharded,
)
from infra.views import Key
from projections.projector import Projector, projections
from tests.integration.conftest import empty_views
from tests.integration.read_api import Api

if TYPE_CHECKING:
    from domain.event import DomainEvent
    from tests.integration.conftest import Calls, History

State = TypeVar("State")

TODAY = datetime(2026, 3, 10, 9, 0, tzinfo=UTC)
HOUR = timedelta(hours=1)
DASHBOARDS = ["overview", "events-stats", "alerts-stats", "tasks-stats", "users-stats"]
COUNTERS = [ALERTS_COUNTER, ALERTS_DAYS_COUNTER, EVENTS_COUNTER, LOGINS_COUNTER]
COUNTERS += [TASKS_CLOSED_COUNTER, TASKS_COUNTER, TASKS_DUE_COUNTER, USERS_COUNTER]


@pytest.fixture
def today(monkeypatch: pytest.MonkeyPatch) -> datetime:
    monkeypatch.setattr(counts, "now", lambda: TODAY)
    return TODAY


def days_back(first: int, last: int = 0) -> list[str]:
    """Days before today, oldest first."""
    return [f"{TODAY - timedelta(days=back):%Y-%m-%d}" for back in range(first, last - 1, -1)]


SEVERITIES = {str(severity): 0 for severity in range(6)}
STATUSES = {"open": 0, "in_progress": 0, "closed": 0}
PRIORITIES = {"critical": 0, "high": 0, "medium": 0, "low": 0}


# ---- the overview


def test_the_overview_of_nothing_is_zeros(asked: Api, today: datetime) -> None:  # noqa: ARG001
    nothing = {"total": 0, "by_severity": SEVERITIES, "by_source": {}}

    overview = asked.get("/dashboard/overview", "bob").body

    assert overview == {
        "events": {"today": nothing, "last_7_days": nothing, "by_day": dict.fromkeys(days_back(6), 0)},
        "alerts": {
            "open": {"total": 0, "unacknowledged": 0, "by_severity": SEVERITIES, "by_source": {}},
            "opened_today": 0,
            "resolved_today": 0,
        },
        "tasks": {
            "total": 0,
            "by_status": STATUSES,
            "by_priority": PRIORITIES,
            "overdue": 0,
            "due_soon": 0,
            "closed_last_7_days": 0,
        },
    }
    assert list(overview["events"]["by_day"]) == days_back(6)


RECEIVED: dict[int, list[tuple[str, int]]] = {
    0: [("aws.health", 0), ("aws.health", 5), ("odd#source#7", 5)],
    6: [("aws.guardduty", 3)],
    7: [("aws.guardduty", 4)],  # out of the seven days
    13: [("aws.guardduty", 4), ("aws.health", 0)],
    14: [("aws.health", 1)],  # out of the seven days before
    -1: [("aws.guardduty", 4)],  # a clock that is ahead
}
"""By how many days ago: source and severity of events."""


@pytest.fixture
def received(asked: Api) -> Api:
    for back, events in RECEIVED.items():
        asked.history.now = TODAY - timedelta(days=back)
        for source, severity in events:
            asked.history.event(TODAY - timedelta(days=30), source=source, severity=severity)
    asked.project()
    return asked


def test_the_overview_counts_events_by_the_day_they_were_received(received: Api, today: datetime) -> None:  # noqa: ARG001
    events_shown = received.get("/dashboard/overview").body["events"]

    assert events_shown["today"]["total"] == 3
    assert events_shown["today"]["by_severity"] == {"0": 1, "1": 0, "2": 0, "3": 0, "4": 0, "5": 2}
    assert events_shown["today"]["by_source"] == {"aws.health": 2, "odd#source#7": 1}
    assert events_shown["last_7_days"]["total"] == 4
    assert events_shown["last_7_days"]["by_source"] == {"aws.guardduty": 1, "aws.health": 2, "odd#source#7": 1}
    assert list(events_shown["last_7_days"]["by_source"]) == ["aws.health", "aws.guardduty", "odd#source#7"]
    assert list(events_shown["by_day"].values()) == [1, 0, 0, 0, 0, 0, 3]


# ---- events


def test_events_stats_compare_a_period_with_the_one_before(received: Api, today: datetime) -> None:  # noqa: ARG001
    stats = received.get("/dashboard/events-stats", "bob", days="7").body

    assert stats == {
        "first_day": "2026-03-04",
        "last_day": "2026-03-10",
        "total": 4,
        "total_before": 3,
        "change": 1,
        "by_severity": {"0": 1, "1": 0, "2": 0, "3": 1, "4": 0, "5": 2},
        "by_source": {"aws.health": 2, "aws.guardduty": 1, "odd#source#7": 1},
        "by_source_and_severity": {
            "aws.health": {"0": 1, "5": 1},
            "aws.guardduty": {"3": 1},
            "odd#source#7": {"5": 1},
        },
        "by_day": dict(zip(days_back(6), [1, 0, 0, 0, 0, 0, 3], strict=True)),
    }


def test_events_stats_are_of_thirty_days_unless_asked_otherwise(received: Api, today: datetime) -> None:  # noqa: ARG001
    assert list(received.get("/dashboard/events-stats").body["by_day"]) == days_back(29)
    assert list(received.get("/dashboard/events-stats", days="1").body["by_day"]) == days_back(0)
    assert list(received.get("/dashboard/events-stats", days="90").body["by_day"]) == days_back(89)


@pytest.mark.parametrize("days", ["0", "91", "-1", "1.5", "week", ""])
def test_days_out_of_bounds_are_named(asked: Api, days: str) -> None:
    answered = asked.get("/dashboard/events-stats", days=days)

    assert (answered.status, [fault["field"] for fault in answered.body["errors"]]) == (422, ["days"])


# ---- tasks


def test_tasks_stats_of_nothing_are_zeros(asked: Api, today: datetime) -> None:  # noqa: ARG001
    none_closed = {"total": 0, "mean_seconds_to_close": None}

    assert asked.get("/dashboard/tasks-stats", "bob").body == {
        "total": 0,
        "by_status": STATUSES,
        "by_priority": PRIORITIES,
        "by_status_and_priority": dict.fromkeys(STATUSES, PRIORITIES),
        "by_assignee": [],
        "overdue": 0,
        "due_soon": 0,
        "closed": {**none_closed, "by_day": dict.fromkeys(days_back(29), none_closed)},
    }


def test_what_is_due_is_told_to_the_millisecond(asked: Api, today: datetime) -> None:
    """Overdue is what is due before now; soon is today's rest and the six days after it."""
    end_of_the_sixth = datetime(2026, 3, 17, tzinfo=UTC)
    tick = timedelta(milliseconds=1)
    overdue = [today - timedelta(days=40), datetime(2026, 3, 10, tzinfo=UTC) - tick]  # by their days
    overdue += [datetime(2026, 3, 10, tzinfo=UTC), today - tick]  # today's, one by one
    soon = [today, today + tick, end_of_the_sixth - tick]
    for n, due in enumerate([*overdue, *soon, end_of_the_sixth, None]):
        asked.history.task(str(n), due_date=due, assigned_user_id="ann" if n % 2 else None)
    asked.project()

    stats = asked.get("/dashboard/tasks-stats").body

    assert (stats["overdue"], stats["due_soon"], stats["total"]) == (4, 3, 9)
    assert {who["assigned_user"] and who["assigned_user"]["id"]: who["overdue"] for who in stats["by_assignee"]} == {
        None: 2,
        "ann": 2,
    }
    assert sum(who["due_soon"] for who in stats["by_assignee"]) == 3
    overview = asked.get("/dashboard/overview").body["tasks"]
    assert (overview["overdue"], overview["due_soon"]) == (4, 3)


def test_assignees_are_shown_by_name_those_with_the_most_to_do_first(asked: Api, today: datetime) -> None:
    asked.history.user("ann", "Ann Example")
    closed = TaskStatusChanged(old=Status.OPEN, new=Status.CLOSED)
    for who, unclosed, done in (("ann", 1, 3), ("unknown", 2, 0), (None, 3, 0)):
        for n in range(unclosed + done):
            more = (closed,) if n >= unclosed else ()
            due = today - HOUR if n == 0 else None
            asked.history.task(f"{who}{n}", *more, assigned_user_id=who, due_date=due)
    asked.project()

    found = asked.get("/dashboard/tasks-stats").body["by_assignee"]

    assert [(who["assigned_user"], who["total"], who["overdue"]) for who in found] == [
        (None, 3, 1),
        ({"id": "unknown", "name": None}, 2, 1),
        ({"id": "ann", "name": "Ann Example"}, 4, 1),
    ]
    assert found[2]["by_status"] == {"open": 1, "in_progress": 0, "closed": 3}


def test_the_time_to_close_is_a_mean_of_all_and_of_each_day(asked: Api, today: datetime) -> None:
    taken = {30: [7], 29: [10, 15], 1: [100], 0: [0]}  # days ago, and hours from creation to close
    for back, hours in taken.items():
        for hour in hours:
            task = f"{back}-{hour}"
            asked.history.now = today - timedelta(days=back, hours=hour)
            asked.history.task(task)
            asked.history.now = today - timedelta(days=back)
            asked.history.append(f"task#{task}", TaskStatusChanged(old=Status.OPEN, new=Status.CLOSED))
    asked.project()

    closed = asked.get("/dashboard/tasks-stats").body["closed"]

    assert (closed["total"], closed["mean_seconds_to_close"]) == (4, (10 + 15 + 100 + 0) * 3600 // 4)
    shown = {day: (found["total"], found["mean_seconds_to_close"]) for day, found in closed["by_day"].items()}
    assert shown == {
        **dict.fromkeys(days_back(29), (0, None)),
        days_back(29)[0]: (2, 45_000),
        days_back(1)[0]: (1, 360_000),
        days_back(0)[0]: (1, 0),
    }
    assert asked.get("/dashboard/overview").body["tasks"]["closed_last_7_days"] == 2


def test_a_reopened_or_deleted_task_was_not_closed(asked: Api, today: datetime) -> None:
    asked.history.now = today - HOUR
    for task, event in (
        ("1", TaskStatusChanged(old=Status.CLOSED, new=Status.IN_PROGRESS)),
        ("2", TaskDeleted()),
    ):
        asked.history.task(task, TaskStatusChanged(old=Status.OPEN, new=Status.CLOSED))
        asked.history.append(f"task#{task}", event)
    asked.project()

    stats = asked.get("/dashboard/tasks-stats").body

    assert stats["closed"]["total"] == 0
    assert (stats["total"], stats["by_status"]) == (1, {**STATUSES, "in_progress": 1})


# ---- users


def test_users_are_counted_by_role_and_activity(asked: Api, today: datetime) -> None:  # noqa: ARG001
    for person, role in (("ann", Role.ADMIN), ("bob", Role.USER), ("cat", Role.USER), ("dan", Role.USER)):
        asked.history.user(person, person.title(), role)
    asked.history.append("user#bob", UserDeactivated())
    asked.history.append("user#dan", UserDeleted())
    asked.project()

    stats = asked.get("/dashboard/users-stats").body

    assert stats["total"] == 3
    assert stats["by_role"] == {"admin": {"active": 1, "inactive": 0}, "user": {"active": 1, "inactive": 1}}
    assert stats["by_activity"] == {"active": 2, "inactive": 1}


def test_people_who_never_logged_in_are_counted(asked: Api) -> None:
    """Whether they are active or not, but not those who were deleted."""
    for name in ("cat", "dan", "eve", "fay", "gil"):
        asked.history.user(name, name.title())
    asked.history.append("user#dan", UserFirstLoggedIn(), by="dan")
    asked.history.append("user#eve", UserDeactivated(), by="ann")
    asked.history.append("user#fay", UserDeleted(), by="ann")
    asked.history.append("user#gil", UserFirstLoggedIn(), by="gil")
    asked.history.append("user#gil", UserDeleted(), by="ann")
    asked.project()

    stats = asked.get("/dashboard/users-stats").body

    assert (stats["total"], stats["never_logged_in"]) == (3, 2)
    assert stats["by_role"]["user"] == {"active": 2, "inactive": 1}


def test_logins_are_counted_by_day(asked: Api, today: datetime) -> None:  # noqa: ARG001
    for day, n in zip(days_back(31), range(32), strict=True):
        for part in range(n):
            CounterRow(*sharded(Key(LOGINS_COUNTER, day), part % COUNTER_SHARDS)).update(actions=[CounterRow.n.add(1)])

    logins = asked.get("/dashboard/users-stats").body["logins"]

    assert logins == {"total": sum(range(2, 32)), "by_day": dict(zip(days_back(29), range(2, 32), strict=True))}


def test_only_admins_see_how_many_users_there_are(asked: Api) -> None:
    assert asked.get("/dashboard/users-stats", "bob").status == 403


# ---- counters and rows


def test_a_dashboard_costs_the_same_few_reads_whatever_the_volume(asked: Api, calls: "Calls", today: datetime) -> None:
    def cost(dashboard: str) -> list[str]:
        calls.clear()
        assert asked.get(f"/dashboard/{dashboard}").status == 200
        return list(calls.operations)

    assert asked.get("/dashboard/overview").status == 200  # the process knows now which generations are live
    reads = {dashboard: cost(dashboard) for dashboard in DASHBOARDS}
    for n in range(60):
        asked.history.now = today - timedelta(days=n % 30)
        asked.history.task(str(n), assigned_user_id=f"p{n % 20}", due_date=today + (n - 30) * HOUR)
        asked.history.event(severity=n % 6, source=f"aws.{n % 10}")
    asked.project()

    then = {dashboard: cost(dashboard) for dashboard in DASHBOARDS}
    then["tasks-stats"].remove("BatchGetItem")  # the names of those who have tasks
    assert then == reads
    assert {dashboard: len(operations) for dashboard, operations in reads.items()} == {
        "overview": 10,
        "events-stats": 4,
        "alerts-stats": 2,
        "tasks-stats": 4,
        "users-stats": 2,
    }


ODD_KEYS = [
    "#",
    "##",
    "###",
    "odd",
    "2026-03-10",
    "2026-03-10#",
    "2026-03-10#odd",
    "2026-03-10#\U0001f4a9#9",
    "~",
    "a#b#c#d",
]


def test_counters_that_other_code_left_behind_break_no_dashboard(asked: Api, today: datetime) -> None:  # noqa: ARG001
    for pk in COUNTERS:
        for key in ODD_KEYS:
            CounterRow(pk, key, n=2).save()

    for dashboard in DASHBOARDS:
        assert asked.get(f"/dashboard/{dashboard}").status == 200, dashboard


def test_a_status_that_this_code_does_not_know_is_shown_as_it_is(asked: Api, today: datetime) -> None:  # noqa: ARG001
    CounterRow(TASKS_COUNTER, "waiting#high#", n=2).save()

    assert asked.get("/dashboard/overview").body["tasks"]["by_status"] == {**STATUSES, "waiting": 2}


def test_counters_that_came_back_to_zero_leave_no_noise(
    asked: Api,
    today: datetime,  # noqa: ARG001
    view_items: Callable[[], dict[tuple[str, str], Any]],
) -> None:
    asked.history.task("1", assigned_user_id="ann")
    asked.project()
    asked.history.append("task#1", TaskAssigned(user_id="bob", previous_user_id="ann"))
    asked.project()

    assert {key[1]: item["n"]["N"] for key, item in view_items().items() if key[0] == TASKS_COUNTER} == {
        "open#high#ann": "0",
        "open#high#bob": "1",
    }
    found = asked.get("/dashboard/tasks-stats").body["by_assignee"]
    assert [who["assigned_user"]["id"] for who in found] == ["bob"]


# ---- a recount


def event_of(step: random.Random, history: "History") -> "DomainEvent":
    """Something that happens to a task."""
    due = step.choice([None, history.now + step.randint(-60, 200) * HOUR])
    told = {"title": "Another", "description": "Another description", "priority": step.choice(list(Priority))}
    return step.choice(
        [
            TaskStatusChanged(old=Status.OPEN, new=step.choice(list(Status))),
            TaskAssigned(user_id=step.choice([None, "ann", "bob"])),
            TaskDetailsChanged(**told, due_date=due),
            TaskDeleted(),
        ]
    )


def lived(history: "History", seed: int, steps: int) -> None:
    """Tasks, events and users of about two weeks."""
    step = random.Random(seed)
    tasks: list[str] = []
    for n in range(steps):
        history.now += step.randint(0, 10) * HOUR
        match step.choice(["task", "change", "change", "change", "event", "user"]):
            case "task":
                tasks.append(f"task#{n}")
                due = step.choice([None, history.now + step.randint(1, 200) * HOUR])
                priority, who = step.choice(list(Priority)), step.choice([None, "ann", "bob"])
                history.task(str(n), priority=priority, assigned_user_id=who, due_date=due)
            case "change" if tasks:
                history.append(step.choice(tasks), event_of(step, history))
            case "event":
                history.event(source=step.choice(["aws.health", "a#b"]), severity=step.randint(0, 5))
            case "user":
                history.user(str(n), "Some Name", step.choice(list(Role)))
                more = [
                    UserFirstLoggedIn(),
                    UserDeactivated(),
                    UserReactivated(),
                    UserDeleted(),
                    UserRoleChanged(old=Role.USER, new=Role.ADMIN),
                ]
                for happening in step.sample(more, step.randint(0, 2)):
                    history.append(f"user#{n}", happening)


def folded(commits: Iterable[Commit], decider: Decider[State]) -> list[State]:
    """The states of a category's streams, from their events alone."""
    states: dict[str, State] = {}
    for commit in commits:
        if commit.stream.startswith(f"{decider.category}#"):
            for recorded in commit.recorded():
                states[commit.stream] = decider.evolve(states.get(commit.stream), recorded)
    return list(states.values())


def without_zeros(sums: Mapping[str, int]) -> dict[str, int]:
    return {name: n for name, n in sums.items() if n}


@settings(
    max_examples=20,
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture],
    phases=[Phase.explicit, Phase.reuse, Phase.generate],  # to shrink a failure takes minutes here
)
@given(seed=st.integers(0, 2**32), steps=st.integers(0, 60), later=st.integers(0, 100))
def test_what_the_counters_say_is_what_a_recount_of_a_fresh_fold_says(
    asked: Api,  # noqa: ARG001 - tables, and tokens
    *,
    new_history: "type[History]",
    seed: int,
    steps: int,
    later: int,
) -> None:
    empty_views()  # what the example before left
    history = new_history()
    lived(history, seed, steps)
    delivered_twice_in_any_order(history, seed)
    now = history.now + later * HOUR
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(counts, "now", lambda: now)
        overview, events, _alerts, tasks, users = (Api.get(f"/dashboard/{dashboard}").body for dashboard in DASHBOARDS)

    check_events(overview["events"], events, folded(history.commits, MONITORING_EVENTS), now)
    present = [task for task in folded(history.commits, TASKS) if not task.is_deleted]
    check_tasks(overview["tasks"], tasks, present, now)
    there = [user for user in folded(history.commits, USERS) if not user.is_deleted]
    people = Counter((user.role, user.is_active) for user in there)
    shown = {(role, activity == "active"): n for role in Role for activity, n in users["by_role"][role].items()}
    assert +Counter(shown) == people
    assert users["total"] == people.total()
    assert users["never_logged_in"] == sum(not user.has_logged_in for user in there)


def delivered_twice_in_any_order(history: "History", seed: int) -> None:
    """Each commit twice, in batches; a stream's last one comes at last, so that none is missed."""
    deliveries = history.commits * 2
    random.Random(seed).shuffle(deliveries)
    last = list({commit.stream: commit for commit in history.commits}.values())
    projector = Projector(history.store, projections(history.people))
    for batch in (*batched(deliveries, 25), last):
        projector.project(batch)


def batched(commits: Sequence[Commit], size: int) -> Iterator[Sequence[Commit]]:
    for start in range(0, len(commits), size):
        yield commits[start : start + size]


def check_events(
    overview: Mapping[str, Any], stats: Mapping[str, Any], events: Sequence[MonitoringEvent], now: datetime
) -> None:
    def within(first: int, last: int) -> list[MonitoringEvent]:
        days = {str(now.date() - timedelta(days=back)) for back in range(first, last + 1)}
        return [event for event in events if str(event.recorded_at.date()) in days]

    for sums, wanted in (
        (overview["today"], within(0, 0)),
        (overview["last_7_days"], within(0, 6)),
        (stats, within(0, 29)),
    ):
        assert sums["total"] == len(wanted)
        assert without_zeros(sums["by_severity"]) == Counter(str(event.mapped.severity) for event in wanted)
        assert sums["by_source"] == Counter(event.mapped.source for event in wanted)
    assert stats["total_before"] == len(within(30, 59))
    assert without_zeros(stats["by_day"]) == Counter(str(event.recorded_at.date()) for event in within(0, 29))


def check_tasks(overview: Mapping[str, Any], stats: Mapping[str, Any], tasks: Sequence[Task], now: datetime) -> None:
    midnight = datetime(now.year, now.month, now.day, tzinfo=UTC)
    due = [(task.assigned_user_id, task.due_date) for task in tasks if task.due_date and task.status != Status.CLOSED]
    overdue = Counter(who for who, at in due if at < now)
    soon = Counter(who for who, at in due if now <= at < midnight + timedelta(days=7))
    for shown in (overview, stats):
        assert shown["total"] == len(tasks)
        assert without_zeros(shown["by_status"]) == Counter(task.status for task in tasks)
        assert without_zeros(shown["by_priority"]) == Counter(task.priority for task in tasks)
        assert (shown["overdue"], shown["due_soon"]) == (overdue.total(), soon.total())
    by_assignee = {(who["assigned_user"] or {"id": None})["id"]: who for who in stats["by_assignee"]}
    assert {who: shown["total"] for who, shown in by_assignee.items()} == Counter(t.assigned_user_id for t in tasks)
    assert +Counter({who: shown["overdue"] for who, shown in by_assignee.items()}) == overdue
    assert +Counter({who: shown["due_soon"] for who, shown in by_assignee.items()}) == soon

    times: dict[str, list[int]] = {}
    for task in tasks:
        if task.closed_at and task.closed_at >= midnight - timedelta(days=29):
            seconds = int((task.closed_at - task.created_at).total_seconds())
            times.setdefault(str(task.closed_at.date()), []).append(seconds)
    shown_times = {day: found for day, found in stats["closed"]["by_day"].items() if found["total"]}
    assert shown_times == {
        day: {"total": len(found), "mean_seconds_to_close": round(sum(found) / len(found))}
        for day, found in times.items()
    }
    assert stats["closed"]["total"] == sum(map(len, times.values()))
