"""How far behind each consumer of the streams is, told by the heartbeats that reached it.

A heartbeat is appended every HEARTBEAT_SECONDS. A consumer that is well sees each of them within a moment; one that
is stuck sees none, however quiet the streams are. Each falls into one shard by chance: where a single shard is stuck,
some are missing while later ones are heard. That it was sent is known from the other consumers, who heard it.
"""

import time
from collections.abc import Callable, Iterable, Mapping
from typing import NamedTuple

from aws_lambda_powertools import Logger
from pynamodb.exceptions import PutError

from domain.commit import Commit
from domain.heartbeats import CATEGORY
from infra import marks, metrics
from infra.marks import Mark
from infra.settings import HEARTBEAT_SECONDS

PARTITION = "heartbeats"

PLACES = 60
"""Marks of each consumer, in which it notes heartbeats in turn, so that those of the last hour are known. One that is
missing is forgotten when the next one with its place is heard; a shard that is stuck holds up others by then."""

CONSUMERS = ("projector", "notifier", "reactions")
"""Everybody who is to hear them."""

_unnoted: dict[str, list[Mark]] = {}
"""By consumer: marks that could not be written, to be written with the next; at most PLACES of each."""

logger = Logger()


class Lag(NamedTuple):
    """How far behind a consumer is.

    Attributes:
        consumer: one of CONSUMERS.
        seconds: how long the last heartbeat took, or, if that is longer, how long the next one has been overdue, or how
            long ago the one was sent that is missing.
        heard_at: when the last heartbeat that it saw was sent, in seconds since the epoch.
        missing_since: when the first heartbeat was sent that it has not seen, though it saw a later one and another
            consumer saw it; None if there is none.
    """

    consumer: str
    seconds: float
    heard_at: float
    missing_since: float | None = None


def hear(consumer: str, commits: Iterable[Commit]) -> bool:
    """Note the heartbeats among commits that a consumer has dealt with, and measure how many seconds the newest took.

    A write unit for each; nothing without a heartbeat, of which there is one in a minute. A mark that cannot be written
    is no reason to deal with the commits once more: it is written, with those after it, when this process hears the
    next commits, whatever they are. The log says why. If the process ends before, the heartbeat shows as missing.

    Returns:
        Whether there was one that it had not heard before, as far as is known.
    """
    beats = sorted({commit.at.timestamp() for commit in commits if commit.stream.startswith(f"{CATEGORY}#")})
    heard = [_mark(consumer, sent_at) for sent_at in beats]
    waiting = _unnoted.pop(consumer, []) + heard
    known: list[Mark] = []
    for place, mark in enumerate(waiting):
        try:
            if not _note(mark):
                known.append(mark)
        except PutError:  # the others would take as long to fail
            logger.exception("heartbeat not noted")
            _unnoted[consumer] = waiting[place:][-PLACES:]
            break
    new = [mark for mark in heard if mark not in known]
    if not new:
        return False
    metrics.gauge("ProjectionLag", "Seconds", float(new[-1].data), consumer=consumer)
    return True


def lags(marks_of: Callable[[str], Iterable[Mark]] = marks.of_partition) -> list[Lag]:
    """Each consumer that ever heard a heartbeat. One query.

    Args:
        marks_of: gives the marks of a partition.
    """
    heard: dict[str, dict[str, Mark]] = {}
    sent: dict[str, int] = {}
    for mark in marks_of(PARTITION):
        consumer, _, place = mark.sk.partition("#")
        if place:  # before there were places, a consumer had one mark
            heard.setdefault(consumer, {})[place] = mark
            sent[place] = max(sent.get(place, 0), int(mark.version))
    return [_lag(consumer, by_place, sent) for consumer, by_place in heard.items()]


def _lag(consumer: str, heard: Mapping[str, Mark], sent: Mapping[str, int]) -> Lag:
    """The lag of a consumer.

    Args:
        heard: its marks, by place.
        sent: the last heartbeat of each place that any consumer heard, in milliseconds since the epoch.
    """
    by_age = sorted(heard.values(), key=lambda mark: mark.version)
    first, last = by_age[0], by_age[-1]
    missing = [
        beat
        for place, beat in sent.items()
        if first.version < beat < last.version  # those before its first are older than itself
        and (place not in heard or heard[place].version < beat)
    ]
    at, heard_at = time.time(), float(last.version) / 1000
    missing_since = min(missing) / 1000 if missing else None
    seconds = max(float(last.data), at - heard_at - HEARTBEAT_SECONDS, at - (missing_since or at))
    return Lag(consumer, round(seconds, 3), heard_at, missing_since)


def _mark(consumer: str, sent_at: float) -> Mark:
    """The mark of a heartbeat that is heard now."""
    place = int(sent_at // HEARTBEAT_SECONDS) % PLACES
    took = max(0.0, time.time() - sent_at)
    return Mark(PARTITION, f"{consumer}#{place}", version=round(sent_at * 1000), data=f"{took:.3f}")


def _note(mark: Mark) -> bool:
    """Write the mark of a heartbeat. Returns whether neither it nor a later one of its place was heard before."""
    try:
        mark.save(condition=Mark.pk.does_not_exist() | (Mark.version < mark.version))
    except PutError as error:
        if error.cause_response_code != "ConditionalCheckFailedException":
            raise
        return False
    return True
