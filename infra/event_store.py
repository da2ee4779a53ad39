"""The event store: append-only streams of commits in one DynamoDB table, one item per commit.

Append is one conditional `PutItem`: the condition that no commit stands at this version yet is what makes a stream
contiguous under concurrency. It costs one write unit per KB, however many events the commit holds. A commit that
must move together with a guard goes by `TransactWriteItems`, which costs twice as much per item.

A stream is only appended to from its end: `load` gives whole commits, so the version after the last one is where
the next commit begins.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Protocol

from botocore.exceptions import ClientError

from domain.commit import Commit
from infra.commits import from_item, to_item
from infra.settings import SNAPSHOT_COMMITS
from infra.usage import PROCESS, Usage

if TYPE_CHECKING:
    from mypy_boto3_dynamodb import DynamoDBClient

MAX_ITEM_BYTES = 400_000
"""DynamoDB's limit for an item is 400 KB (Service quotas); what is larger is refused before anything is written."""


class ConflictError(Exception):
    """Another commit stands where this one was to go: load again and decide again."""


class GuardRefusedError(Exception):
    """A guard's condition failed: what it guards is taken."""


class CommitTooLargeError(Exception):
    """A commit that no DynamoDB item can hold. Nothing was written."""


@dataclass(frozen=True, slots=True)
class GuardWrite:
    """A write to the guards table that happens with the commit or not at all; one of `TransactWriteItems`' items."""

    action: Any


class EventStore(Protocol):
    """What commands, projections and queries need of the store."""

    def append(self, commit: Commit, guards: Sequence[GuardWrite] = ()) -> None:
        """Append `commit` to its stream.

        Raises:
            ConflictError: another commit stands at this version.
            GuardRefusedError: a guard refused; nothing was written.
            CommitTooLargeError: it does not fit; nothing was written.
        """

    def append_together(self, commits: Sequence[Commit], guards: Sequence[GuardWrite] = ()) -> None:
        """Append a commit to each of several streams, all or none. Raises as `append` does."""

    def load(self, stream: str, after: int = 0) -> Iterator[Commit]:
        """The commits that begin after version `after`, in order, strongly consistent.

        Raises:
            NotACommitError: the next item is none. What comes before it was given.
        """

    def load_back(self, stream: str, until: int | None = None) -> Iterator[Commit]:
        """The commits, newest first, strongly consistent; only those that begin no later than version `until`.

        Read as far as they are taken. Raises as `load` does.
        """


