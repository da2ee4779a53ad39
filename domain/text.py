"""Text that people type: trimmed, and without characters that no screen shows."""

import unicodedata

from pydantic import AfterValidator, StringConstraints


def _printable(text: str) -> str:
    hidden = next((c for c in text if unicodedata.category(c) == "Cc" and c not in "\t\n\r"), None)
    if hidden is not None:
        raise ValueError(f"holds the control character U+{ord(hidden):04X}")
    return text


def _one_line(text: str) -> str:
    if any(c in "\n\r\u2028\u2029" for c in text):
        raise ValueError("must be one line")
    return text


# A length goes between these two: behind `PRINTABLE`, pydantic would speak of "items after validation", not characters.
TRIMMED = StringConstraints(strip_whitespace=True, strict=True)
PRINTABLE = AfterValidator(_printable)
ONE_LINE = AfterValidator(_one_line)
"""In addition to `PRINTABLE`."""
