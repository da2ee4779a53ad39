"""`opsledger rebuild` on a ledger in memory: what it says, asks and refuses, and that it goes on where it was."""

import time
from collections.abc import Iterator
from typing import Any

import pytest
from botocore.exceptions import EndpointConnectionError
from typer.testing import CliRunner, Result

from infra import generations, stored
from infra.commits import from_item
from infra.generations import Generations, OvertakenError
from infra.patience import BusyError
from infra.replay import Segment
from infra.views import Row
from ops import cli, cli_rebuild, rebuild_process, views_of_stage
from ops.aws import SessionConfig
from ops.errors import OpsError
from ops.views_of_stage import Connected
from projections import comparison, rebuild
from projections.bulk import SegmentBuild
from projections.lease import OlderReleaseError
from projections.progress import Progress
from tests.in_memory import deployed
from tests.in_memory.dynamodb import InMemoryDynamoDB, client
from tests.unit.projections.ledger import Ledger
from tests.unit.projections.rebuilding import Inline, ledger_of_the_last_days, shown

RUNNER = CliRunner()


@pytest.fixture
def ledger(monkeypatch: pytest.MonkeyPatch) -> Iterator[Ledger]:
    """One whose views are up to date, and that the command works on."""
    generations.forget()
    with InMemoryDynamoDB(deployed.tables()).installed() as db:
        ledger = ledger_of_the_last_days(db)
        ledger.work(40)
        ledger.projector().project(map(from_item, db.items("events")))
        known = Connected(projector=ledger.projector(), client=client(), events_table="events", store=ledger.store)

        def build(_owner: str, state: Generations, segment: Segment) -> Progress:
            projections = [known.projector.projections[name] for name in state.other]
            return SegmentBuild(projections, state.other, segment, lambda: None).run(client(), "events")

        monkeypatch.setattr(cli_rebuild, "connect", SessionConfig)
        monkeypatch.setattr(cli_rebuild, "_sizes", lambda _config: (40, 60))
        monkeypatch.setattr(views_of_stage, "projector_of", lambda _config: known)
        monkeypatch.setattr(rebuild_process, "pool", lambda _processes: Inline(1))
        monkeypatch.setattr(rebuild_process, "build", build)
        monkeypatch.setattr(rebuild, "SETTLE_SECONDS", 0)
        monkeypatch.setattr(comparison, "PAUSES", (0.0, 0.0))
        yield ledger
    generations.forget()


def run(*arguments: str, answers: str = "") -> Result:
    return RUNNER.invoke(cli.app, ["rebuild", *arguments], input=answers)


def a_row_is_damaged(ledger: Ledger) -> None:
    task_id = ledger.tasks[0]
    row = Row.get(f"task#{task_id}", "task")
    row.gsi1sk = "damaged"
    row.save()


def test_it_says_what_it_will_do_asks_and_tells_how_it_ended(ledger: Ledger) -> None:
    before = shown(ledger.db)

    result = run(answers="y\n")

    assert result.exit_code == 0, result.output
    assert "from about 40 commits" in result.output
    assert "about 60 rows" in result.output
    assert "No differences." in result.output
    assert "Swapped" in result.output
    assert set(generations.read()[0].live.values()) == {2}
    assert shown(ledger.db) == before


def test_who_says_no_changes_nothing(ledger: Ledger) -> None:  # noqa: ARG001
    assert run(answers="n\n").exit_code == 1
    assert generations.read() == (Generations(), 0)


def test_differences_are_told_and_go_live_only_if_wanted(ledger: Ledger) -> None:
    a_row_is_damaged(ledger)

    declined = run(answers="y\nn\n")

    assert declined.exit_code == 1
    assert "1 differ in content" in declined.output
    assert f"task#{ledger.tasks[0]} / task" in declined.output
    assert "Thrown away" in declined.output
    assert generations.read()[0].live == {}

    accepted = run("task", "--yes")

    assert accepted.exit_code == 0
    assert "1 differ in content" in accepted.output
    assert generations.read()[0].live == {"task": 2}


def test_a_dry_run_ends_with_one_if_there_are_differences(ledger: Ledger) -> None:
    assert run("--dry-run", "--yes").exit_code == 0
    a_row_is_damaged(ledger)

    result = run("--dry-run", "--yes")

    assert result.exit_code == 1
    assert "1 differ in content" in result.output
    assert generations.read()[0].live == {}


def test_a_projection_that_is_unknown_is_refused_by_name(ledger: Ledger) -> None:  # noqa: ARG001
    result = run("tasks")
    assert isinstance(result.exception, OpsError)
    assert result.exception.exit_code == 2
    assert "no projection tasks" in str(result.exception)
    assert "task" in result.exception.remedy
    assert generations.read() == (Generations(), 0)


