"""Pages of lists: `limit`, `direction`, and a cursor that says where the next page begins.

A cursor is opaque to clients: base64 of the list's name, the direction and a position. One of another list, or of
the other direction, is refused.
"""

import base64
import binascii
import json
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from domain.errors import FieldFault, InvalidError
from infra.rest import Request
from infra.settings import DEFAULT_PAGE, MAX_PAGE

_POSITION = 200
"""Characters in a part of a position, which are ASCII: DynamoDB refuses keys that are too long or no Unicode."""


@dataclass(frozen=True)
class Page:
    """What was asked for. `position` is what the page before said; None for the first page."""

    name: str
    limit: int
    ascending: bool
    position: tuple[str, ...] | None

    def answer(self, items: Sequence[Any], position: Sequence[str] | None) -> dict[str, Any]:
        """The body of a list's answer. Without a position this was the last page."""
        return {"items": list(items), "next": self._cursor(position) if position else None}

    def _cursor(self, position: Sequence[str]) -> str:
        text = json.dumps([self.name, self.ascending, *position], separators=(",", ":"))
        return base64.urlsafe_b64encode(text.encode()).decode().rstrip("=")


def page(request: Request, name: str, parts: int, *, ascending: bool = False) -> Page:
    """The page that a request asks for.

    Args:
        name: of the list, with whatever makes it another list (such as whose it is).
        parts: the number of texts in a position of this list.
        ascending: the direction if the request names none.

    Raises:
        InvalidError: a parameter is not valid; it is named.
    """
    limit = request.query("limit") or str(DEFAULT_PAGE)
    if not (limit.isascii() and limit.isdigit() and len(limit) < 6 and 1 <= int(limit) <= MAX_PAGE):
        raise InvalidError(FieldFault("limit", f"must be a number from 1 to {MAX_PAGE}"))
    direction = request.query("direction") or ("asc" if ascending else "desc")
    if direction not in {"asc", "desc"}:
        raise InvalidError(FieldFault("direction", "must be asc or desc"))
    ascending = direction == "asc"
    cursor = request.query("cursor")
    position = _position(cursor, [name, ascending], parts) if cursor else None
    return Page(name, int(limit), ascending, position)


def _position(cursor: str, start: list[Any], parts: int) -> tuple[str, ...]:
    try:
        text = base64.b64decode(cursor + "=" * (-len(cursor) % 4), altchars=b"-_", validate=True)
        content = json.loads(text)
    except (binascii.Error, ValueError, RecursionError):
        content = None
    if not isinstance(content, list) or content[:2] != start or len(content) != 2 + parts:
        raise InvalidError(FieldFault("cursor", "is not a cursor of this list and direction"))
    if not all(isinstance(part, str) and part.isascii() and 0 < len(part) <= _POSITION for part in content[2:]):
        raise InvalidError(FieldFault("cursor", "is not a cursor of this list and direction"))
    return tuple(content[2:])
