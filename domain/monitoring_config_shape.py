"""How the monitoring config looks to the outside, the same whichever side answers. Times are Unix seconds."""

from collections.abc import Mapping
from typing import Annotated, Any, cast

from pydantic import Field
from typing_extensions import TypedDict

from domain.monitoring_config import Channel, GlobalSettings, MonitoringConfig, ServiceConfig
from domain.monitoring_rules import NotificationRule
from domain.task_shape import PersonShown


class MonitoringConfigShown(TypedDict):
    """Which services are watched and how, and whom to tell what. Times are Unix seconds."""

    services: Annotated[list[ServiceConfig], Field(description="those that are watched")]
    notification_rules: Annotated[
        list[NotificationRule],
        Field(description="The first that matches decides; what matches none is not sent."),
    ]
    channels: list[Channel]
    global_settings: GlobalSettings
    updated_at: Annotated[int | None, Field(description="null for the defaults")]
    updated_by: Annotated[PersonShown | None, Field(description="null for the defaults")]
    version: Annotated[int, Field(description="0 for the defaults, which hold until somebody changes something")]


def shown(config: MonitoringConfig, version: int, names: Mapping[str, str] | None = None) -> MonitoringConfigShown:
    """The config at a version of its stream.

    Args:
        names: of users; a name that is missing is shown as null.
    """
    body: dict[str, Any] = config.model_dump(mode="json", exclude={"updated_at", "updated_by"})
    by = config.updated_by
    body["updated_at"] = None if config.updated_at is None else int(config.updated_at.timestamp())
    body["updated_by"] = {"id": by, "name": (names or {}).get(by)} if by else None
    body["version"] = version
    return cast("MonitoringConfigShown", body)
