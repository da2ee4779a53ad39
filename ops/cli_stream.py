"""`opsledger stream`: what happened to one thing, straight from the ledger, and whether anybody tampered with it."""

import json
from collections.abc import Mapping
from typing import TYPE_CHECKING, Annotated, Any

import typer
from rich.markup import escape
from rich.table import Table
from rich.text import Text

from ops import stack
from ops.aws import LOCAL_STAGE
from ops.errors import OpsError
from ops.terminal import StageOption, connect, console

if TYPE_CHECKING:
    from domain.commit import Commit

app = typer.Typer()


@app.command("stream")
def show(
    name: Annotated[str, typer.Argument(metavar="STREAM", help="Such as task#0192…, event#… or user#…")],
    *,
    stage: StageOption = LOCAL_STAGE,
    as_json: Annotated[
        bool, typer.Option("--json", help="For scripts: a JSON object per commit, then one verdict.")
    ] = False,
) -> None:
    """Show the commits of a stream and check its hash chain. Ends with 1 if the chain is broken."""
    from domain.commit import check_chain  # noqa: PLC0415 - pydantic and botocore take half a second
    from domain.monitoring_events import parse_event_id  # noqa: PLC0415
    from infra.event_store import DynamoDBEventStore  # noqa: PLC0415

    kind, _, key = name.partition("#")
    if kind == "event" and (event := parse_event_id(key)):
        name = f"event#{event[1]}"  # the API's id has the time in front, which is no part of the stream's name
    config = connect(stage)
    store = DynamoDBEventStore(config.client("dynamodb"), stack.required_output(config, "EventsTable"))
    commits = list(store.load(name))
    if not commits:
        raise OpsError(f"there is no stream {name}", "Streams are named kind#id, such as task#0192…")
    fault = check_chain(commits)
    if as_json:
        for commit in commits:
            typer.echo(json.dumps(_as_json(commit), ensure_ascii=False))
        typer.echo(json.dumps({"intact": fault is None, "fault": fault._asdict() if fault else None}))
    else:
        console.print(_table(commits))
        verdict = f"[red]broken at version {fault.version}[/]: {escape(fault.fault)}" if fault else "[green]intact[/]"
        console.print(f"The hash chain ({len(commits)} commit{'s' * (len(commits) > 1)}) is {verdict}.")
    if fault:
        raise typer.Exit(1)


def _table(commits: list["Commit"]) -> Table:
    table = Table("version", "at (UTC)", "actor", "event", "fields", "hash")
    for commit in commits:
        for place, event in enumerate(commit.stored_events()):
            fields = json.dumps(_without_hash(event.d), ensure_ascii=False)
            shown = fields if len(fields) <= 300 else f"{fields[:300]}… ({len(fields):,} characters)"
            first = place == 0
            table.add_row(
                str(commit.version + place),
                _time(commit) if first else "",
                commit.by if first else "",
                f"{event.t} v{event.v}",
                Text(shown),
                commit.hash.hex()[:8] if first else "",
            )
    return table


def _as_json(commit: "Commit") -> dict[str, Any]:
    return {
        "version": commit.version,
        "id": commit.id,
        "at": _time(commit),
        "by": commit.by,
        "correlation_id": commit.correlation_id,
        "causation_id": commit.causation_id,
        "command": commit.command.key if commit.command else None,
        "events": [{**event._asdict(), "d": _without_hash(event.d)} for event in commit.stored_events()],
        "snapshot_bytes": len(commit.snapshot) if commit.snapshot else 0,
        "hash": commit.hash.hex(),
    }


def _time(commit: "Commit") -> str:
    return commit.at.isoformat(timespec="milliseconds").replace("+00:00", "Z")


def _without_hash(fields: Mapping[str, Any]) -> dict[str, Any]:
    """A password's hash is for nobody's screen."""
    return {name: "(not shown)" if name == "password_hash" else value for name, value in fields.items()}
