"""How far logs were searched: a guard for each log group, changed only by whoever saw it last.

They are no domain events: a run changes a mark twice every few minutes, nobody ever asks how a mark came to be, and a
lost one costs no more than starting anew.
"""

import itertools
from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING, Any

from botocore.exceptions import ClientError

from domain.log_queries import FORGOTTEN_SECONDS, Mark, Target

if TYPE_CHECKING:
    from mypy_boto3_dynamodb import DynamoDBClient

_MAX_KEYS = 100  # that BatchGetItem takes
_KEPT_SECONDS = 7 * FORGOTTEN_SECONDS


class LostMarkError(Exception):
    """Another run changed the mark: the search is its now."""


class LogQueryMarks:
    """The marks in the guards table."""

    def __init__(self, client: "DynamoDBClient", table: str) -> None:
        self._client = client
        self._table = table

    def read(self, targets: Iterable[Target]) -> Mapping[str, Mark]:
        """The marks that there are, by the id of their target; perhaps of a moment ago. Half a read unit each.

        What the table was too busy to read is left out, and found to be there when it is saved.
        """
        found = {}
        keys = (target.id for target in targets)
        while names := list(itertools.islice(keys, _MAX_KEYS)):
            wanted: Any = {self._table: {"Keys": [{"pk": {"S": _key(name)}} for name in names]}}
            items = self._client.batch_get_item(RequestItems=wanted)["Responses"].get(self._table, [])
            found.update({item["pk"]["S"].partition("#")[2]: _mark(item) for item in items})
        return found

    def save(self, target: Target, mark: Mark) -> None:
        """Save a mark, if the one that stands there is its predecessor. One write unit.

        Raises:
            LostMarkError: it is not.
        """
        item: dict[str, Any] = {
            "pk": {"S": _key(target.id)},
            "version": {"N": str(mark.version)},
            "data": {"S": mark.model_dump_json()},
            "target": {"S": " ".join(target)},
            "ttl": {"N": str(mark.tried_at + _KEPT_SECONDS)},
        }
        try:
            self._client.put_item(
                TableName=self._table,
                Item=item,
                ConditionExpression="version = :before" if mark.version > 1 else "attribute_not_exists(pk)",
                ReturnValuesOnConditionCheckFailure="ALL_OLD",
                **_values(mark),
            )
        except ClientError as error:
            if error.response["Error"]["Code"] != "ConditionalCheckFailedException":
                raise
            stored: Any = error.response.get("Item")
            if stored is None or _mark(stored) != mark:  # the same: saved, and the answer was lost
                raise LostMarkError(" ".join(target)) from None


def _values(mark: Mark) -> dict[str, Any]:
    before = {":before": {"N": str(mark.version - 1)}}
    return {"ExpressionAttributeValues": before} if mark.version > 1 else {}


def _key(name: str) -> str:
    return f"log-query#{name}"


def _mark(item: Mapping[str, Any]) -> Mark:
    return Mark.model_validate_json(item["data"]["S"])
