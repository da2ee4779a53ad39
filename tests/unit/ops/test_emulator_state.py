import json
from pathlib import Path

import pytest

from ops import emulator_state
from ops.errors import OpsError


def lambda_state(positions: dict[str, int]) -> dict[str, object]:
    return {
        "__ministack_format__": 2,
        "payload": {
            "esms": {"kept": 1},
            "dynamodb_stream_positions": {"__account_region_scoped__": True, "data": positions},
        },
    }


def test_a_readable_state_is_accepted(tmp_path: Path) -> None:
    (tmp_path / "sqs.json").write_text("{}")
    emulator_state.check(tmp_path)


def test_no_state_is_accepted(tmp_path: Path) -> None:
    emulator_state.check(tmp_path / "missing")


def test_a_broken_file_is_named_and_the_way_out_told(tmp_path: Path) -> None:
    (tmp_path / "dynamodb.json").write_text('{"cut')
    with pytest.raises(OpsError, match=r"dynamodb\.json") as refusal:
        emulator_state.check(tmp_path)
    assert "--wipe" in refusal.value.remedy


def test_stream_positions_are_forgotten_and_nothing_else(tmp_path: Path) -> None:
    file = tmp_path / "lambda.json"
    file.write_text(json.dumps(lambda_state({"mapping": 1000})))
    assert emulator_state.forget_stream_positions(tmp_path)
    assert json.loads(file.read_text()) == lambda_state({})


@pytest.mark.parametrize("content", [None, "{}", "[]", '{"payload": null}', json.dumps(lambda_state({}))])
def test_without_positions_there_is_nothing_to_forget(tmp_path: Path, content: str | None) -> None:
    if content is not None:
        (tmp_path / "lambda.json").write_text(content)
    assert not emulator_state.forget_stream_positions(tmp_path)
