"""What AWS reports becomes an event, a message to people, and a task that is worked to its end."""

import json
import time
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime
from typing import Any

from tests.e2e.system import Api, Slack, System, alarm, message, moved, unique, wait_for


def told(admin: Api, text: str, status: str = "sent") -> dict[str, Any]:
    """The one notification about `text`, when it has that status."""
    (found,) = wait_for(
        lambda: admin.notifications(text), lambda found: [notification["status"] for notification in found] == [status]
    )
    return found


def overview(admin: Api) -> dict[str, Any]:
    """The overview without today's figures: these are the last ones by day, and move at midnight."""
    found: dict[str, Any] = admin.get("/dashboard/overview")
    today = found["events"].pop("today")
    day = max(found["events"]["by_day"])
    assert today["total"] == sum(today["by_source"].values()) == found["events"]["by_day"][day]
    found["alerts"] = found["alerts"]["open"]
    return found


def test_an_alarm_becomes_a_message_and_a_task_that_is_closed(system: System, admin: Api, slack: Slack) -> None:
    name, start = unique("checkout"), int(time.time())
    before = overview(admin)
    sent = alarm(name)

    system.hand_in(sent)
    (event,) = wait_for(lambda: admin.events(name))
    assert admin.get(f"/events/{event['id']}") == event
    assert (event["source"], event["account"], event["severity"]) == ("aws.cloudwatch", sent["account"], 3)
    assert event["published_at"] == int(datetime.fromisoformat(sent["time"]).timestamp())
    assert event["detail"] == sent["detail"]

    notification = told(admin, name)
    system.settle()
    (post,) = slack.received(name)
    assert name in post["text"]
    assert sent["detail"]["state"]["reason"] in json.dumps(post["blocks"])
    assert notification["message"] == post
    assert (notification["event_id"], notification["attempts"], notification["error"]) == (event["id"], 1, None)

    created = admin.call("POST", f"/events/{event['id']}/create-task", {})
    assert (created.status, created.headers["etag"]) == (201, '"1"'), created
    task = f"/tasks/{created.body['id']}"
    assert created.headers["location"] == task
    assert (created.body["status"], created.body["priority"]) == ("open", "high")
    assert created.body["event_id"] == event["id"]
    assert created.body["event_details"]["title"] == event["title"]
    for status in ("in_progress", "closed"):
        changed = admin.call("PUT", f"{task}/status", {"status": status})
        assert (changed.status, changed.body["status"]) == (200, status), changed
        if status == "in_progress":
            said = admin.call("POST", f"{task}/comments", {"comment": "The pool is full; grown to 40."})
            assert said.status == 201, said

    shown = wait_for(lambda: admin.call("GET", task), lambda shown: shown.headers.get("etag") == '"4"').body
    me = admin.get("/users/me")
    assert shown["status"] == "closed"
    assert start <= shown["created_at"] <= shown["closed_at"] <= time.time()
    (comment,) = shown["comments"]
    assert (comment["user_id"], comment["user_name"]) == (me["id"], me["full_name"])
    assert comment["comment"] == "The pool is full; grown to 40."

    steps = admin.get(f"{task}/history")["items"]
    assert [(step["version"], step["type"]) for step in steps] == [
        (1, "task.created"),
        (2, "task.status-changed"),
        (3, "task.commented"),
        (4, "task.status-changed"),
    ]
    assert {(step["actor"]["id"], step["actor"]["name"]) for step in steps} == {(me["id"], me["full_name"])}
    times = [step["at"] for step in steps]
    assert times == sorted(times)
    assert start <= times[0]
    assert times[-1] == shown["closed_at"]

    day = f"{datetime.fromtimestamp(event['updated_at'], UTC):%Y-%m-%d}"
    assert moved(before, overview(admin)) == {
        "events/last_7_days/total": 1,
        "events/last_7_days/by_severity/3": 1,
        "events/last_7_days/by_source/aws.cloudwatch": 1,
        f"events/by_day/{day}": 1,
        "alerts/total": 1,
        "alerts/unacknowledged": 1,
        "alerts/by_severity/3": 1,
        "alerts/by_source/aws.cloudwatch": 1,
        "tasks/total": 1,
        "tasks/by_status/closed": 1,
        "tasks/by_priority/high": 1,
        "tasks/closed_last_7_days": 1,
    }


