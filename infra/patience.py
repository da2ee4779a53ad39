"""Long work on DynamoDB: what it is too busy for is tried again, later and later. Nobody waits for an answer meanwhile.

A table takes some 4,000 write units a second at first, and more only after a while; a rebuild asks for more than that.
"""

import random
import time
from collections.abc import Callable, Iterable
from functools import partial
from itertools import islice
from typing import Any, TypeVar

from infra import clients
from infra.passing_faults import passes

Result = TypeVar("Result")

PATIENCE_SECONDS = 300.0
"""For so long a request is tried again that gets nowhere."""

_BASE_SECONDS, _CAP_SECONDS = 0.05, 10.0
ITEMS_TOGETHER = 25
"""What BatchWriteItem takes at once ("Amazon DynamoDB API Reference")."""


class BusyError(Exception):
    """DynamoDB has taken nothing of a batch for PATIENCE_SECONDS."""


def patiently(request: Callable[[], Result], before: Callable[[], object] = lambda: None) -> Result:
    """What `request` returns, which is made again while AWS is busy or away.

    Args:
        before: called before each attempt; what it raises ends it.

    Raises:
        Exception: what `request` raised if it does not pass, or has not within PATIENCE_SECONDS.
    """
    until = time.monotonic() + PATIENCE_SECONDS
    attempt = 0
    while True:
        before()
        try:
            return request()
        except Exception as error:
            if not passes(error) or time.monotonic() > until:
                raise
        attempt += 1
        pause(attempt)


def pause(attempt: int) -> None:
    """Wait before the attempt with this number, from 1: random up to a bound that doubles ("full jitter")."""
    time.sleep(random.uniform(0, min(_CAP_SECONDS, _BASE_SECONDS * 2**attempt)))


def write(table: str, requests: Iterable[Any], before: Callable[[], object] = lambda: None) -> int:
    """Put and delete items, of which each is named once. Returns how many requests there were.

    Args:
        requests: as BatchWriteItem takes them.
        before: called before each call; what it raises ends it.

    Raises:
        BusyError, Exception: as `patiently`. A part is done by then.
    """
    done = 0
    remaining = iter(requests)
    while some := list(islice(remaining, ITEMS_TOGETHER)):
        _write(table, some, before)
        done += len(some)
    return done


def _write(table: str, requests: list[Any], before: Callable[[], object]) -> None:
    attempt, until = 0, time.monotonic() + PATIENCE_SECONDS
    while requests:
        asked: Any = {table: requests}
        left: Any = patiently(partial(clients.dynamodb().batch_write_item, RequestItems=asked), before)
        unwritten = left["UnprocessedItems"].get(table, [])
        if len(unwritten) == len(requests) and time.monotonic() > until:
            raise BusyError("DynamoDB is too busy to take anything")
        requests = unwritten
        if requests:
            attempt += 1
            pause(attempt)
