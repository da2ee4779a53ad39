"""How far behind each consumer of the streams is, told by the last heartbeat that reached it.

A heartbeat is appended every HEARTBEAT_SECONDS. A consumer that is well sees each of them within a moment; one that
is stuck sees none, however quiet the streams are.
"""

import time
from collections.abc import Callable, Iterable
from typing import NamedTuple

from aws_lambda_powertools import Logger
from pynamodb.exceptions import PutError

from domain.commit import Commit
from domain.heartbeats import CATEGORY
from infra import marks, metrics
from infra.marks import Mark
from infra.settings import HEARTBEAT_SECONDS

PARTITION = "heartbeats"

CONSUMERS = ("projector", "notifier", "reactions")
"""Everybody who is to hear them."""

logger = Logger()


class Lag(NamedTuple):
    """How far behind a consumer is.

    Attributes:
        consumer: one of CONSUMERS.
        seconds: how long the last heartbeat took, or, if that is longer, how long the next one has been overdue.
        heard_at: when the last heartbeat that it saw was sent, in seconds since the epoch.
    """

    consumer: str
    seconds: float
    heard_at: float


def hear(consumer: str, commits: Iterable[Commit]) -> bool:
    """Keep the newest heartbeat among commits that a consumer has dealt with, and measure how many seconds it took.

    One write unit; nothing without a heartbeat, of which there is one in a minute. A mark that cannot be written is
    no reason to deal with the commits once more: the lag is seen to grow then, and the log says why.

    Returns:
        Whether there was one that it had not heard before.
    """
    beats = [commit.at for commit in commits if commit.stream.startswith(f"{CATEGORY}#")]
    if not beats:
        return False
    sent_at = max(beats).timestamp()
    took = max(0.0, time.time() - sent_at)
    mark = Mark(PARTITION, consumer, version=round(sent_at * 1000), data=f"{took:.3f}")
    try:  # a late repeat of an older one changes nothing
        mark.save(condition=Mark.pk.does_not_exist() | (Mark.version < mark.version))
    except PutError as error:
        if error.cause_response_code == "ConditionalCheckFailedException":
            return False
        logger.exception("heartbeat not noted")
    metrics.gauge("ProjectionLag", "Seconds", took, consumer=consumer)
    return True


def lags(marks_of: Callable[[str], Iterable[Mark]] = marks.of_partition) -> list[Lag]:
    """Each consumer that ever heard a heartbeat. One query.

    Args:
        marks_of: gives the marks of a partition.
    """
    at = time.time()
    found = []
    for mark in marks_of(PARTITION):
        heard_at = float(mark.version) / 1000
        overdue = at - heard_at - HEARTBEAT_SECONDS
        found.append(Lag(mark.sk, round(max(float(mark.data), overdue), 3), heard_at))
    return found
