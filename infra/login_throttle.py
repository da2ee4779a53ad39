"""Slowing those who guess passwords, by logging in or by changing one: per account and per source address.

Each is a "generic cell rate algorithm" (ITU-T I.371): one time per key in the guards table, up to which its attempts
are used up. An attempt moves it by one step, and is refused where it would come more than a burst ahead of the clock.
It is counted before the password is looked at, so that attempts at the same moment cannot slip through together.
"""

import hashlib
import hmac
import math
from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING, Any

from infra.problems import RetryLaterError
from infra.settings import (
    ACCOUNT_LOGIN_SECONDS,
    ACCOUNT_LOGINS_AT_ONCE,
    ADDRESS_LOGIN_SECONDS,
    ADDRESS_LOGINS_AT_ONCE,
)

if TYPE_CHECKING:
    from mypy_boto3_dynamodb import DynamoDBClient


@dataclass(frozen=True)
class _Rate:
    """`at_once` attempts, then one more every `seconds`."""

    kind: str
    at_once: int
    seconds: int

    @property
    def step(self) -> int:
        """Milliseconds."""
        return self.seconds * 1000


_ACCOUNT = _Rate("account", ACCOUNT_LOGINS_AT_ONCE, ACCOUNT_LOGIN_SECONDS)
_ADDRESS = _Rate("address", ADDRESS_LOGINS_AT_ONCE, ADDRESS_LOGIN_SECONDS)


class LoginThrottle:
    """Counts attempts.

    Args:
        key: of the HMAC under which accounts and addresses are filed.
    """

    def __init__(self, client: "DynamoDBClient", table: str, key: bytes) -> None:
        self._client = client
        self._table = table
        self._hmac_key = key

    def count(self, account: str, address: str, at: datetime) -> None:
        """Count an attempt, before its password is looked at. Two write units; up to four calls.

        Args:
            account: what was given as the account's name, whether there is one or not.
            address: the IP address that the attempt came from.

        Raises:
            RetryLaterError: there were too many; this one is not to be looked at.
        """
        milliseconds = round(at.timestamp() * 1000)
        self._count(_ADDRESS, _network(address), milliseconds)
        self._count(_ACCOUNT, account, milliseconds)

    def give_back(self, account: str, address: str) -> None:
        """After a success: the account may fail as often as ever again, and the address has this attempt back.

        Not more than that: with an account of one's own, one could guess at others without end.
        """
        self._client.delete_item(TableName=self._table, Key=self._key(_ACCOUNT, account))
        self._update(
            _ADDRESS, _network(address), "SET tat = tat - :step", "attribute_exists(tat)", {":step": _ADDRESS.step}
        )

    def _count(self, rate: _Rate, subject: str, at: int) -> None:
        latest = at + (rate.at_once - 1) * rate.step
        while True:
            idle = "attribute_not_exists(tat) OR tat < :at"
            values = {":next": at + rate.step, ":at": at, ":ttl": self._ttl(at + rate.step)}
            if self._update(rate, subject, "SET tat = :next, #ttl = :ttl", idle, values) is None:
                return
            busy = "tat BETWEEN :at AND :latest"
            values = {":step": rate.step, ":at": at, ":latest": latest, ":ttl": self._ttl(latest + rate.step)}
            tat = self._update(rate, subject, "SET tat = tat + :step, #ttl = :ttl", busy, values)
            if tat is None:
                return
            if tat > latest:
                seconds = math.ceil((tat - latest) / 1000)
                raise RetryLaterError(f"Too many attempts; try again in {seconds} seconds.", seconds, status=429)

    def _update(self, rate: _Rate, subject: str, update: str, condition: str, values: dict[str, int]) -> int | None:
        """Move a time if it is as expected. Otherwise returns it as it is; 0 if there is none."""
        request: Any = {
            "TableName": self._table,
            "Key": self._key(rate, subject),
            "UpdateExpression": update,
            "ConditionExpression": condition,
            "ExpressionAttributeValues": {name: {"N": str(value)} for name, value in values.items()},
            "ReturnValuesOnConditionCheckFailure": "ALL_OLD",
        }
        if "#ttl" in update:
            request["ExpressionAttributeNames"] = {"#ttl": "ttl"}
        try:
            self._client.update_item(**request)
        except self._client.exceptions.ConditionalCheckFailedException as error:
            found: Any = error.response.get("Item") or {}
            return int(found["tat"]["N"]) if "tat" in found else 0
        return None

    def _key(self, rate: _Rate, subject: str) -> dict[str, Any]:
        name = f"login {rate.kind} {subject}".encode()
        return {"pk": {"S": f"login#{hmac.new(self._hmac_key, name, hashlib.sha256).hexdigest()}"}}

    @staticmethod
    def _ttl(tat: int) -> int:
        """Seconds since the epoch; an hour after the item has come to mean nothing."""
        return tat // 1000 + 3600


def _network(address: str) -> str:
    """An IPv6 address without its last 64 bits: all of these belong to one customer (RFC 6177)."""
    import ipaddress  # noqa: PLC0415 - logging in needs it, other requests do not

    try:
        parsed = ipaddress.ip_address(address)
    except ValueError:
        return address
    if isinstance(parsed, ipaddress.IPv6Address):
        return str(ipaddress.ip_network((int(parsed) >> 64 << 64, 64)))
    return str(parsed)
