"""Reading fields of a raw `detail`: the type that is expected, nothing where there is nothing, or one clear error."""

import math
from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from typing import Any

from domain.sources.moments import milliseconds, moment

SHOWN = 200
"""Characters of a foreign value that a message of ours repeats at most."""


class UnreadableError(ValueError):
    """A field that a mapper needs is missing or of another type; the text names the field."""


def shown(value: object) -> str:
    """A foreign value for a message of ours: strings quoted and cut, of anything else only its type."""
    if not isinstance(value, str):
        return f"of type {type(value).__name__}"
    return repr(value) if len(value) <= SHOWN else repr(value[:SHOWN]) + "…"


def value(detail: Mapping[str, Any], *path: str) -> Any:
    """What stands at the path; None where nothing does.

    Raises:
        UnreadableError: if a step of the path is not an object.
    """
    found: Any = detail
    for depth, name in enumerate(path):
        if found is None:
            return None
        if not isinstance(found, Mapping):
            raise UnreadableError(f"{'.'.join(path[:depth])} is not an object")
        found = found.get(name)
    return found


def optional(detail: Mapping[str, Any], *path: str) -> str | None:
    """The string at the path; None where nothing or an empty string stands.

    Raises:
        UnreadableError: if something else stands there.
    """
    found = value(detail, *path)
    if found is not None and not isinstance(found, str):
        raise UnreadableError(f"{'.'.join(path)} is not a string but {shown(found)}")
    return found or None


def text(detail: Mapping[str, Any], *path: str) -> str:
    """The string at the path.

    Raises:
        UnreadableError: if there is none, or an empty one.
    """
    found = optional(detail, *path)
    if found is None:
        raise UnreadableError(f"{'.'.join(path)} is missing")
    return found


def number(detail: Mapping[str, Any], *path: str) -> float | None:
    """The number at the path, also when it is written as a string; finite; None where nothing stands.

    Raises:
        UnreadableError: if something else stands there.
    """
    found = value(detail, *path)
    if found is None or found == "":
        return None
    if isinstance(found, (int, float, str)) and not isinstance(found, bool):
        with suppress(ValueError):
            converted = float(found)
            if math.isfinite(converted):
                return converted
    raise UnreadableError(f"{'.'.join(path)} is not a number: {shown(found)}")


def part(detail: Mapping[str, Any], *path: str) -> Mapping[str, Any]:
    """The object at the path; an empty one where nothing stands.

    Raises:
        UnreadableError: if something else stands there.
    """
    found = value(detail, *path)
    if found is None:
        return {}
    if not isinstance(found, Mapping):
        raise UnreadableError(f"{'.'.join(path)} is not an object but {shown(found)}")
    return found


def items(detail: Mapping[str, Any], *path: str) -> Sequence[Mapping[str, Any]]:
    """The list of objects at the path; an empty one where nothing stands.

    Raises:
        UnreadableError: if something else stands there.
    """
    found = value(detail, *path)
    if found is None:
        return ()
    if not isinstance(found, list) or not all(isinstance(item, Mapping) for item in found):
        raise UnreadableError(f"{'.'.join(path)} is not a list of objects")
    return found


def instant(detail: Mapping[str, Any], *path: str) -> int | None:
    """The time at the path in ms since the epoch; None where nothing usable stands.

    Raises:
        UnreadableError: if something else than a string stands there.
    """
    found = optional(detail, *path)
    when = moment(found) if found else None
    return milliseconds(when) if when else None


def flag(detail: Mapping[str, Any], *path: str) -> bool:
    """Whether true stands at the path: AWS writes some flags as strings."""
    found = value(detail, *path)
    return found is True or (isinstance(found, str) and found.lower() == "true")


def named_values(pairs: Mapping[str, Any]) -> str | None:
    """Dimensions or attributes as one resource: a single one by its value, several as `A=1, B=2`; None for none."""
    if len(pairs) == 1:
        return str(next(iter(pairs.values())))
    return ", ".join(f"{name}={pairs[name]}" for name in sorted(pairs)) or None


def tags(detail: Mapping[str, Any], *path: str) -> Mapping[str, str] | None:
    """The tags at the path, which AWS writes as an object or as a list of keys and values; None where none stand.

    What is no tag is left out: nothing is lost by it that a mapper needs.

    Raises:
        UnreadableError: if a step of the path is not an object.
    """
    found = value(detail, *path)
    pairs = found.items() if isinstance(found, Mapping) else _pairs(found) if isinstance(found, list) else ()
    return {key: text for key, text in pairs if isinstance(key, str) and isinstance(text, str)} or None


def _pairs(entries: Sequence[object]) -> Iterator[tuple[object, object]]:
    for entry in entries:
        if isinstance(entry, Mapping):
            tag = {str(name).lower(): held for name, held in entry.items()}
            yield tag.get("key", tag.get("name")), tag.get("value")
