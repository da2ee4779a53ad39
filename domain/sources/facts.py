"""What a mapper reads from one message. The registry adds what is the same for all and makes a `MappedEvent`."""

from collections.abc import Mapping
from typing import NamedTuple

from domain.sources.mapping import State


class Facts(NamedTuple):
    """The fields of `MappedEvent` that differ by source; None where the envelope's own value is meant.

    Attributes:
        order: ms since the epoch or a version; None for the envelope's time.
    """

    title: str
    severity: int
    state: State
    fingerprint: str
    text: str | None = None
    account: str | None = None
    region: str | None = None
    resource: str | None = None
    resources: tuple[str, ...] | None = None
    status: str | None = None
    order: int | None = None
    console_url: str | None = None
    quiet: str | None = None
    tags: Mapping[str, str] | None = None
