"""Reaching another account: what STS is asked, and what its refusals are told as."""

import json
from typing import TYPE_CHECKING

import pytest
from botocore.exceptions import ClientError, ConnectTimeoutError, EndpointConnectionError, ReadTimeoutError

from domain.aws_configs import Contact
from infra import clients
from infra.aws_accounts import contact
from infra.problems import RetryLaterError

if TYPE_CHECKING:
    from tests.integration.conftest import Calls

ACCOUNT = "111122223333"
ROLE = f"arn:aws:iam::{ACCOUNT}:role/opsledger-monitoring"
ENDPOINT = "https://sts.eu-west-1.amazonaws.com/"


def refusal(code: str) -> ClientError:
    return ClientError(
        {
            "Error": {"Code": code, "Message": "User: arn:aws:sts::1:assumed-role/x is not authorized"},
            "ResponseMetadata": {
                "RequestId": "request-1",
                "HTTPStatusCode": 403,
                "HTTPHeaders": {},
                "HostId": "",
                "RetryAttempts": 1,
            },
        },
        "AssumeRole",
    )


def reached() -> Contact:
    return contact(ROLE, "external-1", "eu-west-1")


def test_the_role_is_assumed_and_the_account_of_its_credentials_told(calls: "Calls") -> None:
    assert reached() == Contact(account=ACCOUNT)
    assert calls == [
        (
            "AssumeRole",
            {
                "RoleArn": ROLE,
                "RoleSessionName": "opsledger-connection-test",
                "ExternalId": "external-1",
                "DurationSeconds": 900,
            },
        ),
        ("GetCallerIdentity", {}),
    ]


@pytest.mark.parametrize(
    ("operation", "error", "words"),
    [
        ("AssumeRole", refusal("AccessDenied"), ["trust policy", "external id", "AssumableRoles"]),
        ("AssumeRole", refusal("NoSuchEntity"), ["no such role"]),
        ("AssumeRole", refusal("ValidationError"), ["ARN"]),
        ("AssumeRole", refusal("RegionDisabledException"), ["not enabled"]),
        ("AssumeRole", refusal("PackedPolicyTooLarge"), ["PackedPolicyTooLarge"]),
        ("AssumeRole", ConnectTimeoutError(endpoint_url=ENDPOINT), ["in time"]),
        ("AssumeRole", ReadTimeoutError(endpoint_url=ENDPOINT), ["in time"]),
        ("GetCallerIdentity", refusal("InvalidClientTokenId"), ["eu-west-1", "not enabled"]),
        ("GetCallerIdentity", refusal("AccessDenied"), ["organization"]),
        ("GetCallerIdentity", ReadTimeoutError(endpoint_url=ENDPOINT), ["in time"]),
        ("GetCallerIdentity", EndpointConnectionError(endpoint_url=ENDPOINT), ["eu-west-1", "such a Region"]),
    ],
)
def test_a_refusal_is_told_in_words_to_act_on(
    calls: "Calls", caplog: pytest.LogCaptureFixture, operation: str, error: Exception, words: list[str]
) -> None:
    calls.refuse[operation] = error
    told = reached()
    assert told.account is None
    assert told.fault is not None
    assert not [word for word in words if word not in told.fault]
    shown = told.fault + caplog.text
    assert not [secret for secret in ("request-1", "assumed-role/x", ENDPOINT, "ASIA") if secret in shown]


@pytest.mark.parametrize("operation", ["AssumeRole", "GetCallerIdentity"])
@pytest.mark.parametrize("code", ["Throttling", "ThrottlingException", "InternalFailure", "ServiceUnavailable"])
def test_a_fault_of_sts_itself_is_to_be_tried_again(calls: "Calls", operation: str, code: str) -> None:
    calls.refuse[operation] = refusal(code)
    with pytest.raises(RetryLaterError):
        reached()


def test_that_our_own_sts_cannot_be_reached_is_no_fault_of_the_role(calls: "Calls") -> None:
    calls.refuse["AssumeRole"] = EndpointConnectionError(endpoint_url=ENDPOINT)
    with pytest.raises(EndpointConnectionError):
        reached()


@pytest.mark.usefixtures("aws")
def test_sts_is_asked_in_the_region_and_gives_up_before_the_gateway_does() -> None:
    own, other = clients.sts(), clients.sts(region="eu-west-1")
    assert own.meta.endpoint_url == "https://sts.eu-central-1.amazonaws.com"
    assert other.meta.endpoint_url == "https://sts.eu-west-1.amazonaws.com"
    config = own.meta.config
    longest = (config.connect_timeout + config.read_timeout) * config.retries["total_max_attempts"]
    assert 2 * longest <= 20


def test_what_is_told_holds_nothing_of_the_credentials(calls: "Calls", monkeypatch: pytest.MonkeyPatch) -> None:
    """Moto's credentials are caught where they are used, and looked for in what comes out."""
    used: list[str] = []
    sts = clients.sts

    def noted(**options: str) -> object:
        used.extend(value for name, value in options.items() if name.startswith("aws_"))
        return sts(**options)

    monkeypatch.setattr(clients, "sts", noted)
    calls.refuse["GetCallerIdentity"] = refusal("SomethingNew")
    told = json.dumps(reached().model_dump())
    assert len(used) == 3
    assert not [value for value in used if value in told]
