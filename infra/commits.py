"""Between a commit and the DynamoDB item that holds it, in the shape of the client API and of stream records."""

import base64
from collections.abc import Mapping
from datetime import datetime
from typing import Any

from domain.commit import CommandKey, Commit, timestamp

Item = dict[str, Any]
"""DynamoDB's typed JSON: `{"pk": {"S": "task#…"}, …}`."""


def to_item(commit: Commit) -> Item:
    item: Item = {
        "pk": {"S": commit.stream},
        "sk": {"N": str(commit.version)},
        "n": {"N": str(commit.count)},
        "id": {"S": commit.id},
        "at": {"S": timestamp(commit.at)},
        "by": {"S": commit.by},
        "co": {"S": commit.correlation_id},
        "ca": {"S": commit.causation_id},
        "e": {"S": commit.encoded},
        "h": {"B": commit.hash},
    }
    if commit.command:
        item["cmd"] = {"S": f"{commit.command.digest} {commit.command.key}"}
    if commit.expires_at is not None:
        item["ttl"] = {"N": str(commit.expires_at)}
    if commit.snapshot is not None:
        item["s"] = {"B": commit.snapshot}
    return item


class NotACommitError(ValueError):
    """An item that is no commit: somebody put it by hand."""


def from_item(item: Mapping[str, Any]) -> Commit:
    """The commit in an item.

    Raises:
        NotACommitError: it holds none.
    """
    try:
        return _commit(item)
    except (LookupError, TypeError, ValueError) as error:
        raise NotACommitError(f"not a commit ({type(error).__name__}: {error})") from error


def _commit(item: Mapping[str, Any]) -> Commit:
    command = None
    if "cmd" in item:
        digest, _, key = item["cmd"]["S"].partition(" ")
        command = CommandKey(key, digest)
    return Commit(
        stream=item["pk"]["S"],
        version=int(item["sk"]["N"]),
        count=int(item["n"]["N"]),
        id=item["id"]["S"],
        at=datetime.fromisoformat(item["at"]["S"]),
        by=item["by"]["S"],
        correlation_id=item["co"]["S"],
        causation_id=item["ca"]["S"],
        command=command,
        encoded=item["e"]["S"],
        hash=_binary(item["h"]["B"]),
        expires_at=int(item["ttl"]["N"]) if "ttl" in item else None,
        snapshot=_binary(item["s"]["B"]) if "s" in item else None,
    )


def _binary(value: bytes | str) -> bytes:
    """Stream records carry binary as base64 text; the client has decoded it already."""
    if isinstance(value, str):
        return base64.b64decode(value)
    return value
