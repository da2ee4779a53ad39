"""The read side of a stage as an operator sees it: its lag, its parked streams, and going on with these."""

from collections.abc import Iterable, Iterator, Sequence
from itertools import islice
from typing import TYPE_CHECKING, Any, NamedTuple

from ops import functions, stack
from ops.aws import SessionConfig, as_ops_error
from ops.errors import OpsError

if TYPE_CHECKING:
    from infra.marks import Mark
    from infra.read_side import ReadSide

STREAMS_TOGETHER = 20
"""Streams that one call of the projector goes on with; it has a minute."""


_NAMED = 5


class Redriven(NamedTuple):
    """What became of a stream.

    Attributes:
        version: up to which the views show it, if it is not parked; 0 if there is no such stream.
        parked: why it is still parked; None if it is not.
    """

    stream: str
    version: int
    parked: str | None


class Report(NamedTuple):
    """What `opsledger status` says of the read side: nothing of a stage that is not deployed.

    Attributes:
        problem: why nothing can be said though it is deployed; empty if there is no such reason.
    """

    found: "ReadSide | None" = None
    problem: str = ""

    def as_json(self) -> dict[str, Any]:
        """`views` is `ok`, `degraded` or null; the others as GET /health has them; null where nothing is known."""
        if self.found is None:
            return {"views": None, "lag": None, "parked": None, "rebuild": None}
        return {
            "views": self.found.status,
            "lag": dict(self.found.lag),
            "parked": len(self.found.parked),
            "rebuild": self.found.rebuild,
        }

    def lines(self) -> list[str]:
        """The same for people, with what the figures mean."""
        if self.problem:
            return [f"views: not known ({self.problem})"]
        if self.found is None:
            return []
        return [f"views: {self.found.status}", *_lag_lines(self.found), *_parked_lines(self.found)]


def report(config: SessionConfig) -> Report:
    """What can be said of a deployed stage; that its table cannot be read is said too, and no error."""
    from botocore.exceptions import ClientError  # noqa: PLC0415

    try:
        return Report(look(config))
    except ClientError as error:
        return Report(problem=as_ops_error(error).problem)


def look(config: SessionConfig) -> "ReadSide":
    """How the read side is now. Two queries, with the operator's credentials."""
    from infra import read_side  # noqa: PLC0415 - PynamoDB takes 0.3 s

    table = stack.required_output(config, "ViewsTable")
    return read_side.look(lambda partition: _marks(config, table, partition))


def redrive(config: SessionConfig, streams: Iterable[str]) -> Iterator[Redriven]:
    """Have the projector go on with streams from the events table, with the code that is deployed.

    Raises:
        OpsError: the function failed for some. It is raised when the others are done, and names those that are left.
    """
    remaining = iter(dict.fromkeys(streams))
    left: list[str] = []
    failures: list[OpsError] = []
    while some := list(islice(remaining, STREAMS_TOGETHER)):
        try:
            done = functions.invoke(config, f"{config.stack_name}-projector", {"redrive": some})
        except OpsError as error:
            left += some
            failures.append(error)
        else:
            yield from (Redriven(stream, **of_stream) for stream, of_stream in done.items())
    if failures:
        raise OpsError(f"{failures[0].problem}; left are {_named(left)}", failures[0].remedy)


def _lag_lines(found: "ReadSide") -> list[str]:
    if not any(lag is not None for lag in found.lag.values()):
        return ["  no heartbeat has been heard yet: one is sent every minute, and the lag is known from then on"]
    lines = ["  lag: seconds that the last heartbeat took to each reader, or that the next is overdue, or one missing"]
    for consumer, lag in found.lag.items():
        told = "has heard no heartbeat yet" if lag is None else f"{lag:.1f} s"
        lines.append(f"    {consumer}: {told}")
    return lines


def _parked_lines(found: "ReadSide") -> list[str]:
    rebuild = [f"  a rebuild is under way, in the phase {found.rebuild}"] if found.rebuild else []
    if found.abandoned:
        rebuild = [
            f"  a rebuild was interrupted in the phase {found.rebuild}; `opsledger rebuild` goes on, --abort ends it"
        ]
    if not found.parked:
        return [*rebuild, "  parked streams: none"]
    names = _named([parked.stream for parked in found.parked])
    return [*rebuild, f"  parked streams: {names}; `opsledger parked` tells why"]


def _named(streams: Sequence[str]) -> str:
    more = f" and {len(streams) - _NAMED} more" if len(streams) > _NAMED else ""
    return f"{', '.join(streams[:_NAMED])}{more}"


def _marks(config: SessionConfig, table: str, partition: str) -> "Iterator[Mark]":
    from infra.marks import Mark  # noqa: PLC0415

    pages = (
        config.client("dynamodb")
        .get_paginator("query")
        .paginate(
            TableName=table,
            KeyConditionExpression="pk = :pk",
            ExpressionAttributeValues={":pk": {"S": partition}},
            ConsistentRead=True,
        )
    )
    for page in pages:
        for item in page["Items"]:
            yield Mark.from_raw_data(item)
