"""The AWS config routes of the write API: parse, decide, answer."""

import uuid
from functools import cache

from commands import wiring
from commands.execution import Outcome, execute
from commands.orders import order_of
from domain import aws_configs
from domain.aws_config_shape import AwsConfigShown, ConnectionTestShown, shown, shown_after_test
from domain.aws_configs import AWS_CONFIGS, AwsConfig, ChangeAwsConfig, Contact, RegisterAwsConfig, existing
from domain.event import DomainEvent
from infra import aws_accounts
from infra.rest import Answer, Request


def register_aws_config(request: Request, body: RegisterAwsConfig) -> Answer[AwsConfigShown]:
    """Register an AWS account for a Region.

    The answer holds the external id that the role's trust policy must ask for. The role need not be there yet.
    """
    config_id = aws_configs.config_id(body.account_id, body.region)
    external_id = str(uuid.uuid4())
    outcome = execute(
        wiring.store(),
        AWS_CONFIGS,
        config_id,
        lambda config: aws_configs.register(config, body, external_id),
        order_of(request),
        creates=True,
        warm=wiring.warm(),
    )
    return _whole(config_id, outcome, {"Location": f"/config/aws/{config_id}"})


def change_aws_config(request: Request, config_id: str, body: ChangeAwsConfig) -> Answer[AwsConfigShown]:
    """Change the fields that are sent: the account's name, the role, or whether the config is active."""
    outcome = execute(
        wiring.store(),
        AWS_CONFIGS,
        config_id,
        lambda config: aws_configs.change(config, body),
        order_of(request),
        warm=wiring.warm(),
    )
    return _whole(config_id, outcome)


def test_connection(request: Request, config_id: str) -> Answer[ConnectionTestShown]:
    """Test the connection to an AWS account.

    The role is assumed, and the account of its credentials compared. A failure is a result too: it is recorded, and
    answered 200 with what to do about it. Only when AWS is busy, nothing is recorded (503).
    """

    # Decided anew after a conflict, the role is only assumed anew if it was changed meanwhile.
    @cache
    def contact(role_arn: str, external_id: str, region: str) -> Contact:
        return aws_accounts.contact(role_arn, external_id, region)

    def decide(config: AwsConfig | None) -> list[DomainEvent]:
        config = existing(config)
        return aws_configs.record_test(config, contact(config.role_arn, config.external_id, config.region))

    outcome = execute(wiring.store(), AWS_CONFIGS, config_id, decide, order_of(request), warm=wiring.warm())
    tested = shown_after_test(config_id, existing(outcome.state))
    return Answer(tested, outcome.version, AWS_CONFIGS.stream(config_id))


def _whole(
    config_id: str, outcome: Outcome[AwsConfig], headers: dict[str, str] | None = None
) -> Answer[AwsConfigShown]:
    body = shown(config_id, existing(outcome.state))
    return Answer(body, outcome.version, AWS_CONFIGS.stream(config_id), headers or {})
