"""Pages of lists: `limit`, `direction`, and a cursor that says where the next page begins.

A cursor is opaque to clients: base64 of the list's name, the direction and a position. One of another list, of
other filters, or of the other direction, is refused.
"""

import base64
import binascii
import json
from collections.abc import Sequence
from dataclasses import dataclass
from hashlib import sha256
from typing import Annotated, Any, Generic, Literal, TypeVar

from pydantic import Field
from typing_extensions import TypedDict

from domain.errors import FieldFault, InvalidError
from infra.request import Query, QueryNumber
from infra.rest import ListOf
from infra.settings import DEFAULT_PAGE, MAX_PAGE
from queries.read_your_write import MinVersion

_POSITION = 200
"""Characters in a part of a position, which are ASCII: DynamoDB refuses keys that are too long or no Unicode."""


Item = TypeVar("Item")

QuerySeconds = Annotated[QueryNumber, Field(ge=0, le=253_402_300_799)]
"""Unix seconds up to the end of the year 9999, the last that has a date."""


class SearchedListOf(TypedDict, Generic[Item]):
    """A page of a list that is searched.

    `next` is the cursor of the next page; null after the last one. `stopped_after` is null unless the page ended
    early, because it had read so many rows in search of its items; `next` goes on after the last row that was read.
    """

    items: list[Item]
    next: str | None
    stopped_after: int | None


class Listing(Query):
    """What every list takes. A subclass adds the list's filters."""

    limit: Annotated[QueryNumber, Field(ge=1, le=MAX_PAGE, description="items of the page, at most")] = DEFAULT_PAGE
    cursor: Annotated[str, Field(max_length=2_000, description="the `next` of the page before")] | None = None
    direction: Annotated[Literal["asc", "desc"], Field(description="of the list's order")] | None = None


@dataclass(frozen=True)
class Page(Generic[Item]):
    """What was asked for. `position` is what the page before said; None for the first page."""

    name: str
    limit: int
    ascending: bool
    position: tuple[str, ...] | None

    def answer(self, items: Sequence[Item], position: Sequence[str] | None) -> ListOf[Item]:
        """The body of a list's answer. Without a position this was the last page."""
        return {"items": list(items), "next": self.cursor(position) if position else None}

    def searched(
        self, items: Sequence[Item], position: Sequence[str] | None, stopped_after: int | None = None
    ) -> SearchedListOf[Item]:
        """The body of a searched list's answer; `stopped_after` as there."""
        return {**self.answer(items, position), "stopped_after": stopped_after}

    def cursor(self, position: Sequence[str]) -> str:
        text = json.dumps([self.name, self.ascending, *position], separators=(",", ":"))
        return base64.urlsafe_b64encode(text.encode()).decode().rstrip("=")


def page(query: Listing, name: str, parts: int, *, ascending: bool = False) -> Page[Any]:
    """The page that a query asks for.

    Args:
        name: of the list, with whatever makes it another list (such as whose it is).
        parts: the number of texts in a position of this list.
        ascending: the direction if the request names none.

    Raises:
        InvalidError: the cursor is not one of this list, these filters and this direction.
    """
    filters = query.model_dump_json(exclude={*Listing.model_fields, *MinVersion.model_fields}, exclude_defaults=True)
    if filters != "{}":
        name = f"{name} {sha256(filters.encode()).hexdigest()[:16]}"
    if query.direction:
        ascending = query.direction == "asc"
    position = _position(query.cursor, [name, ascending], parts) if query.cursor is not None else None
    return Page(name, query.limit, ascending, position)


def _position(cursor: str, start: list[Any], parts: int) -> tuple[str, ...]:
    try:
        text = base64.b64decode(cursor + "=" * (-len(cursor) % 4), altchars=b"-_", validate=True)
        content = json.loads(text)
    except (binascii.Error, ValueError, RecursionError):
        content = None
    if not isinstance(content, list) or content[:2] != start or len(content) != 2 + parts:
        raise InvalidError(FieldFault("cursor", "is not a cursor of this list, its filters and direction"))
    if not all(isinstance(part, str) and part.isascii() and 0 < len(part) <= _POSITION for part in content[2:]):
        raise InvalidError(FieldFault("cursor", "is not a cursor of this list, its filters and direction"))
    return tuple(content[2:])
