"""What every mapper gives: the same few facts, whatever the source called them."""

from collections.abc import Mapping
from enum import StrEnum
from typing import Annotated

from pydantic import Field

from domain.value import Value

Severity = Annotated[int, Field(ge=0, le=5)]
"""0 info, 1 low, 2 medium, 3 high, 4 critical, 5 emergency."""


class State(StrEnum):
    """What a message says about the problem it is about."""

    OPEN = "open"
    RESOLVED = "resolved"
    NO_DATA = "no_data"
    IN_PROGRESS = "in_progress"
    EVENT = "event"
    """Something happened; it neither opens nor resolves a problem."""


class MappedEvent(Value):
    """One message from AWS, understood.

    Attributes:
        source: the envelope's source, such as `aws.guardduty`.
        detail_type: the envelope's detail-type.
        account: the *affected* account, which is not always the envelope's. None when the message names none.
        region: the affected Region, likewise.
        title: one line for a list, at most 300 characters.
        text: the explanation a person reads next, at most 3,000 characters; None when there is none.
        resource: the one resource that is affected, an ARN or an id; None when the message names none.
        resources: the envelope's resources, or the affected entities where the detail lists them.
        severity: 0 to 5.
        state: see `State`.
        status: the source's own word for the state, such as `ALARM` or `UPDATE_ROLLBACK_FAILED`.
        fingerprint: the same for every message about the same problem.
        order: orders two messages of one fingerprint: the source's own time in ms since the epoch, or its version.
        console_url: where in the AWS console to look; None when the source has no page for it.
        quiet: why nobody is to be told (muted by AWS, a sample finding, an alarm's first state); None otherwise.
        tags: of the resource, as far as the message tells them; None when it tells none.
        unmapped: what was odd about the message: faults of its envelope, and why it was taken as generic although
            its source has a mapper (that one begins with "taken as generic: ").
    """

    source: str
    detail_type: str
    account: str | None = None
    region: str | None = None
    title: str
    text: str | None = None
    resource: str | None = None
    resources: tuple[str, ...] = ()
    severity: Severity
    state: State
    status: str | None = None
    fingerprint: str
    order: int
    console_url: str | None = None
    quiet: str | None = None
    tags: Mapping[str, str] | None = None
    unmapped: tuple[str, ...] = ()
