"""How an AWS config looks to the outside, the same whichever side answers. Times are Unix seconds."""

from datetime import datetime
from typing import Annotated

from pydantic import Field
from typing_extensions import TypedDict

from domain.aws_configs import AwsConfig, Status


class AwsConfigShown(TypedDict):
    """An account that is watched in one Region, and the role by which it is reached. Times are Unix seconds."""

    id: str
    account_id: str
    account_name: str
    region: str
    role_arn: str
    external_id: Annotated[str, Field(description="what the role's trust policy must ask for, as `sts:ExternalId`")]
    status: Annotated[
        Status,
        Field(
            description="`pending`: its role was never tested; `deploying`: it was reached before, not yet with its "
            "present role; `active` or `failed`: by the last test; `disabled`: not active"
        ),
    ]
    is_active: bool
    deployed_at: Annotated[int | None, Field(description="when the present role was first assumed")]
    last_sync: Annotated[int | None, Field(description="when the account was last reached, with whichever role")]
    last_error: Annotated[str | None, Field(description="why the last test of the present role failed")]
    created_at: int
    updated_at: int


class ConnectionShown(TypedDict):
    """What came of assuming the role.

    `account` is the one that its credentials are of, `fault` what to do about a failure.
    """

    ok: bool
    account: str | None
    fault: str | None


class ConnectionTestShown(TypedDict):
    """What came of a test, and the config after it."""

    config: AwsConfigShown
    connection: ConnectionShown


def shown(config_id: str, config: AwsConfig) -> AwsConfigShown:
    return {
        "id": config_id,
        "account_id": config.account_id,
        "account_name": config.account_name,
        "region": config.region,
        "role_arn": config.role_arn,
        "external_id": config.external_id,
        "status": config.status,
        "is_active": config.is_active,
        "deployed_at": _unix_or_none(config.deployed_at),
        "last_sync": _unix_or_none(config.last_sync),
        "last_error": config.last_test.fault if config.last_test else None,
        "created_at": int(config.created_at.timestamp()),
        "updated_at": int(config.updated_at.timestamp()),
    }


def shown_after_test(config_id: str, config: AwsConfig) -> ConnectionTestShown:
    """The config just after a test."""
    assert config.last_test is not None  # noqa: S101 - it was tested
    return {
        "config": shown(config_id, config),
        "connection": {
            "ok": config.last_test.fault is None,
            "account": config.last_test.account,
            "fault": config.last_test.fault,
        },
    }


def _unix_or_none(at: datetime | None) -> int | None:
    return None if at is None else int(at.timestamp())
