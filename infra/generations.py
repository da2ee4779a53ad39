"""Generations of the views: which one of each projection is live, and which is being built beside it.

Every partition of the views table begins with its projection's generation, so that a rebuild fills partitions that
nobody reads, and then moves one pointer. Code that reads and writes views does not see it: `GenerationKey` puts it
before a key and takes it off.

The pointer is one item, read consistently and kept for GENERATIONS_CACHE_SECONDS at most. Whoever moves it waits for
SETTLE_SECONDS before relying on everybody having seen it.
"""

import time
from collections.abc import Callable, Iterator, Mapping
from collections.abc import Set as AbstractSet
from contextlib import contextmanager
from contextvars import ContextVar
from enum import StrEnum
from typing import NamedTuple

from pynamodb.attributes import UnicodeAttribute
from pynamodb.exceptions import PutError

from domain.value import Value
from infra.marks import STATE, Mark, as_parked
from infra.settings import GENERATIONS_CACHE_SECONDS

OWNERS: Mapping[str, str] = {
    "event": "event",
    "event-days": "event",
    "counter#events": "event",
    "task": "task",
    "tasks": "task",
    "assignee": "task",
    "creator": "task",
    "from": "task",
    "due": "task",
    "counter#tasks": "task",
    "counter#tasks-due": "task",
    "counter#tasks-closed": "task",
    "alert": "alert",
    "alerts": "alert",
    "counter#alerts": "alert",
    "counter#alerts-days": "alert",
    "user": "user",
    "users": "user",
    "counter#users": "user",
    "session": "session",
    "sessions": "session",
    "login": "session",
    "counter#logins": "session",
    "aws-config": "aws-config",
    "aws-configs": "aws-config",
    "monitoring-config": "monitoring-config",
}
"""Which projection a partition belongs to, by the first word of its name, or the first two of a counter's."""


class Phase(StrEnum):
    """How far a rebuild is.

    BULK, CATCH_UP: the projector serves the live generation only, and notes the streams that it is told of.
    BOTH: it moves the rows of both generations, in one transaction.
    SWAPPED: likewise; the new one is live, and some may still read the old one for a moment.
    REMOVING: the rows of the generation that is not live are being deleted.
    """

    BULK = "bulk"
    CATCH_UP = "catch-up"
    BOTH = "both"
    SWAPPED = "swapped"
    REMOVING = "removing"


class Generations(Value):
    """The pointer.

    Attributes:
        live: by projection; one that is missing is at generation 1.
        other: of the projections being rebuilt: the one being built, or after the swap the one that was live.
        phase: of the rebuild; None while there is none.
        owner: who carries it out, and until when (seconds since the epoch) nobody else may.
        segments: into how many the events table is cut for it.
        dry_run: it ends with the comparison.
    """

    live: Mapping[str, int] = {}
    other: Mapping[str, int] = {}
    phase: Phase | None = None
    owner: str = ""
    owned_until: float = 0
    segments: int = 1
    dry_run: bool = False

    def steers_as(self, other: "Generations") -> bool:
        """Whether a projector does the same by both."""
        return (self.live, self.other, self.phase) == (other.live, other.other, other.phase)

    def live_of(self, projection: str) -> int:
        return self.live.get(projection, 1)

    def written(self, projection: str) -> tuple[int, ...]:
        """The generations in which the projector moves rows."""
        live = self.live_of(projection)
        both = self.phase in {Phase.BOTH, Phase.SWAPPED} and projection in self.other
        return (live, self.other[projection]) if both else (live,)

    def notes(self, projection: str) -> bool:
        """Whether the projector notes the streams that it is told of."""
        return self.phase in {Phase.BULK, Phase.CATCH_UP} and projection in self.other


class OvertakenError(Exception):
    """Somebody else moved the pointer at the same time."""


POINTER = (STATE, "generations")

_seen: tuple[float, Generations] | None = None
_chosen: ContextVar[Mapping[str, int]] = ContextVar("_chosen", default={})  # noqa: B039 - never changed in place


def present(max_age: float = GENERATIONS_CACHE_SECONDS) -> Generations:
    """The pointer, at most `max_age` seconds old."""
    global _seen  # noqa: PLW0603 - the process's one copy
    if _seen is None or time.monotonic() - _seen[0] > max_age:
        asked = time.monotonic()
        _seen = (asked, read()[0])
    return _seen[1]


_FEW = 25
"""Marks that the projector reads before each batch, whether or not they are of its streams: two read units or so."""


class Bearings(NamedTuple):
    """What the projector has to know before it moves anything.

    Attributes:
        parked: the parked streams, each with its generation; None if they are too many to be read for each batch.
    """

    generations: Generations
    parked: AbstractSet[tuple[int, str]] | None


def bearings() -> Bearings:
    """The bearings of this moment. One query, strongly consistent."""
    global _seen  # noqa: PLW0603
    asked = time.monotonic()
    found, parked = Generations(), set()
    noted = list(Mark.query(STATE, consistent_read=True, limit=_FEW))
    for mark in noted:
        stream = as_parked(mark)
        if stream:
            parked.add((stream.generation, stream.stream))
        elif mark.sk == POINTER[1]:  # which comes first
            found = Generations.model_validate_json(mark.data)
    _seen = (asked, found)
    return Bearings(found, parked if len(noted) < _FEW else None)


def forget() -> None:
    """Have the pointer read anew."""
    global _seen  # noqa: PLW0603
    _seen = None


def read() -> tuple[Generations, int]:
    """The pointer as it is, and its version, which is 0 while it was never moved."""
    try:
        mark = Mark.get(*POINTER, consistent_read=True)
    except Mark.DoesNotExist:
        return Generations(), 0
    return Generations.model_validate_json(mark.data), int(mark.version)


def move(change: Callable[[Generations], Generations]) -> Generations:
    """Move the pointer, in one write.

    Raises:
        OvertakenError: somebody else moved it meanwhile.
    """
    before, version = read()
    after = change(before)
    mark = Mark(*POINTER, version=version + 1, data=after.model_dump_json())
    try:
        mark.save(condition=Mark.version == version if version else Mark.pk.does_not_exist())
    except PutError as error:
        if error.cause_response_code != "ConditionalCheckFailedException":
            raise
        raise OvertakenError("the generations were moved by somebody else") from error
    forget()
    return after


@contextmanager
def chosen(generations: Mapping[str, int]) -> Iterator[None]:
    """Inside, keys of these projections are of these generations, whichever are live."""
    token = _chosen.set({**_chosen.get(), **generations})
    try:
        yield
    finally:
        _chosen.reset(token)


def projection_of(pk: str) -> str:
    """The projection that a partition belongs to.

    Raises:
        KeyError: no projection owns such a partition.
    """
    first, _, rest = pk.partition("#")
    return OWNERS[f"{first}#{rest.partition('#')[0]}" if first == "counter" else first]


def prefixed(pk: str) -> str:
    """A partition's name as it is stored."""
    projection = projection_of(pk)
    generation = _chosen.get().get(projection) or present().live_of(projection)
    return f"{generation}|{pk}"


class GenerationKey(UnicodeAttribute):
    """The name of a partition, with its generation in DynamoDB and without it everywhere else."""

    def serialize(self, value: str) -> str:
        return prefixed(value)

    def deserialize(self, value: str) -> str:
        return value.partition("|")[2]
