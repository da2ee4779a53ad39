"""Any other source: what the envelope alone says. A message of our own (`monitoring.*`) may say a little more."""

from typing import TYPE_CHECKING

from domain.sources.facts import Facts
from domain.sources.fingerprint import fingerprint
from domain.sources.mapping import State
from domain.sources.severity import severity_level

if TYPE_CHECKING:
    from domain.sources.envelope import Envelope

_PREFIX = "generic"


def anything(envelope: "Envelope") -> Facts:
    """Read any message. Raises nothing, whatever the detail holds: this is what all other mappers fall back to."""
    own = envelope.detail if envelope.source.startswith("monitoring.") else {}
    title, message, level = own.get("title"), own.get("message"), severity_level(own.get("severity"))
    resource = envelope.resources[0] if envelope.resources else None
    return Facts(
        title=title if isinstance(title, str) else envelope.detail_type,
        text=message if isinstance(message, str) else None,
        resource=resource,
        severity=0 if level is None else level,
        state=State.EVENT,
        fingerprint=fingerprint(_PREFIX, envelope.account, envelope.source, envelope.detail_type, resource),
    )


def is_generic(fingerprint: str) -> bool:
    """Whether it is one of a message that no mapper understood."""
    return fingerprint.startswith((f"{_PREFIX}:", f"{_PREFIX}#"))
