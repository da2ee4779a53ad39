"""Reading a severity that a person wrote: a tag of an alarm, a field of our own messages."""

from collections.abc import Mapping
from typing import Any

_WORDS = {"info": 0, "low": 1, "medium": 2, "high": 3, "critical": 4, "emergency": 5}


def severity_level(value: Any) -> int | None:
    """A whole number from 0 to 5 as it is; None for anything else (`true` is not 1)."""
    return value if type(value) is int and value in _WORDS.values() else None


def severity_word(value: str) -> int | None:
    """`critical` or `4`; None for anything else."""
    word = value.strip().lower()
    return _WORDS.get(word, severity_level(int(word)) if word.isascii() and word.isdigit() and len(word) == 1 else None)


def tagged_severity(tags: Mapping[str, str] | None) -> int | None:
    """What the tag `severity` of an alarm says, a word or a number; None without such a tag."""
    tagged = next((held for name, held in (tags or {}).items() if name.lower() == "severity"), None)
    return None if tagged is None else severity_word(tagged)
