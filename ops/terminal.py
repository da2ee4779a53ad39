"""The two consoles that commands write to, and the options that several of them share."""

from typing import Annotated

import typer
from rich.console import Console

from ops.aws import LOCAL_STAGE, SessionConfig

# Without emoji: `:secret:` in an ARN is no picture.
console = Console(highlight=False, emoji=False)
errors = Console(stderr=True, highlight=False, emoji=False)

StageOption = Annotated[
    str, typer.Option("--stage", help="`local`, or a stage deployed to the AWS that the environment points at.")
]


def connect(stage: str) -> SessionConfig:
    """How to talk to that stage.

    Raises:
        OpsError: the local stack is asked for and does not run.
    """
    if stage != LOCAL_STAGE:
        return SessionConfig(stage)
    from ops.local_stack import LocalStack  # noqa: PLC0415

    return LocalStack.dev().config
