"""`opsledger notifications preview`: any event file in the terminal, by the code that runs when it is deployed."""

import json
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from domain.told import AlertNews
from infra import slack_messages
from ops.cli import app
from ops.errors import OpsError

FIXTURES = Path(__file__).parents[2] / "fixtures" / "aws"


def run(*arguments: str, stdin: str | None = None) -> str:
    result = CliRunner().invoke(app, ["notifications", "preview", *arguments], input=stdin)
    if result.exception and not isinstance(result.exception, SystemExit):
        raise result.exception
    return " ".join(result.output.replace("│", "").split())


def as_json(name: str, *arguments: str) -> list[dict[str, Any]]:
    shown: list[dict[str, Any]] = json.loads(run("--json", *arguments, str(FIXTURES / f"{name}.json")))
    return shown


def test_an_alarm_is_shown_as_slack_would() -> None:
    shown = run(str(FIXTURES / "alarm.json"))
    assert "Opened: checkout-api 5xx rate: ALARM" in shown
    assert "Watches ApiName=checkout-api, Stage=prod" in shown
    assert "This event opens its alert; if that is open already, counts as a recurrence." in shown
    assert "told in the channel default by the rule alerts (severity high)" in shown


@pytest.mark.parametrize("name", ["sns-alarm", "sns-envelope", "alarm-action"])
def test_it_is_the_same_by_whatever_way_it_comes(name: str) -> None:
    (through, direct) = (as_json(one)[0]["message"]["blocks"][0] for one in (name, "alarm"))
    assert through == direct


@pytest.mark.parametrize(
    ("name", "does", "told"),
    [
        ("alarm-ok", "resolves its alert, if that is open", "told in the channel default by the rule alerts"),
        ("ec2-instance", "opens and resolves nothing: it tells of no problem", "nobody is told"),
        ("stack-resource-failed", "opens its alert", "nobody is told: not meant for people: its stack's own message"),
        ("unused-access", "opens its alert", "nobody is told: no rule matches (severity low)"),
    ],
)
def test_it_says_what_its_alert_would_do_and_who_would_be_told(name: str, does: str, told: str) -> None:
    (shown,) = as_json(name)
    assert shown["does"].startswith(does)
    assert shown["told"].startswith(told)


@pytest.mark.parametrize(
    ("detail", "does"),
    [
        ({"state": {"value": "INSUFFICIENT_DATA"}}, "opens and resolves nothing: its source says only how"),
        (
            {"alarmTags": {"severity": "info"}},
            "opens nothing: its severity, 0, is below the 1 that its service is watched for; resolves its alert",
        ),
    ],
)
def test_what_opens_nothing_says_why(detail: dict[str, Any], does: str) -> None:
    alarm = json.loads((FIXTURES / "alarm.json").read_text())
    state = {**alarm["detail"]["state"], **detail.get("state", {})}
    alarm["detail"] |= {**detail, "state": state}
    (shown,) = json.loads(run("--json", "-", stdin=json.dumps(alarm)))
    assert shown["does"].startswith(does)


def test_a_file_with_several_findings_shows_each() -> None:
    finding = json.loads((FIXTURES / "securityhub-control.json").read_text())
    (one,) = finding["detail"]["findings"]
    finding["detail"]["findings"] = [one, {**one, "Id": f"{one['Id']}-2", "Title": "Another"}]
    shown = json.loads(run("--json", "-", stdin=json.dumps(finding)))
    assert [each["event"]["title"] for each in shown] == [one["Title"], "Another"]


def test_several_messages_in_one_file_are_shown_one_after_the_other() -> None:
    lines = "\n".join(json.dumps(json.loads((FIXTURES / f"{one}.json").read_text())) for one in ("alarm", "alarm-ok"))
    shown = run("-", stdin=lines)
    assert shown.index("Opened: checkout-api 5xx rate: ALARM") < shown.index("Resolved after 14 min: checkout-api")


@pytest.mark.parametrize("transition", AlertNews)
def test_any_transition_can_be_shown(transition: AlertNews) -> None:
    begins = {
        AlertNews.OPENED: "Opened:",
        AlertNews.RECURRED: "Recurred \N{MULTIPLICATION SIGN}12:",
        AlertNews.SEVERITY_RAISED: "Severity raised: medium → high:",
        AlertNews.RESOLVED: "Resolved after 14 min:",
        AlertNews.STILL_OPEN: "Still open:",
    }
    (shown,) = as_json("alarm", "--transition", transition.value)
    assert shown["message"]["blocks"][0]["text"]["text"].split(" ", 1)[1].startswith(begins[transition])


@pytest.mark.parametrize("path", sorted(FIXTURES.iterdir()), ids=lambda path: path.stem)
def test_every_message_that_aws_sends_can_be_shown(path: Path) -> None:
    for shown in json.loads(run("--json", str(path))):
        assert shown["message"]["blocks"]
        assert shown["does"]
        assert shown["told"]


def test_no_control_character_reaches_the_terminal() -> None:
    alarm = json.loads((FIXTURES / "alarm.json").read_text())
    alarm["detail"]["state"]["reason"] = "\x1b[2J\x9b31m"
    alarm["detail"]["alarmName"] = "\x1b]0;title\x07"
    alarm["detail"]["state"]["actionsSuppressedBy"] = "\x1b[2J\x9b31m"
    for arguments in ((), ("--json",)):
        shown = CliRunner().invoke(app, ["notifications", "preview", "-", *arguments], input=json.dumps(alarm)).output
        assert not set(shown) & {chr(n) for n in (*range(9), *range(11, 32), *range(127, 160))}


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ('{"a": 1}', "message 1 would be set aside by the ingest: the message has no detail-type"),
        ("[1]", "item 1 of standard input is no JSON object"),
        ("nonsense", "standard input is not JSON"),
    ],
)
def test_what_is_no_message_is_told(text: str, problem: str) -> None:
    with pytest.raises(OpsError, match=problem) as raised:
        run("-", stdin=text)
    assert raised.value.exit_code == 2
    assert "--raw" not in raised.value.remedy


def test_a_file_that_is_not_there_is_told(tmp_path: Path) -> None:
    with pytest.raises(OpsError, match="cannot be read"):
        run(str(tmp_path / "none.json"))


def test_a_template_that_fails_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(slack_messages, "TEMPLATES", tmp_path)
    slack_messages._environment.cache_clear()
    try:
        with pytest.raises(slack_messages.RenderError, match=r"templates/slack/aws\.cloudwatch\.json\.j2"):
            run(str(FIXTURES / "alarm.json"))
    finally:
        slack_messages._environment.cache_clear()
