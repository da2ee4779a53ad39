"""Log errors that we find ourselves with Logs Insights; they come back through EventBridge like everything else.

`detail` is ours: `log_group`, `log_stream`, `message`, `timestamp` (ms since the epoch), `count`, and where known
`severity` (0 to 5) and `service`. `account` and `region` are those of the log group; without them, the envelope's.
EventBridge gives what is published twice two ids, so that `id` says which finding it is.
"""

import re
from typing import TYPE_CHECKING

from domain.sources import console
from domain.sources.facts import Facts
from domain.sources.fingerprint import digest, fingerprint
from domain.sources.mapping import State
from domain.sources.reading import number, optional, text, value
from domain.sources.severity import severity_level

if TYPE_CHECKING:
    from domain.sources.envelope import Envelope

SOURCE = "monitoring.agent"
DETAIL_TYPE = "Log Error Found"

_SEVERITY = 3
_COMPARED = 1_000
"""Characters of a message that tell it from others; beyond them stand dumps."""

_LAST_MILLISECOND = 253_402_300_799_999
"""9999-12-31: an order beyond it is no time."""

# What differs between two occurrences of one error. One sign for all: an id of digits only would else be a number once
# and hex the next time.
_VARIABLE = re.compile(
    r"\b[0-9a-f]{8}-(?:[0-9a-f]{4}-){3}[0-9a-f]{12}\b"  # UUID
    r"|\b\d{4}-\d\d-\d\d[t ]\d\d:\d\d(?::\d\d)?(?:[.,]\d+)?(?:z\b|[+-]\d\d:?\d\d\b)?"  # timestamp
    r"|\b0x[0-9a-f]+\b|\b(?=[a-f]*\d)[0-9a-f]{8,}\b"  # hex
    r"|\d+(?:\.\d+)*"  # number, version, IPv4 address
)


def log_error(envelope: "Envelope") -> Facts:
    """An error line of a log group, and how often it was found. It stays open until a person resolves it."""
    detail = envelope.detail
    group, message = text(detail, "log_group"), text(detail, "message")
    stream, service = optional(detail, "log_stream"), optional(detail, "service")
    count, logged = number(detail, "count"), number(detail, "timestamp")
    level = severity_level(value(detail, "severity"))
    account = optional(detail, "account") or envelope.account
    region = optional(detail, "region") or envelope.region
    line = next((line for line in message.splitlines() if line.strip()), group)
    return Facts(
        title=f"{service}: {line}" if service else line,
        text=f"{message}\n\nFound {count:.0f} times." if count is not None and count > 1 else message,
        account=account,
        region=region,
        resource=group,
        resources=(group, stream) if stream else (group,),
        severity=_SEVERITY if level is None else level,
        state=State.OPEN,
        # Hashed: a line of a log may hold what does not belong in a key.
        fingerprint=fingerprint("log", account, region, group, digest(normalised(message))),
        order=int(logged) if logged is not None and 0 <= logged <= _LAST_MILLISECOND else None,
        console_url=console.log_group(region, group),
    )


def normalised(message: str) -> str:
    """A message without what differs from one occurrence to the next: numbers, hex, UUIDs, timestamps, spacing."""
    return " ".join(_VARIABLE.sub("#", message[:_COMPARED].lower()).split())
