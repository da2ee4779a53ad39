"""`opsledger logs`: what the functions wrote, from CloudWatch Logs or the emulator's."""

import time
from collections.abc import Iterator
from datetime import UTC, datetime
from typing import Annotated, Any

import typer
from rich.markup import escape

from ops.aws import LOCAL_STAGE, SessionConfig
from ops.errors import OpsError
from ops.terminal import StageOption, connect, console

app = typer.Typer()

_LATE_SECONDS = 30
"""CloudWatch Logs shows a line some seconds after its time, so following looks back this far each time."""


@app.command()
def logs(
    function: Annotated[str, typer.Argument(help="`ingest`, `projector` …; all functions when left out.")] = "",
    *,
    stage: StageOption = LOCAL_STAGE,
    follow: Annotated[bool, typer.Option("--follow", "-f", help="Go on until Ctrl-C.")] = False,
    minutes: Annotated[int, typer.Option(help="How far to look back.", min=1)] = 10,
) -> None:
    """Show the functions' logs."""
    config = connect(stage)
    client = config.client("logs")
    groups = _groups(client, config, function)
    if not groups and not follow:
        raise OpsError(f"stage {stage} has no logs{f' of {function}' if function else ''}", _known(client, config))
    start = time.time() - minutes * 60
    seen: set[str] = set()
    try:
        while True:
            newest = _show(client, config, groups, start, seen)
            if not follow:
                return
            start = max(start, newest - _LATE_SECONDS)
            time.sleep(0.5 if config.is_local else 2)
            groups = _groups(client, config, function)
    except KeyboardInterrupt:
        return


def _groups(client: Any, config: SessionConfig, function: str) -> list[str]:
    prefix = f"/aws/lambda/{config.stack_name}-{function}"
    pages = client.get_paginator("describe_log_groups").paginate(logGroupNamePrefix=prefix)
    names = [group["logGroupName"] for page in pages for group in page["logGroups"]]
    return [name for name in names if not function or name == prefix]


def _known(client: Any, config: SessionConfig) -> str:
    names = sorted(_short(name, config) for name in _groups(client, config, ""))
    return f"There are: {', '.join(names)}" if names else "Is it deployed? `opsledger status` tells"


def _show(client: Any, config: SessionConfig, groups: list[str], start: float, seen: set[str]) -> float:
    """Print the lines not seen before, in the order of their times; returns the newest (seconds since the epoch)."""
    lines = sorted(
        (line for group in groups for line in _lines(client, group, start) if line[0] not in seen),
        key=lambda line: line[1],
    )
    width = max((len(_short(group, config)) for group in groups), default=0)
    for identity, milliseconds, group, message in lines:
        seen.add(identity)
        at = datetime.fromtimestamp(milliseconds / 1000, UTC).strftime("%H:%M:%S.%f")[:-3]
        name = f"{_short(group, config):<{width}}"
        console.print(f"[dim]{at}[/] [cyan]{name}[/] {escape(message.rstrip())}", soft_wrap=True)
    return max((line[1] / 1000 for line in lines), default=start)


def _lines(client: Any, group: str, start: float) -> Iterator[tuple[str, int, str, str]]:
    try:
        pages = client.get_paginator("filter_log_events").paginate(logGroupName=group, startTime=int(start * 1000))
        for page in pages:
            for event in page["events"]:
                # The emulator gives lines no id.
                identity = event.get("eventId") or f"{group} {event['timestamp']} {event['message']}"
                yield identity, event["timestamp"], group, event["message"]
    except client.exceptions.ResourceNotFoundException:
        return  # deleted between the two calls


def _short(group: str, config: SessionConfig) -> str:
    return group.removeprefix(f"/aws/lambda/{config.stack_name}-")
