"""`opsledger up`, `down`, `status` and `demo`: the local stack, and looking at any stage."""

import json
from typing import Annotated

import typer
from rich.markup import escape

from ops import read_side
from ops.aws import LOCAL_STAGE
from ops.errors import OpsError
from ops.local_stack import LocalStack
from ops.stack import Status
from ops.terminal import StageOption, connect, console

app = typer.Typer()

_UNSAVED = (
    "[yellow]The emulator had ended without being stopped: what happened since the last `opsledger down` is lost.[/]"
)


@app.command()
def up(
    *,
    port: Annotated[
        int | None, typer.Option(help="Where the emulator listens, if not on 4566.", min=1, max=65535)
    ] = None,
) -> None:
    """Start the local stack and bring it up to date with the template and the code."""
    stack = LocalStack.dev(port)
    if stack.emulator.ended_unsaved:
        console.print(_UNSAVED, soft_wrap=True)
    started = False
    try:
        started = stack.start()
        stack.deploy(console=console)
    except BaseException:
        # Also on Ctrl-C: what this call started it ends again, what ran before it goes on.
        if started:
            stack.stop()
        raise
    _welcome(stack.status())


@app.command()
def down(*, wipe: Annotated[bool, typer.Option("--wipe", help="Delete all local data too.")] = False) -> None:
    """Stop the local stack. Its data stays for the next `up`."""
    stack = LocalStack.dev()
    stopped = stack.stop()
    if wipe:
        stack.emulator.wipe()
    console.print(
        ("The local stack is stopped" if stopped else "The local stack was not running")
        + (", and its data is deleted." if wipe else "; its data is kept." if stopped else ".")
    )


@app.command()
def status(
    *,
    stage: StageOption = LOCAL_STAGE,
    as_json: Annotated[bool, typer.Option("--json", help="For scripts: one JSON object.")] = False,
) -> None:
    """What runs, where, under which names; how far behind the views are, and which streams are parked."""
    found = _status(stage)
    views = read_side.report(connect(stage)) if found.deployed else read_side.Report()
    if as_json:
        typer.echo(json.dumps({**found.as_json(), **views.as_json()}, indent=2))
    else:
        _print(found)
        for line in views.lines():
            console.print(escape(line), soft_wrap=True)


@app.command()
def demo() -> None:
    """Send real-shaped AWS events to the local stack and show what becomes of them."""
    from ops import demo as shown  # noqa: PLC0415

    found = LocalStack.dev().status()
    if not found.deployed:
        raise OpsError("the local stack is not running", "Start it with `make up`")
    shown.run(found, console=console)


def _status(stage: str) -> Status:
    if stage == LOCAL_STAGE:
        return LocalStack.dev().status()
    from ops import stack  # noqa: PLC0415

    config = connect(stage)
    return stack.describe(config, stack.outputs(config))


def _print(found: Status) -> None:
    """One line a field, never wrapped or cut, so that an address can be copied from it."""
    known = {name.replace("_", " "): value for name, value in found.as_json().items() if value not in {None, ""}}
    width = max(map(len, known))
    for name, value in known.items():
        console.print(f"[bold]{name:<{width}}[/]  {escape(str(value))}", soft_wrap=True)


def _welcome(found: Status) -> None:
    console.print(f"\n[bold green]opsledger is up.[/] Its API: [bold]{found.api_url}[/]\n", soft_wrap=True)
    if found.admin_email:
        console.print("Log in:", soft_wrap=True)
        console.print(f"  {_login(found)}\n", soft_wrap=True, markup=False)
    console.print("Try next:")
    for command, purpose in (
        ("make demo", "AWS events become tasks and messages"),
        (".venv/bin/opsledger send FILE", "hand in an event of your own"),
        ("make logs", "follow the functions; `make down` stops everything and keeps the data"),
    ):
        console.print(f"  [bold]{command}[/]  {purpose}", soft_wrap=True)


def _login(found: Status) -> str:
    """A shell line that logs in; the password goes from its file into the request and nowhere else."""
    body = f'{{"email": "{found.admin_email}", "password": "\'"$(cat {found.admin_password_file})"\'"}}'
    return f"curl -s {found.api_url}/auth/login -H 'content-type: application/json' -d '{body}'"
