"""Sending once more what was given up: by an admin, once, and only that."""

from collections.abc import Iterator, Sequence
from typing import Any

import pytest

from commands import api
from infra import delivery_queue, outbox
from infra.outbox import Notification, NotificationId, Status
from tests.in_memory import deployed
from tests.in_memory.dynamodb import InMemoryDynamoDB
from tests.in_memory.faults import Fault, at_request
from tests.unit.commands.write_api import Answered, Tokens, called

ID = NotificationId("01977777-7777-7777-8777-777777777777", 0, "c" * 80)


class Desk:
    """One notification that was given up. `queued` has the ids that the delivery queue got."""

    def __init__(self, db: InMemoryDynamoDB) -> None:
        self.db = db
        self.queued: list[str] = []
        self.keep()

    def keep(self, **attributes: Any) -> None:
        row = outbox.new(ID, Status.FAILED, stream="alert#a", title="Broken", told="{}")
        for name, value in {"attempts": 9, "error": "Slack answered 404", **attributes}.items():
            setattr(row, name, value)
        row.save()

    def redrive(self, notification_id: object = ID, **headers: str) -> Answered:
        return called("POST", f"/notifications/{notification_id}/redrive", **headers)

    @property
    def row(self) -> Notification:
        row = outbox.find(ID)
        assert row is not None
        return row


@pytest.fixture
def desk(monkeypatch: pytest.MonkeyPatch) -> Iterator[Desk]:
    with InMemoryDynamoDB(deployed.tables()).installed() as db:
        desk = Desk(db)

        def enqueue(ids: Sequence[str]) -> None:
            desk.queued += ids

        monkeypatch.setattr(delivery_queue, "enqueue", enqueue)
        monkeypatch.setattr(api.api, "_callers", Tokens)
        yield desk


@pytest.mark.parametrize("status", [Status.FAILED, Status.UNCONFIGURED])
def test_what_was_given_up_is_sent_once_more(desk: Desk, status: Status) -> None:
    desk.keep(status=status)
    answered = desk.redrive()
    assert answered.status == 200
    assert (answered.body["id"], answered.body["status"], answered.body["alert_id"]) == (str(ID), "decided", "a")
    assert (answered.body["attempts"], answered.body["error"]) == (0, None)
    assert desk.queued == [str(ID)]
    assert desk.row.due_at is not None


@pytest.mark.parametrize("status", sorted(set(Status) - {Status.FAILED, Status.UNCONFIGURED}))
def test_anything_else_is_left_alone_with_words(desk: Desk, status: Status) -> None:
    desk.keep(status=status)
    answered = desk.redrive()
    assert answered.status == 409
    assert answered.body["detail"].startswith("Only what was given up is sent again: ")
    assert (desk.queued, desk.row.status, desk.row.attempts) == ([], status, 9)


def test_it_has_no_version_to_be_bound_to_or_to_answer(desk: Desk) -> None:
    answered = desk.redrive(If_Match="no tag")
    assert answered.status == 200
    assert not {"ETag", "Stream-Version"} & answered.headers.keys()


def test_what_could_not_be_read_is_not_sent(desk: Desk) -> None:
    desk.keep(told=None)
    answered = desk.redrive()
    assert answered.status == 409
    assert "`opsledger notifications redrive` reads it again" in answered.body["detail"]
    assert desk.queued == []


def test_once_more_is_once(desk: Desk) -> None:
    assert [desk.redrive().status for _ in range(2)] == [200, 409]
    assert desk.queued == [str(ID)]


def test_a_repeat_with_the_same_key_gets_the_same_answer(desk: Desk) -> None:
    first, second = (desk.redrive(Idempotency_Key="k") for _ in range(2))
    assert first.status == second.status == 200
    assert first.body["id"] == second.body["id"]
    assert desk.redrive(Idempotency_Key="another").status == 409


def test_a_repeat_with_the_same_key_sends_nothing_also_if_it_was_given_up_again(desk: Desk) -> None:
    desk.redrive(Idempotency_Key="k")
    desk.row.update(actions=[Notification.status.set(Status.FAILED), Notification.attempts.set(1)])
    assert desk.redrive(Idempotency_Key="k").status == 200
    assert (desk.row.status, desk.row.attempts, desk.queued) == (Status.FAILED, 1, [str(ID)])
    assert desk.redrive(Idempotency_Key="another").body["status"] == "decided"


def test_what_did_not_reach_the_queue_is_sent_by_the_repeat(desk: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuses(_ids: Sequence[str]) -> None:
        raise RuntimeError

    with monkeypatch.context() as broken:
        broken.setattr(delivery_queue, "enqueue", refuses)
        assert desk.redrive(Idempotency_Key="k").status == 500
    assert desk.redrive(Idempotency_Key="k").status == 200
    assert desk.queued == [str(ID)]


def test_a_lost_answer_is_no_second_message(desk: Desk) -> None:
    desk.db.faults = at_request(1, Fault.LOST_ANSWER)
    assert desk.redrive(Idempotency_Key="k").status == 503
    assert desk.redrive(Idempotency_Key="k").status == 200
    assert desk.queued == [str(ID)]


@pytest.mark.parametrize(
    "notification_id",
    [
        "x",
        "x.0.default",
        f"{ID.commit_id}.0.default",
        f"{ID.commit_id}.-1.default",
        f"{ID.commit_id}.0",
        "ffffffff-ffff-4fff-8fff-ffffffffffff.0.default",
        "9" * 161,
    ],
)
def test_there_is_no_such_notification(desk: Desk, notification_id: str) -> None:
    assert desk.redrive(notification_id).status == 404


def test_it_is_for_admins(desk: Desk) -> None:
    assert desk.redrive(caller="user/ann").status == 403
    assert desk.queued == []
