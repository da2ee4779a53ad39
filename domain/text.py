"""Text that people type: trimmed, and without characters that no screen shows."""

import unicodedata
from typing import Annotated

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


Text = Annotated[str, StringConstraints(strip_whitespace=True, strict=True), AfterValidator(_printable)]
Line = Annotated[Text, AfterValidator(_one_line)]
