"""`opsledger notifications preview`: what a message from AWS would look like on Slack."""

import json
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Annotated

import typer
from rich.panel import Panel
from rich.text import Text

from domain.told import AlertNews
from ops import envelopes
from ops.errors import OpsError
from ops.terminal import console

if TYPE_CHECKING:
    from ops.message_previews import MessagePreview


def preview(
    file: Annotated[
        str, typer.Argument(metavar="FILE", help="An envelope, a list of them, or JSON lines; `-` is standard input.")
    ],
    *,
    transition: Annotated[
        AlertNews | None, typer.Option(help="What the message is to tell; by default what the event would do.")
    ] = None,
    as_json: Annotated[
        bool, typer.Option("--json", help="For scripts: a list, each with what Slack would get.")
    ] = False,
) -> None:
    """Show what an event would look like on Slack, what its alert would do, and whether people would be told.

    Needs no stack: it is read, judged and decided here, with the default monitoring config.
    """
    from domain.sources.envelope import MalformedEnvelopeError  # noqa: PLC0415 - all mappers, and Jinja2
    from ops.message_previews import previews  # noqa: PLC0415

    now = datetime.now(UTC)
    shown: list[MessagePreview] = []
    for number, body in enumerate(_bodies(file), start=1):
        try:
            shown += previews(body, transition, now)
        except MalformedEnvelopeError as error:
            raise OpsError(
                f"message {number} would be set aside by the ingest: {error}", "Correct the file", exit_code=2
            ) from error
    if as_json:
        typer.echo(
            json.dumps([_as_json(one) for one in shown], indent=2)
        )  # ASCII: no control character reaches a terminal
        return
    for one in shown:
        _show(one)


def _bodies(file: str) -> list[str]:
    text, name = envelopes.text_of(file)
    try:
        return envelopes.read(text, name)
    except OpsError as error:
        raise OpsError(error.problem, "Correct the file", exit_code=error.exit_code) from error


def _as_json(one: "MessagePreview") -> dict[str, object]:
    event = one.event.model_dump(mode="json", exclude_none=True)
    return {"event": event, "does": one.does, "told": one.told, "message": one.message}


def _show(one: "MessagePreview") -> None:
    from infra import slack_preview, slack_text  # noqa: PLC0415

    bar = slack_preview.colour(one.message)
    console.print(Panel(Text(slack_preview.preview(one.message)), border_style=bar))
    said = slack_text.plain(f"This event {one.does}.\nBy the default rules: {one.told}.\n")
    console.print(Text(said, style="dim"))
