"""The daily report on the deployed stack: made once, read by any user, told once."""

import json
from datetime import UTC, datetime, timedelta

import pytest

from domain.report_days import last_ended, window
from ops import cli_report
from ops.functions import invoke
from tests.e2e.system import Api, Person, Slack, System, wait_for

DAY = last_ended(datetime.now(UTC))


@pytest.fixture(scope="module")
def made(system: System) -> str:
    """The day of the last report that is due, once it is made, by its function called again and again."""
    name = system.status.stack_name
    invoke(system.stack.config, f"{name}-schedules", {})  # a heartbeat

    def there() -> int:
        invoke(system.stack.config, f"{name}-reports", {})
        return len(commits(system))

    wait_for(there)
    for _ in range(3):
        invoke(system.stack.config, f"{name}-reports", {})
    return str(DAY)


def commits(system: System) -> list[object]:
    found: list[object] = system.client("dynamodb").query(
        TableName=system.status.events_table,
        KeyConditionExpression="pk = :pk",
        ExpressionAttributeValues={":pk": {"S": f"report#daily-{DAY}"}},
    )["Items"]
    return found


def test_it_is_one_commit_however_often_it_is_called_for(system: System, made: str) -> None:
    assert made
    assert len(commits(system)) == 1


def test_any_user_reads_it(made: str, person: Person) -> None:
    report = person.api.get(f"/reports/daily/{made}")
    assert (report["day"], report["ends_at"]) == (made, int(window(DAY).ends_at.timestamp()))
    assert report["made_at"] >= report["ends_at"]
    assert list(report["events"]["by_severity"]) == ["0", "1", "2", "3", "4", "5"]
    assert {"opened", "resolved", "still_open", "noisiest"} <= report["alerts"].keys()


def test_the_command_line_shows_the_same(
    system: System, made: str, person: Person, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(cli_report, "connect", lambda _stage: system.stack.config)
    cli_report.report(day=None, as_json=True)
    assert json.loads(capsys.readouterr().out) == person.api.get(f"/reports/daily/{made}")
    cli_report.report(day=made)
    assert f"Daily report of {made}" in capsys.readouterr().out


def test_it_is_told_once(system: System, made: str, admin: Api, slack: Slack) -> None:
    title = f"Daily report of {made}"
    (told,) = wait_for(lambda: admin.notifications(title), lambda found: [one["status"] for one in found] == ["sent"])
    assert told["about"] == "daily_report"
    system.settle()
    assert len(slack.received(title)) == 1


def test_a_day_without_a_report_is_not_found(made: str, person: Person) -> None:
    assert made
    answer = person.api.call("GET", f"/reports/daily/{DAY + timedelta(days=1)}")
    assert answer.status == 404
    assert "soon after 09:00 UTC" in answer.body["detail"]


def test_its_function_says_what_it_did(system: System, made: str) -> None:
    lines = [json.loads(line) for line in system.logged("reports") if line.startswith("{")]
    outcomes = {line.get("outcome") for line in lines} - {None}
    assert f"made {made}" in outcomes
    assert outcomes <= {f"made {made}", f"{made} is made", f"{made} waits for the projector"}
