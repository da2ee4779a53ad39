"""Monitoring events: one by its id, and those that filters take, in order of time.

A list is one stream of rows: the days of its range that hold events, each day's shards merged. The filters are tried
on one row after the other, within a budget of rows and of queries, so that a page costs the same whatever is sought.
"""

import time
from collections.abc import Iterator, Mapping
from functools import cached_property
from heapq import merge
from itertools import groupby
from typing import Annotated, Any

from pydantic import Field, ValidationInfo, field_validator

from domain.errors import NotFoundError
from domain.monitoring_event_shape import EventShown
from domain.monitoring_events import parse_event_id
from infra.request import QueryNumber
from infra.rest import Answer, Request, size_in_answer
from infra.settings import MAX_PAGE_BYTES, MAX_PAGE_ROWS
from infra.views import EVENT_DAYS, Row, event_key, event_partition, event_sort_key, shown_event, utc_day
from queries.paging import Listing, Page, QuerySeconds, SearchedListOf, page

MAX_PARTITIONS = 64
"""Queries that one page may cost. A page that reaches it ends early and says where to go on."""

_ROWS_OF_SEARCH = 100
"""Rows that a search takes from a shard at once. Fewer would be more calls, more would be read for nothing."""

_EXACT = ("source", "severity", "account", "region", "detail_type")
"""Filters that take the events with just this value."""

_FIRST, _LAST = "0", "~"
"""Sort keys before and after those of all events and days."""

_Text = Annotated[str, Field(min_length=1, max_length=300)]


class EventListing(Listing):
    """Which monitoring events: those that every given filter takes."""

    published_from: Annotated[QuerySeconds, Field(description="published then or later; Unix seconds")] | None = None
    published_to: Annotated[QuerySeconds, Field(description="published before then; Unix seconds")] | None = None
    source: Annotated[_Text, Field(description="exactly this source, such as `aws.guardduty`")] | None = None
    severity: Annotated[QueryNumber, Field(ge=0, le=5, description="exactly this severity")] | None = None
    min_severity: Annotated[QueryNumber, Field(ge=0, le=5, description="this severity or above")] | None = None
    account: Annotated[_Text, Field(description="exactly this affected account")] | None = None
    region: Annotated[_Text, Field(description="exactly this affected Region")] | None = None
    detail_type: Annotated[_Text, Field(description="exactly this type, as the source names it")] | None = None

    @field_validator("published_to")
    @classmethod
    def _after_its_beginning(cls, end: int | None, info: ValidationInfo) -> int | None:
        beginning = info.data.get("published_from")
        if end is not None and beginning is not None and end <= beginning:
            raise ValueError("must be later than published_from")
        return end

    @cached_property
    def facts(self) -> Mapping[str, Any]:
        """What an event must say exactly."""
        return {name: value for name in _EXACT if (value := getattr(self, name)) is not None}

    @property
    def searches(self) -> bool:
        """Whether events of its range of time may be left out."""
        return bool(self.facts or self.min_severity)

    def takes(self, event: Mapping[str, Any]) -> bool:
        """Whether an event of its range of time is in the list."""
        return event["severity"] >= (self.min_severity or 0) and all(
            event[name] == value for name, value in self.facts.items()
        )


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
    if is_expired(row):
        raise NotFoundError("There is no such event any more; it has expired.")
    return Answer(shown_event(row), int(row.version))


def list_events(request: Request, query: EventListing) -> Answer[SearchedListOf[EventShown]]:  # noqa: ARG001 - as above
    """Monitoring events by the time they were published at, newest first.

    A page that has read enough without being full ends early: `stopped_after` says after how many events, and `next`
    goes on from there.
    """
    wanted: Page[EventShown] = page(query, "events", 2)
    day, bound = wanted.position or (None, None)
    items: list[EventShown] = []
    last: tuple[str, str] | None = None
    queries = read = size = 0
    for current, shards in _days(query, wanted, day):
        here = bound if current == day else None
        queries += len(shards)
        if queries > MAX_PARTITIONS and queries > len(shards):
            return Answer(wanted.searched(items, (current, _start(wanted)), read))
        rows = [_rows(event_partition(current, shard), query, wanted, here) for shard in shards]
        for row in merge(*rows, key=lambda row: row.sk, reverse=not wanted.ascending):
            expired = is_expired(row)
            if len(items) == wanted.limit and not expired:
                return Answer(wanted.searched(items, last))
            if read == MAX_PAGE_ROWS:
                return Answer(wanted.searched(items, last, read))
            read += 1
            if not expired and query.takes(event := shown_event(row)):
                size += size_in_answer(event)
                if items and size > MAX_PAGE_BYTES:
                    return Answer(wanted.searched(items, last))
                items.append(event)
            last = (current, row.sk)
    return Answer(wanted.searched(items, None))


def _days(query: EventListing, wanted: Page[Any], day: str | None) -> Iterator[tuple[str, list[int]]]:
    """The days of the range that have events, from `day` on, with the shards that hold them."""
    low = _FIRST if query.published_from is None else utc_day(query.published_from)
    high = _LAST if query.published_to is None else f"{utc_day(query.published_to - 1)}$"  # `$` comes after `#`
    bound = f"{day}$" if day is not None and not wanted.ascending else day
    found = _between(EVENT_DAYS, low, high, wanted, bound, size=_ROWS_OF_SEARCH)
    present = (row.sk.split("#") for row in found if not is_expired(row))
    for current, parts in groupby(present, key=lambda parts: parts[0]):
        yield current, sorted({int(shard) for _, shard, _ in parts})


def _rows(pk: str, query: EventListing, wanted: Page[Any], bound: str | None) -> Iterator[Row]:
    """A shard's rows of the range, from `bound` on, without it."""
    low = _FIRST if query.published_from is None else event_sort_key(query.published_from, "")
    high = _LAST if query.published_to is None else event_sort_key(query.published_to, "")
    size = max(wanted.limit + 2, _ROWS_OF_SEARCH if query.searches else 0)  # one more may be `bound`, one tells of more
    return (row for row in _between(pk, low, high, wanted, bound, size=size) if row.sk != bound)


def _between(pk: str, low: str, high: str, wanted: Page[Any], bound: str | None, *, size: int) -> Iterator[Row]:
    """A partition's rows between two sort keys, both included, from `bound` on, in the page's direction."""
    if bound is not None:
        low, high = (max(low, bound), high) if wanted.ascending else (low, min(high, bound))
    if low > high:
        return iter(())
    return iter(Row.query(pk, Row.sk.between(low, high), scan_index_forward=wanted.ascending, page_size=size))


def _start(wanted: Page[Any]) -> str:
    """A bound that lets all of a day's events through."""
    return _FIRST if wanted.ascending else _LAST


def is_expired(row: Row) -> bool:
    """DynamoDB removes expired rows within days; until then they are there, and not shown."""
    expires_at: float | None = row.ttl
    return expires_at is not None and expires_at <= time.time()
