"""What people are told and when, by the monitoring config; and what was given up, sent once more."""

import json
import time
from collections.abc import Iterator
from typing import Any

import pytest

from tests.e2e.system import Api, Slack, System, alarm, message, unique, wait_for


@pytest.fixture
def config(admin: Api) -> Iterator[dict[str, Any]]:
    """The monitoring config; after the test it is as it was."""
    before = admin.get("/config/monitoring")
    yield json.loads(json.dumps(before))
    assert admin.call("PUT", "/config/monitoring", before).status == 200


def rule_first(system: System, admin: Api, config: dict[str, Any], **rule: Any) -> None:
    """Have a rule decide before all others, in every process."""
    config["notification_rules"].insert(0, {"name": "first", **rule})
    answered = admin.call("PUT", "/config/monitoring", config)
    assert answered.status == 200, answered
    restart(system, "notifier")


def restart(system: System, function: str) -> None:
    """Have a function forget what it keeps, as a change of its environment does."""
    functions, name = system.client("lambda"), f"{system.status.stack_name}-{function}"
    environment = functions.get_function_configuration(FunctionName=name)["Environment"]["Variables"]
    changed = {**environment, "RESTARTED": unique("at")}
    functions.update_function_configuration(FunctionName=name, Environment={"Variables": changed})


def sweep(system: System) -> None:
    """The run of the next minute."""
    answered = system.client("lambda").invoke(FunctionName=f"{system.status.stack_name}-sweeper", Payload=b"{}")
    assert "FunctionError" not in answered, answered["Payload"].read()


def over(name: str) -> dict[str, Any]:
    """The alarm of that name is over."""
    ended = alarm(name)
    ended["detail"] = {**message("alarm-ok")["detail"], "alarmName": name}
    return ended


def told(admin: Api, name: str, *expected: tuple[str, str]) -> list[dict[str, Any]]:
    """The notifications about an alarm, oldest first, when they stand as expected."""

    def look() -> list[dict[str, Any]]:
        return admin.notifications(name)[::-1]

    return wait_for(look, lambda found: [(one["about"], one["status"]) for one in found] == list(expected))


def test_an_alert_is_told_when_it_opens_and_when_it_is_over(system: System, admin: Api, slack: Slack) -> None:
    name = unique("told")
    system.hand_in(alarm(name))
    (opened,) = told(admin, name, ("opened", "sent"))
    system.hand_in(over(name))
    told(admin, name, ("opened", "sent"), ("resolved", "sent"))
    assert opened["rule"] == "alerts"
    assert len(slack.received(name)) == 2
    about = admin.all(f"/notifications?alert_id={opened['alert_id']}&direction=asc")
    assert [one["about"] for one in about] == ["opened", "resolved"]
    assert admin.all(f"/notifications?alert_id={opened['alert_id']}&status=held") == []


def test_a_task_is_told_and_found_by_its_id(system: System, admin: Api, slack: Slack) -> None:
    title = unique("Look at the disk")
    created = admin.call("POST", "/tasks", {"title": title, "description": "It is nearly full."})
    assert created.status == 201
    told(admin, title, ("created", "sent"))
    (shown,) = admin.all(f"/notifications?task_id={created.body['id']}")
    assert (shown["title"], shown["alert_id"]) == (title, None)
    system.settle()
    assert len(slack.received(title)) == 1


def test_what_is_over_before_its_time_is_told_to_nobody(
    system: System, admin: Api, slack: Slack, config: dict[str, Any]
) -> None:
    name = unique("brief")
    rule_first(
        system,
        admin,
        config,
        match={"text": name},
        transitions=["opened", "resolved"],
        only_if_open_after_minutes=60,
    )
    system.hand_in(alarm(name))
    (held,) = told(admin, name, ("opened", "held"))
    assert held["due_at"] >= held["decided_at"] + 3500
    sweep(system)
    told(admin, name, ("opened", "held"))
    system.hand_in(over(name))
    told(admin, name, ("opened", "held"), ("resolved", "suppressed"))
    assert slack.received(name) == []


def test_a_snooze_that_ended_is_told_if_the_alert_is_still_open(system: System, admin: Api, slack: Slack) -> None:
    name = unique("snoozed")
    system.hand_in(alarm(name))
    (opened,) = told(admin, name, ("opened", "sent"))
    until = int(time.time()) + 8
    answered = admin.call("POST", f"/alerts/{opened['alert_id']}/snooze", {"until": until})
    assert (answered.status, answered.body["snoozed_until"]) == (200, until)

    def swept() -> list[str]:
        sweep(system)
        return [one["status"] for one in admin.notifications(name)]

    wait_for(swept, lambda statuses: statuses == ["sent", "sent"])
    assert len(slack.received(name)) == 2
    (reminder,) = (one for one in admin.notifications(name) if one["about"] == "still_open")
    assert reminder["sent_at"] >= until


def test_a_channel_without_a_webhook_can_be_given_one_and_is_sent_to_then(
    system: System, admin: Api, slack: Slack, config: dict[str, Any]
) -> None:
    name = unique("pager")
    config["channels"].append({"name": "pager"})
    rule_first(system, admin, config, match={"text": name}, transitions=["opened"], channels=["pager", "default"])
    system.hand_in(alarm(name))
    found = wait_for(
        lambda: {one["channel"]: one for one in admin.notifications(name)},
        lambda found: (
            {channel: one["status"] for channel, one in found.items()} == {"pager": "unconfigured", "default": "sent"}
        ),
    )
    assert len(slack.received(name)) == 1
    assert admin.call("POST", f"/notifications/{found['default']['id']}/redrive").status == 409


def test_what_was_given_up_is_sent_once_more(system: System, admin: Api, slack: Slack) -> None:
    name = unique("gone")
    slack.answers[name] = [404]
    system.hand_in(alarm(name))
    (failed,) = told(admin, name, ("opened", "failed"))
    assert [one["id"] for one in admin.all("/notifications?status=failed") if name in one["title"]] == [failed["id"]]
    answered = admin.call("POST", f"/notifications/{failed['id']}/redrive", idempotency_key=name)
    assert (answered.status, answered.body["status"], answered.body["attempts"]) == (200, "decided", 0)
    (sent,) = told(admin, name, ("opened", "sent"))
    assert (sent["attempts"], sent["error"]) == (1, None)
    assert admin.call("POST", f"/notifications/{failed['id']}/redrive", idempotency_key=name).status == 200
    assert admin.call("POST", f"/notifications/{failed['id']}/redrive").status == 409
    system.settle()
    assert len(slack.received(name)) == 2
