"""`opsledger report`: a stored report, readably, and words for a day without one."""

import json
import sys
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from commands.execution import Order, execute
from domain.report_days import last_ended, window
from domain.report_shape import shown
from domain.reports import REPORTS, Figures, make, report_id
from infra import event_store, history
from infra.memory_event_store import MemoryEventStore
from ops import cli, cli_report, stack
from tests.unit.slack.test_report import BUSY, NOTHING

NOW = datetime.now(UTC)
DUE = last_ended(NOW)


@pytest.fixture
def store(monkeypatch: pytest.MonkeyPatch) -> MemoryEventStore:
    made = MemoryEventStore()
    monkeypatch.setattr(event_store, "DynamoDBEventStore", lambda *_: made)
    monkeypatch.setattr(cli_report, "connect", lambda _: _NoStage())
    monkeypatch.setattr(stack, "required_output", lambda *_: "events")
    monkeypatch.setenv("COLUMNS", "120")
    return made


class _NoStage:
    def client(self, _service: str) -> None: ...


def made(store: MemoryEventStore, figures: Figures, days_ago: int = 0) -> str:
    day = DUE - timedelta(days=days_ago)
    order = Order(by="system:scheduler", at=NOW, correlation_id="test", causation_id="test")
    execute(store, REPORTS, report_id(day), lambda report: make(report, window(day), figures), order)
    return str(day)


def run(monkeypatch: pytest.MonkeyPatch, *arguments: str) -> int:
    monkeypatch.setattr(sys, "argv", ["opsledger", "report", *arguments])
    with pytest.raises(SystemExit) as end:
        cli.main()
    return int(end.value.code or 0)


def lines(captured: str) -> list[str]:
    return [" ".join(line.split()) for line in captured.splitlines() if line.strip()]


def test_the_last_report_that_is_due_is_shown(
    store: MemoryEventStore, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    day = made(store, BUSY)

    assert run(monkeypatch) == 0

    told = lines(capsys.readouterr().out)
    assert told[0] == f"Daily report of {day}: {DUE - timedelta(days=1)} 09:00 UTC to {day} 09:00 UTC"
    for line in (
        "opened 3 1 ▲ 2",
        "acknowledged 1 1",
        "resolved 2 4 ▼ 2",
        "still open 5 -",
        "mean time to resolve 14 min 16 min ▼ 2 min",
        "overdue 2 3 ▼ 1",
        "3 high 9 4 ▲ 5",
        "aws.cloudwatch 10 6 ▲ 4",
        "12 checkout-api 5xx rate: ALARM 3 high open 111122223333",
        "Of the 2,000 gravest alerts; there were more.",
    ):
        assert line in told


def test_any_past_day_is_shown_and_for_scripts_as_the_api_answers_it(
    store: MemoryEventStore, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    made(store, BUSY)
    day = made(store, NOTHING, days_ago=3)

    assert run(monkeypatch, "--day", day, "--json") == 0
    found: dict[str, Any] = json.loads(capsys.readouterr().out)
    state = history.load(store, REPORTS, f"report#daily-{day}").state
    assert state
    assert found == shown(state)

    assert run(monkeypatch, "--day", day) == 0
    assert "No event arrived and no alert opened in these 24 hours." in lines(capsys.readouterr().out)


@pytest.mark.parametrize(
    ("days_ago", "remedy"),
    [
        (0, "It is made within minutes, when the views have caught up"),
        (-1, "It is made soon after 09:00 UTC of that day"),
        (400, "It was not made on that day, and cannot be made up for"),
    ],
)
@pytest.mark.usefixtures("store")
def test_a_day_without_a_report_is_told_in_words(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], days_ago: int, remedy: str
) -> None:
    day = DUE - timedelta(days=days_ago)
    assert run(monkeypatch, "--day", str(day)) == 1
    told = capsys.readouterr().err
    assert f"error: there is no report of {day}." in told
    assert remedy in told


@pytest.mark.parametrize("text", ["today", "2026-3-1", "20260301", "2026-02-30", "2026-W10-7", "[bold]"])
def test_what_is_no_day_is_refused(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], text: str
) -> None:
    assert run(monkeypatch, "--day", text) == 2
    assert f"{text} is no day" in capsys.readouterr().err
