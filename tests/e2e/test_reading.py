"""Lists, page by page, in both directions."""

from datetime import UTC, datetime, timedelta
from itertools import pairwise
from typing import Any

import pytest

from tests.e2e.system import Api, System, alarm, unique, wait_for

PAGE = 7


def walk(api: Api, path: str, direction: str) -> list[dict[str, Any]]:
    """All items of a list in pages of `PAGE`, no page longer and none empty but an only one."""
    items: list[dict[str, Any]] = []
    cursor = ""
    while True:
        page = api.get(f"{path}?limit={PAGE}&direction={direction}{cursor}")
        assert len(page["items"]) <= PAGE
        items += page["items"]
        if page["next"] is None:
            return items
        assert page["items"]
        cursor = f"&cursor={page['next']}"


@pytest.fixture(scope="module")
def name(system: System, admin: Api) -> str:
    """What thirty new events mention: of three days, several a second, handed in without order."""
    name, now = unique("paged"), datetime.now(UTC).replace(microsecond=0)
    times = [now - timedelta(days=n % 3, seconds=n // 9) for n in range(30)]
    system.hand_in(*(alarm(f"{name}-{n}", time=f"{at:%Y-%m-%dT%H:%M:%SZ}") for n, at in enumerate(times)))
    wait_for(lambda: len(admin.events(name)), lambda count: count == 30)
    system.settle()
    return name


def test_events_come_in_order_of_their_time_in_both_directions(name: str, admin: Api) -> None:
    newest_first = walk(admin, "/events", "desc")
    assert walk(admin, "/events", "asc") == newest_first[::-1]
    assert len({event["id"] for event in newest_first}) == len(newest_first)
    assert all(later["published_at"] >= earlier["published_at"] for later, earlier in pairwise(newest_first))
    assert len([event for event in newest_first if name in event["title"]]) == 30


def test_notifications_and_tasks_page_in_both_directions(name: str, admin: Api) -> None:
    for n in range(PAGE + 2):
        task = admin.call("POST", "/tasks", {"title": f"{name} {n}", "description": "One of several."})
        assert task.status == 201
    wait_for(lambda: [task["title"] for task in admin.all("/tasks")].count(f"{name} {PAGE + 1}"))
    for path, time in (("/tasks", "created_at"), ("/notifications", "decided_at")):
        newest_first = walk(admin, path, "desc")
        assert len(newest_first) > PAGE
        assert walk(admin, path, "asc") == newest_first[::-1]
        if path == "/tasks":
            assert all(later[time] >= earlier[time] for later, earlier in pairwise(newest_first))


@pytest.mark.usefixtures("name")
def test_a_cursor_is_good_for_its_own_list_and_direction_only(admin: Api) -> None:
    cursor = admin.get("/events?limit=1")["next"]
    for path in (f"/events?direction=asc&cursor={cursor}", f"/tasks?cursor={cursor}", f"/events?cursor={cursor[:-3]}"):
        answer = admin.call("GET", path)
        assert (answer.status, [fault["field"] for fault in answer.body["errors"]]) == (422, ["cursor"]), path


def test_a_page_that_begins_at_an_event_shows_what_comes_after_it(name: str, system: System, admin: Api) -> None:
    """New events do not push others onto the next page a second time."""
    first = admin.get(f"/events?limit={PAGE}")
    newer = unique(name)
    system.hand_in(alarm(newer))
    wait_for(lambda: admin.events(newer))
    second = admin.get(f"/events?limit={PAGE}&cursor={first['next']}")
    assert {event["id"] for event in first["items"]}.isdisjoint(event["id"] for event in second["items"])
    assert not [event for event in second["items"] if newer in event["title"]]
