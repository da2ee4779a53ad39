"""`opsledger parked`, and `opsledger redrive` of streams and of what the streams' readers gave up on."""

import json
from datetime import UTC, datetime
from typing import Annotated, Any

import typer
from rich.markup import escape
from rich.table import Table
from rich.text import Text
from typer.core import TyperGroup

from ops import read_side, stack
from ops.aws import LOCAL_STAGE
from ops.errors import OpsError
from ops.terminal import StageOption, connect, console, errors

app = typer.Typer()


class StreamsUnlessNamed(TyperGroup):
    """Lets `opsledger redrive task#0192…` and `opsledger redrive --all` stand for `opsledger redrive streams …`."""

    def parse_args(self, ctx: Any, args: list[str]) -> list[str]:
        """See click's `Group.parse_args`."""
        if args and args[0] not in self.commands and any(arg == "--all" or "#" in arg for arg in args):
            args = ["streams", *args]
        return super().parse_args(ctx, args)


@app.command()
def parked(
    *,
    stage: StageOption = LOCAL_STAGE,
    as_json: Annotated[bool, typer.Option("--json", help="For scripts: one JSON object.")] = False,
) -> None:
    """Show the streams whose next event the views cannot take, and why. Everything else goes on."""
    found = sorted(read_side.look(connect(stage)).parked, key=lambda one: (one.since, one.stream))
    if as_json:
        shown = [
            {
                "stream": one.stream,
                "version": one.version,
                "reason": one.error,
                "since": one.since // 10**9,
                "tried": one.tried // 10**9,
            }
            for one in found
        ]
        typer.echo(json.dumps({"parked": shown}, indent=2, ensure_ascii=False))
        return
    if not found:
        console.print("No stream is parked.")
        return
    table = Table("stream", "shown up to version", "reason", "parked since (UTC)", "last tried (UTC)")
    for one in found:
        table.add_row(Text(one.stream), str(one.version), Text(one.error), _time(one.since), _time(one.tried))
    console.print(table)
    console.print("After the fix: `opsledger redrive STREAM…`, or `--all`.", markup=False)


def redrive_streams(
    streams: Annotated[
        list[str] | None, typer.Argument(metavar="STREAM…", help="Such as task#0192…; any, also one not parked.")
    ] = None,
    *,
    everything: Annotated[bool, typer.Option("--all", help="All streams that are parked.")] = False,
    stage: StageOption = LOCAL_STAGE,
) -> None:
    """Go on with streams from the ledger, in order, with the code that is deployed. Ends with 1 if some stay parked."""
    if bool(streams) == everything:
        raise OpsError("no streams are named, or some beside --all", "Name streams, or give --all", exit_code=2)
    for stream in streams or ():
        if not all(stream.partition("#")):
            raise OpsError(f"{stream} is no stream", "Streams are named kind#id, such as task#0192…", exit_code=2)
    config = connect(stage)
    wanted = streams or [one.stream for one in read_side.look(config).parked]
    left = 0
    for done in read_side.redrive(config, wanted):
        console.print(_told(done), soft_wrap=True)
        left += done.parked is not None
    if not wanted:
        console.print("No stream is parked.")
    if left:
        raise typer.Exit(1)


def redrive_failures(*, stage: StageOption = LOCAL_STAGE) -> None:
    """Read again what the streams' readers gave up on, and go on with it. Ends with 1 if something is left."""
    from ops import stream_failures  # noqa: PLC0415

    config = connect(stage)
    count = left = gone = 0
    for done in stream_failures.redrive(config, stack.required_output(config, "StreamFailureQueueUrl")):
        count += 1
        left += bool(done.problem)
        gone += done.gone
        name = escape(str(done.batch or "a message"))
        if done.problem:
            errors.print(f"[red]kept[/] {name}: {escape(done.problem)}", soft_wrap=True)
            continue
        console.print(f"[green]done[/] {name} ({done.records} read again)", soft_wrap=True)
        for stream in done.redriven:
            console.print(f"  {_told(stream)}", soft_wrap=True)
    console.print(f"{count - left} of {count} dealt with." if count else "Nothing was given up.")
    if gone:
        errors.print(
            "Streams keep their records for a day. The ledger has every commit: `opsledger verify --repair` heals the"
            " views. What the notifier or the reactions missed is not made up for.",
            soft_wrap=True,
        )
    if left:
        raise typer.Exit(1)


def _told(done: read_side.Redriven) -> str:
    stream = escape(done.stream)
    if done.parked is not None:
        return f"[red]still parked[/] {stream}: {escape(done.parked)}"
    if done.version == 0:
        return f"[yellow]not there[/] {stream}: the ledger has no such stream (any more)"
    return f"[green]up to date[/] {stream}: shown up to version {done.version}"


def _time(nanoseconds: int) -> str:
    return datetime.fromtimestamp(nanoseconds // 10**9, UTC).strftime("%Y-%m-%d %H:%M:%S")
