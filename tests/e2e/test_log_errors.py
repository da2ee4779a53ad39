"""An error in a log of a watched account becomes an alert, by the role that teams deploy into their accounts."""

import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from urllib.parse import quote

import pytest

from domain.alerts import alert_id
from ops.functions import invoke
from tests.e2e.account_role import make_role
from tests.e2e.system import Api, System, unique, wait_for


@pytest.fixture
def watched(system: System, admin: Api) -> str:
    """The account that is watched by its role, in the stack's own Region."""
    account: str = system.client("sts").get_caller_identity()["Account"]
    region = system.client("sts").meta.region_name
    name = unique("opsledger")
    role = f"arn:aws:iam::{account}:role/{name}"
    found = [
        one for one in admin.get("/config/aws")["items"] if (one["account_id"], one["region"]) == (account, region)
    ]
    if found:  # another test's
        answer = admin.call("PUT", f"/config/aws/{found[0]['id']}", {"role_arn": role, "is_active": True})
    else:
        body = {"account_id": account, "account_name": "This one", "region": region, "role_arn": role}
        answer = admin.call("POST", "/config/aws", body)
    assert answer.status in {200, 201}, answer
    make_role(system, name, answer.body["external_id"])
    admin.get(f"/config/aws?min_version={quote(answer.headers['Stream-Version'])}")
    return account


@pytest.fixture
def log_group(system: System, admin: Api) -> Iterator[str]:
    """A log group that is searched as often as can be."""
    group = f"/app/{unique('checkout')}"
    logs = system.client("logs")
    logs.create_log_group(logGroupName=group)
    logs.create_log_stream(logGroupName=group, logStreamName="one")
    config = admin.get("/config/monitoring")
    body = {name: config[name] for name in ("services", "notification_rules", "channels", "global_settings")}
    others = [service for service in body["services"] if service["service_name"] != "logs"]
    service = {"service_name": "logs", "polling_interval": 60, "log_groups": [group]}
    searched = {**body, "services": [*others, service]}
    assert admin.call("PUT", "/config/monitoring", searched).status == 200
    yield group
    assert admin.call("PUT", "/config/monitoring", body).status == 200


@pytest.mark.usefixtures("empty_queues")
def test_an_error_in_a_log_becomes_an_alert_once_however_many_runs_there_are(
    system: System, admin: Api, watched: str, log_group: str
) -> None:
    at = round(time.time() * 1000) - 5_000
    lines = ["[INFO] 0 errors so far", "[FATAL] order 17 is lost", "[FATAL] order 4711 is lost"]
    events = [{"timestamp": at + place, "message": line} for place, line in enumerate(lines)]
    system.client("logs").put_log_events(logGroupName=log_group, logStreamName="one", logEvents=events)

    def run(_number: int) -> None:
        invoke(system.stack.config, f"{system.status.stack_name}-log-query", {})

    def found() -> list[dict[str, object]]:
        with ThreadPoolExecutor(2) as threads:
            list(threads.map(run, range(2)))
        return admin.events(log_group)

    (event,) = wait_for(found, deadline=90)
    assert (event["source"], event["account"], event["severity"]) == ("monitoring.agent", watched, 4)
    assert event["resources"] == [log_group, "one"]
    path = f"/alerts/{alert_id(str(event['fingerprint']))}"
    alert = wait_for(lambda: admin.call("GET", path), lambda answer: answer.status == 200).body
    assert (alert["state"], alert["count"]) == ("open", 1)
    assert "order 4711 is lost" in alert["title"]
    detail = admin.get(f"/events/{event['id']}")["detail"]
    assert (detail["count"], detail["timestamp"]) == (2, at + 2)
    assert not [line for line in system.logged("log-query") if "AccessDenied" in line or "logs not searched" in line]