def test_a_log_error_put_on_the_bus_arrives_the_same_way(system: System, admin: Api, slack: Slack) -> None:
    name = unique("invoice-render")
    detail = {**message("log-error")["detail"], "service": name}
    entry = {
        "EventBusName": system.status.event_bus,
        "Source": "monitoring.agent",
        "DetailType": "Log Error Found",
        "Detail": json.dumps(detail),
    }
    answer = system.client("events").put_events(Entries=[entry])
    assert answer["FailedEntryCount"] == 0, answer

    (event,) = wait_for(lambda: admin.events(name))
    assert (event["source"], event["detail_type"], event["detail"]) == ("monitoring.agent", "Log Error Found", detail)
    assert told(admin, name)["event_id"] == event["id"]
    system.settle()
    (post,) = slack.received(name)
    assert "TimeoutError: no answer from tax-service" in post["text"]
    assert admin.get(f"/events/{event['id']}")["title"].startswith(f"{name}: ")


def test_an_event_that_no_rule_names_does_not_come_in(system: System, admin: Api) -> None:
    name = unique("nobody-asked")
    entry = {"Source": "my.shop", "DetailType": "Order placed", "Detail": json.dumps({"order": name})}
    assert system.client("events").put_events(Entries=[entry])["FailedEntryCount"] == 0
    pass_through(system, admin)
    assert admin.events(name) == []


def test_one_message_that_comes_twice_is_one_event_one_message_and_one_count(
    system: System, admin: Api, slack: Slack
) -> None:
    name = unique("twice")
    before = overview(admin)
    sent = alarm(name)
    system.hand_in(sent)
    wait_for(lambda: admin.events(name))
    system.hand_in(sent, sent)
    pass_through(system, admin)
    assert_one(system, admin, slack, name, before)


def test_one_message_that_comes_twenty_times_at_once_is_one_event_one_message_and_one_count(
    system: System, admin: Api, slack: Slack
) -> None:
    name = unique("twenty")
    before = overview(admin)
    sent = alarm(name)
    with ThreadPoolExecutor(20) as threads:
        list(threads.map(system.hand_in, [sent] * 20))
    wait_for(lambda: admin.events(name))
    pass_through(system, admin)
    assert_one(system, admin, slack, name, before)


def assert_one(system: System, admin: Api, slack: Slack, name: str, before: dict[str, Any]) -> None:
    told(admin, name)
    system.settle()
    assert len(admin.events(name)) == len(slack.received(name)) == 1
    moves = moved(before, overview(admin))
    assert moves["events/last_7_days/total"] == 2, moves  # this one, and the one that passed through after it
    assert moves["events/last_7_days/by_source/aws.cloudwatch"] == 2, moves


def pass_through(system: System, admin: Api) -> None:
    """Send one more message all the way: what was handed in before it has had its effect then."""
    system.settle()
    name = unique("last")
    system.hand_in(alarm(name))
    told(admin, name)
    wait_for(lambda: admin.events(name))


def test_a_resolved_alarm_is_listed_and_tells_nobody(system: System, admin: Api, slack: Slack) -> None:
    name = unique("over")
    over = alarm(name)
    over["detail"] = {**message("alarm-ok")["detail"], "alarmName": name}
    system.hand_in(over)
    (event,) = wait_for(lambda: admin.events(name))
    assert event["state"] == "resolved"
    pass_through(system, admin)
    assert admin.notifications(name) == slack.received(name) == []


def test_the_time_from_hand_over_to_the_readable_row_is_measured(
    system: System, admin: Api, measured: list[str]
) -> None:
    """For information: how fast a machine is proves nothing, so nothing is asserted but that it arrives."""

    def seconds(name: str) -> float:
        start = time.perf_counter()
        system.hand_in(alarm(name))
        wait_for(lambda: any(name in event["title"] for event in admin.get("/events")["items"]))
        return time.perf_counter() - start

    taken = [seconds(unique("latency")) for _ in range(5)]
    measured.append(f"from hand-over to the readable row: {min(taken):.3f} to {max(taken):.3f} s ({len(taken)} events)")
