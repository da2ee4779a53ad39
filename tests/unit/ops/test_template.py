import subprocess
from pathlib import Path

import pytest

from ops import paths, template
from ops.errors import OpsError


def test_every_table_of_the_real_template_expires_or_not_as_it_says() -> None:
    tables = {found.logical_id: found for found in template.table_features(template.load(paths.TEMPLATE))}
    assert tables["EventsTable"].stream_logical_id == "EventsStream"
    assert tables["EventsTable"].ttl_attribute == "ttl"
    assert tables["ViewsTable"].stream_logical_id is None


def test_the_short_forms_of_functions_are_understood(tmp_path: Path) -> None:
    file = tmp_path / "template.yaml"
    file.write_text("a: !Ref B\nc: !GetAtt D.E.F\ng: !If [H, !Ref I, no]\nj: !Select {k: l}\n")
    assert template.load(file) == {
        "a": {"Ref": "B"},
        "c": {"Fn::GetAtt": ["D", "E.F"]},
        "g": {"Fn::If": ["H", {"Ref": "I"}, False]},
        "j": {"Fn::Select": {"k": "l"}},
    }


def test_a_table_with_expiry_turned_off_has_none() -> None:
    properties = {"TimeToLiveSpecification": {"AttributeName": "ttl", "Enabled": False}}
    document = {"Resources": {"T": {"Type": "AWS::DynamoDB::Table", "Properties": properties}, "Q": {"Type": "X"}}}
    assert template.table_features(document) == [template.TableFeatures("T", None, None)]


def test_a_template_with_an_error_is_refused_before_it_goes_anywhere(tmp_path: Path) -> None:
    file = tmp_path / "template.yaml"
    file.write_text("Resources:\n  Queue:\n    Type: AWS::SQS::Queue\n    Properties: {Nonsense: 1}\n")
    with pytest.raises(OpsError, match="Nonsense"):
        template.lint(file, seen=tmp_path / "seen")
    assert not list(tmp_path.glob("seen/*"))


def test_a_template_that_passed_once_is_not_linted_again_until_it_changes(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    file = tmp_path / "template.yaml"
    file.write_text("Resources:\n  Queue:\n    Type: AWS::SQS::Queue\n")
    runs: list[object] = []

    def passes(command: list[str], **_: object) -> subprocess.CompletedProcess[str]:
        runs.append(command)
        return subprocess.CompletedProcess(command, 0)

    monkeypatch.setattr(subprocess, "run", passes)
    template.lint(file, seen=tmp_path / "seen")
    template.lint(file, seen=tmp_path / "seen")
    file.write_text("Resources:\n  Other:\n    Type: AWS::SQS::Queue\n")
    template.lint(file, seen=tmp_path / "seen")
    assert len(runs) == 2
