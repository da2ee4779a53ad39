"""Alerts on the deployed stack: what people do to one, the tasks about it, and what these learn of it."""

import time
from collections.abc import Iterator
from typing import Any
from urllib.parse import quote

import pytest

from domain.alerts import alert_id
from tests.e2e.system import Answer, Api, Person, System, alarm, message, unique, wait_for


class Alarm:
    """An alarm of its own name, and the alert that it becomes."""

    def __init__(self, system: System, admin: Api) -> None:
        self.name = unique("checkout")
        self._system = system
        self._admin = admin

    def goes_off(self, at: str = "2026-03-10T08:14:22.874+0000") -> None:
        sent = alarm(self.name)
        sent["detail"]["state"] = {**sent["detail"]["state"], "timestamp": at}
        self._system.hand_in(sent)

    def is_over(self) -> None:
        """At 08:29:22."""
        sent = alarm(self.name)
        sent["detail"] = {**message("alarm-ok")["detail"], "alarmName": self.name}
        self._system.hand_in(sent)

    @property
    def path(self) -> str:
        """Of its alert, once its event is there."""
        (event, *_) = wait_for(lambda: self._admin.events(self.name))
        return f"/alerts/{alert_id(event['fingerprint'])}"

    def alert(self, **expected: Any) -> dict[str, Any]:
        """The alert, as soon as it is so."""
        path = self.path
        answer = wait_for(
            lambda: self._admin.call("GET", path),
            lambda answer: answer.status == 200 and expected.items() <= answer.body.items(),
        )
        found: dict[str, Any] = answer.body
        return found


@pytest.fixture
def going_off(system: System, admin: Api) -> Alarm:
    """An alarm that went off, with an open alert."""
    made = Alarm(system, admin)
    made.goes_off()
    made.alert(state="open")
    return made


@pytest.fixture
def closing(admin: Api) -> Iterator[None]:
    """The tasks of a resolved alert are closed."""
    config = admin.get("/config/monitoring")
    body = {name: config[name] for name in ("services", "notification_rules", "channels", "global_settings")}
    settings = {**body["global_settings"], "resolved_alert_policy": "close"}
    assert admin.call("PUT", "/config/monitoring", {**body, "global_settings": settings}).status == 200
    yield
    assert admin.call("PUT", "/config/monitoring", body).status == 200


def done(api: Api, path: str, body: Any = None) -> Answer:
    answer = api.call("POST", path, body)
    assert answer.status in {200, 201}, answer
    return answer


def told(api: Api, task_id: str, count: int) -> dict[str, Any]:
    """The task, as soon as it has so many comments."""
    found: dict[str, Any] = wait_for(
        lambda: api.call("GET", f"/tasks/{task_id}"),
        lambda answer: answer.status == 200 and len(answer.body["comments"]) == count,
    ).body
    return found


def test_an_alert_is_acknowledged_snoozed_made_a_task_and_resolved_by_its_source_which_the_task_learns(
    going_off: Alarm, admin: Api, person: Person
) -> None:
    path, until = going_off.path, int(time.time()) + 3_600
    acknowledged = done(person.api, f"{path}/acknowledge")
    assert acknowledged.body["acknowledged_by"] == {"id": person.id, "name": None}
    snoozed = done(admin, f"{path}/snooze", {"until": until})
    shown = admin.get(f"{path}?min_version={quote(snoozed.headers['stream-version'])}")
    assert shown["acknowledged_by"] == {"id": person.id, "name": person.name}
    assert (shown["snoozed_until"], shown["state"], shown["severity"]) == (until, "open", 3)

    task = done(person.api, f"{path}/create-task", {"assigned_user_id": person.id}).body
    assert f"/alerts/{task['alert_id']}" == path
    assert task["event_details"]["console_url"] in task["description"]
    assert going_off.alert(task_ids=[task["id"]])["state"] == "open"

    going_off.is_over()
    resolved = going_off.alert(state="resolved")
    assert (resolved["ending"], resolved["resolved_by"], resolved["count"]) == ("source", None, 1)
    (comment,) = told(person.api, task["id"], 1)["comments"]
    assert (comment["user_id"], comment["user_name"]) == ("system:reactions", "opsledger")
    assert comment["comment"].startswith("The alert was resolved by its source, aws.cloudwatch, ")
    assert person.api.get(f"/tasks/{task['id']}")["status"] == "open"


def test_an_alert_that_opens_again_is_nobodys_and_its_open_task_learns_it(going_off: Alarm, admin: Api) -> None:
    path = going_off.path
    task = done(admin, f"{path}/create-task").body
    done(admin, f"{path}/acknowledge")
    assert going_off.alert(task_ids=[task["id"]])["acknowledged_by"]
    going_off.is_over()
    told(admin, task["id"], 1)

    going_off.goes_off(at="2026-03-10T09:14:22.874+0000")

    assert going_off.alert(state="open", openings=2)["acknowledged_by"] is None
    assert told(admin, task["id"], 2)["comments"][1]["comment"] == "The alert opened again."


def test_a_person_resolves_an_alert_once_and_for_everybody(going_off: Alarm, admin: Api, person: Person) -> None:
    resolved = done(person.api, f"{going_off.path}/resolve")
    assert (resolved.body["state"], resolved.body["ending"]) == ("resolved", "person")
    assert going_off.alert(state="resolved")["resolved_by"] == {"id": person.id, "name": person.name}
    again = done(admin, f"{going_off.path}/resolve")
    assert again.headers["etag"] == resolved.headers["etag"]
    refused = admin.call("POST", f"{going_off.path}/acknowledge")
    assert (refused.status, refused.body["title"]) == (409, "Conflict")


@pytest.mark.usefixtures("closing")
def test_by_the_policy_to_close_the_task_of_a_resolved_alert_is_closed(system: System, admin: Api) -> None:
    """The reactions use a config for some seconds, so it takes some alerts until the policy is the new one."""

    def closed() -> bool:
        another = Alarm(system, admin)
        another.goes_off()
        another.alert(state="open")
        task = done(admin, f"{another.path}/create-task").body
        done(admin, f"{another.path}/resolve")
        shown = told(admin, task["id"], 1)
        return bool(shown["status"] == "closed")

    wait_for(closed, deadline=60)