class DynamoDBEventStore:
    """The store on DynamoDB.

    Args:
        usage: where calls, units, conflicts and retries are summed.
    """

    def __init__(self, client: "DynamoDBClient", table: str, usage: Usage = PROCESS) -> None:
        self._client = client
        self._table = table
        self._usage = usage

    def append(self, commit: Commit, guards: Sequence[GuardWrite] = ()) -> None:
        """See `EventStore.append`. One call; a write unit per KB, two per KB with guards."""
        if guards:
            self.append_together([commit], guards)
            return
        check_size(commit)
        try:
            answer = self._client.put_item(**self._put(commit), ReturnConsumedCapacity="TOTAL")
            self._usage.note(answer, written=len(commit.encoded), writes=True)
        except ClientError as error:
            self._usage.note(error.response, writes=True)
            code = error.response["Error"]["Code"]
            if code == "ConditionalCheckFailedException":
                self._settle(commit, error.response.get("Item"))
            elif code == "TransactionConflictException":  # in a transaction's hands it is taken, too
                self._settle(commit, self._found(commit))
            else:
                raise

    def load(self, stream: str, after: int = 0) -> Iterator[Commit]:
        """See `EventStore.load`. A read unit per 4 KB; one call per MB."""
        request: dict[str, Any] = {
            "TableName": self._table,
            "KeyConditionExpression": "pk = :pk AND sk > :after",
            "ExpressionAttributeValues": {":pk": {"S": stream}, ":after": {"N": str(after)}},
            "ConsistentRead": True,
        }
        return self._query(request)

    def load_back(self, stream: str, until: int | None = None) -> Iterator[Commit]:
        """See `EventStore.load_back`. The first call reads as far back as a snapshot is expected."""
        bound = {} if until is None else {":until": {"N": str(until)}}
        return self._query(
            {
                "TableName": self._table,
                "KeyConditionExpression": "pk = :pk AND sk <= :until" if bound else "pk = :pk",
                "ExpressionAttributeValues": {":pk": {"S": stream}, **bound},
                "ConsistentRead": True,
                "ScanIndexForward": False,
                "Limit": SNAPSHOT_COMMITS,
            }
        )

    def _query(self, request: dict[str, Any]) -> Iterator[Commit]:
        while True:
            page = self._client.query(**request, ReturnConsumedCapacity="TOTAL")
            self._usage.note(page, read=sum(map(_length, page["Items"])), writes=False)
            yield from map(from_item, page["Items"])  # one by one: what is no commit hides none that comes before it
            if "LastEvaluatedKey" not in page:
                return
            request["ExclusiveStartKey"] = page["LastEvaluatedKey"]
            request.pop("Limit", None)  # there was no snapshot where one is expected: take whole pages

    def append_together(self, commits: Sequence[Commit], guards: Sequence[GuardWrite] = ()) -> None:
        """See `EventStore.append_together`. One call; two write units per KB of each commit, and two per guard."""
        for commit in commits:
            check_size(commit)
        puts: list[Any] = [{"Put": self._put(commit)} for commit in commits]
        try:
            answer = self._client.transact_write_items(
                TransactItems=[*puts, *(guard.action for guard in guards)],
                ClientRequestToken=commits[0].id,  # a repeat of the same request within ten minutes succeeds again
                ReturnConsumedCapacity="TOTAL",
            )
            self._usage.note(answer, written=sum(len(commit.encoded) for commit in commits), writes=True)
        except self._client.exceptions.TransactionCanceledException as error:
            self._usage.note(error.response, writes=True)
            reasons: Any = error.response.get("CancellationReasons", [])
            codes = {reason.get("Code") for reason in reasons}
            refused = [reason.get("Code") == "ConditionalCheckFailed" for reason in reasons]
            if any(refused[: len(commits)]):
                for commit, reason, taken in zip(commits, reasons, refused, strict=False):
                    if taken:
                        self._settle(commit, reason.get("Item"))
            elif "TransactionConflict" in codes and all(_is(commit, self._found(commit)) for commit in commits):
                return  # an answer was lost, and the repeat met somebody else's transaction, perhaps on a guard
            elif any(refused):
                raise GuardRefusedError from error
            elif "TransactionConflict" in codes:
                self._usage.conflicts += 1
                raise ConflictError(f"{commits[0].stream} is being written to") from error
            else:
                raise

    def _put(self, commit: Commit) -> Any:
        return {
            "TableName": self._table,
            "Item": to_item(commit),
            "ConditionExpression": "attribute_not_exists(pk)",
            "ReturnValuesOnConditionCheckFailure": "ALL_OLD",
        }

    def _settle(self, commit: Commit, stored: Any) -> None:
        """The version is taken: by this very commit, whose answer was lost on the way, or by another one.

        The client repeats a request whose answer it did not get, so that the second try meets the first one's item.
        """
        if _is(commit, stored):
            return
        self._usage.conflicts += 1
        raise ConflictError(f"another commit stands at version {commit.version} of {commit.stream}")

    def _found(self, commit: Commit) -> Any:
        """The item that stands where a commit was to go, if any. What a transaction is about to put does not show."""
        answer = self._client.query(
            TableName=self._table,
            KeyConditionExpression="pk = :pk AND sk = :sk",
            ExpressionAttributeValues={":pk": {"S": commit.stream}, ":sk": {"N": str(commit.version)}},
            ConsistentRead=True,
            ReturnConsumedCapacity="TOTAL",
        )
        self._usage.note(answer, writes=False)
        return next(iter(answer["Items"]), None)


def _is(commit: Commit, stored: Any) -> bool:
    """Whether a stored item is this very commit."""
    return bool(stored) and stored["id"]["S"] == commit.id and stored["h"]["B"] == commit.hash


def _length(item: Any) -> int:
    """Characters of a stored commit's events."""
    return len(item.get("e", {}).get("S", ""))


def check_size(commit: Commit) -> None:
    """Raises CommitTooLargeError if the item's text alone would pass DynamoDB's limit."""
    others = 1_000  # bytes; they take a few hundred
    size = len(commit.encoded.encode()) + len(commit.snapshot or b"") + others
    if size > MAX_ITEM_BYTES:
        raise CommitTooLargeError(f"a commit of {size:,} bytes for {commit.stream}; DynamoDB takes {MAX_ITEM_BYTES:,}")
