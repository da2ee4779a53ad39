"""The counters behind the dashboards: what a look costs, what breaks none, and that a recount says the same."""

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
from domain.tasks import TASKS, Priority, Status, Task, TaskAssigned, TaskDeleted, TaskDetailsChanged, TaskStatusChanged
from domain.users import USERS, UserDeactivated, UserDeleted, UserFirstLoggedIn, UserReactivated, UserRoleChanged
from infra import counts
from infra.counters import (
    ALERTS_COUNTER,
    ALERTS_DAYS_COUNTER,
    EVENTS_COUNTER,
    LOGINS_COUNTER,
    TASKS_CLOSED_COUNTER,
    TASKS_COUNTER,
    TASKS_DUE_COUNTER,
    USERS_COUNTER,
    CounterRow,
)
from projections.projector import Projector, projections
from tests.integration.conftest import empty_views
from tests.integration.dashboards import DASHBOARDS, HOUR, STATUSES
from tests.integration.read_api import Api

if TYPE_CHECKING:
    from domain.event import DomainEvent
    from tests.integration.conftest import Calls, History

State = TypeVar("State")

COUNTERS = [ALERTS_COUNTER, ALERTS_DAYS_COUNTER, EVENTS_COUNTER, LOGINS_COUNTER]
COUNTERS += [TASKS_CLOSED_COUNTER, TASKS_COUNTER, TASKS_DUE_COUNTER, USERS_COUNTER]


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
