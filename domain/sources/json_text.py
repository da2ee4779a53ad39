"""JSON as it comes from outside: decoded once, strictly, into what can be stored and written again."""

import json
import math
import re
from typing import Any, NoReturn

MAX_DEPTH = 100
"""Levels of nesting. AWS's deepest published messages have about ten; pydantic and `json` give up at some hundreds."""

_MAX_BITS = 1023
"""An integer beyond a double's range is refused as `1e999` is, so that all code after this may treat numbers alike."""

_LONE_SURROGATE = re.compile("[\ud800-\udfff]")


def decode(text: str | bytes) -> Any:
    """Decode one JSON document; of a key that stands twice, the last counts.

    Bytes that are not UTF-8 and lone surrogates become U+FFFD: neither can be stored, and neither is worth a message.

    Raises:
        ValueError: for what is not JSON (NaN and Infinity are not), is nested deeper than `MAX_DEPTH`, or holds a
            number no double can hold.
    """
    if isinstance(text, bytes):
        text = text.decode("utf-8-sig", "replace")
    try:
        return clean(json.loads(text, parse_constant=_refuse_constant))
    except RecursionError:
        raise ValueError(f"nested deeper than {MAX_DEPTH} levels") from None


def clean(value: Any, depth: int = 0) -> Any:
    """A deep copy of a decoded JSON value, without lone surrogates in its strings and keys.

    Raises:
        ValueError: as `decode`, and for what JSON cannot hold.
    """
    if isinstance(value, str):
        return value if value.isascii() else _LONE_SURROGATE.sub("\ufffd", value)
    if value is None or isinstance(value, bool):
        return value
    if isinstance(value, (int, float)):
        if value.bit_length() > _MAX_BITS if isinstance(value, int) else not math.isfinite(value):
            raise ValueError("a number is beyond the range of a double")
        return value
    if depth >= MAX_DEPTH:
        raise ValueError(f"nested deeper than {MAX_DEPTH} levels")
    if isinstance(value, dict):
        return {_key(key): clean(item, depth + 1) for key, item in value.items()}
    if isinstance(value, list):
        return [clean(item, depth + 1) for item in value]
    raise ValueError(f"{type(value).__name__} is not a JSON type")


def canonical(value: Any) -> str:
    """The same text for equal values: sorted keys, no spaces, ASCII only."""
    return json.dumps(value, sort_keys=True, separators=(",", ":"), allow_nan=False)


def _key(key: Any) -> str:
    if not isinstance(key, str):
        raise ValueError("a key is not a string")  # noqa: TRY004 - one error for all that is not JSON
    return key if key.isascii() else _LONE_SURROGATE.sub("\ufffd", key)


def _refuse_constant(name: str) -> NoReturn:
    raise ValueError(f"{name} is not JSON")
