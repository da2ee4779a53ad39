"""What the sender makes of Slack's answers: sent, later or failed; against a real HTTP server."""

import json
import socket
from collections.abc import Callable

import pytest

from infra import webhooks
from infra.outbox import Notification, Status
from infra.settings import DELIVERY_BACKOFF_BASE_SECONDS, DELIVERY_BACKOFF_CAP_SECONDS, MAX_DELIVERY_ATTEMPTS
from tests.integration.sending import PATH, Desk, Slack, answering, breaking_off, hanging


def test_a_page_in_html_with_200_counts_as_sent(desk: Desk, slack: Slack) -> None:
    slack.responses = [answering(200, b"<html>Fine</html>", Content_Type="text/html")]

    assert desk.deliver(desk.received()) == []

    assert desk.row().status == Status.SENT


@pytest.mark.parametrize("status", [500, 502, 503, 599, 429])
def test_an_answer_that_heals_comes_back_later(desk: Desk, slack: Slack, status: int) -> None:
    slack.responses = [answering(status)]
    records = desk.received()

    (wait,) = desk.deliver(records)

    row = desk.row()
    assert 1 <= wait <= DELIVERY_BACKOFF_BASE_SECONDS
    assert (row.status, row.error) == (Status.DECIDED, f"Slack answered {status}")
    assert row.lease_until is None
    assert row.sent_at is None
    assert json.loads(row.message or "") == slack.posted[0][1]

    desk.let_the_wait_pass()
    assert desk.deliver(records) == []
    row = desk.row()
    assert (row.status, row.attempts, len(slack.posted)) == (Status.SENT, 2, 2)
    assert row.error is None


@pytest.mark.parametrize(
    ("asked_for", "least", "most"),
    [
        ("120", 120, 120),
        ("0", 1, 2),  # its own back-off is longer
        ("999999", 43_000, 43_000),  # SQS hides a message for 12 hours at most, counted from its receipt
        ("-5", 1, 2),
        ("soon", 1, 2),
        ("Wed, 21 Oct 2026 07:28:00 GMT", 1, 2),
        ("9" * 5_000, 1, 2),
        ("\u00b2", 1, 2),
    ],
)
@pytest.mark.parametrize("status", [429, 503])
def test_the_wait_that_slack_asks_for_is_kept(
    desk: Desk, slack: Slack, *, status: int, asked_for: str, least: int, most: int
) -> None:
    slack.responses = [answering(status, Retry_After=asked_for)]

    (wait,) = desk.deliver(desk.received())

    assert least <= wait <= most
    assert desk.row().status == Status.DECIDED


@pytest.mark.parametrize("status", [201, 204, 400, 403, 404, 410])
def test_an_answer_that_no_retry_heals_fails_for_good(desk: Desk, slack: Slack, status: int) -> None:
    slack.responses = [answering(status, b"" if status == 204 else b"no_service")]
    records = desk.received()

    assert desk.deliver(records) == []
    assert desk.deliver(records) == []

    assert (desk.row().status, desk.row().error) == (Status.FAILED, f"Slack answered {status}")
    assert len(slack.posted) == 1


@pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
def test_a_redirect_fails_and_is_not_followed(desk: Desk, slack: Slack, status: int) -> None:
    slack.responses = [answering(status, Location=f"http://127.0.0.1:{slack.server_port}/elsewhere")]

    assert desk.deliver(desk.received()) == []

    assert (desk.row().status, desk.row().error) == (Status.FAILED, f"Slack answered {status}")
    assert [path for path, _ in slack.posted] == [PATH]


def test_a_slack_that_hangs_is_left_after_a_time_and_heals(
    desk: Desk, slack: Slack, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(webhooks, "SLACK_TIMEOUT_SECONDS", 0.1)
    slack.responses = [hanging]
    records = desk.received()

    (wait,) = desk.deliver(records)

    assert 1 <= wait <= 2
    assert (desk.row().status, desk.row().error) == (Status.DECIDED, "Slack did not answer in time")
    desk.let_the_wait_pass()
    assert desk.deliver(records) == []
    assert desk.row().status == Status.SENT


@pytest.mark.parametrize("sent", [b"", b"HTTP/1.", b"HTTP/1.1 2", b"SSH-2.0-OpenSSH\r\n"])
def test_a_connection_closed_half_way_heals(desk: Desk, slack: Slack, sent: bytes) -> None:
    slack.responses = [breaking_off(sent)]
    records = desk.received()

    assert len(desk.deliver(records)) == 1

    assert desk.row().status == Status.DECIDED
    assert (desk.row().error or "").startswith("Slack could not be reached (")
    desk.let_the_wait_pass()
    assert desk.deliver(records) == []
    assert desk.row().status == Status.SENT


def test_nobody_listening_heals(desk: Desk, slack: Slack, slack_secret: Callable[[str], None]) -> None:
    with socket.create_server(("127.0.0.1", 0)) as closed:
        port = closed.getsockname()[1]
    slack_secret(json.dumps({"default": f"http://127.0.0.1:{port}{PATH}"}))
    records = desk.received()

    assert len(desk.deliver(records)) == 1
    slack_secret(json.dumps({"default": slack.webhook}))
    desk.let_the_wait_pass()
    assert desk.deliver(records) == []

    assert desk.row().status == Status.SENT


def test_attempts_back_off_and_end(desk: Desk, slack: Slack) -> None:
    desk.row().update(actions=[Notification.rate.set(MAX_DELIVERY_ATTEMPTS)])  # it is all in one minute here
    slack.responses = [answering(500)] * MAX_DELIVERY_ATTEMPTS
    records = desk.received()

    waits = []
    for _ in range(MAX_DELIVERY_ATTEMPTS):
        waits.append(desk.deliver(records))
        desk.let_the_wait_pass()

    for attempt, moved in enumerate(waits[:-1]):
        backoff = min(DELIVERY_BACKOFF_CAP_SECONDS, DELIVERY_BACKOFF_BASE_SECONDS * 2**attempt)
        assert len(moved) == 1
        assert backoff / 2 <= moved[0] <= backoff
    assert waits[-1] == []
    assert (desk.row().status, desk.row().attempts) == (Status.FAILED, MAX_DELIVERY_ATTEMPTS)
    assert desk.deliver(records) == []
    assert len(slack.posted) == MAX_DELIVERY_ATTEMPTS


def test_another_copy_of_a_delivery_that_slack_wants_later_ends_quietly(desk: Desk, slack: Slack) -> None:
    slack.responses = [answering(429, Retry_After="3600")]
    records = desk.received()
    assert desk.deliver(records) == [3600]

    assert desk.deliver(records) == []

    row = desk.row()
    assert (len(slack.posted), row.status, row.attempts) == (1, Status.DECIDED, 1)
    assert row.due_at > row.not_before
