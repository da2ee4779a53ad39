"""Reading the outbox: all notifications in order of time, those about one alert or task, and those that are due."""

import heapq
from collections.abc import Iterable, Iterator
from datetime import UTC, datetime
from itertools import islice

from infra.outbox import SHARDS, Notification, NotificationId, find_all, partition

_PAGE = 100
"""Rows that one call reads ahead: as many as one call gets by their keys."""


def months(days: int) -> list[str]:
    """The months that the last so many days fall into, newest first, such as `2026-01`; some may be before them."""
    day = datetime.now(UTC).date().replace(day=15)
    found = []
    for _ in range(days // 30 + 2):
        found.append(f"{day:%Y-%m}")
        month = day.month - 1 or 12
        day = day.replace(year=day.year - (day.month == 1), month=month)
    return found


def in_order(
    months: Iterable[str], position: str | None = None, *, ascending: bool = False, page: int = _PAGE
) -> Iterator[Notification]:
    """Notifications in order of the time of what they are about, read as far as they are taken.

    Args:
        months: such as `2026-01`, in the same order. Each that is reached costs a call for each of its SHARDS.
        position: a sort key; only rows beyond it are given.
        page: rows that one call reads at most.
    """
    for month in months:
        shards = (_shard(partition(month, shard), position, page, ascending=ascending) for shard in range(SHARDS))
        yield from heapq.merge(*shards, key=lambda row: row.sk, reverse=not ascending)


def of_stream(
    stream: str, position: str | None = None, *, ascending: bool = False, page: int = _PAGE
) -> Iterator[Notification]:
    """What was decided on an alert or a task, in order of time. Two calls for each page; a moment behind.

    Args:
        stream: such as `alert#…`.
        position: a sort key; only rows beyond it are given.
        page: at most 100.
    """
    beyond = None
    if position:
        beyond = Notification.sk > position if ascending else Notification.sk < position
    keys: list[NotificationId] = []
    for entry in Notification.by_stream.query(stream, beyond, scan_index_forward=ascending, page_size=page):
        keys.append(_id_of(entry.sk))
        if len(keys) == page:
            yield from _rows(keys)
            keys = []
    yield from _rows(keys)


def due(now: int, at_once: int) -> Iterator[list[Notification]]:
    """Rows that somebody must look at, some of each partition at once, the longest due first.

    One call for each page of a partition, and one for each 100 rows. A row may have moved since; it is read as it is
    now.

    Args:
        at_once: rows at once, at most.
    """
    page = at_once // SHARDS
    shards = [
        Notification.by_due.query(f"due#{shard}", Notification.due_at <= now, page_size=page) for shard in range(SHARDS)
    ]
    while entries := [entry for shard in shards for entry in islice(shard, page)]:
        found = find_all(_id_of(entry.sk) for entry in entries)
        yield sorted(found.values(), key=lambda row: row.sk)


def is_behind(month: str, position: str | None, *, ascending: bool) -> bool:
    """Whether all of a month comes before a position."""
    reached = _month(position) if position else None
    return reached is not None and (month < reached if ascending else month > reached)


def start_of(month: str) -> str:
    """The position before all that is of a month."""
    milliseconds = int(datetime.strptime(month, "%Y-%m").replace(tzinfo=UTC).timestamp() * 1000)
    digits = f"{milliseconds:012x}"
    return f"{digits[:8]}-{digits[8:]}"


def _month(position: str) -> str | None:
    try:
        at = datetime.fromtimestamp(int(position.replace("-", "")[:12], 16) / 1000, UTC)
    except ValueError:  # a cursor that somebody made up
        return None
    return f"{at:%Y-%m}"


def _rows(keys: list[NotificationId]) -> Iterator[Notification]:
    found = find_all(keys)
    return (found[str(key)] for key in keys if str(key) in found)


def _id_of(sk: str) -> NotificationId:
    commit_id, place, channel = sk.split("#", 2)
    return NotificationId(commit_id, int(place), channel)


def _shard(pk: str, position: str | None, page: int, *, ascending: bool) -> Iterator[Notification]:
    beyond = None
    if position:
        beyond = Notification.sk > position if ascending else Notification.sk < position
    return iter(Notification.query(pk, beyond, scan_index_forward=ascending, page_size=page))
