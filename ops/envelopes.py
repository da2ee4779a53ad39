"""Messages for the ingest queue, read from files: one envelope, a list of them, or one a line."""

import json
import sys
from pathlib import Path
from typing import Any

from ops.errors import OpsError


def text_of(file: str) -> tuple[str, str]:
    """What a file holds, and its name for messages; `-` is standard input.

    Raises:
        OpsError: it is not there, or no text.
    """
    name = "standard input" if file == "-" else file
    try:
        return (sys.stdin.read() if file == "-" else Path(file).read_text(encoding="utf-8")), name
    except (OSError, UnicodeDecodeError) as error:
        raise OpsError(f"{name} cannot be read ({error})", "Name a text file that is there", exit_code=2) from error


def read(text: str, name: str) -> list[str]:
    """The bodies to send, each as EventBridge would have written it.

    Args:
        text: one JSON object, an array of objects, or an object on each line.
        name: the file's name, for messages.

    Raises:
        OpsError: it is none of these.
    """
    try:
        document = json.loads(text)
    except ValueError:
        envelopes = _lines(text, name)
    else:
        envelopes = document if isinstance(document, list) else [document]
    for number, envelope in enumerate(envelopes, start=1):
        if not isinstance(envelope, dict):
            raise _refused(f"item {number} of {name} is no JSON object")
    if not envelopes:
        raise _refused(f"{name} holds no envelope")
    return [json.dumps(envelope, ensure_ascii=False, separators=(",", ":")) for envelope in envelopes]


def _lines(text: str, name: str) -> list[Any]:
    found = []
    for number, line in enumerate(text.splitlines(), start=1):
        if not line.strip():
            continue
        try:
            found.append(json.loads(line))
        except ValueError as error:
            raise _refused(f"{name} is not JSON: line {number} cannot be read ({error})") from error
    return found


def _refused(problem: str) -> OpsError:
    return OpsError(problem, "Correct the file, or send it exactly as it is with --raw", exit_code=2)
