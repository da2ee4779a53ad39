"""`opsledger parked`, `opsledger redrive …` and what `opsledger status` says of the read side."""

import json
from collections.abc import Iterator
from typing import Any

import pytest
from typer.testing import CliRunner

from infra.generations import Phase
from infra.marks import Parked
from infra.read_side import ReadSide
from ops import cli, queues, read_side, stack, stream_failures, terminal
from ops.aws import SessionConfig
from ops.read_side import Redriven, Report
from ops.stream_failures import Batch, Done

RUNNER = CliRunner()
SECOND = 10**9
LAG = {"projector": 0.2, "notifier": 0.4, "reactions": 0.3}
BROKEN = Parked(1, "task#2", 3, "UnreadableEventError: no code for [it]", 7 * SECOND, 9 * SECOND)
FIRST = Parked(1, "task#9", 1, "ValueError", 5 * SECOND, 5 * SECOND)
BATCH = Batch("table", "arn:aws:lambda:r:1:function:opsledger-local-projector", "arn", "shardId-1", "1", "2")


class Stage:
    """What the commands find of a stage, and what they asked of it."""

    def __init__(self) -> None:
        self.found = ReadSide(LAG, [BROKEN, FIRST], None)
        self.asked: list[str] = []
        self.still: dict[str, str] = {}
        self.failures: list[Done] = []
        self.ingested = 0

    def look(self, config: SessionConfig) -> ReadSide:  # noqa: ARG002
        return self.found

    def redrive(self, config: SessionConfig, streams: list[str]) -> Iterator[Redriven]:  # noqa: ARG002
        self.asked = list(streams)
        yield from (Redriven(stream, 0 if "gone" in stream else 4, self.still.get(stream)) for stream in streams)

    def ingest(self, *_: Any, **__: Any) -> list[Any]:
        self.ingested += 1
        return []


@pytest.fixture(autouse=True)
def stage(monkeypatch: pytest.MonkeyPatch) -> Stage:
    stage = Stage()
    monkeypatch.setattr(read_side, "look", stage.look)
    monkeypatch.setattr(read_side, "redrive", stage.redrive)
    monkeypatch.setattr(stream_failures, "redrive", lambda *_: stage.failures)
    monkeypatch.setattr(queues, "redrive", stage.ingest)
    monkeypatch.setattr(stack, "required_output", lambda *_: "url")
    monkeypatch.setattr(SessionConfig, "client", lambda *_: None)
    for module in ("cli_projections", "cli_messages"):
        monkeypatch.setattr(f"ops.{module}.connect", SessionConfig)
    monkeypatch.setattr(terminal.console, "width", 200)
    return stage


def run(*arguments: str) -> tuple[int, str]:
    done = RUNNER.invoke(cli.app, list(arguments), catch_exceptions=True)
    return done.exit_code, done.output


# ---- parked


def test_parked_streams_are_told_with_reason_and_since_when() -> None:
    code, told = run("parked", "--json")
    assert code == 0
    assert json.loads(told) == {
        "parked": [
            {"stream": "task#9", "version": 1, "reason": "ValueError", "since": 5, "tried": 5},
            {
                "stream": "task#2",
                "version": 3,
                "reason": "UnreadableEventError: no code for [it]",
                "since": 7,
                "tried": 9,
            },
        ]
    }


def test_people_see_a_table_with_the_reasons_as_they_are() -> None:
    code, told = run("parked")
    assert code == 0
    assert "no code for [it]" in told
    assert "1970-01-01 00:00:07" in told


def test_no_parked_stream_is_told_too(stage: Stage) -> None:
    stage.found = ReadSide(LAG, [], None)
    assert run("parked") == (0, "No stream is parked.\n")
    assert json.loads(run("parked", "--json")[1]) == {"parked": []}


# ---- redrive


