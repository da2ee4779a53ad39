"""`opsledger verify`, on a ledger in memory."""

import json
import random
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta

import pytest
from typer.testing import CliRunner, Result

from infra import generations
from infra.generations import Generations, Phase
from ops import cli, terminal, views_of_stage
from ops.aws import SessionConfig
from ops.views_of_stage import Connected
from tests.in_memory import deployed
from tests.in_memory.dynamodb import InMemoryDynamoDB, client
from tests.unit.projections.ledger import Ledger
from tests.unit.projections.verifying import change, project, rows

RUNNER = CliRunner()


@pytest.fixture
def ledger(monkeypatch: pytest.MonkeyPatch) -> Iterator[Ledger]:
    """Of the last days, and shown."""
    generations.forget()
    with InMemoryDynamoDB(deployed.tables()).installed() as db:
        ledger = Ledger(db, random.Random(1), pace=100)
        ledger.now = datetime.now(UTC) - timedelta(days=3)
        ledger.work(60)
        project(ledger)
        monkeypatch.setattr("ops.cli_verify.connect", SessionConfig)
        known = Connected(ledger.projector(), client(), "events", ledger.store)
        monkeypatch.setattr(views_of_stage, "projector_of", lambda _config: known)
        monkeypatch.setattr(terminal.console, "width", 200)
        yield ledger
    generations.forget()


@pytest.fixture
def damaged(ledger: Ledger) -> str:
    """The stream of a task whose row was changed."""
    row = next(row for row in rows(ledger.db, "task#", "task") if "Something" in row["data"]["S"])
    change("views", row, data={"S": row["data"]["S"].replace("Something", "Nothing")})
    stream: str = row["pk"]["S"].partition("|")[2]
    return stream


def run(*arguments: str, told: str = "") -> Result:
    return RUNNER.invoke(cli.app, ["verify", *arguments], input=told)


def test_nothing_differs(ledger: Ledger) -> None:
    result = run()
    assert result.exit_code == 0, result.output
    streams = len({item["pk"]["S"] for item in ledger.db.items("events")})
    assert f"Looked at {streams} streams with {len(ledger.db.items('events'))} commits" in result.stdout
    assert "No difference." in result.stdout


def test_what_differs_is_told(damaged: str) -> None:
    result = run()
    assert result.exit_code == 1
    assert "1 difference:" in result.stdout
    assert f"row {damaged} / task: differs in data" in result.stdout


def test_for_scripts(damaged: str) -> None:
    result = run("--json")
    assert result.exit_code == 1
    told = json.loads(result.stdout)
    assert set(told) == {"checked", "differences", "repaired"}
    assert told["checked"]["counters"] > 0
    where = f"{damaged} / task"
    assert told["differences"] == [{"kind": "row", "where": where, "detail": "differs in data", "stream": damaged}]


def test_a_repair_is_confirmed(damaged: str) -> None:
    declined = run("--repair", told="n\n")
    assert declined.exit_code == 1
    assert "Repair 1 difference?" in declined.stderr
    assert run().exit_code == 1

    confirmed = run("--repair", told="y\n")
    assert confirmed.exit_code == 0, confirmed.output
    assert "repaired: 1 difference." in confirmed.stdout
    assert damaged in confirmed.stdout
    assert run().exit_code == 0


def test_a_repair_for_scripts(damaged: str) -> None:
    told = json.loads(run("--repair", "--yes", "--json").stdout)
    assert told["differences"] == []
    assert [one["stream"] for one in told["repaired"]] == [damaged]


def test_what_cannot_be_repaired_is_told(ledger: Ledger) -> None:
    item = ledger.db.items("events")[0]
    change("events", item, by={"S": "somebody else"})
    result = run("--repair", "--yes")
    assert result.exit_code == 1
    assert "Left: 1 difference:" in result.stdout
    assert "The ledger itself cannot be repaired" in result.stdout


def test_one_projection(damaged: str) -> None:
    assert damaged.startswith("task#")
    assert run("event").exit_code == 0
    assert run("event", "task").exit_code == 1


def test_a_sample(ledger: Ledger) -> None:
    told = json.loads(run("--sample", "4", "--json").stdout)
    assert 0 < told["checked"]["streams"] < len({item["pk"]["S"] for item in ledger.db.items("events")})


@pytest.mark.parametrize(
    ("arguments", "problem"),
    [
        (["tasks"], "there is no projection tasks"),
        (["--all", "--sample", "2"], "exclude each other"),
    ],
)
def test_called_wrongly(ledger: Ledger, arguments: list[str], problem: str) -> None:
    del ledger
    result = run(*arguments)
    assert problem in str(result.exception)
    assert getattr(result.exception, "exit_code", None) == 2


def test_while_a_rebuild_is_under_way_nothing_is_repaired(damaged: str) -> None:
    del damaged
    generations.move(lambda _: Generations(other={"task": 2}, phase=Phase.BULK))
    result = run("--repair", "--yes")
    assert "a rebuild is under way" in str(result.exception)
