"""The sender, against a real HTTP server that stands for Slack."""

import json
import logging
import socket
import traceback
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Event, Thread
from typing import TYPE_CHECKING, Any

import pytest

from domain.told import AlertTold
from infra import outbox, slack_messages, webhooks
from infra.delivery_rate import RateCounter
from infra.outbox import Notification, NotificationId, Status
from infra.settings import (
    DELIVERY_BACKOFF_BASE_SECONDS,
    DELIVERY_BACKOFF_CAP_SECONDS,
    LEASE_SECONDS,
    MAX_DELIVERY_ATTEMPTS,
)
from ops import template
from projections import sender

if TYPE_CHECKING:
    from tests.integration.conftest import Calls, DeliveryQueue, History

PATH = "/services/T0/B0/keep-this-secret"

Respond = Callable[["Connection"], None]


class Connection(BaseHTTPRequestHandler):
    """One request to the Slack of these tests."""

    protocol_version = "HTTP/1.1"
    server: "Slack"

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers["Content-Length"]))
        self.server.posted.append((self.path, json.loads(body)))
        respond = self.server.responses.pop(0) if self.server.responses else answering(200)
        respond(self)

    def log_message(self, format: str, *args: Any) -> None:  # noqa: A002 - the name is the library's
        """Say nothing."""


class Slack(ThreadingHTTPServer):
    """Answers 200, after the `responses` that it is given. `posted` has the path and message of each request."""

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), Connection)
        self.posted: list[tuple[str, dict[str, Any]]] = []
        self.responses: list[Respond] = []
        self.closing = Event()

    def handle_error(self, request: Any, client_address: Any) -> None:
        """Say nothing: the sender may leave whenever it likes."""

    @property
    def webhook(self) -> str:
        return f"http://127.0.0.1:{self.server_port}{PATH}"


def answering(status: int, body: bytes = b"ok", **headers: str) -> Respond:
    def respond(connection: Connection) -> None:
        connection.send_response(status)
        for name, value in headers.items():
            connection.send_header(name.replace("_", "-"), value)
        connection.send_header("Content-Length", str(len(body)))
        connection.end_headers()
        connection.wfile.write(body)

    return respond


def hanging(connection: Connection) -> None:
    connection.server.closing.wait()
    connection.close_connection = True


def breaking_off(sent: bytes) -> Respond:
    """Closes the connection after some bytes."""

    def respond(connection: Connection) -> None:
        connection.wfile.write(sent)
        connection.wfile.flush()
        connection.connection.shutdown(socket.SHUT_RDWR)
        connection.close_connection = True

    return respond


@pytest.fixture
def slack() -> Iterator[Slack]:
    server = Slack()
    thread = Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    yield server
    server.closing.set()
    server.shutdown()
    thread.join()
    server.server_close()


class Desk:
    """One decided notification, and its deliveries."""

    def __init__(self, history: "History", queue: "DeliveryQueue", calls: "Calls") -> None:
        self._history = history
        self._queue = queue
        self._calls = calls
        self.id = self.decide()

    def decide(self, **attributes: Any) -> str:
        """Keep another decision and queue it. Returns its id."""
        commit = self._history.event(title="Something broke", severity=4)
        event = json.loads(commit.encoded)[0]["d"]["mapped"]
        notification_id = NotificationId(commit.id, 0, "default")
        told = {
            "alert_id": "a",
            "transition": "opened",
            "event": event,
            "event_id": "1-x",
            "published_at": 1,
            "severity": 4,
            "count": 1,
            "openings": 1,
            "opened_at": 1,
        }
        row = outbox.new(
            notification_id,
            Status.DECIDED,
            **{"stream": "alert#a", "rule": "alerts", "told": json.dumps(told), **attributes},
        )
        assert outbox.keep([row])
        self.send(json.dumps({"notification": str(notification_id)}))
        return str(notification_id)

    def send(self, body: str) -> None:
        self._queue._client.send_message(QueueUrl=self._queue.url, MessageBody=body)

    def deliver(self, records: list[dict[str, Any]]) -> list[int]:
        """One invocation. Returns for each delivery that comes back after how many seconds it does."""
        self._calls.clear()
        answer = sender.handler({"Records": records}, None)
        moved = [request for operation, request in self._calls if operation == "ChangeMessageVisibility"]
        handles = {record["messageId"]: record["receiptHandle"] for record in records}
        returned = [handles[failure["itemIdentifier"]] for failure in answer["batchItemFailures"]]
        assert [request["ReceiptHandle"] for request in moved] == returned
        return [request["VisibilityTimeout"] for request in moved]

    def received(self) -> list[dict[str, Any]]:
        records = self._queue.received()
        assert records
        return records

    def let_the_wait_pass(self) -> None:
        """Both that of the row and that of its channel."""
        self.row().update(actions=[Notification.not_before.set(1), Notification.turn_at.remove()])
        for counter in RateCounter.scan(RateCounter.sk == "count"):
            counter.delete()

    def row(self, notification_id: str | None = None) -> Notification:
        parsed = NotificationId.parse(notification_id or self.id)
        return Notification.get(parsed.pk, parsed.sk, consistent_read=True)


