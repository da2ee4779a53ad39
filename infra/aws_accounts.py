"""Reaching other AWS accounts: assuming the role that an AWS config names (AWS STS).

Nothing of the credentials, and no request id, ever leaves this module. STS does not tell whether a role does not exist,
does not trust us or asks for another external id, so that the fault names all three.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from domain.aws_configs import Contact
from infra import clients
from infra.problems import RetryLaterError

_SESSION_NAME = "opsledger-connection-test"
"""What the account's CloudTrail shows of us."""

_SESSION_SECONDS = 900
"""The least that STS allows (API reference, AssumeRole)."""

_PASSING = {"InternalFailure", "InternalServerError", "RequestLimitExceeded", "ServiceUnavailable"}


class UnreachableError(Exception):
    """Why an account cannot be reached, for people."""


def contact(role_arn: str, external_id: str, region: str) -> Contact:
    """Assume a role, and ask STS in a Region whose the credentials are. At most 20 seconds.

    The second call also shows that the Region is there, and enabled in the account.

    Raises:
        RetryLaterError: STS is busy or has a fault of its own, which says nothing about the role.
    """
    try:
        assumed = credentials(role_arn, external_id)
        return Contact(account=_account(assumed, region))
    except UnreachableError as error:
        return Contact(fault=str(error))


def credentials(role_arn: str, external_id: str, session_name: str = _SESSION_NAME) -> dict[str, str]:
    """Assume a role, for 15 minutes. At most 10 seconds.

    Args:
        session_name: what the account's CloudTrail shows of us.

    Returns:
        The credentials, as botocore names them.

    Raises:
        UnreachableError: the role cannot be assumed.
        RetryLaterError: STS is busy or has a fault of its own.
    """
    refusals = {
        "AccessDenied": "AWS refused access to the role. Check that it exists, that its trust policy names opsledger's "
        "role and this config's external id, and that its name is one that this deployment may assume "
        "(AssumableRoles).",
        "NoSuchEntity": "There is no such role.",
        "ValidationError": "AWS does not take this for the ARN of a role.",
        "RegionDisabledException": "STS is not enabled for opsledger's own Region in the role's account.",
    }
    with _faults(refusals):
        answer = clients.sts().assume_role(
            RoleArn=role_arn,
            RoleSessionName=session_name,
            ExternalId=external_id,
            DurationSeconds=_SESSION_SECONDS,
        )["Credentials"]
    return {
        "aws_access_key_id": answer["AccessKeyId"],
        "aws_secret_access_key": answer["SecretAccessKey"],
        "aws_session_token": answer["SessionToken"],
    }


def _account(assumed: dict[str, str], region: str) -> str:
    disabled = f"The role can be assumed, but the Region {region} is not enabled in its account."
    refusals = {
        "AccessDenied": "The role can be assumed, but AWS refuses what it asks; an organization's policy may do that.",
        "InvalidClientTokenId": disabled,
        "RegionDisabledException": disabled,
        "UnrecognizedClientException": disabled,
    }
    with _faults(
        refusals, unreachable=f"The role can be assumed, but no STS answers in {region}: is there such a Region?"
    ):
        answer: dict[str, Any] = clients.sts(region=region, **assumed).get_caller_identity()
    return str(answer["Account"])


@contextmanager
def _faults(refusals: dict[str, str], unreachable: str | None = None) -> Iterator[None]:
    """Turn what botocore raises into faults for people.

    Args:
        refusals: what to say, by AWS's code.
        unreachable: what to say when there is no such host; None if that is our own fault.
    """
    from botocore import exceptions  # noqa: PLC0415 - loaded with the client

    try:
        yield
    except (exceptions.ConnectTimeoutError, exceptions.ReadTimeoutError):
        raise UnreachableError("AWS did not answer in time. Try again; if it stays so, look at the network.") from None
    except exceptions.EndpointConnectionError:
        if unreachable is None:
            raise
        raise UnreachableError(unreachable) from None
    except exceptions.ClientError as error:
        code = error.response["Error"]["Code"]
        if code in _PASSING or "Throttl" in code:
            raise RetryLaterError("AWS is busy; try again.", 5) from None
        raise UnreachableError(refusals.get(code, f"AWS refused with {code}.")) from None
