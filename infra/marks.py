"""What the projections note for themselves: streams that cannot be projected, streams that a rebuild catches up with.

Marks stand in the views table and belong to no generation.
"""

import hashlib
import os
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from itertools import islice
from typing import NamedTuple

import uuid_utils
from pynamodb.attributes import NumberAttribute, UnicodeAttribute
from pynamodb.exceptions import DeleteError

from infra.patience import write
from infra.pynamodb_session import Model

STATE = "projections"
"""The partition of the pointer to the generations, and after it, of the parked streams."""

NOTE_SHARDS = 8
MAX_ERROR_CHARACTERS = 1_000


class Mark(Model):
    """One mark.

    Attributes:
        since: of a parked stream: when it was parked, in nanoseconds since the epoch.
        tried: likewise: when it was last tried, in vain. Other marks have neither.
    """

    class Meta:
        table_name = os.environ.get("VIEWS_TABLE", "views")
        connect_timeout_seconds = 2
        read_timeout_seconds = 5
        max_retry_attempts = 1

    pk = UnicodeAttribute(hash_key=True)
    sk = UnicodeAttribute(range_key=True)
    version = NumberAttribute()
    data = UnicodeAttribute(default="")
    since = NumberAttribute(null=True)
    tried = NumberAttribute(null=True)


def of_partition(partition: str) -> list[Mark]:
    """The marks of one partition, strongly consistent. One query."""
    return list(Mark.query(partition, consistent_read=True))


# ---- streams that cannot be projected

_PARKED = "parked#"


class Parked(NamedTuple):
    """A stream that cannot be projected past `version`, and why.

    Attributes:
        since: nanoseconds since the epoch; it has been parked all the time since.
        tried: nanoseconds since the epoch; the last time that it could not be projected.
    """

    generation: int
    stream: str
    version: int
    error: str
    since: int
    tried: int


def park(generation: int, stream: str, version: int, error: str) -> None:
    """Note that a stream cannot be projected past `version`. Others go on. A write unit."""
    now = time.time_ns()
    parked_mark(generation, stream).update(
        actions=[
            Mark.version.set(version),
            Mark.data.set(error[:MAX_ERROR_CHARACTERS]),
            Mark.since.set(Mark.since | now),
            Mark.tried.set(now),
        ]
    )


def unpark(parked: Parked) -> bool:
    """Take the mark off a stream, unless it was tried in vain once more meanwhile. Returns whether it is off."""
    try:
        parked_mark(parked.generation, parked.stream).delete(condition=Mark.tried == parked.tried)
    except DeleteError as error:
        if error.cause_response_code != "ConditionalCheckFailedException":
            raise
        return False
    return True


def parked_mark(generation: int, stream: str, version: int = 0, error: str = "") -> Mark:
    return Mark(STATE, f"{_PARKED}{generation}#{stream}", version=version, data=error)


def as_parked(mark: Mark) -> Parked | None:
    """What a mark of the partition STATE says; None if it is another kind of mark."""
    if not mark.sk.startswith(_PARKED):
        return None
    generation, _, stream = mark.sk.removeprefix(_PARKED).partition("#")
    return Parked(int(generation), stream, int(mark.version), mark.data, int(mark.since or 0), int(mark.tried or 0))


def find_parked(generation: int, stream: str) -> Parked | None:
    """A stream's mark, strongly consistent; None if it is not parked."""
    try:
        return as_parked(Mark.get(STATE, f"{_PARKED}{generation}#{stream}", consistent_read=True))
    except Mark.DoesNotExist:
        return None


def parked_among(places: Iterable[tuple[int, str]]) -> list[Parked]:
    """Those that are parked among streams, each with a generation; strongly consistent. A call per 100 streams."""
    keys = [(STATE, f"{_PARKED}{generation}#{stream}") for generation, stream in places]
    return [stream for stream in map(as_parked, Mark.batch_get(keys, consistent_read=True)) if stream]


def parked() -> list[Parked]:
    """All parked streams of all generations, strongly consistent."""
    found = Mark.query(STATE, Mark.sk.startswith(_PARKED), consistent_read=True)
    return [stream for stream in map(as_parked, found) if stream]


def forget_parked(generations: Mapping[str, int]) -> None:
    """Take the marks off all streams of these generations, by projection, which are no more."""
    for one in parked():
        if generations.get(one.stream.partition("#")[0]) == one.generation:
            parked_mark(one.generation, one.stream).delete()


# ---- streams that were touched during a rebuild


def note(streams: Iterable[tuple[str, int]]) -> None:
    """Note streams, each with the version that was told of. A write unit each."""
    with Mark.batch_write() as batch:
        for stream, version in streams:
            batch.save(Mark(_notes_partition(stream), stream, version=version, data=str(uuid_utils.uuid7())))


def notes(limit: int) -> Sequence[Mark]:
    """Some of the notes, if there are any; the stream is the sort key."""
    found: list[Mark] = []
    for shard in range(NOTE_SHARDS):
        left = limit - len(found)
        if left:
            found += islice(Mark.query(f"touched#{shard}", consistent_read=True, limit=left), left)
    return found


def strike(done: Iterable[Mark]) -> None:
    """Take off notes that were caught up with, unless they were made again meanwhile, for whatever version."""
    for mark in done:
        try:
            mark.delete(condition=Mark.data == mark.data)
        except DeleteError as error:
            if error.cause_response_code != "ConditionalCheckFailedException":
                raise


def forget_notes(before: Callable[[], object] = lambda: None) -> None:
    """Take off all notes.

    Args:
        before: called before each call; what it raises ends it.
    """
    for shard in range(NOTE_SHARDS):
        forget(Mark.query(f"touched#{shard}", consistent_read=True), before)


def forget(marks: Iterable[Mark], before: Callable[[], object] = lambda: None) -> None:
    """Delete marks, as `infra.patience.write` does."""
    keys = ({"pk": {"S": mark.pk}, "sk": {"S": mark.sk}} for mark in marks)
    write(Mark.Meta.table_name, ({"DeleteRequest": {"Key": key}} for key in keys), before)


def _notes_partition(stream: str) -> str:
    return f"touched#{hashlib.sha256(stream.encode()).digest()[0] % NOTE_SHARDS}"
