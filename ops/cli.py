"""The `opsledger` command line: its commands, and how a failure is told.

Start-up is part of using it, so boto3 and whatever else is heavy is imported by the command that needs it.
"""

import os
import sys
from typing import NoReturn

import typer

from ops import (
    cli_admin,
    cli_deploy,
    cli_logs,
    cli_messages,
    cli_notifications,
    cli_projections,
    cli_rebuild,
    cli_report,
    cli_stack,
    cli_stream,
    cli_token_key,
    cli_verify,
    cli_webhook,
)
from ops.errors import OpsError
from ops.terminal import errors

app = typer.Typer(
    name="opsledger",
    help="An event-sourced operations ledger for AWS accounts.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
)
for part in (
    cli_stack.app,
    cli_admin.app,
    cli_messages.app,
    cli_notifications.app,
    cli_report.app,
    cli_projections.app,
    cli_rebuild.app,
    cli_verify.app,
    cli_webhook.app,
    cli_token_key.app,
    cli_stream.app,
    cli_logs.app,
    cli_deploy.app,
):
    app.add_typer(part)

_DEBUG = "OPSLEDGER_DEBUG"


def main() -> NoReturn:
    """Run the command in `sys.argv`; a failure is one sentence and what to do, on standard error.

    Ends with 0, 1 for a failure, 2 for a command called wrongly, 130 after Ctrl-C (typer's own doing).
    """
    try:
        app(prog_name="opsledger")
    except Exception as error:
        if os.environ.get(_DEBUG):
            raise
        failure = _explain(error)
        errors.print(f"[bold red]error:[/] {_escape(failure.problem)}.", soft_wrap=True)
        if failure.remedy:
            errors.print(f"  {_escape(failure.remedy)}.", soft_wrap=True)
        sys.exit(failure.exit_code)
    sys.exit(0)


def _explain(error: Exception) -> OpsError:
    if isinstance(error, OpsError):
        return error
    botocore = sys.modules.get("botocore.exceptions")  # not imported: then it cannot have failed
    if botocore is not None and isinstance(error, botocore.ClientError | botocore.BotoCoreError):
        from ops.aws import as_ops_error  # noqa: PLC0415

        return as_ops_error(error)
    text = str(error) or type(error).__name__
    return OpsError(f"{type(error).__name__}: {text}".rstrip("."), f"{_DEBUG}=1 shows where")


def _escape(text: str) -> str:
    from rich.markup import escape  # noqa: PLC0415

    return escape(text)
