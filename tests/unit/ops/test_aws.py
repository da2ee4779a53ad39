from pathlib import Path

import pytest
from botocore.exceptions import ClientError, EndpointConnectionError, NoCredentialsError

from ops.aws import SessionConfig, as_ops_error


@pytest.fixture
def somebodys_environment(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A developer's machine: a profile of a real account, an endpoint, a proxy, another region."""
    (tmp_path / "config").write_text("[profile work]\nregion = eu-central-1\n")
    (tmp_path / "credentials").write_text("[work]\naws_access_key_id = AKIAREAL\naws_secret_access_key = real\n")
    for name, value in {
        "AWS_CONFIG_FILE": str(tmp_path / "config"),
        "AWS_SHARED_CREDENTIALS_FILE": str(tmp_path / "credentials"),
        "AWS_PROFILE": "work",
        "AWS_ENDPOINT_URL": "https://elsewhere.example",
        "AWS_ENDPOINT_URL_SQS": "https://elsewhere.example",
        "AWS_SESSION_TOKEN": "real",
        "AWS_REGION": "eu-central-1",
        "HTTP_PROXY": "http://proxy.example:3128",
    }.items():
        monkeypatch.setenv(name, value)


@pytest.mark.usefixtures("somebodys_environment")
def test_a_local_command_uses_nothing_of_the_machines_aws_settings() -> None:
    config = SessionConfig.local(4570)
    credentials = config.session().get_credentials()
    assert credentials is not None
    assert (credentials.access_key, credentials.token) == ("000000000000", None)
    client = config.client("sqs")
    assert client.meta.endpoint_url == "http://127.0.0.1:4570"
    assert client.meta.config.proxies == {}
    assert config.region == "us-east-1"


def test_a_missing_profile_does_not_stop_local_work(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AWS_PROFILE", "no-such-profile")
    assert SessionConfig.local(4570).client("sqs").meta.endpoint_url == "http://127.0.0.1:4570"


@pytest.mark.usefixtures("somebodys_environment")
def test_another_stage_goes_where_the_environment_points() -> None:
    config = SessionConfig("dev")
    assert config.client("s3").meta.endpoint_url == "https://elsewhere.example"
    assert config.region == "eu-central-1"
    assert config.stack_name == "opsledger-dev"


def refused(code: str) -> ClientError:
    return ClientError({"Error": {"Code": code, "Message": "because"}}, "DescribeStacks")


def test_failures_say_what_to_do() -> None:
    assert "AWS_PROFILE" in as_ops_error(NoCredentialsError()).remedy
    assert "make up" in as_ops_error(EndpointConnectionError(endpoint_url="http://127.0.0.1:1")).remedy
    assert "credentials" in as_ops_error(refused("AccessDenied")).remedy
    assert "because" in as_ops_error(refused("ValidationError")).problem
