"""How a monitoring event looks to the outside. Times are Unix seconds."""

from collections.abc import Mapping
from typing import Annotated, Any

from pydantic import Field
from typing_extensions import TypedDict

from domain.judgement import Verdict
from domain.sources.mapping import State


class EventShown(TypedDict):
    """A monitoring event: what AWS reported (`detail`, as it came), and what was made of it."""

    id: str
    source: str
    detail_type: str
    account: Annotated[str | None, Field(description="that is affected, which need not be the sender's")]
    region: Annotated[str | None, Field(description="that is affected")]
    title: str
    text: str | None
    resource: Annotated[str | None, Field(description="the one that is affected: an ARN or an id")]
    resources: list[str]
    severity: Annotated[
        int,
        Field(
            description="0 info, 1 low, 2 medium, 3 high, 4 critical, 5 emergency: "
            "by an alarm's own tag, a severity rule, or the source's"
        ),
    ]
    state: Annotated[State, Field(description="what it says about the problem that it is about")]
    status: Annotated[str | None, Field(description="the source's own word for the state, such as `ALARM`")]
    fingerprint: Annotated[str, Field(description="the same for every event about the same problem")]
    order: Annotated[int, Field(description="orders the events of one fingerprint: the source's time or version")]
    console_url: str | None
    quiet: Annotated[str | None, Field(description="why nobody is to be told; null if people are")]
    tags: Annotated[Mapping[str, str] | None, Field(description="of the resource, as far as the source tells them")]
    alert_id: Annotated[
        str | None,
        Field(description="of the alert that took it, a 404 as long as it has never opened; null if none took it"),
    ]
    verdict: Annotated[Verdict | None, Field(description="what the monitoring config made of it")]
    config_version: Annotated[
        int | None, Field(description="of the monitoring config that judged it; 0 for the defaults")
    ]
    unmapped: Annotated[list[str], Field(description="what was odd about the message")]
    published_at: Annotated[int, Field(description="the source's time")]
    updated_at: Annotated[int, Field(description="when it arrived")]
    expired_at: Annotated[int, Field(description="when it will be removed")]
    detail: Any
