"""`opsledger package`, `opsledger openapi` and `opsledger deploy`: what is deployed, and bringing it to AWS."""

from typing import Annotated

import typer

from ops.aws import LOCAL_STAGE
from ops.errors import OpsError
from ops.terminal import connect, console

app = typer.Typer()

ArchitectureOption = Annotated[
    str, typer.Option(help="`arm64` (cheaper on AWS) or `x86_64`; by default this machine's, which it was tested on.")
]


@app.command()
def package(*, architecture: ArchitectureOption = "") -> None:
    """Build the artifact that is deployed."""
    from ops import packaging  # noqa: PLC0415

    _check(architecture)
    artifact = packaging.build(packaging.Target.aws(architecture))
    console.print(
        f"{artifact.path}\n{artifact.size / 1e6:.1f} MB, unpacked {artifact.unpacked / 1e6:.1f} of AWS Lambda's 250 MB",
        soft_wrap=True,
    )


@app.command()
def openapi() -> None:
    """Renew docs/openapi.json, the API's document, from the code."""
    from ops import openapi as document  # noqa: PLC0415

    document.FILE.write_text(document.text(), encoding="utf-8")
    console.print(f"{document.FILE}", soft_wrap=True)


@app.command()
def deploy(
    parameters: Annotated[
        list[str] | None, typer.Argument(metavar="[KEY=VALUE]…", help="Parameters of the template.")
    ] = None,
    *,
    stage: Annotated[str, typer.Option(help="The stage's name.")] = "dev",
    architecture: ArchitectureOption = "",
    yes: Annotated[bool, typer.Option("--yes", help="Do not ask.")] = False,
) -> None:
    """Deploy to the AWS that the environment points at, showing first what would change."""
    from ops import deployment  # noqa: PLC0415
    from ops.local_stack import LocalStack  # noqa: PLC0415

    _check(architecture)
    overrides = dict(_pair(parameter) for parameter in parameters or [])
    if stage == LOCAL_STAGE:
        LocalStack.dev().deploy(console=console, overrides=overrides)
        return
    outputs = deployment.deploy(
        connect(stage),
        console=console,
        confirm=None if yes else _confirm,
        architecture=architecture,
        overrides=overrides,
    )
    for name, value in sorted(outputs.items()):
        console.print(f"[bold]{name}[/]  {value}", soft_wrap=True)


def _confirm() -> bool:
    try:
        return typer.confirm("Deploy this?")
    except typer.Abort:  # no terminal to ask at
        return False


def _pair(parameter: str) -> tuple[str, str]:
    name, equals, value = parameter.partition("=")
    if not name or not equals:
        raise OpsError(f"{parameter!r} is no parameter", "Write NAME=value, EventRetentionDays=30 say", exit_code=2)
    return name, value


def _check(architecture: str) -> None:
    if architecture not in {"", "arm64", "x86_64"}:
        raise OpsError(f"there is no architecture {architecture!r}", "Say arm64 or x86_64", exit_code=2)