def test_one_that_another_process_carries_out_is_refused(ledger: Ledger) -> None:  # noqa: ARG001
    later = time.time() + 20
    generations.move(lambda _: Generations(other={"task": 2}, phase="bulk", owner="another", owned_until=later))
    result = run("--yes")
    assert isinstance(result.exception, OpsError)
    assert "another process carries out a rebuild" in str(result.exception)
    assert generations.read()[0].owner == "another"


@pytest.mark.parametrize("arguments", [["event"], ["--dry-run"], ["task", "--dry-run"]])
def test_what_was_interrupted_is_finished_before_something_else_begins(
    ledger: Ledger,  # noqa: ARG001
    arguments: list[str],
) -> None:
    generations.move(lambda _: Generations(other={"task": 2}, phase="bulk", owner="another"))
    result = run("--yes", *arguments)
    assert isinstance(result.exception, OpsError)
    assert "a rebuild of task was interrupted" in str(result.exception)
    assert generations.read()[0].owner == "another"


def test_after_ctrl_c_the_same_command_goes_on(ledger: Ledger, monkeypatch: pytest.MonkeyPatch) -> None:
    before = shown(ledger.db)

    def pressed(*_: Any) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as patched:
        patched.setattr(rebuild, "compare", pressed)
        interrupted = run("--yes", "--segments", "3")
    assert interrupted.exit_code == 130
    assert "run the same command again" in " ".join(interrupted.output.split())
    assert generations.read()[0].phase == "both"
    assert shown(ledger.db) == before

    result = run("--yes")

    assert result.exit_code == 0, result.output
    assert "Going on with the rebuild of" in result.output
    assert "Swapped" in result.output
    assert shown(ledger.db) == before


@pytest.mark.parametrize("fault", [EndpointConnectionError(endpoint_url="https://nowhere"), BusyError("too busy")])
def test_after_a_fault_of_aws_the_same_command_goes_on_at_once(
    ledger: Ledger, monkeypatch: pytest.MonkeyPatch, fault: Exception
) -> None:
    before = shown(ledger.db)

    def away(*_: Any) -> None:
        raise fault

    with monkeypatch.context() as patched:
        patched.setattr(rebuild, "compare", away)
        ended = run("--yes")
    assert isinstance(ended.exception, OpsError)
    assert "busy or away" in str(ended.exception)
    assert "same command" in ended.exception.remedy

    again = run("--yes")

    assert again.exit_code == 0, again.output
    assert "interrupted in its phase both" in again.output
    assert shown(ledger.db) == before


@pytest.mark.parametrize(
    ("fault", "told", "remedy"),
    [
        (OlderReleaseError("An older release began this rebuild."), "an older release began this rebuild", "--abort"),
        (OvertakenError("the generations were moved by somebody else"), "moved by somebody else", "same command"),
    ],
)
def test_what_ends_it_is_told_with_what_to_do(
    ledger: Ledger,  # noqa: ARG001
    monkeypatch: pytest.MonkeyPatch,
    fault: Exception,
    told: str,
    remedy: str,
) -> None:
    def ended(*_: Any) -> None:
        raise fault

    monkeypatch.setattr(rebuild, "compare", ended)
    result = run("--yes")
    assert isinstance(result.exception, OpsError)
    assert told in str(result.exception)
    assert remedy in result.exception.remedy
    assert generations.read()[0].owned_until <= time.time()


def test_when_only_the_end_is_left_it_does_not_say_that_nothing_was_built(
    ledger: Ledger,  # noqa: ARG001
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def away(*_: Any) -> None:
        raise EndpointConnectionError(endpoint_url="https://nowhere")

    with monkeypatch.context() as patched:
        patched.setattr(stored, "remove", away)
        run("--yes")
    result = run("--yes")
    assert result.exit_code == 0, result.output
    assert "Swapped" in result.output
    assert "rows built" not in result.output


def test_what_was_interrupted_can_be_thrown_away(ledger: Ledger, monkeypatch: pytest.MonkeyPatch) -> None:
    before = shown(ledger.db)

    def pressed(*_: Any) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as patched:
        patched.setattr(rebuild, "compare", pressed)
        assert run("--yes").exit_code == 130

    result = run("--abort")

    assert result.exit_code == 0
    assert "Thrown away" in result.output
    assert shown(ledger.db) == before
    assert generations.read()[0] == Generations()
    nothing = run("--abort")
    assert isinstance(nothing.exception, OpsError)
    assert "no rebuild to abort" in str(nothing.exception)
    mixed = run("--abort", "task")
    assert isinstance(mixed.exception, OpsError)
    assert mixed.exception.exit_code == 2
