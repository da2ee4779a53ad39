"""`opsledger report`: the daily report of any day, as it was made."""

import json
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Annotated

import typer
from rich.table import Table
from rich.text import Text

from ops import stack
from ops.aws import LOCAL_STAGE
from ops.errors import OpsError
from ops.terminal import StageOption, connect, console

if TYPE_CHECKING:
    from datetime import date

    from domain.report_shape import ComparedShown, ReportShown

app = typer.Typer()

_SEVERITIES = ("info", "low", "medium", "high", "critical", "emergency")


@app.command()
def report(
    *,
    day: Annotated[
        str | None, typer.Option("--day", metavar="YYYY-MM-DD", help="The last one that is due by default.")
    ] = None,
    as_json: Annotated[
        bool, typer.Option("--json", help="For scripts: one JSON object, as the API answers it.")
    ] = False,
    stage: StageOption = LOCAL_STAGE,
) -> None:
    """Show a daily report: the 24 hours until 09:00 UTC of a day beside the 24 hours before."""
    from domain.report_days import last_ended  # noqa: PLC0415 - pydantic and botocore take half a second
    from domain.report_shape import shown  # noqa: PLC0415
    from domain.reports import REPORTS, report_id  # noqa: PLC0415
    from infra import history  # noqa: PLC0415
    from infra.event_store import DynamoDBEventStore  # noqa: PLC0415

    due = last_ended(datetime.now(UTC))
    wanted = _day(day) if day else due
    config = connect(stage)
    store = DynamoDBEventStore(config.client("dynamodb"), stack.required_output(config, "EventsTable"))
    found = history.load(store, REPORTS, REPORTS.stream(report_id(wanted))).state
    if found is None:
        raise OpsError(f"there is no report of {wanted}", _remedy(wanted, due))
    if as_json:
        typer.echo(json.dumps(shown(found), indent=2, ensure_ascii=False))
    else:
        _tell(shown(found))


def _day(text: str) -> "date":
    from domain.errors import InvalidError  # noqa: PLC0415
    from domain.reports import day_of  # noqa: PLC0415

    try:
        return day_of(text)
    except InvalidError:
        raise OpsError(f"{text} is no day", "Give a date such as 2026-01-31", exit_code=2) from None


def _remedy(wanted: "date", due: "date") -> str:
    if wanted > due:
        return f"It is made soon after 09:00 UTC of that day; the last one that is due is that of {due}"
    if wanted == due:
        return (
            "It is made within minutes, when the views have caught up; `opsledger status` tells how far behind they are"
        )
    return "It was not made on that day, and cannot be made up for"


def _tell(report: "ReportShown") -> None:
    events, alerts, tasks = report["events"], report["alerts"], report["tasks"]
    console.print(
        f"[bold]Daily report of {report['day']}[/]: {_time(report['starts_at'])} to {_time(report['ends_at'])}"
    )
    table = Table("", "24 hours", "before", "change", box=None, padding=(0, 2, 0, 0))
    for column in table.columns[1:]:
        column.justify = "right"
    _rows(table, "Alerts", {
        "opened": alerts["opened"],
        "acknowledged": alerts["acknowledged"],
        "resolved": alerts["resolved"],
        "still open": alerts["still_open"],
    })  # fmt: skip
    _row(table, "mean time to acknowledge", alerts["seconds_to_acknowledge"], is_time=True)
    _row(table, "mean time to resolve", alerts["seconds_to_resolve"], is_time=True)
    _rows(table, "Tasks", {"opened": tasks["opened"], "closed": tasks["closed"], "overdue": tasks["overdue"]})
    _rows(table, "Events", {"all": events["total"]})
    _rows(table, "Events by severity", {
        f"{name} {_SEVERITIES[int(name)]}": number
        for name, number in sorted(events["by_severity"].items(), reverse=True)
        if number["value"] or number["before"]
    })  # fmt: skip
    by_source = {one["source"]: one["total"] for one in events["by_source"]}
    _rows(table, "Events by source", by_source)
    if events["other_sources"]:
        _row(table, "other sources", events["other_sources"])
    console.print(table)
    if not events["total"]["value"] and not alerts["opened"]["value"]:
        console.print("No event arrived and no alert opened in these 24 hours.")
    _tell_noisiest(report)
    console.print(f"Made at {_time(report['made_at'])}.")


def _tell_noisiest(report: "ReportShown") -> None:
    alerts = report["alerts"]
    if not alerts["noisiest"]:
        return
    table = Table("times", "alert", "severity", "state", "account", box=None, padding=(0, 2, 0, 0))
    for one in alerts["noisiest"]:
        severity = f"{one['severity']} {_SEVERITIES[one['severity']]}"
        table.add_row(f"{one['occurrences']:,}", Text(one["title"]), severity, one["state"], Text(one["account"] or ""))
    console.print("\n[bold]Noisiest alerts[/]")
    console.print(table)
    if alerts["looked_at"]:
        console.print(f"Of the {alerts['looked_at']:,} gravest alerts; there were more.")


def _rows(table: Table, title: str, numbers: "dict[str, ComparedShown]") -> None:
    if numbers:
        table.add_row(Text(title, style="bold"))
    for name, number in numbers.items():
        _row(table, name, number)


def _row(table: Table, name: str, number: "ComparedShown", *, is_time: bool = False) -> None:
    value, before = number["value"], number["before"]
    change = "" if value is None or before is None or value == before else _signed(value - before, is_time=is_time)
    table.add_row(Text(f"  {name}"), _shown(value, is_time=is_time), _shown(before, is_time=is_time), change)


def _signed(by: int, *, is_time: bool) -> str:
    return f"{'▲' if by > 0 else '▼'} {_shown(abs(by), is_time=is_time)}"


def _shown(number: int | None, *, is_time: bool) -> str:
    if number is None:
        return "-"
    from infra.slack_words import lasted  # noqa: PLC0415

    return lasted(number) if is_time else f"{number:,}"


def _time(seconds: int) -> str:
    return f"{datetime.fromtimestamp(seconds, UTC):%Y-%m-%d %H:%M} UTC"
