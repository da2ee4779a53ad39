"""Replay of everything: every stream of the events table, whole and in order, by a parallel scan.

A scan can be cut into segments, which share nothing and may run at the same time, in threads or in processes. Each
gives the items of one partition key together, so a stream lies within one segment; it may cross the boundary of two
pages. Memory is one page (at most 1 MB) and one stream per segment, however large the table is.

A stream appended to meanwhile is given as it was when its last page was read: whole up to a version, never with a hole.
Streams are in no order among each other.
"""

from collections.abc import Callable, Iterator
from concurrent.futures import Executor, as_completed
from functools import partial
from itertools import groupby
from typing import TYPE_CHECKING, Any, NamedTuple, TypeVar

from domain.commit import Commit
from infra.commits import Item, from_item
from infra.patience import patiently

if TYPE_CHECKING:
    from mypy_boto3_dynamodb import DynamoDBClient

Result = TypeVar("Result")


class Segment(NamedTuple):
    """One part of the table: `number` counts from 0, `of` is how many there are, 1 to 1,000,000."""

    number: int
    of: int


WHOLE = Segment(0, 1)


Position = tuple[str, int]
"""Where a replay stands: a stream that was given, and the version its last commit begins at."""


def replay(
    client: "DynamoDBClient",
    table: str,
    segment: Segment = WHOLE,
    *,
    consistent: bool = False,
    after: Position | None = None,
) -> Iterator[tuple[str, list[Commit]]]:
    """Every stream of a segment, with all its commits in order.

    Args:
        consistent: read strongly consistent: nothing that was acknowledged before is missed, at twice the price.
        after: go on behind the stream that a replay of the same segment gave last.

    Raises:
        NotACommitError: an item is none.

    One call per MB; half a read unit per 4 KB, one when consistent.
    """
    for stream, items in stored_streams(client, table, segment, consistent=consistent, after=after):
        yield stream, list(map(from_item, items))


def stored_streams(
    client: "DynamoDBClient",
    table: str,
    segment: Segment = WHOLE,
    *,
    consistent: bool = False,
    after: Position | None = None,
) -> Iterator[tuple[str, list[Item]]]:
    """As `replay`, with the items as they are stored, among which may be some that are no commits."""
    items = _items(client, table, segment, consistent=consistent, after=after)
    for stream, of_stream in groupby(items, _stream):
        # In order already, says every description of DynamoDB but its reference; then this costs next to nothing.
        yield stream, sorted(of_stream, key=_version)


def position(item: Item) -> Position:
    """Where a replay stands that gave this item last."""
    return _stream(item), _version(item)


def in_parallel(executor: Executor, segments: int, work: Callable[[Segment], Result]) -> Iterator[Result]:
    """Do `work` for every segment at once, and give what each made of it as it ends.

    Threads wait for the network together but decode one at a time; processes decode together too, then `work` is a
    function of a module and makes its own client (a client must not cross a fork). AWS Lambda has threads only.

    Raises:
        Exception: whatever the first segment to fail raised. Those that have not begun are cancelled.
    """
    futures = [executor.submit(work, Segment(number, segments)) for number in range(segments)]
    try:
        for future in as_completed(futures):
            yield future.result()
    finally:
        for future in futures:
            future.cancel()


def _stream(item: Item) -> str:
    stream: str = item["pk"]["S"]
    return stream


def _version(item: Item) -> int:
    return int(item["sk"]["N"])


def _items(
    client: "DynamoDBClient", table: str, segment: Segment, *, consistent: bool, after: Position | None
) -> Iterator[Item]:
    request: dict[str, Any] = {"TableName": table, "ConsistentRead": consistent}
    if after:
        request["ExclusiveStartKey"] = {"pk": {"S": after[0]}, "sk": {"N": str(after[1])}}
    if segment.of > 1:
        request |= {"Segment": segment.number, "TotalSegments": segment.of}
    while True:
        page: Any = patiently(partial(client.scan, **request))
        # An empty page is not the end: only a missing key is. Its items are let go before the next ones are read.
        yield from page.pop("Items")
        if "LastEvaluatedKey" not in page:
            return
        request["ExclusiveStartKey"] = page["LastEvaluatedKey"]
