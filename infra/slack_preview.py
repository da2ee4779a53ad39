"""A Slack message, shown where there is no Slack."""

import re
from typing import Any

from infra.slack_messages import blocks
from infra.slack_text import unescape

_LABEL = 20
"""Columns of the label of a fact."""


def preview(message: dict[str, Any]) -> str:
    """A rendered message as lines of plain text. It holds no control characters, so a terminal may print it."""
    return "\n\n".join(_block(block) for block in blocks(message))


def colour(message: dict[str, Any]) -> str:
    """Of the bar beside the message, such as `#d62828`."""
    found: str = message["attachments"][0]["color"]
    return found


def _block(block: dict[str, Any]) -> str:
    if "elements" in block:
        return " · ".join(_text(element) for element in block["elements"])
    fields = [_text(field) for field in block.get("fields", ())]
    if "text" in block:
        return "\n".join([_text(block["text"]), *fields])
    rows = zip(fields[::2], fields[1::2], strict=True)
    return "\n".join(f"{label:<{_LABEL}}{value.replace(chr(10), chr(10) + ' ' * _LABEL)}" for label, value in rows)


def _text(text: dict[str, Any]) -> str:
    shown: str = text["text"]
    if text["type"] == "mrkdwn":
        shown = re.sub(r"<!date\^[^|>]*\|([^>]*)>", r"\1", shown)
        shown = re.sub(r"<([^|>]*)\|([^>]*)>", r"\2: \1", shown)
        shown = re.sub(r"\A\*(.*)\*\Z", r"\1", shown)
    return unescape(shown)
