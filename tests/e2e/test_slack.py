"""What becomes of a message when Slack refuses it."""

from collections.abc import Iterator

import pytest

from ops.stack import outputs
from tests.e2e.system import Api, Slack, System, alarm, unique, wait_for


@pytest.fixture
def ended_pause(system: System) -> Iterator[None]:
    """Ends the pause of the channel after the test: others send to it too, and wait for no minute to pass."""
    yield
    table = outputs(system.stack.config)["OutboxTable"]
    counter = {"pk": {"S": "rate#default#600"}, "sk": {"S": "count"}}
    system.client("dynamodb").delete_item(TableName=table, Key=counter)


@pytest.mark.usefixtures("ended_pause")
def test_a_message_that_slack_refuses_for_now_is_sent_later_and_once(system: System, admin: Api, slack: Slack) -> None:
    name = unique("refused")
    slack.answers[name] = [500] * 100  # until it was seen: a single refusal is over before a slow reader looks
    system.hand_in(alarm(name))
    waiting = [("decided", "Slack answered 500")]
    wait_for(
        lambda: admin.notifications(name), lambda found: [(item["status"], item["error"]) for item in found] == waiting
    )
    slack.answers[name].clear()
    (sent,) = wait_for(
        lambda: admin.notifications(name), lambda found: [item["status"] for item in found] == ["sent"], deadline=60
    )
    assert sent["error"] is None
    assert sent["sent_at"] >= sent["decided_at"]
    system.settle()
    received = slack.received(name)
    assert (len(received), sent["attempts"] > 1) == (sent["attempts"], True)
    assert all(message == sent["message"] for message in received)


def test_a_message_that_slack_refuses_for_good_is_shown_as_failed(system: System, admin: Api, slack: Slack) -> None:
    name = unique("gone")
    slack.answers[name] = [404]
    system.hand_in(alarm(name))
    (failed,) = wait_for(
        lambda: admin.notifications(name), lambda found: [item["status"] for item in found] == ["failed"]
    )
    assert (failed["attempts"], failed["error"]) == (1, "Slack answered 404")
    assert name in failed["message"]["text"]
    system.settle()
    assert len(slack.received(name)) == 1
