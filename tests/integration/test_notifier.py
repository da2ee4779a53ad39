"""The notifier on AWS's own interfaces: what is to be told is decided once and reaches the delivery queue.

What becomes of it, and what happens when something fails on the way, is in `tests/unit/projections`, with `telling.py`.
"""

import base64
import json
from collections.abc import Callable, Iterable, Mapping
from typing import TYPE_CHECKING, Any

import pytest
from botocore.exceptions import ClientError

from domain.alerts import AlertAcknowledged, AlertResolved, Ending
from infra import outbox
from infra.outbox import Notification, NotificationId, Status
from projections import messages, notifier
from tests.unit.queries.alerts_told import open_alert

if TYPE_CHECKING:
    from domain.commit import Commit
    from tests.integration.conftest import Calls, DeliveryQueue, History

Items = Callable[[], list[dict[str, Any]]]


def record(image: Mapping[str, Any], name: str = "INSERT") -> dict[str, Any]:
    """A change as DynamoDB writes it to Kinesis; only what AWS and the emulator both write."""
    keys = {part: value for part, value in image.items() if part in {"pk", "sk"}}
    change = {"eventName": name, "dynamodb": {"Keys": keys, "NewImage": dict(image)}}
    return {"kinesis": {"data": base64.b64encode(json.dumps(change).encode()).decode()}}


@pytest.fixture
def notify(
    history: "History",
    delivery_queue: "DeliveryQueue",  # noqa: ARG001
    monkeypatch: pytest.MonkeyPatch,
) -> Callable[..., None]:
    """Hands commits to the notifier."""
    monkeypatch.setattr(notifier, "_store", lambda: history.store)

    def deliver(commits: Iterable["Commit"]) -> None:
        notifier.handler({"Records": [record(history.image(commit)) for commit in commits]}, None)

    return deliver


Notify = Callable[[Iterable["Commit"]], None]


def queued(queue: "DeliveryQueue") -> list[str]:
    return [json.loads(message["body"])["notification"] for message in queue.received()]


def row_of(commit: "Commit", place: int = 0) -> Notification:
    row = outbox.find(NotificationId(commit.id, place, "default"))
    assert row is not None
    return row


def test_an_alert_that_opens_is_decided_and_queued(
    notify: Notify, history: "History", delivery_queue: "DeliveryQueue"
) -> None:
    commit = open_alert(history, "a", severity=4, title="Broken")

    notify([commit])

    row = row_of(commit)
    assert (row.status, row.rule, row.channel, row.about) == (Status.DECIDED, "alerts", "default", "opened")
    assert (row.stream, row.title, row.severity, row.attempts) == ("alert#a", "Broken", 4, 0)
    assert row.error is None
    assert row.message is None
    assert row.ttl == int(commit.at.timestamp()) + 90 * 86_400
    told = messages.told_of(row)
    assert told.alert_id == "a"
    assert queued(delivery_queue) == [row.id] == [f"{commit.id}.0.default"]


def test_each_event_of_a_commit_is_decided_on(
    notify: Notify, history: "History", delivery_queue: "DeliveryQueue"
) -> None:
    commit = open_alert(history, "a", AlertAcknowledged(), AlertResolved(ending=Ending.SOURCE))

    notify([commit])

    assert queued(delivery_queue) == [row_of(commit, 0).id, row_of(commit, 2).id]


@pytest.mark.parametrize(
    "encoded",
    [
        "no json",
        '[{"t": "alert.opened", "v": 1, "d": {}}]',
        '[{"t": "alert.opened", "v": 9, "d": {}}]',
        '[{"t": "alert.resolved", "v": 1, "d": {"ending": "source"}}]',
        '[{"t": "task.assigned", "v": 1, "d": {}}]',
    ],
)
def test_an_event_that_cannot_be_read_shows_as_failed_and_holds_up_no_other(
    notify: Notify, history: "History", delivery_queue: "DeliveryQueue", encoded: str
) -> None:
    unreadable = history.append_encoded("alert#x", encoded)
    good = open_alert(history, "good")

    notify([unreadable, good])

    row = row_of(unreadable)
    assert (row.status, row.reason) == (Status.FAILED, "it cannot be read")
    assert outbox.shown(row)["rule"] is None
    assert "Error: " in (row.error or "")
    assert outbox.shown(row)["title"] == "What happened to alert#x cannot be read"
    assert queued(delivery_queue) == [row_of(good).id]


def test_nobody_is_told_of_users_and_of_monitoring_events_by_themselves(
    notify: Notify, history: "History", outbox_items: Items, delivery_queue: "DeliveryQueue"
) -> None:
    notify([history.event(), history.user("ann", "Ann Example"), history.append_encoded("odd", "[]")])

    assert outbox_items() == []
    assert queued(delivery_queue) == []


@pytest.mark.parametrize("status", Status)
def test_a_repeat_is_queued_again_only_while_the_decision_waits(
    notify: Notify, history: "History", delivery_queue: "DeliveryQueue", status: Status
) -> None:
    commit = open_alert(history, "a")
    notify([commit])
    assert len(queued(delivery_queue)) == 1
    row_of(commit).update(actions=[Notification.status.set(status)])

    notify([commit])

    assert queued(delivery_queue) == ([row_of(commit).id] if status is Status.DECIDED else [])
    assert row_of(commit).status == status


@pytest.mark.parametrize("operation", ["Query", "PutItem", "SendMessage"])
def test_a_fault_of_the_infrastructure_brings_the_batch_back(
    notify: Notify, history: "History", delivery_queue: "DeliveryQueue", calls: "Calls", operation: str
) -> None:
    commit = open_alert(history, "a")
    refused: Any = {"Error": {"Code": "ThrottlingException", "Message": "slow down"}}
    calls.refuse[operation] = ClientError(refused, operation)

    with pytest.raises(Exception, match="slow down"):
        notify([commit])

    calls.refuse.clear()
    notify([commit])
    assert queued(delivery_queue) == [row_of(commit).id]


@pytest.mark.usefixtures("notify")
def test_what_is_no_new_commit_is_skipped(
    history: "History", delivery_queue: "DeliveryQueue", outbox_items: Items
) -> None:
    image = history.image(open_alert(history, "a"))
    odd = [
        record({"pk": {"S": "alert#1"}, "sk": {"N": "1"}, "note": {"S": "put by hand"}}),
        record({**image, "id": {"S": "by hand"}}),
        record({**image, "id": {"S": "ffffffff-ffff-4fff-8fff-ffffffffffff"}}),  # a version 4: no time can be read off
        record({**image, "at": {"S": "yesterday"}}),
        record(image, "REMOVE"),
        record(image, "MODIFY"),
    ]
    good = open_alert(history, "good")

    notifier.handler({"Records": [*odd, record(history.image(good))]}, None)

    assert [item["id"]["S"] for item in outbox_items()] == queued(delivery_queue) == [row_of(good).id]
