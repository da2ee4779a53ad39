"""`opsledger notifications list` and `redrive`, on an outbox in memory."""

import json
import os
from collections.abc import Iterator, Sequence
from datetime import UTC, datetime
from typing import Any
from unittest.mock import patch

import pytest
from typer.testing import CliRunner

from infra import delivery_queue, outbox
from infra.outbox import NotificationId, Status
from ops import cli, cli_notifications, functions, terminal, views_of_stage
from ops.aws import SessionConfig
from ops.errors import OpsError
from tests.in_memory import deployed
from tests.in_memory.dynamodb import InMemoryDynamoDB

RUNNER = CliRunner()


@pytest.fixture(autouse=True)
def queued(monkeypatch: pytest.MonkeyPatch) -> Iterator[list[str]]:
    """What the delivery queue got."""
    ids: list[str] = []

    def enqueue(more: Sequence[str]) -> None:
        ids.extend(more)

    monkeypatch.setattr(views_of_stage, "enter", lambda _config: None)
    monkeypatch.setattr(cli_notifications, "connect", SessionConfig)
    monkeypatch.setattr(delivery_queue, "enqueue", enqueue)
    monkeypatch.setattr(terminal.console, "width", 250)
    with patch.dict(os.environ), InMemoryDynamoDB(deployed.tables()).installed():
        yield ids


def keep(number: int, status: Status, **attributes: Any) -> str:
    """A row of the outbox; the higher its number, the newer."""
    milliseconds = f"{int(datetime.now(UTC).timestamp() * 1000) + number:012x}"
    notification_id = NotificationId(f"{milliseconds[:8]}-{milliseconds[8:]}-7000-8000-{number:012}", 0, "default")
    told = {"stream": "alert#a", "title": f"Title {number}", "reason": "a reason", "told": "{}"}
    outbox.keep([outbox.new(notification_id, status, **{**told, **attributes})])
    return str(notification_id)


def run(*arguments: str) -> tuple[int, str]:
    done = RUNNER.invoke(cli.app, ["notifications", *arguments])
    return done.exit_code, done.output


def test_the_newest_are_listed_with_what_became_of_them() -> None:
    keep(1, Status.SENT)
    keep(2, Status.FAILED, title="\x1b[31mred [bold]", error="Slack answered 404")
    code, told = run("list")
    assert code == 0
    assert told.index("red [bold]") < told.index("Title 1")
    assert "Slack answered 404" in told
    assert "a reason" in told
    assert "\x1b" not in told


def test_they_are_found_by_status_for_scripts_too() -> None:
    ids = [keep(number, status) for number, status in enumerate([Status.FAILED, Status.SENT, Status.FAILED])]
    assert [one["id"] for one in json.loads(run("list", "--status", "failed", "--json")[1])] == [ids[2], ids[0]]
    assert [one["id"] for one in json.loads(run("list", "--limit", "1", "--json")[1])] == [ids[2]]
    assert "There are none." in run("list", "--status", "held")[1]


def test_what_was_given_up_is_sent_once_more(queued: list[str]) -> None:
    failed, unconfigured = keep(1, Status.FAILED), keep(2, Status.UNCONFIGURED)
    code, told = run("redrive", failed, unconfigured)
    assert code == 0
    assert queued == [failed, unconfigured]
    assert told.count("on its way") == 2
    row = outbox.find(NotificationId.parse(failed))
    assert row is not None
    assert row.status == Status.DECIDED


def test_all_that_failed_are_and_nothing_else(queued: list[str]) -> None:
    statuses = [Status.FAILED, Status.SENT, Status.UNCONFIGURED, Status.FAILED]
    ids = [keep(number, status) for number, status in enumerate(statuses)]
    assert run("redrive", "--all-failed")[0] == 0
    assert queued == [ids[0], ids[3]]
    code, told = run("redrive", "--all-failed")
    assert (code, len(queued)) == (0, 2)
    assert "There are none." in told


