"""The way from the ledger to Slack in memory: notifier, outbox, delivery queue, sender and sweeper, with one clock.

Every call that leaves a function is a step: to DynamoDB, to the queue, to Slack. A process can end before or after any
of them.
"""

import base64
import json
from collections.abc import Iterable, Mapping
from contextlib import suppress
from datetime import UTC, datetime, timedelta
from types import SimpleNamespace
from typing import Any

import pytest

from domain.alerts import ALERTS, AlertOpened, AlertRecurred, AlertReopened, AlertResolved, Ending, Face, Seen
from domain.commit import Commit
from domain.monitoring_config import MonitoringConfigStarted, defaults
from domain.monitoring_rules import NotificationRule, Transition
from domain.sources.mapping import MappedEvent
from infra import clients, outbox, webhooks
from infra.event_store import DynamoDBEventStore
from infra.outbox import Notification
from infra.webhooks import Delivery
from projections import notifier, sender, sweeper
from tests.in_memory.dynamodb import InMemoryDynamoDB, client
from tests.in_memory.faults import CrashError
from tests.integration.conftest import History

VISIBILITY_SECONDS = 180
SENT = Delivery(sent=True)
RESOLVED = AlertResolved(ending=Ending.SOURCE)


class Steps:
    """Counts what leaves the functions, and ends the process at one of them.

    Attributes:
        taken: the names of all steps so far.
        crash_at: the number of the step at which the process ends, from 0; None for never.
        paused: nothing is counted while the scene is set.
    """

    def __init__(self) -> None:
        self.taken: list[str] = []
        self.crash_at: int | None = None
        self.paused = False

    def take(self, name: str) -> None:
        if self.paused:
            return
        self.taken.append(name)
        if len(self.taken) - 1 == self.crash_at:
            raise CrashError


class Queue:
    """The delivery queue: what is received is hidden for a time, and comes back unless it is done with."""

    def __init__(self, world: "Telling") -> None:
        self._world = world
        self.waiting: dict[int, tuple[float, str]] = {}
        self._number = 0

    def send_message(self, *, QueueUrl: str, MessageBody: str) -> None:  # noqa: N803, ARG002
        self._world.steps.take("before queue")
        self._number += 1
        self.waiting[self._number] = (self._world.now, MessageBody)
        self._world.steps.take("after queue")

    def change_message_visibility(self, *, QueueUrl: str, ReceiptHandle: str, VisibilityTimeout: int) -> None:  # noqa: N803, ARG002
        self._world.steps.take("before visibility")
        body = self.waiting[int(ReceiptHandle)][1]
        self.waiting[int(ReceiptHandle)] = (self._world.now + VisibilityTimeout, body)

    def received(self) -> list[tuple[int, str]]:
        """What is visible now; hidden from now on."""
        visible = [(number, body) for number, (at, body) in self.waiting.items() if at <= self._world.now]
        for number, body in visible:
            self.waiting[number] = (self._world.now + VISIBILITY_SECONDS, body)
        return visible


