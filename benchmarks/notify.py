"""Telling people: `python -m benchmarks.notify [--json] [--quick] [--only whole|decisions|deliveries]`.

From the hand-over of an alarm to the webhook's receipt, on a deployed local stack; and what the notifier decides and
the sender delivers in a second, each by itself, on tables without streams.
"""

import argparse
import base64
import json
import multiprocessing
import os
import tempfile
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from contextlib import contextmanager, redirect_stdout
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from io import StringIO
from pathlib import Path
from typing import Any

from benchmarks import local
from benchmarks.alarms import alarm, open_alerts
from benchmarks.capacity import metered
from benchmarks.report import Row, row, show
from benchmarks.task_tables import make_tables
from ops.local_stack import LocalStack

ALARMS = 65
WARM_UP = 5
PAUSE_SECONDS = 2.07
"""Between two alarms: a channel takes 30 messages in a minute. Not in step with what polls."""

DECISIONS = 1_000
DELIVERIES = 200
BATCH = 100
WEBHOOK_SECONDS = 0.05
PATIENCE_SECONDS = 60.0
_NO_LIMIT = 1_000_000


class Webhook:
    """Takes Slack's place: answers 200 after a while, and notes when each message came."""

    def __init__(self, seconds: float = 0.0) -> None:
        self.received: list[tuple[float, bytes]] = []
        webhook = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_POST(self) -> None:
                body = self.rfile.read(int(self.headers["Content-Length"]))
                webhook.received.append((time.monotonic(), body))
                time.sleep(seconds)
                self.send_response(200)
                self.send_header("Content-Length", "0")
                self.end_headers()

            def log_message(self, *_: object) -> None:
                """Nobody reads it."""

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self._server.server_port}/services/bench"

    @contextmanager
    def listening(self) -> Iterator["Webhook"]:
        thread = threading.Thread(target=self._server.serve_forever, daemon=True)
        thread.start()
        try:
            yield self
        finally:
            self._server.shutdown()
            self._server.server_close()

    def receipt(self, text: str) -> float:
        """When the message that mentions a text came."""
        end = time.monotonic() + PATIENCE_SECONDS
        while time.monotonic() < end:
            found = [at for at, body in list(self.received) if text.encode() in body]
            if found:
                return found[0]
            time.sleep(0.002)
        raise RuntimeError(f"nothing about {text} came within {PATIENCE_SECONDS:.0f} s")