@pytest.mark.parametrize(("options", "numbers"), [([], [2]), (["--all-failed"], [0, 2, 3])])
def test_all_that_had_no_webhook_are(queued: list[str], options: list[str], numbers: list[int]) -> None:
    statuses = [Status.FAILED, Status.SENT, Status.UNCONFIGURED, Status.FAILED]
    ids = [keep(number, status) for number, status in enumerate(statuses)]
    assert run("redrive", "--all-unconfigured", *options)[0] == 0
    assert queued == [ids[number] for number in numbers]


def test_what_cannot_be_sent_is_told_and_holds_up_no_other(queued: list[str], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(functions, "invoke", lambda *_: "ValueError: no json")
    sent, unreadable, good = keep(1, Status.SENT), keep(2, Status.FAILED, told=None), keep(3, Status.FAILED)
    code, told = run("redrive", sent, unreadable, "nonsense", good)
    assert code == 1
    assert queued == [good]
    assert "it was not given up: it is sent" in told
    assert "what happened still cannot be read (ValueError: no json)" in told
    assert "nonsense: there is no such notification" in told


def test_what_could_not_be_read_is_decided_by_the_notifier_as_it_is_deployed(monkeypatch: pytest.MonkeyPatch) -> None:
    unreadable, asked = keep(1, Status.FAILED, told=None), []

    def invoke(_config: SessionConfig, *more: object) -> None:
        asked.append(more)
        decide(unreadable, default=Status.DECIDED)

    monkeypatch.setattr(functions, "invoke", invoke)
    code, told = run("redrive", "--all-failed")
    assert (code, "on its way" in told) == (0, True)
    named = {"stream": "alert#a", "commit": NotificationId.parse(unreadable).commit_id}
    assert asked == [("opsledger-local-notifier", {"redrive": named})]


def decide(undecided: str, **channels: Status) -> None:
    """As the notifier does: each decision, one of which may take the place of the row that says that there is none."""
    for channel, status in channels.items():
        notification_id = NotificationId.parse(undecided)._replace(channel=channel)
        assert outbox.keep([outbox.new(notification_id, status, stream="alert#a", told="{}")])


@pytest.mark.parametrize(
    ("decisions", "words"),
    [
        ({"default": Status.SUPPRESSED}, "decided: suppressed"),
        ({"default": Status.SUPPRESSED, "pager": Status.HELD}, "decided: held"),
        ({"default": Status.SUPPRESSED, "pager": Status.DECIDED}, "on its way"),
        ({"default": Status.HELD, "pager": Status.SENT}, "on its way"),
    ],
)
def test_what_was_decided_is_told(monkeypatch: pytest.MonkeyPatch, decisions: dict[str, Status], words: str) -> None:
    unreadable = keep(1, Status.FAILED, told=None)
    monkeypatch.setattr(functions, "invoke", lambda *_: decide(unreadable, **decisions))
    code, told = run("redrive", unreadable)
    assert (code, told.split()) == (0, [*words.split(), unreadable])


def test_a_notifier_that_fails_holds_up_no_other(queued: list[str], monkeypatch: pytest.MonkeyPatch) -> None:
    def invoke(*_: object) -> None:
        raise OpsError("the function notifier failed")

    monkeypatch.setattr(functions, "invoke", invoke)
    unreadable, good = keep(1, Status.FAILED, told=None), keep(2, Status.FAILED)
    code, told = run("redrive", unreadable, good)
    assert (code, queued) == (1, [good])
    assert "the function notifier failed" in told


@pytest.mark.parametrize("arguments", [[], ["--all-failed", "x"], ["--all-unconfigured", "x"]])
def test_either_some_or_all(arguments: list[str], queued: list[str]) -> None:
    done = RUNNER.invoke(cli.app, ["notifications", "redrive", *arguments])
    assert done.exit_code != 0
    assert "no notifications are named" in str(done.exception)
    assert queued == []
