"""How far the segments of a rebuild are, kept in the views table, so that one that was killed goes on from there.

A segment has a head, which is small, for it is asked for again and again; and the sums of its counters, which can have
more than the 400 KB that an item takes, in pieces. These stand in one of two slots: the head is written after them, and
names the slot, so that what it names is whole wherever a process ends.
"""

import base64
import json
import zlib
from collections.abc import Callable, Mapping, Sequence
from typing import TypedDict

from domain.value import Value
from infra.marks import Mark, forget
from infra.patience import write
from infra.replay import Segment
from projections.lease import OlderReleaseError

PIECE_CHARACTERS = 300_000

_HEADS = "rebuild"
_SUMS = "rebuild-sums"

Sums = Mapping[str, Mapping[str, int]]
"""Of counters: by partition and sort key."""


class Progress(Value):
    """How far a segment is.

    Attributes:
        after: the last stream that is in, and where its last commit begins.
        streams, items: read so far, of any projection.
        events: of the projections that are rebuilt; `rows`: written.
        left: streams that could not be folded, and are left to the catch-up.
    """

    after: tuple[str, int] | None = None
    streams: int = 0
    items: int = 0
    events: int = 0
    rows: int = 0
    left: int = 0
    done: bool = False


class _Head(TypedDict):
    progress: object
    slot: int
    pieces: int


def progress(of: int) -> dict[int, Progress]:
    """How far the segments of a rebuild are that have begun, by their number.

    Raises:
        OlderReleaseError: an older release noted it. Likewise `sums` and `Saving.save`.
    """
    marks = Mark.query(_HEADS, Mark.sk.startswith(f"{of:06d}#"), consistent_read=True)
    return {int(mark.sk.partition("#")[2]): Progress.model_validate(_head(mark)["progress"]) for mark in marks}


def sums(segment: Segment) -> Sums:
    """What the counters of a segment that has begun come to so far."""
    head = _head(Mark.get(_HEADS, _name(segment), consistent_read=True))
    pieces = Mark.query(_SUMS, Mark.sk.startswith(f"{_name(segment)}#{head['slot']}#"), consistent_read=True)
    packed = "".join([piece.data for piece in pieces][: head["pieces"]])
    found: Sums = json.loads(zlib.decompress(base64.b85decode(packed)))
    return found


class Saving:
    """Saves how far a segment is.

    Args:
        before: called before each call; what it raises ends it.
    """

    def __init__(self, segment: Segment, before: Callable[[], object]) -> None:
        self._name = _name(segment)
        self._before = before
        self._slot: int | None = None

    def save(self, reached: Progress, summed: Sums) -> None:
        slot = 1 - self._known_slot()
        packed = base64.b85encode(zlib.compress(json.dumps(summed).encode())).decode()
        pieces = [packed[start : start + PIECE_CHARACTERS] for start in range(0, len(packed), PIECE_CHARACTERS)]
        names = (f"{self._name}#{slot}#{number:04d}" for number in range(len(pieces)))
        self._put([Mark(_SUMS, name, version=0, data=piece) for name, piece in zip(names, pieces, strict=True)])
        head = _Head(progress=reached.model_dump(mode="json"), slot=slot, pieces=len(pieces))
        self._put([Mark(_HEADS, self._name, version=0, data=json.dumps(head))])
        self._slot = slot

    def _known_slot(self) -> int:
        if self._slot is None:
            try:
                self._slot = _head(Mark.get(_HEADS, self._name, consistent_read=True))["slot"]
            except Mark.DoesNotExist:
                self._slot = 1
        return self._slot

    def _put(self, marks: Sequence[Mark]) -> None:
        write(Mark.Meta.table_name, ({"PutRequest": {"Item": mark.serialize()}} for mark in marks), self._before)


def forget_progress(before: Callable[[], object] = lambda: None) -> None:
    """Before a rebuild, and after it.

    Args:
        before: called before each call; what it raises ends it.
    """
    for partition in (_HEADS, _SUMS):
        forget(Mark.query(partition, consistent_read=True), before)


def _name(segment: Segment) -> str:
    return f"{segment.of:06d}#{segment.number}"


def _head(mark: Mark) -> _Head:
    try:
        head: _Head = json.loads(mark.data)
    except ValueError:  # it was packed
        raise OlderReleaseError("An older release began this rebuild; end it with --abort.") from None
    return head
