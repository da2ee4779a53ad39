"""Monitoring events: one by its id, and all of them in order of time."""

import json
import time
from collections.abc import Iterator
from heapq import merge
from itertools import groupby
from typing import Any

from domain.errors import NotFoundError
from domain.monitoring_event_shape import EventShown
from domain.monitoring_events import parse_event_id
from infra.rest import Answer, ListOf, Request
from infra.settings import MAX_PAGE_BYTES
from infra.views import (
    EVENT_SHARDS,
    EVENT_SHARDS_COUNTER,
    CounterRow,
    Row,
    event_key,
    event_partition,
    event_sort_key,
    unpack,
    utc_day,
)
from queries.paging import Listing, Page, page

MAX_PARTITIONS = 64
"""Queries that one page may cost. A page that reaches it ends early and says where to go on."""


def get_event(request: Request, event_id: str) -> Answer[EventShown]:  # noqa: ARG001 - any user may read any event
    """One monitoring event."""
    parsed = parse_event_id(event_id)
    if parsed is None:
        raise NotFoundError("There is no such event.")
    published_at, uuid = parsed
    try:
        key = event_key(utc_day(published_at), event_sort_key(published_at, uuid))
        row = Row.get(*key, consistent_read=True)
    except (Row.DoesNotExist, ValueError, OverflowError, OSError):
        raise NotFoundError("There is no such event; it may have expired.") from None
    if _expired(row):
        raise NotFoundError("There is no such event any more; it has expired.")
    return Answer(_shown(row), int(row.version))


def list_events(request: Request, query: Listing) -> Answer[ListOf[EventShown]]:  # noqa: ARG001 - as above
    """Monitoring events by the time they were published at, newest first."""
    wanted: Page[EventShown] = page(query, "events", 2)
    day, bound = wanted.position or (None, None)
    items: list[EventShown] = []
    last: tuple[str, str] | None = None
    queries = size = 0
    for current, shards in _days(wanted, day):
        here = bound if current == day else None
        queries += len(shards)
        if queries > MAX_PARTITIONS and queries > len(shards):
            return Answer(wanted.answer(items, (current, here or _start(wanted))))
        rows = [_rows(event_partition(current, shard), wanted, here) for shard in shards]
        for row in merge(*rows, key=lambda row: row.sk, reverse=not wanted.ascending):
            if _expired(row):
                continue
            shown = _shown(row)
            size += len(row.data) + len(json.dumps(shown["detail"]))
            if len(items) == wanted.limit or (items and size > MAX_PAGE_BYTES):
                return Answer(wanted.answer(items, last))
            items.append(shown)
            last = (current, row.sk)
    return Answer(wanted.answer(items, None))


def _days(wanted: Page[Any], day: str | None) -> Iterator[tuple[str, list[int]]]:
    """The days that have events, from `day` on, with the shards that hold them."""
    condition = None
    if day is not None:
        sk = CounterRow.sk
        condition = sk >= day if wanted.ascending else sk < f"{day}$"  # `$` comes after the `#` before the shard
    size = MAX_PARTITIONS + EVENT_SHARDS
    found = CounterRow.query(EVENT_SHARDS_COUNTER, condition, scan_index_forward=wanted.ascending, page_size=size)
    for current, rows in groupby(found, key=lambda row: row.sk.partition("#")[0]):
        yield current, [int(row.sk.partition("#")[2]) for row in rows]


def _rows(pk: str, wanted: Page[Any], bound: str | None) -> Iterator[Row]:
    condition = None
    if bound is not None:
        condition = Row.sk > bound if wanted.ascending else Row.sk < bound
    size = wanted.limit + 1
    return iter(Row.query(pk, condition, scan_index_forward=wanted.ascending, limit=size, page_size=size))


def _start(wanted: Page[Any]) -> str:
    """A bound that lets all of a day's events through."""
    return "0" if wanted.ascending else "~"


def _expired(row: Row) -> bool:
    """DynamoDB removes expired rows within days; until then they are there, and not shown."""
    expires_at: float | None = row.ttl
    return expires_at is not None and expires_at <= time.time()


def _shown(row: Row) -> EventShown:
    shown: EventShown = json.loads(row.data)
    shown["detail"] = json.loads(unpack(row.detail or b""))
    return shown
