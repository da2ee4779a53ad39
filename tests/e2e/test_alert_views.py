"""Alerts as people find them on the deployed stack: lists, one with its events, and the dashboards."""

from typing import Any
from urllib.parse import quote

from tests.e2e.system import Api, Person, System, alarm, message, moved, unique, wait_for


def sent_at(name: str, time: str) -> dict[str, Any]:
    """The alarm goes off at that time of a morning."""
    going_off = alarm(name)
    going_off["detail"]["state"] = {**going_off["detail"]["state"], "timestamp": f"2026-03-10T{time}.000+0000"}
    return going_off


def over(name: str) -> dict[str, Any]:
    """The alarm is over, later that morning."""
    return {**alarm(name), "detail": {**message("alarm-ok")["detail"], "alarmName": name}}


def listed(api: Api, name: str, query: str = "") -> list[dict[str, Any]]:
    """The alerts of that name in a list."""
    return [alert for alert in api.all(f"/alerts?limit=200{query}") if name in alert["fingerprint"]]


def figures(api: Api) -> dict[str, Any]:
    """What the dashboards tell of alerts, without what moves at midnight."""
    stats = api.get("/dashboard/alerts-stats?days=60")
    shown = {name: stats[name] for name in ("opened", "acknowledged", "resolved", "open")}
    return {"overview": api.get("/dashboard/overview")["alerts"]["open"], "stats": shown}


def test_an_alert_is_found_from_its_opening_to_its_end(system: System, admin: Api, person: Person) -> None:
    name, before = unique("orders"), figures(person.api)
    system.hand_in(sent_at(name, "08:10:00"))
    wait_for(lambda: listed(person.api, name))
    system.hand_in(sent_at(name, "08:12:00"))
    (alert,) = wait_for(lambda: listed(person.api, name), lambda found: found[0]["count"] == 2)

    events = wait_for(lambda: admin.events(name), lambda found: len(found) == 2)
    found = person.api.call("GET", f"/alerts/{alert['id']}")
    assert {**alert, "events": found.body["events"]} == found.body
    assert found.headers["etag"] == f'"{alert["version"]}"'
    assert {event["id"] for event in found.body["events"]} == {event["id"] for event in events}
    assert {event["alert_id"] for event in events} == {alert["id"]}
    assert {event["verdict"] for event in events} == {"problem"}
    assert (alert["state"], alert["severity"], alert["source"]) == ("open", 3, "aws.cloudwatch")
    assert listed(admin, name, f"&severity=3&source=aws.cloudwatch&account={alert['account']}&acknowledged=false")
    assert not listed(admin, name, "&min_severity=4")

    done = person.api.call("POST", f"/alerts/{alert['id']}/acknowledge")
    assert done.status == 200, done
    version = quote(done.headers["stream-version"])
    seen_to = person.api.get(f"/alerts/{alert['id']}?min_version={version}")
    assert seen_to["acknowledged_by"] == {"id": person.id, "name": person.name}
    assert listed(admin, name, "&acknowledged=true")
    assert not listed(admin, name, "&acknowledged=false")
    task = admin.call("POST", f"/alerts/{alert['id']}/create-task", {})
    assert task.status == 201, task
    tasks = wait_for(lambda: admin.get(f"/tasks?alert_id={alert['id']}")["items"])
    assert [item["id"] for item in tasks] == [task.body["id"]]
    wait_for(lambda: admin.get(f"/alerts/{alert['id']}")["task_ids"], lambda ids: ids == [task.body["id"]])

    assert moved(before, figures(admin)) == {
        "overview/total": 1,
        "overview/by_severity/3": 1,
        "overview/by_source/aws.cloudwatch": 1,
        "stats/opened": 1,
        "stats/acknowledged": 1,
        "stats/open/total": 1,
        "stats/open/by_severity/3": 1,
        "stats/open/by_source/aws.cloudwatch": 1,
        "stats/open/by_source_and_severity/aws.cloudwatch/3": 1,
    }

    system.hand_in(over(name))
    (resolved,) = wait_for(lambda: listed(person.api, name, "&state=resolved"))
    assert (resolved["ending"], resolved["resolved_by"], resolved["count"]) == ("source", None, 2)
    assert not listed(admin, name)
    assert moved(before, figures(admin)) == {"stats/opened": 1, "stats/acknowledged": 1, "stats/resolved": 1}
