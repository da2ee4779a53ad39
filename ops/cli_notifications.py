"""`opsledger notifications`: what people are told, and sending once more what was given up."""

import json
from datetime import UTC, datetime
from typing import Annotated

import typer
from rich.markup import escape
from rich.table import Table
from rich.text import Text

from domain.notification_shape import Status
from ops.aws import LOCAL_STAGE
from ops.cli_preview import preview
from ops.errors import OpsError
from ops.terminal import StageOption, connect, console, errors

app = typer.Typer()
notifications = typer.Typer(no_args_is_help=True, help="What people are told of alerts and tasks.")
app.add_typer(notifications, name="notifications")
notifications.command("preview")(preview)


@notifications.command("list")
def list_notifications(
    *,
    status: Annotated[Status | None, typer.Option(help="Only those that stand there.")] = None,
    limit: Annotated[int, typer.Option(min=1, max=1000, help="How many, at most.")] = 20,
    stage: StageOption = LOCAL_STAGE,
    as_json: Annotated[bool, typer.Option("--json", help="For scripts: a list, as GET /notifications has it.")] = False,
) -> None:
    """Show the newest notifications: what people were told, or not, and why."""
    from ops import outbox_of_stage  # noqa: PLC0415 - the functions' own libraries

    found = outbox_of_stage.listed(connect(stage), status, limit)
    if as_json:
        typer.echo(json.dumps(found, indent=2))  # ASCII: no control character reaches a terminal
        return
    if not found:
        console.print("There are none.")
        return
    table = Table("decided (UTC)", "status", "what", "channel", "title", "why", "id")
    for one in found:
        why = one["error"] or one["reason"]
        decided = datetime.fromtimestamp(one["decided_at"], UTC).strftime("%Y-%m-%d %H:%M:%S")
        texts = (one["status"], one["about"], one["channel"], one["title"], why, one["id"])
        table.add_row(decided, *(Text(_printable(text)) for text in texts))
    console.print(table)


@notifications.command("redrive")
def redrive(
    ids: Annotated[list[str] | None, typer.Argument(metavar="ID…", help="As `list` shows them.")] = None,
    *,
    all_failed: Annotated[bool, typer.Option("--all-failed", help="All that were given up.")] = False,
    all_unconfigured: Annotated[
        bool, typer.Option("--all-unconfigured", help="All whose channel had no webhook.")
    ] = False,
    stage: StageOption = LOCAL_STAGE,
) -> None:
    """Send once more what was given up, or had no webhook. Ends with 1 if that failed for one of them."""
    from ops import outbox_of_stage  # noqa: PLC0415 - as above

    chosen = {Status.FAILED: all_failed, Status.UNCONFIGURED: all_unconfigured}
    statuses = {status for status, is_chosen in chosen.items() if is_chosen}
    if bool(ids) == bool(statuses):
        raise OpsError("no notifications are named, or some beside --all-…", "Name them, or give one", exit_code=2)
    config = connect(stage)
    wanted = ids or outbox_of_stage.standing(config, statuses)
    left = 0
    for done in outbox_of_stage.redrive(config, wanted):
        if done.problem:
            left += 1
            errors.print(f"[red]not sent[/] {escape(done.id)}: {escape(done.problem)}", soft_wrap=True)
        elif done.decided:
            console.print(f"decided: {done.decided} {escape(done.id)}", soft_wrap=True)
        else:
            console.print(f"[green]on its way[/] {escape(done.id)}", soft_wrap=True)
    if not wanted:
        console.print("There are none.")
    if left:
        raise typer.Exit(1)


def _printable(text: str) -> str:
    return "".join(character if character.isprintable() else " " for character in text)
