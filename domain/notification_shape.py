"""How a notification looks to the outside, the same whichever side answers. Times are Unix seconds."""

from enum import StrEnum
from typing import Annotated, Any

from pydantic import Field
from typing_extensions import TypedDict


class Status(StrEnum):
    """Where a notification stands."""

    SUPPRESSED = "suppressed"
    """Nobody is told."""
    UNCONFIGURED = "unconfigured"
    """People would be told, but the channel has no webhook."""
    HELD = "held"
    """It waits until it is due."""
    GROUPED = "grouped"
    """It is told in the message of another notification."""
    DECIDED = "decided"
    """It is on its way."""
    SENDING = "sending"
    SENT = "sent"
    """Slack said that it has it."""
    FAILED = "failed"
    """It was given up; it can be sent again by a person."""


class NotificationShown(TypedDict):
    """What people were told of in one channel, or not, and why. Times are Unix seconds."""

    id: str
    status: Annotated[
        Status,
        Field(
            description="`suppressed`: nobody is told; `held`: until `due_at`; `decided`, `sending`: on its way; "
            "`grouped`: told in the message of `told_in`; `failed`: given up; "
            "`unconfigured`: the channel has no webhook"
        ),
    ]
    channel: str
    rule: Annotated[str | None, Field(description="the notification rule that decided; null if none did")]
    reason: Annotated[str, Field(description="why people are told, or not, or later, in words")]
    about: Annotated[
        str,
        Field(
            description="what happened: a transition of an alert, `still_open`, a change of a task, or `daily_report`"
        ),
    ]
    alert_id: str | None
    task_id: str | None
    event_id: Annotated[str | None, Field(description="the monitoring event that it is told by")]
    title: str
    severity: Annotated[int | None, Field(description="0 info to 5 emergency; null for what has none")]
    decided_at: int
    due_at: Annotated[int | None, Field(description="when what is held is looked at again")]
    told_in: Annotated[str | None, Field(description="the notification whose message tells this one too")]
    sent_at: int | None
    attempts: int
    error: Annotated[
        str | None,
        Field(description="why it is not sent, or not yet: what Slack said last, or what it waits for in its channel"),
    ]
    message: Annotated[Any, Field(description="as it was posted last, in Slack's form; null before")]
