"""Messages that are none hold nothing up, lie in the dead-letter queue with their reason, and can be sent again."""

import json
from collections.abc import Callable

import pytest
from typer.testing import CliRunner

from ops import cli, paths
from tests.e2e.system import Api, System, alarm, unique, wait_for

pytestmark = pytest.mark.usefixtures("empty_queues")


def test_a_malformed_message_ends_in_the_dead_letter_queue_and_can_be_sent_again(
    system: System, admin: Api, monkeypatch: pytest.MonkeyPatch
) -> None:
    name = unique("malformed")
    no_json, no_envelope = f"{name}, cut off: {{", json.dumps({"name": name, "detail": {}})
    bad = {no_json, no_envelope}
    good = alarm(unique("good"))
    system.hand_in(no_json, no_envelope)
    system.hand_in(good)
    # Long before a message's visibility time-out: it waits for nobody.
    wait_for(lambda: admin.events(good["detail"]["alarmName"]), deadline=10)
    wait_for(system.dead_letters, given_up(bad))
    system.settle()
    reasons = refusals(system)
    assert "the message is not usable JSON" in reasons
    assert "the message has no detail-type" in reasons
    tried = refusals(system).count("message refused")
    assert tried >= 10

    monkeypatch.setattr(paths, "DEV", system.stack.folder)
    done = CliRunner().invoke(cli.app, ["redrive", "ingest"])
    assert done.exit_code == 0, done.output
    assert "2 moved back to the ingest queue of stage local." in done.output
    assert done.output.count("sent again") == 2

    wait_for(lambda: refusals(system).count("message refused"), lambda count: count == tried + 10)
    dead = system.status.ingest_dead_letter_queue_url
    wait_for(lambda: system.waiting(dead), lambda count: count == 2)
    system.settle()
    assert admin.events(name) == []


def given_up(bad: set[str]) -> Callable[[list[str]], bool]:
    return lambda bodies: set(bodies) == bad


def refusals(system: System) -> str:
    return "\n".join(line for line in system.logged("ingest") if "message refused" in line)


def test_what_the_ingest_gave_up_on_and_is_good_now_is_recorded_when_it_is_sent_again(
    system: System, admin: Api, monkeypatch: pytest.MonkeyPatch
) -> None:
    name = unique("second-chance")
    dead = system.status.ingest_dead_letter_queue_url
    system.client("sqs").send_message(QueueUrl=dead, MessageBody=json.dumps(alarm(name)))
    monkeypatch.setattr(paths, "DEV", system.stack.folder)
    done = CliRunner().invoke(cli.app, ["redrive", "ingest"])
    assert done.exit_code == 0, done.output
    assert "aws.cloudwatch · CloudWatch Alarm State Change" in done.output
    wait_for(lambda: admin.events(name))
    assert system.waiting(dead) == 0
    assert "Nothing was set aside." in CliRunner().invoke(cli.app, ["redrive", "ingest"]).output
