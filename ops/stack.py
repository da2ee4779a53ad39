"""What is known of a deployed stage: its outputs, and the addresses made of them."""

from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit, urlunsplit

from ops.aws import SessionConfig
from ops.errors import OpsError
from ops.stack_events import describe_stack


@dataclass(frozen=True)
class Status:
    """A stage as scripts see it (`opsledger status --json`). Fields are empty while nothing is deployed."""

    stage: str
    running: bool
    deployed: bool
    region: str
    stack_name: str
    endpoint_url: str = ""
    port: int | None = None
    pid: int | None = None
    api_url: str = ""
    event_bus: str = ""
    ingest_queue_url: str = ""
    ingest_dead_letter_queue_url: str = ""
    delivery_queue_url: str = ""
    delivery_dead_letter_queue_url: str = ""
    stream_failure_queue_url: str = ""
    events_table: str = ""
    views_table: str = ""
    guards_table: str = ""
    outbox_table: str = ""
    events_stream: str = ""
    token_secret: str = ""
    guard_key_secret: str = ""
    slack_secret: str = ""
    admin_email: str = ""
    admin_password_file: str = ""
    log_file: str = ""

    def as_json(self) -> dict[str, Any]:
        """Every field, by its name."""
        return asdict(self)


_FIELDS = {
    "EventBusName": "event_bus",
    "EventsTable": "events_table",
    "ViewsTable": "views_table",
    "GuardsTable": "guards_table",
    "OutboxTable": "outbox_table",
    "EventsStream": "events_stream",
    "TokenSecretArn": "token_secret",
    "GuardKeySecretArn": "guard_key_secret",
    "SlackSecretArn": "slack_secret",
}

_QUEUE_FIELDS = {
    "IngestQueueUrl": "ingest_queue_url",
    "IngestDeadLetterQueueUrl": "ingest_dead_letter_queue_url",
    "DeliveryQueueUrl": "delivery_queue_url",
    "DeliveryDeadLetterQueueUrl": "delivery_dead_letter_queue_url",
    "StreamFailureQueueUrl": "stream_failure_queue_url",
}


def outputs(config: SessionConfig) -> dict[str, str]:
    """The stack's outputs; empty when there is no stack."""
    found = describe_stack(config) or {}
    return {output["OutputKey"]: output["OutputValue"] for output in found.get("Outputs", [])}


def required_output(config: SessionConfig, name: str) -> str:
    """One output of a deployed stack.

    Raises:
        OpsError: nothing is deployed, or not with this output.
    """
    value = outputs(config).get(name)
    if not value:
        remedy = "`make up` deploys it" if config.is_local else f"`make deploy stage={config.stage}` deploys it"
        raise OpsError(f"stage {config.stage} is not deployed", remedy)
    return _on_this_endpoint(config, value) if name in _QUEUE_FIELDS else value


def describe(
    config: SessionConfig,
    found: dict[str, str],
    *,
    pid: int | None = None,
    admin_email: str = "",
    admin_password_file: Path | None = None,
    log_file: Path | None = None,
) -> Status:
    """The status of a stage whose AWS answers, from the stack's outputs."""
    fields = {field: found[name] for name, field in _FIELDS.items() if name in found}
    fields |= {field: _on_this_endpoint(config, found[name]) for name, field in _QUEUE_FIELDS.items() if name in found}
    return Status(
        stage=config.stage,
        running=True,
        deployed=bool(found),
        region=config.region,
        stack_name=config.stack_name,
        endpoint_url=config.endpoint_url or "",
        port=urlsplit(config.endpoint_url).port if config.endpoint_url else None,
        pid=pid,
        api_url=_api_url(config, found),
        admin_email=admin_email,
        admin_password_file=str(admin_password_file or ""),
        log_file=str(log_file or ""),
        **fields,
    )


def _api_url(config: SessionConfig, found: dict[str, str]) -> str:
    """The address of the REST API. The emulator serves it by path; AWS's own form needs a name server."""
    if config.is_local and "ApiId" in found:
        return f"{config.endpoint_url}/_aws/execute-api/{found['ApiId']}/{config.stage}"
    return found.get("ApiUrl", "")


def _on_this_endpoint(config: SessionConfig, url: str) -> str:
    """The emulator writes the port it had at the time into queue addresses; it may listen elsewhere today."""
    if config.endpoint_url is None:
        return url
    return urlunsplit(urlsplit(url)._replace(scheme="http", netloc=urlsplit(config.endpoint_url).netloc))
