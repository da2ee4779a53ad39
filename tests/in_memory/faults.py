"""What may happen to a request on its way, and plans of when it does."""

import random
from collections.abc import Iterator, Sequence
from enum import Enum, auto


class Fault(Enum):
    """What happens to one request.

    THROTTLED: refused because the table is busy; within a transaction, by its cancellation reasons.
    CONFLICT: refused because a transaction holds an item. Reads are not refused so.
    UNSENT: the connection ends before the request arrives.
    LOST_ANSWER: the connection ends when the request was carried out.
    PARTIAL: half of a batch is done; the rest comes back as not processed. Other requests are not touched by it.
    CRASH_BEFORE, CRASH_AFTER: the process ends, before or after the request was carried out.
    """

    THROTTLED = auto()
    CONFLICT = auto()
    UNSENT = auto()
    LOST_ANSWER = auto()
    PARTIAL = auto()
    CRASH_BEFORE = auto()
    CRASH_AFTER = auto()


class CrashError(BaseException):
    """The process ends here. No `except Exception` holds it up."""


def at_random(
    chance: random.Random, rate: float, faults: Sequence[Fault] = tuple(Fault), most: int | None = None
) -> Iterator[Fault | None]:
    """A plan: each request meets a fault with the probability `rate`, until `most` did."""
    left = float("inf") if most is None else most
    while left:
        met = chance.random() < rate
        left -= met
        yield chance.choice(faults) if met else None


def at_request(number: int, fault: Fault) -> Iterator[Fault | None]:
    """A plan: the request with this number, from 0, meets the fault."""
    yield from [None] * number
    yield fault
