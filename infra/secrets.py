"""Secrets from Secrets Manager, kept in memory for a short time. They are never logged and never leave the process."""

import json
import time
from collections.abc import Mapping

from infra import clients
from infra.settings import SECRET_CACHE_SECONDS

_cache: dict[str, tuple[float, dict[str, str]]] = {}


class UnusableSecretError(RuntimeError):
    """A secret that is not a JSON object of texts. Its content is not in the message."""


def secret(arn: str, max_age: float = SECRET_CACHE_SECONDS) -> Mapping[str, str]:
    """The texts in a secret, by name.

    Args:
        max_age: seconds since it was read.

    Raises:
        UnusableSecretError: if it is no JSON object of texts.
    """
    read_at, content = _cache.get(arn, (0.0, {}))
    if not read_at or time.monotonic() - read_at > max_age:
        content = _parsed(arn, clients.secretsmanager().get_secret_value(SecretId=arn)["SecretString"])
        _cache[arn] = (time.monotonic(), content)
    return content


def _parsed(arn: str, text: str) -> dict[str, str]:
    try:
        content = json.loads(text)
    except ValueError:
        content = None
    if not isinstance(content, dict) or not all(isinstance(value, str) for value in content.values()):
        raise UnusableSecretError(f"the secret {arn} must be a JSON object of texts")
    return content
