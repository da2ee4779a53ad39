"""`opsledger webhook`: where Slack messages go."""

import json
import sys
from typing import Annotated, Any

import typer
from rich.markup import escape

from ops import stack
from ops.aws import LOCAL_STAGE
from ops.errors import OpsError
from ops.terminal import StageOption, connect, console

app = typer.Typer()
webhook = typer.Typer(
    no_args_is_help=True,
    help="Where Slack messages go: an incoming webhook (on the local stack also http on this machine).",
)
app.add_typer(webhook, name="webhook")

_CHANNEL = "default"
_SLACK = "hooks.slack.com"

HostOption = Annotated[
    str, typer.Option("--host", help="The host it must be at; the template's WebhookHosts says which are posted to.")
]


@webhook.command("set")
def set_webhook(*, stage: StageOption = LOCAL_STAGE, host: HostOption = _SLACK) -> None:
    """Keep the URL of a Slack incoming webhook. It is asked for, or read from standard input: a URL is a secret."""
    from infra.webhooks import fault  # noqa: PLC0415

    url = (typer.prompt("Webhook URL", hide_input=True) if sys.stdin.isatty() else sys.stdin.read()).strip()
    if found := fault(url, {host}, allow_loopback=stage == LOCAL_STAGE):
        raise OpsError(found, "Copy the URL from Slack: Your apps, Incoming Webhooks", exit_code=2)
    _change(stage, {_CHANNEL: url})
    console.print(f"Kept. What is decided for stage {escape(stage)} from a minute from now on goes there.")
    console.print("Earlier messages are not sent again; GET /notifications shows them.")


@webhook.command("remove")
def remove_webhook(*, stage: StageOption = LOCAL_STAGE) -> None:
    """Forget the webhook. Messages can still be read at GET /notifications."""
    _change(stage, {_CHANNEL: None})
    console.print(f"Forgotten. Nothing is posted for stage {escape(stage)} any more, within a minute.")


def _change(stage: str, changes: dict[str, str | None]) -> None:
    config = connect(stage)
    arn = stack.required_output(config, "SlackSecretArn")
    client: Any = config.client("secretsmanager")
    webhooks = json.loads(client.get_secret_value(SecretId=arn)["SecretString"]) | changes
    kept = {channel: url for channel, url in webhooks.items() if url}
    client.put_secret_value(SecretId=arn, SecretString=json.dumps(kept))
