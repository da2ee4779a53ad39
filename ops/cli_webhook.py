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

_SLACK = "hooks.slack.com"

HostOption = Annotated[
    str, typer.Option("--host", help="The host it must be at; the template's WebhookHosts says which are posted to.")
]


ChannelOption = Annotated[
    str, typer.Option("--channel", help="Its name in the monitoring config; without one, the default channel's.")
]


@webhook.command("set")
def set_webhook(
    *, stage: StageOption = LOCAL_STAGE, host: HostOption = _SLACK, channel: ChannelOption = "default"
) -> None:
    """Keep the URL of a Slack incoming webhook. It is asked for, or read from standard input: a URL is a secret."""
    from infra.webhooks import fault  # noqa: PLC0415

    url = (typer.prompt("Webhook URL", hide_input=True) if sys.stdin.isatty() else sys.stdin.read()).strip()
    if found := fault(url, {host}, allow_loopback=stage == LOCAL_STAGE):
        raise OpsError(found, "Copy the URL from Slack: Your apps, Incoming Webhooks", exit_code=2)
    _change(stage, {channel: url})
    told = f"Kept. What is sent to the channel {channel} of stage {stage} from a minute from now on goes there."
    console.print(escape(told), soft_wrap=True)
    earlier = "Earlier messages are sent by `opsledger notifications redrive --all-unconfigured` only."
    console.print(earlier, markup=False, soft_wrap=True)


@webhook.command("remove")
def remove_webhook(*, stage: StageOption = LOCAL_STAGE, channel: ChannelOption = "default") -> None:
    """Forget the webhook. Messages can still be read at GET /notifications."""
    _change(stage, {channel: None})
    told = f"Forgotten. Nothing is posted to the channel {channel} of stage {stage} any more, within a minute."
    console.print(escape(told), soft_wrap=True)


def _change(stage: str, changes: dict[str, str | None]) -> None:
    config = connect(stage)
    arn = stack.required_output(config, "SlackSecretArn")
    client: Any = config.client("secretsmanager")
    webhooks = json.loads(client.get_secret_value(SecretId=arn)["SecretString"]) | changes
    kept = {channel: url for channel, url in webhooks.items() if url}
    client.put_secret_value(SecretId=arn, SecretString=json.dumps(kept))
