"""A Slack on this machine and how it answers, and a desk: one decided notification and its deliveries."""

import json
import socket
from collections.abc import Callable
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Event
from typing import TYPE_CHECKING, Any

from infra import outbox
from infra.delivery_rate import RateCounter
from infra.outbox import Notification, NotificationId, Status
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
