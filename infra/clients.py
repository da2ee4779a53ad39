"""AWS clients, one of each per process, made when first asked for.

A client takes about 60 ms to make and its connection is worth keeping; `parameter_validation=False` takes a sixth
off the client-side time of a call (the service validates anyway).
"""

from functools import cache
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from mypy_boto3_dynamodb import DynamoDBClient
    from mypy_boto3_events import EventBridgeClient
    from mypy_boto3_kms import KMSClient
    from mypy_boto3_logs import CloudWatchLogsClient
    from mypy_boto3_secretsmanager import SecretsManagerClient
    from mypy_boto3_sqs import SQSClient


@cache
def session() -> Any:
    """The process's one botocore session: it parses botocore's data files once, whatever is made from it."""
    # botocore alone: boto3 adds import time and nothing that is used here.
    import botocore.session  # noqa: PLC0415

    return botocore.session.get_session()


def _client(service: str, *, read_timeout: int = 10, attempts: int = 4, **more: Any) -> Any:
    from botocore.config import Config  # noqa: PLC0415

    return session().create_client(
        service,
        config=Config(
            parameter_validation=False,
            user_agent="opsledger",
            connect_timeout=2,
            read_timeout=read_timeout,
            retries={"mode": "standard", "total_max_attempts": attempts},
            max_pool_connections=25,
        ),
        **more,
    )


@cache
def dynamodb() -> "DynamoDBClient":
    client: DynamoDBClient = _client("dynamodb")
    return client


@cache
def sqs() -> "SQSClient":
    client: SQSClient = _client("sqs")
    return client


@cache
def kms() -> "KMSClient":
    client: KMSClient = _client("kms")
    return client


@cache
def secretsmanager() -> "SecretsManagerClient":
    client: SecretsManagerClient = _client("secretsmanager")
    return client


@cache
def events() -> "EventBridgeClient":
    client: EventBridgeClient = _client("events")
    return client


def logs(*, region: str, **credentials: str) -> "CloudWatchLogsClient":
    """A client of a Region's CloudWatch Logs. An answer may have megabytes.

    Args:
        credentials: as for `sts`.
    """
    client: CloudWatchLogsClient = _client("logs", read_timeout=30, attempts=4, region_name=region, **credentials)
    return client


def sts(*, region: str | None = None, **credentials: str) -> Any:
    """A client of a Region's STS, which gives up within 10 seconds: somebody waits for what it says.

    Args:
        region: by default the function's own.
        credentials: as botocore names them (`aws_access_key_id` ...); by default the function's own.
    """
    return _client("sts", read_timeout=3, attempts=2, region_name=region, **credentials)
