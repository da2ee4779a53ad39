"""The dashboards, asked as API Gateway asks for them: sums of counters that the projector moved."""

from datetime import UTC, datetime, timedelta

import pytest

from domain.permissions import Role
from domain.tasks import Status, TaskDeleted, TaskStatusChanged
from domain.users import UserDeactivated, UserDeleted, UserFirstLoggedIn
from infra.counters import COUNTER_SHARDS, LOGINS_COUNTER, CounterRow, sharded
from infra.views import Key
from tests.integration.dashboards import HOUR, PRIORITIES, SEVERITIES, STATUSES, TODAY, days_back
from tests.integration.read_api import Api

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
