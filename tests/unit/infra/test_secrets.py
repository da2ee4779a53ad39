"""Secrets: read once a minute, and never said aloud."""

import json
import time
from typing import Any

import pytest

from infra import clients, secrets
from infra.secrets import UnusableSecretError, secret
from infra.settings import SECRET_CACHE_SECONDS


class SecretsManager:
    """Answers as Secrets Manager does, and counts."""

    def __init__(self) -> None:
        self.texts: dict[str, str] = {}
        self.reads: list[str] = []

    def get_secret_value(self, *, SecretId: str) -> dict[str, Any]:  # noqa: N803 - boto3's name
        self.reads.append(SecretId)
        return {"SecretString": self.texts[SecretId]}


class Clock:
    """A monotonic clock that stands until it is moved. It may begin at zero, as after a start of the machine."""

    def __init__(self) -> None:
        self.seconds = 0.0

    def __call__(self) -> float:
        return self.seconds


@pytest.fixture
def manager(monkeypatch: pytest.MonkeyPatch) -> SecretsManager:
    manager = SecretsManager()
    monkeypatch.setattr(clients, "secretsmanager", lambda: manager)
    monkeypatch.setattr(secrets, "_cache", {})
    return manager


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    clock = Clock()
    monkeypatch.setattr(time, "monotonic", clock)
    return clock


def test_a_secret_is_its_texts_by_name(manager: SecretsManager) -> None:
    manager.texts["arn:a"] = '{"current": "k1", "previous": "k0"}'
    assert secret("arn:a") == {"current": "k1", "previous": "k0"}


def test_a_secret_is_read_once_while_it_is_fresh(manager: SecretsManager, clock: Clock) -> None:
    clock.seconds = 1_000.0
    manager.texts["arn:a"] = '{"current": "k1"}'
    for _ in range(3):
        secret("arn:a")
    clock.seconds += SECRET_CACHE_SECONDS
    secret("arn:a")
    assert manager.reads == ["arn:a"]


def test_a_changed_secret_is_seen_when_the_old_one_is_no_longer_fresh(manager: SecretsManager, clock: Clock) -> None:
    clock.seconds = 1_000.0
    manager.texts["arn:a"] = '{"current": "k1"}'
    secret("arn:a")
    manager.texts["arn:a"] = '{"current": "k2"}'
    assert secret("arn:a")["current"] == "k1"
    clock.seconds += SECRET_CACHE_SECONDS + 0.001
    assert secret("arn:a")["current"] == "k2"


def test_secrets_are_kept_apart(manager: SecretsManager) -> None:
    manager.texts |= {"arn:a": '{"current": "ka"}', "arn:b": '{"current": "kb"}'}
    assert [secret(arn)["current"] for arn in ("arn:a", "arn:b", "arn:a")] == ["ka", "kb", "ka"]
    assert manager.reads == ["arn:a", "arn:b"]


@pytest.mark.parametrize("text", ["", "hunter2", "null", '["hunter2"]', '"hunter2"', '{"hunter2": 7}', "{hunter2"])
def test_what_is_no_object_of_texts_is_refused_by_its_name_and_without_its_content(
    manager: SecretsManager, text: str
) -> None:
    manager.texts["arn:a"] = text
    with pytest.raises(UnusableSecretError, match="arn:a must be a JSON object of texts") as raised:
        secret("arn:a")
    assert "hunter2" not in str(raised.value)
    assert raised.value.__cause__ is None
    assert raised.value.__context__ is None


def test_an_unusable_secret_is_not_kept(manager: SecretsManager) -> None:
    manager.texts["arn:a"] = "oops"
    with pytest.raises(UnusableSecretError):
        secret("arn:a")
    manager.texts["arn:a"] = json.dumps({"current": "k1"})
    assert secret("arn:a")["current"] == "k1"