def whole(fewer: int) -> list[Row]:
    """One alarm after the other, each of an alert of its own, through everything."""
    with (
        tempfile.TemporaryDirectory(prefix="opsledger-bench-") as folder,
        LocalStack(Path(folder) / "stack") as stack,
        Webhook().listening() as webhook,
    ):
        stack.deploy()
        status = stack.status()
        secret = json.dumps({"default": webhook.url})
        stack.config.client("secretsmanager").put_secret_value(SecretId=status.slack_secret, SecretString=secret)
        sqs = stack.config.client("sqs")
        seconds = []
        for number in range(ALARMS // fewer):
            begun = time.monotonic()
            sqs.send_message(QueueUrl=status.ingest_queue_url, MessageBody=alarm(number))
            seconds.append(webhook.receipt(f"orders-api-{number:05d}-5xx") - begun)
            time.sleep(PAUSE_SECONDS)
    note = "handed to the queue until the webhook has it; one after the other"
    return [row("an alarm is told", "whole local stack", seconds[WARM_UP:], None, note)]


def decisions(fewer: int) -> list[Row]:
    """Alerts that opened, in batches, through the notifier."""
    with _alone() as dynamodb:
        from infra.commits import to_item  # noqa: PLC0415 - after the environment says where the tables are
        from projections import notifier  # noqa: PLC0415

        items = [to_item(commit) for commit in open_alerts(DECISIONS // fewer + BATCH)]
        local.fill(dynamodb, os.environ["EVENTS_TABLE"], items)
        batches = [_stream_records(items[place : place + BATCH]) for place in range(0, len(items), BATCH)]
        with metered(dynamodb) as meter:
            notifier.handler(batches[0], None)
        seconds = []
        for batch in batches[1:]:
            begun = time.perf_counter()
            notifier.handler(batch, None)
            seconds.append(time.perf_counter() - begun)
    note = f"batches of {BATCH} alerts that opened; calls and units are those of the events table, per decision"
    return [row("decisions", "notifier", seconds, meter.cost(BATCH), note, each=BATCH)]


def _stream_records(items: Sequence[Any]) -> dict[str, Any]:
    """The items as the Kinesis stream of the table has them."""
    changes = ({"eventName": "INSERT", "dynamodb": {"NewImage": _plain(item)}} for item in items)
    return {"Records": [{"kinesis": {"data": base64.b64encode(json.dumps(one).encode()).decode()}} for one in changes]}


def _plain(item: Any) -> Any:
    """Bytes as base64, which JSON can hold."""
    return {
        name: {kind: base64.b64encode(value).decode() if isinstance(value, bytes) else value}
        for name, typed in item.items()
        for kind, value in typed.items()
    }


def deliveries(fewer: int) -> list[Row]:
    """Decided notifications through one sender, one after the other, to a webhook that takes 50 ms."""
    with _alone() as dynamodb, Webhook(WEBHOOK_SECONDS).listening() as webhook:
        from infra import clients  # noqa: PLC0415 - after the environment says where the tables are
        from infra.commits import to_item  # noqa: PLC0415
        from infra.outbox import Notification, Status  # noqa: PLC0415
        from projections import notifier, sender  # noqa: PLC0415

        os.environ |= {"WEBHOOK_HOSTS": "", "ALLOW_LOOPBACK_WEBHOOKS": "yes", "SLACK_SECRET_ARN": "bench-slack"}
        secret = json.dumps({"default": webhook.url})
        clients.secretsmanager().create_secret(Name="bench-slack", SecretString=secret)
        items = [to_item(commit) for commit in open_alerts(DELIVERIES // fewer)]
        local.fill(dynamodb, os.environ["EVENTS_TABLE"], items)
        notifier.handler(_stream_records(items), None)
        seconds = []
        for notification in list(Notification.scan()):
            notification.update(actions=[Notification.rate.set(_NO_LIMIT)])
            body = json.dumps({"notification": notification.id})
            begun = time.perf_counter()
            answer = sender.handler({"Records": [{"messageId": "m", "receiptHandle": "r", "body": body}]}, None)
            seconds.append(time.perf_counter() - begun)
            if answer["batchItemFailures"]:
                raise RuntimeError("a delivery came back")
        sent = sum(one.status == Status.SENT for one in Notification.scan())
    note = f"the webhook takes {WEBHOOK_SECONDS * 1000:.0f} ms; {sent} sent, {len(webhook.received)} received"
    return [row("deliveries", "one sender", seconds, None, note)]


@contextmanager
def _alone() -> Iterator[Any]:
    """The tables and the queue that notifier and sender use, without streams. Yields the client of DynamoDB."""
    with local.emulator(), redirect_stdout(StringIO()):  # functions write their metrics there
        os.environ |= {"LOG_LEVEL": "ERROR", "STAGE": "local"}
        make_tables()
        from infra import clients  # noqa: PLC0415

        os.environ["DELIVERY_QUEUE_URL"] = clients.sqs().create_queue(QueueName="bench-delivery")["QueueUrl"]
        yield clients.dynamodb()


def _in_own_process(part: Callable[[int], list[Row]], fewer: int) -> list[Row]:
    """The names of tables and the emulator's address are read from the environment once in a process."""
    with ProcessPoolExecutor(1, multiprocessing.get_context("spawn")) as executor:
        return executor.submit(part, fewer).result()


def main() -> None:
    parts = {"whole": whole, "decisions": decisions, "deliveries": deliveries}
    parser = argparse.ArgumentParser(prog="python -m benchmarks.notify", description=__doc__)
    parser.add_argument("--json", action="store_true", help="print rows for a program")
    parser.add_argument("--quick", action="store_true", help="fewer of all: a try, no result")
    parser.add_argument("--only", choices=parts, help="one part")
    options = parser.parse_args()
    chosen = [options.only] if options.only else list(parts)
    found = [one for name in chosen for one in _in_own_process(parts[name], 5 if options.quick else 1)]
    show("Telling people", found, as_json=options.json)


if __name__ == "__main__":
    main()
