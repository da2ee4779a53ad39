"""The views of a stage, worked on in this process: the projector's code with the operator's credentials.

That code reads its tables' names and where AWS is from the environment, as the functions do; so it is imported after
the environment is set. A process that this one starts inherits it, and needs `connected` only.
"""

import os
import sys
from typing import TYPE_CHECKING, NamedTuple

from ops import stack
from ops.aws import SessionConfig
from ops.emulator import ACCOUNT
from ops.ports import HOST
from ops.stack_events import describe_stack

if TYPE_CHECKING:
    from mypy_boto3_dynamodb import DynamoDBClient

    from infra.event_store import DynamoDBEventStore
    from projections.projector import Projector


class Connected(NamedTuple):
    """What works on a stage's views.

    Attributes:
        client: its DynamoDB.
        events_table: the name of its events table.
        store: its event store.
    """

    projector: "Projector"
    client: "DynamoDBClient"
    events_table: str
    store: "DynamoDBEventStore"


def projector_of(config: SessionConfig) -> Connected:
    """The projector of a stage, in this process. One stage a process: what is imported keeps to it.

    Raises:
        OpsError: it is not deployed.
        RuntimeError: this process works on another views table already.
    """
    enter(config)
    return connected()


def enter(config: SessionConfig) -> None:
    """Have what this process imports from now on work on a stage.

    Raises:
        OpsError: it is not deployed.
    """
    environment = _environment(config)
    if config.is_local:  # nothing of this machine's AWS configuration may send a local command to a real account
        for name in [name for name in os.environ if name.startswith("AWS_")]:
            del os.environ[name]
    os.environ.update(environment)


def connected() -> Connected:
    """The projector of the stage that the environment names, as `projector_of` has set it.

    Raises:
        RuntimeError: this process works on another views table already.
    """
    # The functions' log lines go to standard output, which is the command's own here. What is parked is told by it.
    os.environ.setdefault("POWERTOOLS_LOG_LEVEL", "CRITICAL")
    from infra import clients, views  # noqa: PLC0415 - see the module
    from infra.event_store import DynamoDBEventStore  # noqa: PLC0415
    from infra.personal_data import DynamoDBDataKeys, PersonalData  # noqa: PLC0415
    from infra.settings import setting  # noqa: PLC0415
    from projections.projector import Projector, projections  # noqa: PLC0415

    if views.Row.Meta.table_name != setting("VIEWS_TABLE"):
        raise RuntimeError(f"{sys.argv[0]} works on the table {views.Row.Meta.table_name} already")
    client, events_table = clients.dynamodb(), setting("EVENTS_TABLE")
    keys = DynamoDBDataKeys(client, setting("KEYS_TABLE"), clients.kms, setting("DATA_KEY_ARN"))
    store = DynamoDBEventStore(client, events_table)
    return Connected(Projector(store, projections(PersonalData(keys))), client, events_table, store)


def _environment(config: SessionConfig) -> dict[str, str]:
    stack.required_output(config, "ViewsTable")  # tells what to do where nothing is deployed
    found = stack.outputs(config)
    parameters = {one["ParameterKey"]: one["ParameterValue"] for one in (describe_stack(config) or {})["Parameters"]}
    environment = {
        "EVENTS_TABLE": found["EventsTable"],
        "VIEWS_TABLE": found["ViewsTable"],
        "KEYS_TABLE": found["KeysTable"],
        "OUTBOX_TABLE": found["OutboxTable"],
        "DELIVERY_QUEUE_URL": stack.required_output(config, "DeliveryQueueUrl"),
        "DATA_KEY_ARN": found["DataKeyArn"],
        "EVENT_RETENTION_DAYS": parameters["EventRetentionDays"],
        "AWS_DEFAULT_REGION": config.region,
    }
    if config.endpoint_url:
        environment |= {
            "AWS_ENDPOINT_URL": config.endpoint_url,
            "AWS_ACCESS_KEY_ID": ACCOUNT,
            "AWS_SECRET_ACCESS_KEY": "local",
            "AWS_CONFIG_FILE": os.devnull,
            "AWS_SHARED_CREDENTIALS_FILE": os.devnull,
            "AWS_EC2_METADATA_DISABLED": "true",
            "NO_PROXY": HOST,
            "no_proxy": HOST,
        }
    return environment
