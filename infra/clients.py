"""AWS clients, one of each per process, made when first asked for.

A client takes about 60 ms to make and its connection is worth keeping; `parameter_validation=False` takes a sixth
off the client-side time of a call (the service validates anyway).
"""

from functools import cache
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from mypy_boto3_dynamodb import DynamoDBClient
    from mypy_boto3_kms import KMSClient
    from mypy_boto3_secretsmanager import SecretsManagerClient
    from mypy_boto3_sqs import SQSClient


@cache
def _session() -> Any:
    # botocore alone: boto3 adds import time and nothing that is used here.
    import botocore.session  # noqa: PLC0415

    return botocore.session.get_session()


def _client(service: str) -> Any:
    from botocore.config import Config  # noqa: PLC0415

    return _session().create_client(
        service,
        config=Config(
            parameter_validation=False,
            user_agent="opsledger",
            connect_timeout=2,
            read_timeout=10,
            retries={"mode": "standard", "total_max_attempts": 4},
            max_pool_connections=25,
        ),
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
