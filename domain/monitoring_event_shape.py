"""How a monitoring event looks to the outside. Times are Unix seconds."""

from typing import Any

from typing_extensions import TypedDict

from domain.sources.mapping import State


class EventShown(TypedDict):
    """A monitoring event: what AWS reported (`detail`, as it came), and what was made of it."""

    id: str
    source: str
    detail_type: str
    account: str | None
    region: str | None
    title: str
    text: str | None
    resource: str | None
    resources: list[str]
    severity: int
    state: State
    status: str | None
    fingerprint: str
    order: int
    console_url: str | None
    quiet: str | None
    unmapped: list[str]
    published_at: int
    updated_at: int
    expired_at: int
    detail: Any
