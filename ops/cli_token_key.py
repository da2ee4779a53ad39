"""`opsledger token-key`: the key that signs access and refresh tokens."""

import json
import secrets
from typing import Annotated, Any

import typer
from rich.markup import escape

from ops import stack
from ops.aws import LOCAL_STAGE
from ops.terminal import StageOption, connect, console

app = typer.Typer()
token_key = typer.Typer(no_args_is_help=True, help="The key that signs access and refresh tokens.")
app.add_typer(token_key, name="token-key")

_BYTES = 48  # as text 64 characters, twice what HS256 asks for


@token_key.command("rotate")
def rotate(
    *, stage: StageOption = LOCAL_STAGE, yes: Annotated[bool, typer.Option("--yes", help="Do not ask.")] = False
) -> None:
    """Sign with a new key. Tokens of the present one stay good until the next rotation; older ones end now."""
    config = connect(stage)
    arn = stack.required_output(config, "TokenSecretArn")
    client: Any = config.client("secretsmanager")
    keys = json.loads(client.get_secret_value(SecretId=arn)["SecretString"])
    console.print(f"A new key is to sign the tokens of stage {escape(stage)}. Those of the present one stay good.")
    if "previous" in keys:
        console.print("Tokens that the key before it signed end; who holds no newer ones must log in again.")
    if not yes:
        typer.confirm("Rotate the key?", abort=True)
    rotated = {"current": secrets.token_urlsafe(_BYTES), "previous": keys["current"]}
    client.put_secret_value(SecretId=arn, SecretString=json.dumps(rotated))
    console.print("Rotated. Every function signs with the new key within a minute.")
    console.print("If the old key leaked, rotate once more after that: then nothing that it signed is good any longer.")
