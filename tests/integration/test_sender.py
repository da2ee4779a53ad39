"""The sender posts what is decided and to be told, under a lease, to a real HTTP server that stands for Slack."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from domain.told import AlertTold
from infra import outbox, slack_messages, webhooks
from infra.outbox import Notification, NotificationId, Status
from infra.settings import LEASE_SECONDS, MAX_DELIVERY_ATTEMPTS
from ops import template
from tests.integration.sending import PATH, Desk, Slack, answering

if TYPE_CHECKING:
    from tests.integration.conftest import Calls


def test_a_decision_is_posted_and_marked_with_its_message(desk: Desk, slack: Slack) -> None:
    assert desk.deliver(desk.received()) == []

    row = desk.row()
    ((path, message),) = slack.posted
    assert path == PATH
    assert message["text"]
    assert "Something broke" in json.dumps(message["blocks"])
    assert json.loads(row.message or "") == message
    assert (row.status, row.attempts) == (Status.SENT, 1)
    assert row.sent_at is not None
    assert row.error is None
    assert row.lease_until is None


def test_a_second_delivery_posts_nothing(desk: Desk, slack: Slack) -> None:
    records = desk.received()

    desk.deliver(records)
    before = desk.row().attribute_values
    assert desk.deliver(records) == []
    assert desk.deliver(records + records) == []

    assert len(slack.posted) == 1
    assert desk.row().attribute_values == before


# ---- leases


def test_the_queue_delivers_more_often_than_the_sender_attempts() -> None:
    resources = template.load(Path(__file__).parents[2] / "infra" / "template.yaml")["Resources"]
    queue = resources["DeliveryQueue"]["Properties"]

    assert queue["RedrivePolicy"]["maxReceiveCount"] > MAX_DELIVERY_ATTEMPTS
    assert resources["SenderFunction"]["Properties"].get("Timeout", 30) < LEASE_SECONDS


def test_what_another_sender_holds_comes_back(desk: Desk, slack: Slack) -> None:
    outbox.lease(NotificationId.parse(desk.id))

    assert desk.deliver(desk.received()) == [LEASE_SECONDS]

    assert slack.posted == []
    assert (desk.row().status, desk.row().attempts) == (Status.SENDING, 1)


def test_a_lease_whose_sender_died_is_taken_over(desk: Desk, slack: Slack) -> None:
    outbox.lease(NotificationId.parse(desk.id))
    desk.row().update(actions=[Notification.lease_until.set(1)])

    assert desk.deliver(desk.received()) == []

    assert len(slack.posted) == 1
    assert (desk.row().status, desk.row().attempts) == (Status.SENT, 2)


def test_a_sender_that_was_too_slow_does_not_overrule_the_one_that_took_over(
    desk: Desk, slack: Slack, monkeypatch: pytest.MonkeyPatch
) -> None:
    post = webhooks.post

    def slowly(*arguments: Any) -> webhooks.Delivery:
        delivery = post(*arguments)
        desk.row().update(actions=[Notification.lease_until.set(1)])
        other = outbox.lease(NotificationId.parse(desk.id))
        assert other is not None
        outbox.finish(other, Status.FAILED, error="the other's word")
        return delivery

    monkeypatch.setattr(webhooks, "post", slowly)
    records = desk.received()
    assert desk.deliver(records) == [LEASE_SECONDS + 1]
    assert desk.deliver(records) == []

    assert (desk.row().status, desk.row().error) == (Status.FAILED, "the other's word")
    assert len(slack.posted) == 1


def test_a_crash_between_post_and_mark_tells_twice_rather_than_not_at_all(
    desk: Desk, slack: Slack, calls: "Calls", monkeypatch: pytest.MonkeyPatch
) -> None:
    records = desk.received()

    def crash(*_arguments: Any, **_named: Any) -> None:
        raise ConnectionError

    with monkeypatch.context() as crashing:
        crashing.setattr(outbox, "finish", crash)
        assert desk.deliver(records) == [LEASE_SECONDS + 1]
    assert desk.row().status == Status.SENDING
    desk.row().update(actions=[Notification.lease_until.set(1)])  # the lease has run out by then
    calls.clear()
    assert desk.deliver(records) == []

    assert desk.row().status == Status.SENT
    assert len(slack.posted) == 2


# ---- what is not to be sent, and what cannot be


@pytest.mark.parametrize("status", sorted(set(Status) - {Status.DECIDED, Status.SENDING}))
def test_what_is_not_to_be_told_is_not_told(desk: Desk, slack: Slack, status: Status) -> None:
    desk.row().update(actions=[Notification.status.set(status)])

    assert desk.deliver(desk.received()) == []

    assert slack.posted == []
    assert desk.row().status == status


def test_a_notification_that_expired_is_done_with(desk: Desk, slack: Slack, outbox_items: Any) -> None:
    desk.row().delete()

    assert desk.deliver(desk.received()) == []

    assert slack.posted == []
    assert outbox_items() == []


@pytest.mark.parametrize("body", ["no json", "{}", "[]", '{"notification": "x"}', '{"notification": "x.y.z"}'])
def test_a_delivery_that_is_none_comes_back_until_the_queue_sets_it_aside(desk: Desk, slack: Slack, body: str) -> None:
    desk.received()
    desk.send(body)

    assert desk.deliver(desk.received()) == [LEASE_SECONDS + 1]

    assert slack.posted == []


def test_a_template_that_fails_fails_the_notification(
    desk: Desk, slack: Slack, monkeypatch: pytest.MonkeyPatch
) -> None:
    def broken(_told: AlertTold) -> dict[str, Any]:
        raise slack_messages.RenderError("no such name")

    monkeypatch.setattr(slack_messages, "render_alert", broken)

    assert desk.deliver(desk.received()) == []

    assert slack.posted == []
    assert desk.row().status == Status.FAILED
    assert desk.row().error == "the message could not be rendered (RenderError)"


@pytest.mark.parametrize("told", ["{}", "no json", None])
def test_what_cannot_be_read_fails_the_notification(desk: Desk, slack: Slack, told: str | None) -> None:
    desk.received()
    odd = desk.decide(told=told)

    assert desk.deliver(desk.received()) == []

    assert slack.posted == []
    assert desk.row(odd).status == Status.FAILED


def test_one_delivery_that_comes_back_holds_up_no_other(desk: Desk, slack: Slack) -> None:
    desk.received()
    others = [desk.decide() for _ in range(3)]
    slack.responses = [answering(200), answering(200), answering(500)]  # that pauses the channel
    records = desk.received()
    desk.send("no json")
    records[1:1] = desk.received()

    assert len(desk.deliver(records)) == 2

    assert sorted(desk.row(other).status for other in others) == [Status.DECIDED, Status.SENT, Status.SENT]


@pytest.mark.parametrize("secret", ['{"another": "https://hooks.slack.com/services/1"}', "{}", f"https://x{PATH}"])
def test_without_a_webhook_the_row_says_so_and_the_message_can_be_read(
    desk: Desk, slack: Slack, slack_secret: Callable[[str], None], secret: str
) -> None:
    slack_secret(secret)

    assert desk.deliver(desk.received()) == []

    assert slack.posted == []
    assert desk.row().status == Status.UNCONFIGURED
    assert desk.row().error == "no webhook is configured for the channel default"
    assert "Something broke" in json.dumps(outbox.shown(desk.row())["message"])
