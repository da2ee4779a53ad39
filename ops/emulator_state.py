"""The emulator's saved state: is it readable, and mending what its own restart gets wrong.

The emulator writes one JSON file per service into its state folder when it is stopped, and silently starts empty where
it cannot read one. A stack half of whose services forgot everything is worse than no stack, so the files are checked.
"""

import json
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit, urlunsplit

from ops.errors import OpsError


def check(state: Path) -> None:
    """Refuse a state folder of which a part cannot be read.

    Raises:
        OpsError: names the broken file.
    """
    for file in sorted(state.glob("*.json")):
        _read(file)


def forget_stream_positions(state: Path) -> bool:
    """Let the mappings of DynamoDB streams read from the start of what the restarted emulator will hold.

    It saves how many records each mapping has read, but not the records: after a restart a mapping would wait for
    record 1,001 of a stream that begins at 1 again, deaf for the next thousand writes.

    Returns:
        Whether there was anything to forget.
    """
    file = state / "lambda.json"
    if not file.exists():
        return False
    document = _read(file)
    payload = document.get("payload") if isinstance(document, dict) else None
    positions = payload.get("dynamodb_stream_positions") if isinstance(payload, dict) else None
    if not isinstance(positions, dict) or not positions.get("data"):
        return False
    positions["data"] = {}
    _write(file, document)
    return True


def move_queues(state: Path, port: int) -> bool:
    """Give the saved queues their addresses on the port that the restarted emulator will listen on.

    It finds a queue by its address, and the port is part of that: on another port the mappings of queues would be deaf.

    Returns:
        Whether there was anything to move.
    """
    file = state / "sqs.json"
    if not file.exists():
        return False
    document = _read(file)
    payload = document.get("payload") if isinstance(document, dict) else None
    queues = payload.get("queues") if isinstance(payload, dict) else None
    if not isinstance(queues, dict) or not isinstance(queues.get("data"), dict):
        return False
    moved = {}
    for key, queue in queues["data"].items():
        here = urlsplit(queue["url"])
        url = urlunsplit(here._replace(netloc=f"{here.hostname}:{port}"))
        moved[key.replace(queue["url"], url)] = {**queue, "url": url}
    if moved == queues["data"]:
        return False
    queues["data"] = moved
    _write(file, document)
    return True


def _write(file: Path, document: Any) -> None:
    replacement = file.with_suffix(".json.new")
    replacement.write_text(json.dumps(document))
    replacement.replace(file)


def _read(file: Path) -> Any:
    try:
        return json.loads(file.read_bytes())
    except (ValueError, OSError) as error:
        raise OpsError(
            f"the local stack's saved state is broken: {file} cannot be read ({error})",
            "`opsledger down --wipe` deletes all local data so that `make up` starts afresh; or put the file back",
        ) from error
