"""Guards: items that keep something unique across streams. They hold no personal data, only a keyed digest of it."""

import hashlib
import hmac
from typing import TYPE_CHECKING

from infra.event_store import GuardWrite

if TYPE_CHECKING:
    from mypy_boto3_dynamodb import DynamoDBClient


_ADMINS = "admins"


class Guards:
    """The guards table.

    Args:
        key: of the HMAC under which e-mail addresses are filed; without it an address cannot be found by guessing.
    """

    def __init__(self, client: "DynamoDBClient", table: str, key: bytes) -> None:
        self._client = client
        self._table = table
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
