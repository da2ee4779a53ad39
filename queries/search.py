"""A page of what a list's filters take: candidates in the list's order, read one after the other within a budget."""

from collections.abc import Callable, Iterable, Iterator, Sequence
from itertools import islice
from typing import Any, Generic, NamedTuple, TypeVar

from infra.settings import MAX_PAGE_BYTES, MAX_PAGE_ROWS
from infra.views import Key, Row, rows_by_key

_MOST_AT_ONCE = 500
"""Rows that one query asks for. Pages of candidates grow up to it while nothing, or little, of them is taken."""

Item = TypeVar("Item")


class Candidate(NamedTuple):
    """A row that the list may show, or a pointer to one.

    Attributes:
        place: in the list's order, and each row's own; a cursor names it.
        key: of the row.
        row: None if only a pointer was read. The row is fetched then, unless the pointer rules it out (`fits`).
    """

    place: str
    key: Key
    row: Row | None = None
    fits: bool = True


class Found(NamedTuple, Generic[Item]):
    """A page.

    Attributes:
        items: what the filters take of the rows that were read.
        last: the place of the last row that was read, behind which the next page begins; None after the last page.
        stopped_after: the number of rows that were read if the budget ended the page.
    """

    items: Sequence[Item]
    last: str | None
    stopped_after: int | None


def search(
    candidates: Iterable[Candidate],
    taken: Callable[[Candidate, Row], Item | None],
    limit: int,
    after: str | None,
) -> Found[Item]:
    """Read candidates until the page is full, too large for an answer, or has read MAX_PAGE_ROWS of them.

    Candidates of the same place are one, and those up to `after` (a cursor's place) were on a page before.

    Args:
        taken: the item of a row, or None if the filters do not take it.
    """
    items: list[Item] = []
    last = after
    read = size = 0
    coming = _each_once(candidates, after)
    at_once = limit + 1
    while chunk := list(islice(coming, min(at_once, MAX_PAGE_ROWS - read))):
        fetched = rows_by_key(candidate.key for candidate in chunk if candidate.row is None and candidate.fits)
        for candidate in chunk:
            row = candidate.row or fetched.get(candidate.key)
            item = taken(candidate, row) if row and candidate.fits else None
            if row and item is not None:
                size += row.size
                if len(items) == limit or (items and size > MAX_PAGE_BYTES):
                    return Found(items, last, None)
                items.append(item)
            last = candidate.place
            read += 1
        at_once = min(2 * at_once, _MOST_AT_ONCE)
    stopped = read >= MAX_PAGE_ROWS
    return Found(items, last if stopped else None, read if stopped else None)


def rows_between(
    query: Callable[..., Any],
    sort_key: Any,
    pk: str,
    low: str | None,
    high: str | None,
    *,
    ascending: bool,
    first: int,
) -> Iterator[Row]:
    """The rows of a partition between two sort keys, both included, page by page, each page larger than the last.

    Args:
        query: `Row.query`, or an index's.
        sort_key: the attribute that is the sort key there.
        first: the number of rows of the first page.
    """
    condition = None
    if low is not None and high is not None:
        if low > high:
            return
        condition = sort_key.between(low, high)
    elif low is not None:
        condition = sort_key >= low
    elif high is not None:
        condition = sort_key <= high
    # One query from its first page to its last: what it asks for begins with the generation that was live at the start.
    rows = query(pk, condition, scan_index_forward=ascending, page_size=first)
    left = at_once = first
    for row in rows:
        yield row
        left -= 1
        if not left:
            left = at_once = min(2 * at_once, _MOST_AT_ONCE)
            rows.page_iter.page_size = at_once


def _each_once(candidates: Iterable[Candidate], after: str | None) -> Iterator[Candidate]:
    last = after
    for candidate in candidates:
        if candidate.place != last:
            yield candidate
        last = candidate.place
