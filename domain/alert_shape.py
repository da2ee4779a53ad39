"""How an alert looks to the outside, the same whichever side answers. Times are Unix seconds."""

from collections.abc import Mapping
from datetime import datetime
from typing import Annotated

from pydantic import Field
from typing_extensions import TypedDict

from domain.alerts import Alert, AlertState, Ending
from domain.task_shape import Names, PersonShown


class AlertShown(TypedDict):
    """An alert: what is wrong, as the monitoring events about it tell. Times are Unix seconds."""

    id: str
    fingerprint: Annotated[str, Field(description="the same for every event about the same problem")]
    state: Annotated[AlertState, Field(description="`open` or `resolved`")]
    source: str
    detail_type: str
    account: Annotated[str | None, Field(description="that is affected")]
    region: Annotated[str | None, Field(description="that is affected")]
    title: str
    resource: Annotated[str | None, Field(description="the one that is affected: an ARN or an id")]
    severity: Annotated[int, Field(description="0 info, 1 low, 2 medium, 3 high, 4 critical, 5 emergency")]
    status: Annotated[str | None, Field(description="the source's own word for the state, such as `ALARM`")]
    console_url: Annotated[str | None, Field(description="where in the AWS console to look")]
    quiet: Annotated[str | None, Field(description="why nobody is to be told; null if people are")]
    tags: Annotated[Mapping[str, str] | None, Field(description="of the resource, as far as the source tells them")]
    count: Annotated[int, Field(description="how often the problem occurred, since ever")]
    first_seen: Annotated[int | None, Field(description="when it occurred first, by the source's time")]
    last_seen: Annotated[int | None, Field(description="when it occurred last, by the source's time")]
    openings: Annotated[int, Field(description="how often it opened")]
    opened_at: Annotated[int | None, Field(description="when it last opened")]
    acknowledged_at: Annotated[int | None, Field(description="since it last opened")]
    acknowledged_by: PersonShown | None
    snoozed_until: Annotated[int | None, Field(description="nobody is told of it until then; may be over")]
    snoozed_by: PersonShown | None
    resolved_at: int | None
    resolved_by: Annotated[PersonShown | None, Field(description="null if no person did")]
    ending: Annotated[
        Ending | None,
        Field(description="why it was resolved: its source said so, a person did, or the problem is too small now"),
    ]
    task_ids: Annotated[list[str], Field(description="of the tasks that were made from it, oldest first")]
    config_version: Annotated[int, Field(description="of the monitoring config that made it open; 0 for the defaults")]
    created_at: int
    updated_at: int
    version: Annotated[int, Field(description="for `If-Match`")]


def shown(alert_id: str, alert: Alert, version: int, names: Names | None = None) -> AlertShown:
    """An alert at a version of its stream.

    Args:
        names: of those the alert mentions; a name that is missing is shown as null.
    """
    names = names or {}
    face = alert.face
    return {
        "id": alert_id,
        "fingerprint": alert.fingerprint,
        "state": alert.state,
        "source": face.source,
        "detail_type": face.detail_type,
        "account": face.account,
        "region": face.region,
        "title": face.title,
        "resource": face.resource,
        "severity": alert.severity,
        "status": alert.status,
        "console_url": face.console_url,
        "quiet": face.quiet,
        "tags": face.tags,
        "count": alert.count,
        "first_seen": alert.first_seen,
        "last_seen": alert.last_seen,
        "openings": alert.openings,
        "opened_at": _unix(alert.opened_at),
        "acknowledged_at": _unix(alert.acknowledged_at),
        "acknowledged_by": _person(alert.acknowledged_by, names),
        "snoozed_until": _unix(alert.snoozed_until),
        "snoozed_by": _person(alert.snoozed_by, names),
        "resolved_at": _unix(alert.resolved_at),
        "resolved_by": _person(alert.resolved_by, names) if alert.ending is Ending.PERSON else None,
        "ending": alert.ending,
        "task_ids": list(alert.task_ids),
        "config_version": alert.config,
        "created_at": int(alert.created_at.timestamp()),
        "updated_at": int(alert.updated_at.timestamp()),
        "version": version,
    }


def _person(user_id: str | None, names: Names) -> PersonShown | None:
    return {"id": user_id, "name": names.get(user_id)} if user_id else None


def _unix(at: datetime | None) -> int | None:
    return None if at is None else int(at.timestamp())
