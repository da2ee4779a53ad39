"""The notifier: each monitoring event is decided on once, and what is to be told reaches the delivery queue."""

import base64
import json
from collections.abc import Callable, Iterable, Mapping
from typing import TYPE_CHECKING, Any

import pytest
from botocore.exceptions import ClientError

from domain.monitoring_events import event_id
from domain.sources.mapping import State
from infra import outbox
from infra.outbox import Notification, NotificationId, Status
from projections import facts, notifier

if TYPE_CHECKING:
    from domain.commit import Commit
    from tests.integration.conftest import Calls, DeliveryQueue, History

Items = Callable[[], list[dict[str, Any]]]

WEBHOOK = "https://hooks.slack.com/services/T0/B0/secret"


def record(image: Mapping[str, Any], name: str = "INSERT") -> dict[str, Any]:
    """A change as DynamoDB writes it to Kinesis; only what AWS and the emulator both write."""
    keys = {part: value for part, value in image.items() if part in {"pk", "sk"}}
    change = {"eventName": name, "dynamodb": {"Keys": keys, "NewImage": dict(image)}}
    return {"kinesis": {"data": base64.b64encode(json.dumps(change).encode()).decode()}}


@pytest.fixture
def notify(
    history: "History",
    delivery_queue: "DeliveryQueue",  # noqa: ARG001
    slack_secret: Callable[[str], None],
) -> Callable[..., None]:
    """Hands commits to the notifier; a webhook is configured."""
    slack_secret(json.dumps({"default": WEBHOOK}))

    def deliver(commits: Iterable["Commit"]) -> None:
        notifier.handler({"Records": [record(history.image(commit)) for commit in commits]}, None)

    return deliver


Notify = Callable[[Iterable["Commit"]], None]


def queued(queue: "DeliveryQueue") -> list[str]:
    return [json.loads(message["body"])["notification"] for message in queue.received()]


def row_of(commit: "Commit") -> Notification:
    notification_id = NotificationId(commit.id, 0, "default")
    return Notification.get(notification_id.pk, notification_id.sk, consistent_read=True)


def test_a_problem_is_decided_and_queued(notify: Notify, history: "History", delivery_queue: "DeliveryQueue") -> None:
    commit = history.event(severity=4, title="Broken")

    notify([commit])

    row = row_of(commit)
    assert (row.status, row.rule, row.channel) == (Status.DECIDED, "severity 4 is 2 or more", "default")
    assert (row.stream, row.attempts) == (commit.stream, 0)
    assert row.error is None
    assert row.message is None
    assert row.ttl == int(commit.at.timestamp()) + 90 * 86_400
    told = facts.Facts.model_validate_json(row.facts)
    published_at = int(commit.at.timestamp())
    assert told.event_id == event_id(published_at, commit.stream.partition("#")[2])
    assert told.event.title == "Broken"
    assert queued(delivery_queue) == [row.id] == [f"{commit.id}.0.default"]


@pytest.mark.parametrize(
    ("told", "rule"),
    [
        ({"severity": 1}, "severity 1 is below 2"),
        ({"severity": 5, "state": State.RESOLVED}, "says that a problem is over"),
        ({"severity": 5, "quiet": "a sample finding"}, "quiet: a sample finding"),
    ],
)
def test_what_is_no_news_is_suppressed_with_its_rule(
    notify: Notify, history: "History", delivery_queue: "DeliveryQueue", told: dict[str, Any], rule: str
) -> None:
    commit = history.event(**told)

    notify([commit])

    assert (row_of(commit).status, row_of(commit).rule) == (Status.SUPPRESSED, rule)
    assert queued(delivery_queue) == []


@pytest.mark.parametrize(("least", "status"), [("5", Status.SUPPRESSED), ("4", Status.DECIDED), ("0", Status.DECIDED)])
def test_the_least_severity_is_a_setting(
    notify: Notify, history: "History", monkeypatch: pytest.MonkeyPatch, least: str, status: Status
) -> None:
    monkeypatch.setenv("NOTIFY_SEVERITY", least)
    commit = history.event(severity=4)

    notify([commit])

    assert row_of(commit).status == status


def test_without_a_webhook_the_decision_says_so_and_the_message_can_be_read(
    notify: Notify, history: "History", delivery_queue: "DeliveryQueue", slack_secret: Callable[[str], None]
) -> None:
    slack_secret('{"another": "https://hooks.slack.com/services/1"}')
    commit = history.event(severity=4, title="Broken")

    notify([commit])

    row = row_of(commit)
    assert row.status == Status.UNCONFIGURED
    assert row.rule == "severity 4 is 2 or more, but no webhook is configured for the channel default"
    assert "Broken" in json.dumps(json.loads(row.message or "")["blocks"])
    assert outbox.shown(row)["message"] == json.loads(row.message or "")
    assert queued(delivery_queue) == []


@pytest.mark.parametrize(
    "encoded",
    [
        "no json",
        '[{"t": "monitoring-event.recorded", "v": 1, "d": {}}]',
        '[{"t": "monitoring-event.recorded", "v": 9, "d": {}}]',
        '[{"t": "monitoring-event.renamed", "v": 1, "d": {}}]',
        '[{"t": "task.assigned", "v": 1, "d": {}}]',
    ],
)
def test_an_event_that_cannot_be_read_shows_as_failed_and_holds_up_no_other(
    notify: Notify, history: "History", delivery_queue: "DeliveryQueue", encoded: str
) -> None:
    unreadable = history.append_encoded("event#x", encoded)
    good = history.event()

    notify([unreadable, good])

    row = row_of(unreadable)
    assert (row.status, row.rule) == (Status.FAILED, "cannot be read")
    assert "Error: " in (row.error or "")
    assert outbox.shown(row)["title"] == "An event of event#x cannot be read"
    assert queued(delivery_queue) == [row_of(good).id]


