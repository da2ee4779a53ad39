import io
import json
import sys
from pathlib import Path
from typing import Any

import pytest

from ops import cli, cli_stack, paths, stack
from ops.aws import SessionConfig


@pytest.fixture(autouse=True)
def no_local_stack(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(paths, "DEV", tmp_path / "dev")
    monkeypatch.delenv("OPSLEDGER_DEBUG", raising=False)


def run(monkeypatch: pytest.MonkeyPatch, *arguments: str) -> int:
    monkeypatch.setattr(sys, "argv", ["opsledger", *arguments])
    with pytest.raises(SystemExit) as end:
        cli.main()
    return int(end.value.code or 0)


@pytest.mark.parametrize("command", [["logs"], ["redrive", "ingest"], ["demo"]])
def test_without_a_running_stack_a_command_says_how_to_start_it(
    command: list[str], monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(monkeypatch, *command) == 1
    told = capsys.readouterr().err
    assert "error: the local stack is not running." in told
    assert "make up" in told
    assert "Traceback" not in told


def test_garbage_is_refused_with_exit_code_two(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(sys, "stdin", io.StringIO("garbage"))
    assert run(monkeypatch, "send", "-") == 2
    assert "standard input is not JSON" in capsys.readouterr().err


def test_a_missing_file_is_named(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(monkeypatch, "send", "no-such-file.json") == 2
    assert "no-such-file.json cannot be read" in capsys.readouterr().err


def test_an_unknown_command_is_a_wrong_call(monkeypatch: pytest.MonkeyPatch) -> None:
    assert run(monkeypatch, "nonsense") == 2


def test_status_for_scripts_is_json_also_when_nothing_runs(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(monkeypatch, "status", "--json") == 0
    found = json.loads(capsys.readouterr().out)
    assert (found["stage"], found["running"], found["deployed"]) == ("local", False, False)


def test_an_unexpected_failure_is_one_sentence_unless_debugging(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def broken(_: str) -> Any:
        raise ZeroDivisionError("[bold]odd[/bold]")

    monkeypatch.setattr(cli_stack, "_status", broken)
    assert run(monkeypatch, "status") == 1
    assert "ZeroDivisionError: [bold]odd[/bold]." in capsys.readouterr().err
    monkeypatch.setenv("OPSLEDGER_DEBUG", "1")
    monkeypatch.setattr(sys, "argv", ["opsledger", "status"])
    with pytest.raises(ZeroDivisionError):
        cli.main()


def test_the_way_to_log_in_shows_the_passwords_file_and_never_the_password(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    file = tmp_path / "admin-password"
    file.write_text("secret")
    found = stack.describe(
        SessionConfig.local(4570), {"ApiId": "abc"}, admin_email="admin@example.com", admin_password_file=file
    )
    cli_stack._welcome(found)
    told = capsys.readouterr().out
    assert f"$(cat {file})" in told
    assert "http://127.0.0.1:4570/_aws/execute-api/abc/local/auth/login" in told
    assert "secret" not in told.replace(str(tmp_path), "")


def test_a_parameter_must_have_a_name_and_a_value(monkeypatch: pytest.MonkeyPatch) -> None:
    assert run(monkeypatch, "deploy", "nonsense") == 2
    assert run(monkeypatch, "package", "--architecture", "vax") == 2
