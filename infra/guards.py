"""Guards: items that keep something unique across streams, and that end access tokens before their time.

They hold no personal data, only a keyed digest of it.
"""

import hashlib
import hmac
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any, NamedTuple

from infra.event_store import GuardWrite
from infra.settings import MAX_ACCESS_TOKEN_LIFETIME

if TYPE_CHECKING:
    from mypy_boto3_dynamodb import DynamoDBClient


_ADMINS = "admins"
_STOPS_KEPT = MAX_ACCESS_TOKEN_LIFETIME + timedelta(minutes=5)  # longer than any token that they end


class UnreadGuardsError(Exception):
    """DynamoDB did not read all that it was asked for."""


class Stops(NamedTuple):
    """What ends access tokens before their time.

    Attributes:
        session_ended: the session has ended.
        issued_until: the user's tokens that were issued up to then do not count; milliseconds since the epoch.
    """

    session_ended: bool = False
    issued_until: int | None = None


class TokenGuards:
    """The guards that end access tokens: written with the commit that ends them, read with every request."""

    def __init__(self, client: "DynamoDBClient", table: str) -> None:
        self._client = client
        self._table = table

    def end_session(self, session_id: str, at: datetime) -> GuardWrite:
        """The write that ends a session's access tokens. It never refuses."""
        return self._stop(f"ended#{session_id}", at)

    def stop_tokens(self, user_id: str, at: datetime) -> GuardWrite:
        """The write that ends the access tokens that were issued to a user up to a moment. It never refuses.

        It takes the place of an earlier stop. One commit follows the other in a user's stream, so that stops never go
        back if each bears the time at which it is about to be written.

        Args:
            at: now, with the user's stream read.
        """
        return self._stop(f"stopped#{user_id}", at)

    def stops(self, session_id: str, user_id: str) -> Stops:
        """What ends the tokens of a session and of its user. One call, two read units.

        Raises:
            UnreadGuardsError: the table is busy.
        """
        keys: Any = [{"pk": {"S": key}} for key in (f"ended#{session_id}", f"stopped#{user_id}")]
        answer = self._client.batch_get_item(RequestItems={self._table: {"Keys": keys, "ConsistentRead": True}})
        if answer.get("UnprocessedKeys"):
            raise UnreadGuardsError
        found = {item["pk"]["S"]: item for item in answer["Responses"][self._table]}
        stopped = found.get(f"stopped#{user_id}")
        return Stops(f"ended#{session_id}" in found, int(stopped["at"]["N"]) if stopped else None)

    def _stop(self, key: str, at: datetime) -> GuardWrite:
        item = {
            "pk": {"S": key},
            "at": {"N": str(round(at.timestamp() * 1000))},
            "ttl": {"N": str(int((at + _STOPS_KEPT).timestamp()))},
        }
        return GuardWrite({"Put": {"TableName": self._table, "Item": item}})


class Guards(TokenGuards):
    """The guards table.

    Args:
        key: of the HMAC under which e-mail addresses are filed; without it an address cannot be found by guessing.
    """

    def __init__(self, client: "DynamoDBClient", table: str, key: bytes) -> None:
        super().__init__(client, table)
        self._key = key

    def take_email(self, email: str, user_id: str) -> GuardWrite:
        """The write that makes a normalised address this user's; it refuses if the address has an owner."""
        return GuardWrite(
            {
                "Put": {
                    "TableName": self._table,
                    "Item": {"pk": {"S": self._email_key(email)}, "owner": {"S": user_id}},
                    "ConditionExpression": "attribute_not_exists(pk)",
                }
            }
        )

    def release_email(self, email: str, user_id: str) -> GuardWrite:
        """The write that gives a normalised address up; it refuses if the address is somebody else's."""
        return GuardWrite(
            {
                "Delete": {
                    "TableName": self._table,
                    "Key": {"pk": {"S": self._email_key(email)}},
                    "ConditionExpression": "#owner = :owner",
                    "ExpressionAttributeNames": {"#owner": "owner"},
                    "ExpressionAttributeValues": {":owner": {"S": user_id}},
                }
            }
        )

    def count_admins(self, by: int) -> GuardWrite:
        """The write that moves the number of active admins; it refuses to take the last one."""
        update = {
            "TableName": self._table,
            "Key": {"pk": {"S": _ADMINS}},
            "UpdateExpression": "ADD n :by",
            "ExpressionAttributeValues": {":by": {"N": str(by)}},
        }
        if by < 0:
            update |= {
                "ConditionExpression": "n > :taken",
                "ExpressionAttributeValues": {":by": {"N": str(by)}, ":taken": {"N": str(-by)}},
            }
        return GuardWrite({"Update": update})

    def owner_of_email(self, email: str) -> str | None:
        """The id of the user who holds a normalised address. One strongly consistent read."""
        key = {"pk": {"S": self._email_key(email)}}
        answer = self._client.get_item(TableName=self._table, Key=key, ConsistentRead=True)
        return answer["Item"]["owner"]["S"] if "Item" in answer else None

    def _email_key(self, email: str) -> str:
        return "email#" + hmac.new(self._key, email.encode(), hashlib.sha256).hexdigest()
