"""`opsledger admin`: people who may log in before anybody can."""

import sys
from typing import Annotated

import typer
from rich.markup import escape

from ops.aws import LOCAL_STAGE
from ops.errors import OpsError
from ops.terminal import StageOption, connect, console

app = typer.Typer()
admin = typer.Typer(no_args_is_help=True, help="Admins of a stage.")
app.add_typer(admin, name="admin")


@admin.command("create")
def create(
    *,
    email: Annotated[str, typer.Option("--email", help="What they log in with.")],
    full_name: Annotated[str, typer.Option("--name", help="What others see.")] = "Admin",
    stage: StageOption = LOCAL_STAGE,
) -> None:
    """Register an admin. The password (12 to 72 bytes) is asked for, or read from standard input."""
    from domain.errors import StateConflictError  # noqa: PLC0415
    from ops.admin import create_admin  # noqa: PLC0415

    config = connect(stage)
    if sys.stdin.isatty():
        password = typer.prompt("Password", hide_input=True, confirmation_prompt=True)
    else:
        password = sys.stdin.readline().rstrip("\r\n")
    try:
        create_admin(config, email=email, full_name=full_name, password=password)
    except StateConflictError as error:
        raise OpsError(str(error).rstrip("."), "Log in with it, or take another address") from error
    console.print(f"{escape(email)} may log in to stage {escape(stage)} now.")
