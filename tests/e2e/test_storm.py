"""Many messages about one problem at the same time: one alert, each counted once; and the monitoring config decides."""

from datetime import UTC, datetime, timedelta
from typing import Any

from tests.e2e.system import Api, System, alarm, unique, wait_for


def occurrence(name: str, second: int, **changes: Any) -> dict[str, Any]:
    """The alarm goes off, so many seconds after a fixed time."""
    going_off = alarm(name, **changes)
    at = datetime(2026, 3, 10, 8, tzinfo=UTC) + timedelta(seconds=second)
    going_off["id"] = f"{name}-{second}"
    going_off["detail"]["state"] |= {"timestamp": f"{at:%Y-%m-%dT%H:%M:%S}.000+0000"}
    return going_off


def the_alert(api: Api, name: str) -> dict[str, Any]:
    """The one alert of that name; nothing if there is none yet."""
    found = [alert for alert in api.all("/alerts?limit=200") if name in alert["fingerprint"]]
    assert len(found) <= 1
    return found[0] if found else {}


def emptied(system: System) -> None:
    """Wait until the ingest queue has nothing left, so that whatever is counted has been counted."""
    names = ["ApproximateNumberOfMessages", "ApproximateNumberOfMessagesNotVisible"]
    asked = {"QueueUrl": system.status.ingest_queue_url, "AttributeNames": names}
    wait_for(
        lambda: system.client("sqs").get_queue_attributes(**asked)["Attributes"],
        lambda left: all(int(n) == 0 for n in left.values()),
        deadline=60,
    )


def test_fifty_copies_and_fifty_occurrences_are_one_alert_with_an_exact_count(system: System, admin: Api) -> None:
    name = unique("storm")
    sent = f"{datetime.now(UTC):%Y-%m-%dT%H:%M:%SZ}"
    copies = [occurrence(name, 0, time=sent)] * 50
    system.hand_in(*copies, *(occurrence(name, second, time=sent) for second in range(1, 51)))
    emptied(system)
    alert = wait_for(lambda: the_alert(admin, name), lambda alert: alert.get("count") == 51)
    assert (alert["state"], alert["last_seen"] - alert["first_seen"]) == ("open", 0)
    assert len(admin.events(name)) == 51


def test_a_service_that_is_not_watched_is_recorded_and_goes_no_further_and_a_rule_sets_the_severity(
    system: System, admin: Api
) -> None:
    unwatched, raised = unique("unwatched"), unique("raised")
    before = admin.get("/config/monitoring")
    rule = {"match": {"text": raised}, "severity": 5}
    out = {"match": {"text": unwatched}, "action": "exclude"}
    services = [
        {**one, "severity_rules": [rule], "resource_filters": [out]} if one["service_name"] == "cloudwatch" else one
        for one in before["services"]
    ]
    changed = admin.call("PUT", "/config/monitoring", {**before, "services": services})
    assert changed.status == 200, changed
    try:
        seen = wait_for(lambda: taken_as(system, admin, raised), lambda event: event["severity"] == 5, deadline=40)
        assert (seen["verdict"], seen["config_version"]) == ("problem", changed.body["version"])
        alert = wait_for(lambda: the_alert(admin, raised), lambda alert: alert.get("severity") == 5)
        assert alert["id"] == seen["alert_id"]
        left = taken_as(system, admin, unwatched)
        assert (left["verdict"], left["alert_id"]) == ("filtered", None)
        assert the_alert(admin, unwatched) == {}
    finally:
        assert admin.call("PUT", "/config/monitoring", before).status == 200


def taken_as(system: System, admin: Api, name: str) -> dict[str, Any]:
    """What becomes of one more occurrence, whichever config the function has in hand."""
    known = {event["id"] for event in admin.events(name)}
    system.hand_in(occurrence(name, len(known)))
    found = wait_for(lambda: [event for event in admin.events(name) if event["id"] not in known])
    return found[0]
