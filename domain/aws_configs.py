"""AWS configs: the accounts that are watched, one config for each Region, and the role by which they are reached."""

import re
import uuid
from datetime import datetime
from enum import StrEnum
from typing import Annotated, Any

from pydantic import AfterValidator, Field, StringConstraints

from domain.commit import Recorded
from domain.decider import Decider
from domain.errors import FieldFault, InvalidError, NotFoundError, StateConflictError
from domain.event import DomainEvent, event_type
from domain.text import ONE_LINE, PRINTABLE, TRIMMED
from domain.value import Value

_NAMESPACE = uuid.UUID("3a5f0b52-5a2c-4d0e-9c4e-6c1f4b7d2b0e")

# IAM's limits for a path and a name (API reference, CreateRole).
_ROLE_ARN = re.compile(
    r"arn:(?P<partition>aws(?:-[a-z]+)*):iam::(?P<account>[0-9]{12}):role(?:/|/[!-~]{1,510}/)[A-Za-z0-9_+=,.@-]{1,64}"
)
_PARTITIONS = (
    ("cn-", "aws-cn"),
    ("us-gov-", "aws-us-gov"),
    ("us-iso-", "aws-iso"),
    ("us-isob-", "aws-iso-b"),
    ("eu-isoe-", "aws-iso-e"),
    ("us-isof-", "aws-iso-f"),
)
"""The partitions of Regions other than `aws`, by how their names begin (as the AWS SDKs' endpoint data has them)."""


def _role_arn(text: str) -> str:
    if not _ROLE_ARN.fullmatch(text):
        raise ValueError("must be the ARN of a role, such as arn:aws:iam::111122223333:role/opsledger-monitoring")
    return text


AccountId = Annotated[str, StringConstraints(pattern=r"^[0-9]{12}$", strict=True)]
AccountName = Annotated[str, TRIMMED, StringConstraints(min_length=1, max_length=100), PRINTABLE, ONE_LINE]
Region = Annotated[str, StringConstraints(pattern=r"^[a-z]{2}(-[a-z]+)+-[0-9]$", max_length=32, strict=True)]
RoleArn = Annotated[
    str,
    StringConstraints(max_length=650, strict=True),
    AfterValidator(_role_arn),
    Field(description="of a role in the same account: `arn:<partition>:iam::<account>:role/<path><name>`"),
]


class Status(StrEnum):
    PENDING = "pending"
    """Its role was never tested."""
    DEPLOYING = "deploying"
    """It was reached before, but not yet with its present role."""
    ACTIVE = "active"
    FAILED = "failed"
    DISABLED = "disabled"


class Contact(Value):
    """What came of assuming a role.

    Attributes:
        account: that the role's credentials are of; None if there were none.
        fault: what to do about it, for people; None if the role could be assumed.
    """

    account: str | None = None
    fault: str | None = None


class AwsConfig(Value):
    """An AWS config as its events tell it.

    Attributes:
        external_id: what the role's trust policy must ask for, so that nobody can have us use a role for them (IAM user
            guide, "The confused deputy problem"). AWS does not treat it as a secret.
        last_test: of the present role; None while it was not tested.
        deployed_at: when the present role was first assumed.
        last_sync: when the account was last reached, with whichever role.
    """

    account_id: str
    account_name: str
    region: str
    role_arn: str
    external_id: str
    is_active: bool = True
    created_at: datetime
    updated_at: datetime
    last_test: Contact | None = None
    deployed_at: datetime | None = None
    last_sync: datetime | None = None

    @property
    def status(self) -> Status:
        if not self.is_active:
            return Status.DISABLED
        if self.last_test is None:
            return Status.DEPLOYING if self.last_sync else Status.PENDING
        return Status.FAILED if self.last_test.fault else Status.ACTIVE


# ---- events


@event_type("aws-config.registered", 1)
class AwsConfigRegistered(DomainEvent):
    account_id: str
    account_name: str
    region: str
    role_arn: str
    external_id: str


@event_type("aws-config.changed", 1)
class AwsConfigChanged(DomainEvent):
    """Both as they now are."""

    account_name: str
    role_arn: str


@event_type("aws-config.connection-tested", 1)
class ConnectionTested(DomainEvent):
    """As `Contact`; `ok` if the role was assumed and is the account's."""

    ok: bool
    account: str | None = None
    fault: str | None = None


