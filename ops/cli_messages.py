"""`opsledger send` and `opsledger redrive`: messages into the system, and back into it."""

import json
from typing import Annotated

import typer
from rich.markup import escape

from ops import envelopes, queues, stack
from ops.aws import LOCAL_STAGE
from ops.cli_projections import StreamsUnlessNamed, redrive_failures, redrive_streams
from ops.terminal import StageOption, connect, console, errors

app = typer.Typer()
redrive = typer.Typer(
    cls=StreamsUnlessNamed,
    no_args_is_help=True,
    help="Go on with what was set aside: messages, streams that are parked (`redrive STREAM…`, `redrive --all`), and"
    " what the streams' readers gave up on.",
)
app.add_typer(redrive, name="redrive")


@app.command()
def send(
    files: Annotated[
        list[str],
        typer.Argument(metavar="FILE…", help="An envelope, a list of them, or JSON lines; `-` is standard input."),
    ],
    *,
    stage: StageOption = LOCAL_STAGE,
    raw: Annotated[bool, typer.Option("--raw", help="Send each file as one message, whatever it holds.")] = False,
) -> None:
    """Hand EventBridge envelopes to the ingest queue, as EventBridge would.

    Nobody may put events of `aws.*` on an event bus, so this is the door for samples and tests.
    """
    bodies = [body for file in files for body in _bodies(file, raw=raw)]
    config = connect(stage)
    queue = stack.required_output(config, "IngestQueueUrl")
    failures = queues.send(config.client("sqs"), queue, bodies)
    refused = {failure.index for failure in failures}
    for index, body in enumerate(bodies):
        if index not in refused:
            console.print(f"[green]sent[/]   {escape(_title(body))}")
    for failure in failures:
        errors.print(f"[red]failed[/] {escape(_title(bodies[failure.index]))}: {escape(failure.reason)}")
    console.print(f"{len(bodies) - len(failures)} of {len(bodies)} handed to the ingest queue of stage {stage}.")
    if failures:
        raise typer.Exit(1)


@redrive.command("ingest")
def redrive_ingest(*, stage: StageOption = LOCAL_STAGE) -> None:
    """Send what the ingest gave up on again. Events that were recorded after all are recognised and not doubled."""
    config = connect(stage)
    source = stack.required_output(config, "IngestDeadLetterQueueUrl")
    target = stack.required_output(config, "IngestQueueUrl")
    count = 0
    for moved in queues.redrive(config.client("sqs"), source=source, target=target):
        count += 1
        reason = moved.reason or "the reason stands in `opsledger logs ingest`"
        console.print(f"[green]sent again[/] {escape(_title(moved.body))} ({escape(reason)})")
    console.print(f"{count} moved back to the ingest queue of stage {stage}." if count else "Nothing was set aside.")


redrive.command("streams")(redrive_streams)
redrive.command("failures")(redrive_failures)


def _bodies(file: str, *, raw: bool) -> list[str]:
    text, name = envelopes.text_of(file)
    return [text] if raw else envelopes.read(text, name)


def _title(body: str) -> str:
    """What a person recognises a message by."""
    try:
        envelope = json.loads(body)
    except ValueError:
        envelope = None
    if not isinstance(envelope, dict):
        return f"{body[:60]!r}"
    return " · ".join(str(envelope[key]) for key in ("source", "detail-type", "id") if key in envelope) or "an object"
