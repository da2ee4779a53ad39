"""Redrive: streams that were parked, or whose records were lost, brought up to date from the events table."""

from collections.abc import Iterable, Mapping
from typing import Protocol

from typing_extensions import TypedDict

from infra import generations, marks, metrics, read_side
from infra.commits import NotACommitError
from infra.event_store import EventStore
from infra.marks import Parked


class CatchesUp(Protocol):
    """What is needed of the projector."""

    def catch_up(self, streams: Iterable[str]) -> object:
        """Bring streams up to date from the store; those that cannot be are parked."""


class Redriven(TypedDict):
    """What became of a stream.

    Attributes:
        version: up to which the views show it, if it is not parked; 0 if there is no such stream (any more).
        parked: why it is still parked; None if it is not.
    """

    version: int
    parked: str | None


def redrive(projector: CatchesUp, store: EventStore, streams: Iterable[str]) -> dict[str, Redriven]:
    """Go on with streams from the events table, in order, with the code as it is deployed.

    Raises:
        Exception: a fault of the infrastructure. The streams that were parked still are; try again.
    """
    done: dict[str, Redriven] = {}
    for stream in streams:
        try:
            done[stream] = Redriven(version=_end(store, stream), parked=None)
        except NotACommitError as error:  # put there by hand; it must not hold up the others
            done[stream] = Redriven(version=0, parked=f"{type(error).__name__}: {error}")
    readable = [stream for stream, of_stream in done.items() if of_stream["parked"] is None]
    before = _parked(readable)
    projector.catch_up(readable)
    after = _parked(readable)
    for stream in readable:
        done[stream]["parked"] = _still(before.get(stream), after.get(stream))
    return done


def report_parked() -> None:
    """Write how many streams are parked to the metrics."""
    metrics.gauge("ParkedStreams", "Count", len(read_side.look().parked))


def _still(before: Parked | None, after: Parked | None) -> str | None:
    """Why a stream is parked after the attempt.

    One that has nothing left to be applied, since what it was parked for is gone from the store, moved nothing that
    would have taken its mark off.
    """
    if after and before and after.tried == before.tried and marks.unpark(after):
        return None
    return after.error if after else None


def _parked(streams: Iterable[str]) -> Mapping[str, Parked]:
    """Those of the streams that are parked in the live generation of their projection."""
    live = generations.read()[0].live_of
    found = marks.parked_among((live(stream.partition("#")[0]), stream) for stream in streams)
    return {parked.stream: parked for parked in found}


def _end(store: EventStore, stream: str) -> int:
    """The version that a stream ends at; 0 for one that has no commit."""
    last = next(iter(store.load_back(stream)), None)
    return last.last_version if last else 0
