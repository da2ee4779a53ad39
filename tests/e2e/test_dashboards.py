"""Events found by filters, and the dashboards, on the deployed stack."""

import random
import time
from typing import Any

from tests.e2e.system import Api, Person, System, alarm, moved, unique, wait_for


def stats(api: Api, of: str) -> Any:
    return api.get(f"/dashboard/{of}-stats")


def of_assignee(api: Api, user_id: str) -> dict[str, Any]:
    """What the dashboard shows of one person's tasks; nothing if they have none."""
    found = stats(api, "tasks")["by_assignee"]
    return next((who for who in found if who["assigned_user"] and who["assigned_user"]["id"] == user_id), {})


def test_events_are_found_by_account_region_and_time(system: System, admin: Api) -> None:
    account, name = f"{random.randrange(10**12):012}", unique("filtered")
    regions = ["eu-central-1", "us-east-1", "eu-central-1"]
    system.hand_in(*(alarm(f"{name}-{n}", account=account, region=region) for n, region in enumerate(regions)))
    found = wait_for(lambda: admin.all(f"/events?account={account}"), lambda events: len(events) == 3)
    newest = max(event["published_at"] for event in found)

    def titles(query: str) -> int:
        events = admin.all(f"/events?limit=1&account={account}&{query}")
        assert all(name in event["title"] for event in events)
        return len(events)

    assert titles("region=eu-central-1") == 2
    assert titles("source=aws.cloudwatch&min_severity=3&detail_type=CloudWatch%20Alarm%20State%20Change") == 3
    assert titles("severity=0") == 0
    assert titles(f"published_from={newest - 600}&published_to={newest + 1}") == 3
    assert titles(f"published_to={newest - 600}") == 0
    assert admin.call("GET", "/events?published_from=2&published_to=1").status == 422


def test_events_are_counted_when_they_arrive(system: System, admin: Api, person: Person) -> None:
    before, name = stats(admin, "events"), unique("counted")
    system.hand_in(alarm(name))
    wait_for(lambda: admin.events(name))

    after = stats(person.api, "events")

    day = after.pop("last_day")
    assert moved({**before, "last_day": None, "first_day": None}, {**after, "last_day": None, "first_day": None}) == {
        "total": 1,
        "change": 1,
        "by_severity/3": 1,
        "by_source/aws.cloudwatch": 1,
        "by_source_and_severity/aws.cloudwatch/3": 1,
        f"by_day/{day}": 1,
    }


def test_a_task_becomes_overdue_by_time_alone(system: System, admin: Api) -> None:
    someone = system.register("Katherine Johnson")
    task = {"title": unique("due"), "description": "It has to be done at once.", "assigned_user_id": someone.id}
    created = admin.call("POST", "/tasks", {**task, "due_date": int(time.time()) + 3})
    assert created.status == 201

    seen = wait_for(lambda: of_assignee(admin, someone.id))
    overdue = wait_for(lambda: of_assignee(admin, someone.id), lambda shown: shown["overdue"] == 1)
    for status in ("in_progress", "closed"):
        assert admin.call("PUT", f"/tasks/{created.body['id']}/status", {"status": status}).status == 200
    closed = wait_for(lambda: of_assignee(admin, someone.id), lambda shown: shown["by_status"]["closed"] == 1)

    assert seen["assigned_user"] == {"id": someone.id, "name": someone.name}
    assert seen["overdue"] + seen["due_soon"] == 1
    assert (overdue["due_soon"], overdue["total"]) == (0, 1)
    assert (closed["overdue"], closed["due_soon"], closed["total"]) == (0, 0, 1)
    assert stats(admin, "tasks")["closed"]["mean_seconds_to_close"] >= 0


def test_admins_see_users_and_logins_counted(system: System, admin: Api, person: Person) -> None:
    before = stats(admin, "users")
    system.register("Mary Jackson")

    wait_for(
        lambda: stats(admin, "users"),
        lambda after: (
            after["total"] == before["total"] + 1
            and after["by_role"]["user"]["active"] == before["by_role"]["user"]["active"] + 1
            and after["logins"]["total"] > before["logins"]["total"]
        ),
    )
    assert person.api.call("GET", "/dashboard/users-stats").status == 403