def test_only_monitoring_events_are_decided_on(
    notify: Notify, history: "History", outbox_items: Items, delivery_queue: "DeliveryQueue"
) -> None:
    notify([history.task("1"), history.user("ann", "Ann Example"), history.append_encoded("odd", "[]")])

    assert outbox_items() == []
    assert queued(delivery_queue) == []


def test_the_same_record_again_makes_no_other_row(notify: Notify, history: "History", outbox_items: Items) -> None:
    commit = history.event()

    notify([commit, commit])
    once = outbox_items()
    notify([commit])

    assert len(once) == 1
    assert outbox_items() == once


@pytest.mark.parametrize(
    ("status", "again"),
    [
        (Status.DECIDED, True),
        (Status.SENDING, False),
        (Status.SENT, False),
        (Status.FAILED, False),
        (Status.SUPPRESSED, False),
        (Status.UNCONFIGURED, False),
    ],
)
def test_a_repeat_is_queued_again_only_while_the_decision_waits(
    notify: Notify,
    history: "History",
    delivery_queue: "DeliveryQueue",
    status: Status,
    again: bool,  # noqa: FBT001
) -> None:
    commit = history.event()
    notify([commit])
    assert len(queued(delivery_queue)) == 1
    row_of(commit).update(actions=[Notification.status.set(status)])

    notify([commit])

    assert queued(delivery_queue) == ([row_of(commit).id] if again else [])
    assert row_of(commit).status == status


def test_a_decision_is_taken_once_whatever_is_set_later(
    notify: Notify, history: "History", delivery_queue: "DeliveryQueue", monkeypatch: pytest.MonkeyPatch
) -> None:
    commit = history.event(severity=1)
    notify([commit])
    monkeypatch.setenv("NOTIFY_SEVERITY", "0")

    notify([commit])

    assert row_of(commit).status == Status.SUPPRESSED
    assert queued(delivery_queue) == []


def test_a_crash_between_row_and_queue_heals_with_the_next_delivery(
    notify: Notify, history: "History", delivery_queue: "DeliveryQueue", calls: "Calls"
) -> None:
    commit = history.event()
    calls.refuse["SendMessage"] = refusal("SendMessage")
    with pytest.raises(ClientError):
        notify([commit])
    assert row_of(commit).status == Status.DECIDED
    calls.refuse.clear()

    notify([commit])

    assert queued(delivery_queue) == [row_of(commit).id]


@pytest.mark.parametrize("operation", ["GetSecretValue", "PutItem"])
def test_a_fault_of_the_infrastructure_raises_and_decides_nothing(
    notify: Notify, history: "History", outbox_items: Items, calls: "Calls", operation: str
) -> None:
    commit = history.event()
    calls.refuse[operation] = refusal(operation)

    with pytest.raises(Exception, match="slow down"):
        notify([commit])

    assert outbox_items() == []
    calls.refuse.clear()
    notify([commit])
    assert row_of(commit).status == Status.DECIDED


def refusal(operation: str) -> ClientError:
    return ClientError({"Error": {"Code": "ThrottlingException", "Message": "slow down"}}, operation)


def test_a_secret_that_is_no_object_of_texts_is_no_webhook_and_is_not_told(
    notify: Notify,
    history: "History",
    outbox_items: Items,
    slack_secret: Callable[[str], None],
    caplog: pytest.LogCaptureFixture,
) -> None:
    slack_secret("https://hooks.slack.com/services/T0/B0/secret")

    notify([history.event()])

    (row,) = outbox_items()
    assert row["status"]["S"] == "unconfigured"
    assert row["message"]["S"]
    assert "hooks.slack.com" not in str(row) + caplog.text
    assert "no webhook can be read" in caplog.text


@pytest.mark.usefixtures("notify")
def test_what_is_no_new_commit_is_skipped(
    history: "History", delivery_queue: "DeliveryQueue", outbox_items: Items
) -> None:
    image = history.image(history.event())
    odd = [
        record({"pk": {"S": "event#1"}, "sk": {"N": "1"}, "note": {"S": "put by hand"}}),
        record({**image, "id": {"S": "by hand"}}),
        record({**image, "id": {"S": "ffffffff-ffff-4fff-8fff-ffffffffffff"}}),  # a version 4: no time can be read off
        record({**image, "at": {"S": "yesterday"}}),
        record(image, "REMOVE"),
        record(image, "MODIFY"),
    ]
    good = history.event()

    notifier.handler({"Records": [*odd, record(history.image(good))]}, None)

    assert [item["id"]["S"] for item in outbox_items()] == queued(delivery_queue) == [row_of(good).id]


def test_calls_of_a_batch(notify: Notify, history: "History", calls: "Calls") -> None:
    commits = [history.event(), history.event(severity=0), history.task("1"), history.event()]
    calls.clear()

    notify(commits)

    assert calls.operations == ["GetSecretValue", "PutItem", "SendMessage", "PutItem", "PutItem", "SendMessage"]
