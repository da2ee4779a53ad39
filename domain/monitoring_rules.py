"""What filters, severity rules and notification rules of the monitoring config say: whom they match, and what follows.

These are the shapes that are stored. What a request may set them to is checked by `domain.replace_monitoring_config`.
"""

from collections.abc import Mapping
from enum import StrEnum
from fnmatch import fnmatchcase

from pydantic import ConfigDict, Field

from domain.value import Value


class Tag(Value):
    key: str
    value: str


class Match(Value):
    """Which monitoring events are meant: every field that is given must fit."""

    source: str | None = None
    service: str | None = None
    detail_type: str | None = None
    account: str | None = None
    region: str | None = None
    resource: str | None = Field(
        default=None, description="fits one of the event's resources; `*` is any text, `?` one character"
    )
    tag: Tag | None = None
    text: str | None = Field(default=None, description="stands in the event's title or text, in whatever case")
    min_severity: int | None = Field(default=None, description="0 to 5, included")
    max_severity: int | None = Field(default=None, description="0 to 5, included")


class Matchable(Value):
    """What matches look at. None, or nothing, where it is not known: no match that asks for it fits.

    Attributes:
        text: the title, and what a person reads next.
        severity: None for what has none, such as a task that was made by hand.
    """

    source: str | None = None
    service: str | None = None
    detail_type: str | None = None
    account: str | None = None
    region: str | None = None
    resources: tuple[str, ...] = ()
    tags: Mapping[str, str] = {}
    text: str = ""
    severity: int | None = None


def matches(match: Match, facts: Matchable) -> bool:
    """Whether every field that the match gives fits. One that gives none fits everything."""
    severity = facts.severity
    return (
        match.source in (None, facts.source)
        and match.service in (None, facts.service)
        and match.detail_type in (None, facts.detail_type)
        and match.account in (None, facts.account)
        and match.region in (None, facts.region)
        and (match.resource is None or any(fits(match.resource, resource) for resource in facts.resources))
        and (match.tag is None or facts.tags.get(match.tag.key) == match.tag.value)
        and (match.text is None or match.text.casefold() in facts.text.casefold())
        and (match.min_severity is None or (severity is not None and severity >= match.min_severity))
        and (match.max_severity is None or (severity is not None and severity <= match.max_severity))
    )


def fits(pattern: str, text: str) -> bool:
    """Whether a text fits a pattern with `*` (any text) and `?` (one character), in this case of letters.

    Each part between two `*` is looked for once and never again (fnmatch makes atomic groups of them), so that no
    pattern takes exponential time. Brackets, which fnmatch would take for a choice of characters, stand for themselves.
    """
    return fnmatchcase(text, pattern.replace("[", "[[]"))


class FilterAction(StrEnum):
    INCLUDE = "include"
    EXCLUDE = "exclude"


class ResourceFilter(Value):
    """Whether monitoring events are taken into account. The first filter that matches decides."""

    action: FilterAction
    match: Match


class SeverityRule(Value):
    """The severity, 0 to 5, that monitoring events get, unless an alarm's own tag says it. The first match decides."""

    match: Match
    severity: int


class Transition(StrEnum):
    """What happens to an alert."""

    OPENED = "opened"
    RECURRED = "recurred"
    SEVERITY_RAISED = "severity_raised"
    RESOLVED = "resolved"


class TaskChange(StrEnum):
    """What happens to a task."""

    CREATED = "created"
    CHANGED = "changed"
    STATUS_CHANGED = "status_changed"
    ASSIGNED = "assigned"
    COMMENTED = "commented"
    DELETED = "deleted"


class NotificationAction(StrEnum):
    SEND = "send"
    SUPPRESS = "suppress"


class QuietHours(Value):
    """When people are not told: from one time of day to another, perhaps over midnight."""

    model_config = ConfigDict(serialize_by_alias=True)

    start: str = Field(alias="from", description="such as `22:00`")
    end: str = Field(alias="to", description="such as `07:00`, not included")
    timezone: str | None = Field(default=None, description="null: that of the global settings")
    except_min_severity: int | None = Field(
        default=None, description="from this severity on, people are told all the same"
    )


class NotificationRule(Value):
    """Whom to tell what. The first rule that matches decides; what matches none is not sent."""

    name: str
    match: Match | None = Field(default=None, description="null: everything")
    transitions: tuple[Transition, ...] = Field(default=(), description="of alerts")
    task_changes: tuple[TaskChange, ...] = ()
    action: NotificationAction = NotificationAction.SEND
    channels: tuple[str, ...] = Field(default=(), description="none: the default channel")
    only_if_open_after_minutes: int | None = Field(
        default=None, description="only of alerts that are still open after this time"
    )
    group_within_minutes: int | None = Field(
        default=None, description="what comes within this time goes into one message"
    )
    quiet_hours: QuietHours | None = None
