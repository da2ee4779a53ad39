"""Read your own write: a query that names a version waits, for a short while, until the views show it.

A write answers with `Stream-Version: task#…@3`. Given back as `min_version` (URL-encoded, `task%23…@3`), it makes a
read wait until that row is there. In a list, the row is laid over what an index that lags behind returned.
"""

import re
import time
from collections.abc import Callable, Iterable, Iterator
from heapq import merge
from typing import Annotated, TypeVar

from pydantic import Field

from domain.errors import FieldFault, InvalidError
from infra.problems import RetryLaterError
from infra.request import Query
from infra.settings import READ_YOUR_WRITE_SECONDS
from infra.views import Key, Row

_STREAM_VERSION = re.compile(r"([a-z-]+)#([0-9A-Za-z_-]{1,64})@([1-9][0-9]{0,14})", re.ASCII)
_FIRST_PAUSE_SECONDS = 0.02

Placed = TypeVar("Placed")


class MinVersion(Query):
    """For the queries of routes that can wait for what their caller wrote."""

    min_version: (
        Annotated[
            str,
            Field(
                max_length=150,
                description="the `Stream-Version` of a write's answer, URL-encoded (`task%23…@3`): wait until it shows",
            ),
        ]
        | None
    ) = None


def _to_everybody(_row: Row) -> bool:
    return True


def await_row(query: MinVersion, key: Key, is_visible: Callable[[Row], bool] = _to_everybody) -> Row | None:
    """For the route of one thing: its row, once it shows what was asked for; None if nothing was.

    Args:
        key: of the row; `key.pk` is its stream, such as `task#0192…`.
        is_visible: see `await_version`.

    Raises:
        InvalidError: `min_version` is malformed, or of another stream.
        RetryLaterError: the row did not come so far in time.
    """
    if query.min_version is None:
        return None
    stream, version = _stream_version(query.min_version)
    if stream != key.pk:
        raise InvalidError(FieldFault("min_version", "is of another thing than the one that is asked for"))
    return await_version(key, version, is_visible)


def await_listed_row(
    query: MinVersion, category: str, sk: str, is_visible: Callable[[Row], bool] = _to_everybody
) -> Row | None:
    """For the route of a list: the row that was named, once it shows what was asked for; None if none was.

    Whether the filters take the row is the list's to say.

    Args:
        category: of the list's streams, such as `task`.
        sk: the sort key of their rows.
        is_visible: see `await_version`.

    Raises:
        InvalidError: `min_version` is malformed, or of another category.
        RetryLaterError: the row did not come so far in time.
    """
    if query.min_version is None:
        return None
    stream, version = _stream_version(query.min_version)
    if stream.partition("#")[0] != category:
        raise InvalidError(FieldFault("min_version", f"is not of this list, whose streams are {category}#…"))
    return await_version(Key(stream, sk), version, is_visible)


def await_version(
    key: Key,
    version: int,
    is_visible: Callable[[Row], bool] = _to_everybody,
    *,
    sleep: Callable[[float], None] = time.sleep,
    clock: Callable[[], float] = time.monotonic,
) -> Row:
    """The row, strongly consistent, as soon as it shows at least this version of its stream.

    It is looked at once, and then after pauses that double, for READ_YOUR_WRITE_SECONDS.

    Args:
        is_visible: whether the caller may see a row. One that they may not is waited for as if it were not there, so
            that neither the answer nor the time it takes tells that it is.

    Raises:
        RetryLaterError: it did not come so far in time.
    """
    end = clock() + READ_YOUR_WRITE_SECONDS
    pause = _FIRST_PAUSE_SECONDS
    while True:
        try:
            row = Row.get(*key, consistent_read=True)
        except Row.DoesNotExist:
            row = None
        if row is not None and row.version >= version and is_visible(row):
            return row
        left = end - clock()
        if left <= 0:
            raise RetryLaterError(f"Version {version} is not to be seen here yet; try again.", 1)
        sleep(min(pause, left))
        pause *= 2


def laid_over(
    listed: Iterable[Placed],
    own: Placed | None,
    key: Callable[[Placed], Key],
    place: Callable[[Placed], str],
    *,
    ascending: bool,
) -> Iterator[Placed]:
    """What was listed, in its order, with one row as it really is: it takes the place of what the list shows of it.

    Args:
        own: None leaves the list as it is; so it is for a row of a page before.
        place: where a row stands in the list's order.
    """
    if own is None:
        return iter(listed)
    others = (row for row in listed if key(row) != key(own))
    return merge(others, [own], key=place, reverse=not ascending)


def _stream_version(text: str) -> tuple[str, int]:
    found = _STREAM_VERSION.fullmatch(text)
    if found is None:
        raise InvalidError(FieldFault("min_version", "is no `Stream-Version` such as `task%23…@3` (`%23` is the `#`)"))
    return f"{found[1]}#{found[2]}", int(found[3])