@event_type("aws-config.enabled", 1)
class AwsConfigEnabled(DomainEvent):
    pass


@event_type("aws-config.disabled", 1)
class AwsConfigDisabled(DomainEvent):
    pass


# ---- commands


class RegisterAwsConfig(Value):
    account_id: AccountId
    account_name: AccountName
    region: Region
    role_arn: RoleArn


class ChangeAwsConfig(Value):
    """Changes the fields that are sent. Account and Region are what it is, and stay."""

    account_name: AccountName | None = None
    role_arn: RoleArn | None = None
    is_active: Annotated[bool, Field(strict=True)] | None = None


# ---- rules


def config_id(account_id: str, region: str) -> str:
    """The id of the one config that an account may have for a Region."""
    return str(uuid.uuid5(_NAMESPACE, f"{account_id}/{region}"))


def register(config: AwsConfig | None, command: RegisterAwsConfig, external_id: str) -> list[DomainEvent]:
    if config is not None:
        raise StateConflictError("This account has a config for this Region already; change that one.")
    _check_role(command.role_arn, command.account_id, command.region)
    return [AwsConfigRegistered(**dict(command), external_id=external_id)]


def change(config: AwsConfig | None, command: ChangeAwsConfig) -> list[DomainEvent]:
    config = existing(config)
    nulls = [name for name in command.model_fields_set if getattr(command, name) is None]
    if nulls:
        raise InvalidError(*(FieldFault(name, "cannot be null") for name in sorted(nulls)))
    changed = AwsConfigChanged(
        account_name=command.account_name or config.account_name,
        role_arn=command.role_arn or config.role_arn,
    )
    if changed.role_arn != config.role_arn:
        _check_role(changed.role_arn, config.account_id, config.region)
    events: list[DomainEvent] = []
    if (changed.account_name, changed.role_arn) != (config.account_name, config.role_arn):
        events.append(changed)
    if command.is_active not in (None, config.is_active):
        events.append(AwsConfigEnabled() if command.is_active else AwsConfigDisabled())
    return events


def record_test(config: AwsConfig, contact: Contact) -> list[DomainEvent]:
    """That the config's role was tried, whatever came of it."""
    fault = contact.fault
    if fault is None and contact.account != config.account_id:
        fault = f"The role belongs to the account {contact.account}, not to {config.account_id}."
    return [ConnectionTested(ok=fault is None, account=contact.account, fault=fault)]


def existing(config: AwsConfig | None) -> AwsConfig:
    """Raises NotFoundError for a stream without events."""
    if config is None:
        raise NotFoundError("There is no such AWS config.")
    return config


def evolve(config: AwsConfig | None, recorded: Recorded) -> AwsConfig:
    event, at = recorded.event, recorded.at
    if config is None and isinstance(event, AwsConfigRegistered):
        return AwsConfig(**dict(event), created_at=at, updated_at=at)
    if config is None:
        raise ValueError(f"{event.name} before aws-config.registered")
    match event:
        case AwsConfigChanged():
            changes: dict[str, Any] = dict(event)
            if event.role_arn != config.role_arn:
                changes |= {"last_test": None, "deployed_at": None}
        case ConnectionTested():
            changes = {"last_test": Contact(account=event.account, fault=event.fault)}
            if event.ok:
                changes |= {"deployed_at": config.deployed_at or at, "last_sync": at}
        case AwsConfigEnabled():
            changes = {"is_active": True}
        case AwsConfigDisabled():
            changes = {"is_active": False}
        case _:
            raise ValueError(f"an AWS config does not know the event {event.name}")
    return config.model_copy(update={**changes, "updated_at": at})


AWS_CONFIGS: Decider[AwsConfig] = Decider("aws-config", evolve, AwsConfig)


def _check_role(role_arn: str, account_id: str, region: str) -> None:
    """Raises InvalidError for a role that cannot be this account's, or of this Region's partition."""
    found = _ROLE_ARN.fullmatch(role_arn)
    partition = next((name for start, name in _PARTITIONS if region.startswith(start)), "aws")
    if found is None or found["account"] != account_id:
        raise InvalidError(FieldFault("role_arn", f"must be of a role in the account {account_id}"))
    if found["partition"] != partition:
        raise InvalidError(FieldFault("role_arn", f"must begin with arn:{partition}: for the Region {region}"))