class Telling:
    """One stack, without its stream: commits are handed over by `hear`, in whatever order and however often.

    Attributes:
        now: seconds since the epoch.
        posted: the messages that reached Slack and were taken.
        answers: what Slack says to the next posts; then it takes them.
    """

    def __init__(self, db: InMemoryDynamoDB, monkeypatch: pytest.MonkeyPatch) -> None:
        self.db = db
        self.now = datetime(2026, 3, 2, 12, 0, tzinfo=UTC).timestamp()
        self.steps = Steps()
        self.queue = Queue(self)
        self.posted: list[dict[str, Any]] = []
        self.posted_at: list[float] = []
        self.answers: list[Delivery] = []
        self.history = History(DynamoDBEventStore(client(), "events"))
        self.history.now = self.at
        self.webhooks = {"default": "https://hooks.slack.com/1", "pager": "https://hooks.slack.com/2"}
        clock = SimpleNamespace(time=lambda: self.now, monotonic=lambda: self.now)
        for module in (outbox, notifier, sender, sweeper):
            monkeypatch.setattr(module, "time", clock)
        for name, value in {
            "EVENTS_TABLE": "events",
            "DELIVERY_QUEUE_URL": "queue",
            "SLACK_SECRET_ARN": "secret",
            "WEBHOOK_HOSTS": "hooks.slack.com",
            "ALLOW_LOOPBACK_WEBHOOKS": "no",
        }.items():
            monkeypatch.setenv(name, value)
        monkeypatch.setattr(clients, "sqs", lambda: self.queue)
        monkeypatch.setattr(clients, "dynamodb", client)
        monkeypatch.setattr(sender, "secret", lambda _arn: self.webhooks)
        monkeypatch.setattr(webhooks, "post", self._post)
        call = db.call

        def stepping(made_by: Any, operation: str, request: Any) -> Any:
            self.steps.take(f"before {operation}")
            answer = call(made_by, operation, request)
            self.steps.take(f"after {operation}")
            return answer

        monkeypatch.setattr(db, "call", stepping)
        forget()

    @property
    def at(self) -> datetime:
        return datetime.fromtimestamp(self.now, UTC)

    # ---- what happens

    def configure(self, *rules: NotificationRule, **more: Any) -> None:
        """Have the monitoring config begin with these rules."""
        parts = {name: getattr(defaults(), name) for name in MonitoringConfigStarted.model_fields}
        self._append(
            "monitoring-config#main", MonitoringConfigStarted(**{**parts, "notification_rules": rules, **more})
        )
        forget()

    def opened(self, alert_id: str = "a", severity: int = 3, **more: Any) -> Commit:
        """An alert opens by a monitoring event."""
        self.steps.paused = True
        self.history.now = self.at
        event = self.history.event(title=f"{alert_id} is broken", text="And how.", severity=severity)
        recorded = json.loads(event.encoded)[0]["d"]
        mapped = MappedEvent.model_validate(recorded["mapped"])
        shown = {name: getattr(mapped, name) for name in Face.model_fields}
        event_id = f"{recorded['published_at']}-{event.stream.partition('#')[2]}"
        seen = Seen(ids=(event_id,), count=1, first=int(self.now), last=int(self.now), order=1, rank=3)
        face = Face(**{**shown, **more})
        opening = AlertOpened(fingerprint=alert_id, seen=seen, face=face, severity=severity, config=1)
        return self._append(ALERTS.stream(alert_id), opening, by="system:ingest")

    def happens(self, alert_id: str, *events: Any, by: str = "system:ingest") -> Commit:
        return self._append(ALERTS.stream(alert_id), *events, by=by)

    def _append(self, stream: str, *events: Any, by: str = "ann") -> Commit:
        self.steps.paused = True
        self.now += 0.001  # so that rows stand in the order of what happened
        self.history.now = self.at
        commit = self.history.append(stream, *events, by=by)
        self.steps.paused = False
        return commit

    # ---- what the functions do

    def hear(self, *commits: Commit) -> None:
        """The stream hands commits to the notifier, again and again until it takes them."""
        self._until_done(lambda: notifier.handler({"Records": [record(commit) for commit in commits]}, None))

    def sweep(self) -> None:
        """The minute's run of the sweeper; whatever ends it, there is another."""
        with suppress(CrashError, sweeper.SweepError):
            sweeper.handler({}, None)

    def deliver(self) -> None:
        """The queue hands what is visible to senders, one message each."""
        for number, body in self.queue.received():
            delivery = {"messageId": str(number), "receiptHandle": str(number), "body": body}
            with suppress(CrashError):
                if not sender.handler({"Records": [delivery]}, None)["batchItemFailures"]:
                    del self.queue.waiting[number]

    def pass_time(self, minutes: float, step: float = 60) -> None:
        """Let time pass; the sweeper runs every minute, senders whenever there is something."""
        end = self.now + minutes * 60
        self.deliver()
        while self.now < end:
            self.now += min(step, end - self.now)
            self.sweep()
            self.deliver()

    def settle(self, most_minutes: int = 40) -> None:
        """Let time pass until nothing is on its way or held any more."""
        for _ in range(most_minutes):
            self.deliver()
            if not self.queue.waiting and not {"held", "decided", "sending"} & set(self.statuses()):
                return
            self.pass_time(1)
        raise AssertionError(f"still {self.statuses()} after {most_minutes} minutes")

    @staticmethod
    def _until_done(work: Any) -> None:
        for _ in range(3):
            with suppress(CrashError):
                work()
                return
        raise AssertionError("it never ends well")

    def _post(self, url: str, message: Mapping[str, Any]) -> Delivery:
        answer = self.answers.pop(0) if self.answers else SENT
        self.steps.take("before post")
        if answer.sent:
            self.posted.append({"url": url, **message})
            self.posted_at.append(self.now)
        self.steps.take("after post" if answer.sent else "after refusal")
        return answer

    # ---- what came of it

    def rows(self) -> list[Notification]:
        """The outbox, in order of time."""
        items = [item for item in self.db.items("outbox") if "id" in item]
        return sorted((Notification.from_raw_data(item) for item in items), key=lambda row: row.sk)

    def statuses(self) -> list[str]:
        return [row.status for row in self.rows()]


def forget() -> None:
    """Another process: nothing is known of tables and config."""
    for cached in (notifier._store, notifier._config, sweeper._store, outbox._connection):
        cached.cache_clear()


def record(commit: Commit) -> dict[str, Any]:
    """A commit as DynamoDB writes it to Kinesis."""
    image = History.image(commit)
    change = {"eventName": "INSERT", "dynamodb": {"Keys": {"pk": image["pk"], "sk": image["sk"]}, "NewImage": image}}
    return {"kinesis": {"data": base64.b64encode(json.dumps(change).encode()).decode()}}


def rule(name: str = "r", transitions: Iterable[Transition] = tuple(Transition), **fields: Any) -> NotificationRule:
    return NotificationRule(name=name, transitions=tuple(transitions), **fields)


def later(world: Telling, minutes: float) -> datetime:
    return world.at + timedelta(minutes=minutes)


def recurrence(*ids: str) -> AlertRecurred:
    return AlertRecurred(seen=Seen(ids=ids or ("1-x",), count=1, first=1, last=1, order=2, rank=3))


def reopened(world: Telling, order: int = 9) -> AlertReopened:
    face = Face(source="aws.cloudwatch", detail_type="x", title="a is broken")
    seen = Seen(ids=(f"{order}-z",), count=1, first=int(world.now), last=int(world.now), order=order, rank=3)
    return AlertReopened(seen=seen, face=face, severity=1, config=1)


def refused(status: int, retry_after: int | None = None) -> Delivery:
    return Delivery(sent=False, heals=True, retry_after=retry_after, error=f"Slack answered {status}")