@pytest.mark.parametrize("named", [["streams"], []])
def test_streams_are_redriven_by_name(stage: Stage, named: list[str]) -> None:
    code, told = run("redrive", *named, "task#2", "event#gone")
    assert (code, stage.asked) == (0, ["task#2", "event#gone"])
    assert "up to date task#2: shown up to version 4" in told
    assert "not there event#gone" in told


@pytest.mark.parametrize("arguments", [["streams", "--all"], ["--all"], ["--stage", "dev", "--all"]])
def test_all_parked_streams_are_redriven(stage: Stage, arguments: list[str]) -> None:
    code, _ = run("redrive", *arguments)
    assert (code, stage.asked) == (0, ["task#2", "task#9"])


def test_what_stays_parked_is_told_with_the_reason_and_ends_with_one(stage: Stage) -> None:
    stage.still = {"task#2": "ValueError: [still]"}
    code, told = run("redrive", "--all")
    assert code == 1
    assert "still parked task#2: ValueError: [still]" in told
    assert "up to date task#9" in told


def test_with_nothing_parked_there_is_nothing_to_do(stage: Stage) -> None:
    stage.found = ReadSide(LAG, [], None)
    assert run("redrive", "--all") == (0, "No stream is parked.\n")


@pytest.mark.parametrize(
    "arguments", [["streams"], ["streams", "--all", "task#1"], ["--all", "task#1"], ["streams", "task"], ["task#"]]
)
def test_streams_are_named_rightly_or_nothing_is_asked(stage: Stage, arguments: list[str]) -> None:
    code, _ = run("redrive", *arguments)
    assert code != 0
    assert stage.asked == []


def test_the_ingest_is_redriven_as_before(stage: Stage) -> None:
    assert run("redrive", "ingest")[0] == 0
    assert stage.ingested == 1


def test_failures_are_told_with_what_became_of_them(stage: Stage) -> None:
    stage.failures = [Done(BATCH, 2, (Redriven("task#1", 4, None),))]
    code, told = run("redrive", "failures")
    assert code == 0
    assert "done opsledger-local-projector: shardId-1, records 1 to 2 (2 read again)" in told
    assert "up to date task#1" in told


def test_records_that_are_gone_end_with_one_and_with_what_heals_the_views(stage: Stage) -> None:
    stage.failures = [Done(BATCH, problem="gone", gone=True), Done(BATCH, 1)]
    code, told = run("redrive", "failures")
    assert code == 1
    assert "1 of 2 dealt with" in told
    assert "opsledger verify --repair" in told


def test_no_failures_are_told_too() -> None:
    assert run("redrive", "failures") == (0, "Nothing was given up.\n")


# ---- status


def test_the_figures_of_a_status_are_explained() -> None:
    told = "\n".join(Report(ReadSide(LAG, [BROKEN], Phase.BULK)).lines())
    assert "views: degraded" in told
    assert "seconds that the last heartbeat took" in told
    assert "projector: 0.2 s" in told
    assert "task#2" in told
    assert "the phase bulk" in told


def test_a_status_before_the_first_heartbeat_says_so_and_no_figures() -> None:
    found = ReadSide(dict.fromkeys(LAG), [], None)
    told = "\n".join(Report(found).lines())
    assert "views: ok" in told
    assert "no heartbeat has been heard yet" in told
    assert " s\n" not in told


def test_a_consumer_that_alone_hears_nothing_is_named() -> None:
    lines = Report(ReadSide({**LAG, "notifier": None}, [], None)).lines()
    assert "    notifier: has heard no heartbeat yet" in lines
    assert lines[0] == "views: degraded"


def test_a_status_for_scripts_has_every_field_also_when_nothing_is_known() -> None:
    known = Report(ReadSide(LAG, [BROKEN], Phase.BULK)).as_json()
    assert json.loads(json.dumps(known)) == {"views": "degraded", "lag": LAG, "parked": 1, "rebuild": "bulk"}
    assert Report().as_json() == dict.fromkeys(known)
    assert Report().lines() == []
    assert Report(problem="AWS refused the call").lines() == ["views: not known (AWS refused the call)"]
