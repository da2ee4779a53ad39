"""Rotating the token key: what was signed stays good for one rotation, and no key is ever printed."""

import json
from typing import Any

import pytest
from typer.testing import CliRunner, Result

from ops import cli_token_key, stack
from ops.cli import app

OLD = "k" * 64


class Secret:
    """A Secrets Manager with the one secret."""

    def __init__(self, **keys: str) -> None:
        self.keys = keys

    def client(self, service: str) -> "Secret":
        assert service == "secretsmanager"
        return self

    def get_secret_value(self, **request: str) -> dict[str, str]:
        assert request == {"SecretId": "arn:token"}
        return {"SecretString": json.dumps(self.keys)}

    def put_secret_value(self, **request: str) -> None:
        assert request["SecretId"] == "arn:token"
        self.keys = json.loads(request["SecretString"])


@pytest.fixture
def secret(monkeypatch: pytest.MonkeyPatch) -> Secret:
    secret = Secret(current=OLD)
    monkeypatch.setattr(cli_token_key, "connect", lambda _stage: secret)
    outputs = {"TokenSecretArn": "arn:token"}
    monkeypatch.setattr(stack, "required_output", lambda _config, name: outputs[name])
    return secret


def rotate(*arguments: str, answer: str | None = None) -> Result:
    return CliRunner().invoke(app, ["token-key", "rotate", *arguments], input=answer)


def test_the_present_key_becomes_the_previous_one_and_a_new_one_signs(secret: Secret) -> None:
    result = rotate("--yes")
    assert result.exit_code == 0
    assert secret.keys.keys() == {"current", "previous"}
    assert secret.keys["previous"] == OLD
    assert len(secret.keys["current"]) >= 64
    assert secret.keys["current"] != OLD
    assert not any(key in result.output for key in secret.keys.values())


def test_after_a_second_rotation_the_first_key_is_gone_which_is_said_before(secret: Secret) -> None:
    warning = "the key before it"
    assert warning not in rotate("--yes").output
    second = secret.keys["current"]
    assert warning in rotate("--yes").output
    assert secret.keys["previous"] == second
    assert OLD not in secret.keys.values()


@pytest.mark.parametrize(("answer", "rotated"), [("y\n", True), ("n\n", False), ("", False)])
def test_it_asks_first(secret: Secret, answer: str, *, rotated: bool) -> None:
    before: Any = dict(secret.keys)
    result = rotate(answer=answer)
    assert "Rotate the key?" in result.output
    assert (secret.keys != before) is rotated
    assert (result.exit_code == 0) is rotated