@pytest.fixture
def desk(
    *,
    history: "History",
    delivery_queue: "DeliveryQueue",
    calls: "Calls",
    slack: Slack,
    slack_secret: Callable[[str], None],
    monkeypatch: pytest.MonkeyPatch,
) -> Desk:
    slack_secret(json.dumps({"default": slack.webhook}))
    monkeypatch.setenv("WEBHOOK_HOSTS", "hooks.slack.com")
    monkeypatch.setenv("ALLOW_LOOPBACK_WEBHOOKS", "yes")
    return Desk(history, delivery_queue, calls)


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


def test_the_queue_delivers_more_often_than_the_sender_attempts() -> None:
    resources = template.load(Path(__file__).parents[2] / "infra" / "template.yaml")["Resources"]
    queue = resources["DeliveryQueue"]["Properties"]

    assert queue["RedrivePolicy"]["maxReceiveCount"] > MAX_DELIVERY_ATTEMPTS
    assert resources["SenderFunction"]["Properties"].get("Timeout", 30) < LEASE_SECONDS


# ---- leases


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


# ---- where messages may go, and what is told of it


def test_the_loopback_address_is_for_the_local_stage_only(
    desk: Desk, slack: Slack, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("ALLOW_LOOPBACK_WEBHOOKS", "no")

    assert desk.deliver(desk.received()) == []

    assert slack.posted == []
    assert (desk.row().status, desk.row().error) == (Status.FAILED, "the webhook must be https to hooks.slack.com")


ALLOWED = {"hooks.slack.com", "hooks.slack-gov.com"}


@pytest.mark.parametrize(
    "url",
    [
        "https://hooks.slack.com/services/T/B/x",
        "https://hooks.slack.com:443/services/T/B/x",
        "https://HOOKS.slack.com/services/T/B/x",
        "https://hooks.slack-gov.com/services/T/B/x?y=z",
    ],
)
def test_webhooks_that_may_be_posted_to(url: str) -> None:
    assert webhooks.fault(url, ALLOWED, allow_loopback=False) is None
    assert webhooks.fault(url, ALLOWED, allow_loopback=True) is None


@pytest.mark.parametrize(
    "url",
    [
        "",
        "keep-this-secret",
        "http://hooks.slack.com/keep-this-secret",
        "ftp://hooks.slack.com/keep-this-secret",
        "file:///keep-this-secret",
        "//hooks.slack.com/keep-this-secret",
        "https:/hooks.slack.com/keep-this-secret",
        "https://slack.com/keep-this-secret",
        "https://hooks.slack.com.example.com/keep-this-secret",
        "https://evil-hooks.slack.com/keep-this-secret",
        "https://x.hooks.slack.com/keep-this-secret",
        "https://hooks.slack.com./keep-this-secret",
        "https://hooks.slack.com:8443/keep-this-secret",
        "https://hooks.slack.com:80/keep-this-secret",
        "https://hooks.slack.com:0/keep-this-secret",
        "https://hooks.slack.com:99999/keep-this-secret",
        "https://hooks.slack.com:x/keep-this-secret",
        "https://hooks.slack.com@example.com/keep-this-secret",
        "https://keep-this-secret@hooks.slack.com/",
        "https://user:keep-this-secret@hooks.slack.com/",
        "https://@hooks.slack.com/keep-this-secret",
        "https://example.com\\@hooks.slack.com/keep-this-secret",
        "https://example.com#@hooks.slack.com/keep-this-secret",
        "https://[::1/keep-this-secret",
        "https://169.254.169.254/keep-this-secret",
        "http://127.0.0.2/keep-this-secret",
        "http://127.1/keep-this-secret",
        "http://2130706433/keep-this-secret",
        "http://localhost.example.com/keep-this-secret",
        "http://user:keep-this-secret@localhost/",
        "ftp://localhost/keep-this-secret",
    ],
)
def test_webhooks_that_may_not_be_posted_to_and_are_not_shown(url: str) -> None:
    for allow_loopback in (False, True):
        fault = webhooks.fault(url, ALLOWED, allow_loopback=allow_loopback)
        assert fault
        assert "keep-this-secret" not in fault


@pytest.mark.parametrize(
    "url", ["http://127.0.0.1:9/x", "http://localhost/x", "https://localhost:8443/x", "http://[::1]:1/x"]
)
def test_the_loopback_address_may_be_posted_to_when_allowed(url: str) -> None:
    assert webhooks.fault(url, ALLOWED, allow_loopback=True) is None
    assert webhooks.fault(url, ALLOWED, allow_loopback=False) == (
        "the webhook must be https to hooks.slack-gov.com or hooks.slack.com"
    )


@pytest.mark.parametrize(
    "response",
    [
        answering(200),
        answering(404),
        answering(500),
        answering(302, Location=f"http://127.0.0.1:9{PATH}"),
        answering(429, Retry_After="9" * 5_000),
        breaking_off(b""),
        hanging,
    ],
    ids=["200", "404", "500", "302", "429", "broken off", "hanging"],
)
def test_the_webhook_is_in_no_row_and_no_log(
    desk: Desk,
    slack: Slack,
    outbox_items: Any,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
    *,
    response: Respond,
) -> None:
    monkeypatch.setattr(webhooks, "SLACK_TIMEOUT_SECONDS", 0.1)
    slack.responses = [response]
    log_everything(caplog)

    desk.deliver(desk.received())

    assert [path for path, _ in slack.posted] == [PATH]
    assert "handled" in logged(caplog)
    for written in (logged(caplog), json.dumps(outbox_items())):
        assert "keep-this-secret" not in written
        assert f":{slack.server_port}/" not in written


@pytest.mark.parametrize(
    "secret",
    [
        PATH,
        json.dumps([PATH]),
        json.dumps({"default": [PATH]}),
        json.dumps({"default": f"http://[{PATH}"}),
        json.dumps({"default": f"http://user:{PATH}@127.0.0.1/"}),
        json.dumps({"default": f"https://example.com{PATH}"}),
        json.dumps({"default": f"http://127.0.0.1:0{PATH}"}),
        json.dumps({"default": f" \thttp://127.0.0.1:9{PATH}\n"}),
        json.dumps({"default": f"http://127.0.0.1:9{PATH}\r\nX: y"}),
        json.dumps({"default": f"http://127.0.0.1:9{PATH}\ud800"}),
    ],
)
def test_a_secret_that_is_no_webhook_is_in_no_row_and_no_log(
    desk: Desk,
    slack_secret: Callable[[str], None],
    outbox_items: Any,
    caplog: pytest.LogCaptureFixture,
    *,
    secret: str,
) -> None:
    slack_secret(secret)
    log_everything(caplog)

    desk.deliver(desk.received())

    assert desk.row().status != Status.SENT
    assert "handled" in logged(caplog)
    for written in (logged(caplog), json.dumps(outbox_items())):
        assert "keep-this-secret" not in written


def log_everything(caplog: pytest.LogCaptureFixture) -> None:
    """At DEBUG, but for botocore: it writes whole answers then, and nothing turns that on."""
    caplog.set_level(logging.INFO, logger="botocore")
    caplog.set_level(logging.DEBUG)  # the last one's level is the capturing handler's too
    logging.getLogger("another library").debug("at DEBUG")
    assert "at DEBUG" in logged(caplog)


def logged(caplog: pytest.LogCaptureFixture) -> str:
    """Everything that was logged, with what was attached to it."""
    lines = []
    for entry in caplog.records:
        lines.append(f"{entry.getMessage()} {vars(entry)}")
        if entry.exc_info:
            lines.extend(traceback.format_exception(entry.exc_info[1]))
    return "\n".join(lines)
