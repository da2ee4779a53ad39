"""Putting events on the default bus of EventBridge: PutEvents, with its limits."""

import json
import random
import time
from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from mypy_boto3_events import EventBridgeClient

MAX_ENTRIES = 10
MAX_BYTES = 256 * 1024
"""Of one call (EventBridge user guide, "Sending events with PutEvents"), by their own way to count."""

_TRIES = 5
_RETRY_BASE_SECONDS = 0.2
_RETRY_CAP_SECONDS = 5.0


class NotPutError(Exception):
    """EventBridge did not take every event; the text has its codes. Others were put."""


def put(
    client: "EventBridgeClient",
    source: str,
    detail_type: str,
    details: Iterable[Mapping[str, Any]],
    sleep: Callable[[float], None] = time.sleep,
) -> int:
    """Put an event for each detail, in as few calls as they fit into. Returns how many calls these were.

    Those that EventBridge did not take are sent again, which it may take twice if an answer is lost: whoever must not
    see an event twice needs an id of its own in the detail.

    Raises:
        NotPutError: some were not taken, however often they were sent.
    """
    entries = (
        {"Source": source, "DetailType": detail_type, "Detail": json.dumps(dict(detail), separators=(",", ":"))}
        for detail in details
    )
    calls = 0
    for batch in _batches(entries):
        calls += _put(client, batch, sleep)
    return calls


def _put(client: "EventBridgeClient", batch: list[dict[str, str]], sleep: Callable[[float], None]) -> int:
    left: Any = batch
    codes: set[str] = set()
    for attempt in range(_TRIES):
        if attempt:
            sleep(random.uniform(0, min(_RETRY_CAP_SECONDS, _RETRY_BASE_SECONDS * 2**attempt)))
        results = client.put_events(Entries=left)["Entries"]
        refused = [(entry, result) for entry, result in zip(left, results, strict=True) if "ErrorCode" in result]
        if not refused:
            return attempt + 1
        left = [entry for entry, _ in refused]
        codes = {result["ErrorCode"] for _, result in refused}
    raise NotPutError(f"{len(left)} events were not taken: {', '.join(sorted(codes))}")


def _batches(entries: Iterable[dict[str, str]]) -> Iterator[list[dict[str, str]]]:
    batch: list[dict[str, str]] = []
    size = 0
    for entry in entries:
        own = sum(len(text.encode()) for text in entry.values())
        if batch and (len(batch) == MAX_ENTRIES or size + own > MAX_BYTES):
            yield batch
            batch, size = [], 0
        batch.append(entry)
        size += own
    if batch:
        yield batch
