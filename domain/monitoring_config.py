"""The monitoring config: which services are watched and how, and whom to tell what. There is one.

Shapes, events and what they do; the rules for what may be set stand in `domain.replace_monitoring_config`.
"""

from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime
from enum import StrEnum
from functools import cache

from pydantic import Field

from domain.commit import Recorded
from domain.decider import Decider
from domain.event import DomainEvent, event_type
from domain.monitoring_rules import Match, NotificationRule, ResourceFilter, SeverityRule, TaskChange, Transition
from domain.value import Value

CONFIG_ID = "main"


class ServiceName(StrEnum):
    """The services that can be watched: those whose events the template's rule lets in, and logs."""

    ACCESS_ANALYZER = "access-analyzer"
    BACKUP = "backup"
    CE = "ce"
    CLOUDFORMATION = "cloudformation"
    CLOUDWATCH = "cloudwatch"
    CONFIG = "config"
    EC2 = "ec2"
    ECS = "ecs"
    GUARDDUTY = "guardduty"
    HEALTH = "health"
    LOGS = "logs"
    """The one service that we ask ourselves; see `domain.sources.monitoring_agent`."""
    RDS = "rds"
    SECURITYHUB = "securityhub"
    TRUSTEDADVISOR = "trustedadvisor"


_SOURCES = {"monitoring.agent" if name is ServiceName.LOGS else f"aws.{name}": name.value for name in ServiceName}


def service_of(source: str) -> str | None:
    """The service whose events come from a source, such as `guardduty` for `aws.guardduty`; None for another source."""
    return _SOURCES.get(source)


class Thresholds(Value):
    """When an alert opens: so many occurrences within so many seconds, none of them below a severity."""

    min_severity: int = Field(default=1, description="0 info to 5 emergency")
    occurrences: int = 1
    seconds: int = 300


class ServiceConfig(Value):
    """How one service is watched."""

    service_name: str
    enabled: bool = True
    polling_interval: int = Field(default=300, description="in seconds")
    thresholds: Thresholds = Field(default_factory=Thresholds)
    resource_filters: tuple[ResourceFilter, ...] = Field(
        default=(),
        description="The first that matches decides. What matches none is taken, unless one of them includes.",
    )
    severity_rules: tuple[SeverityRule, ...] = Field(
        default=(),
        description="An alarm's own tag `severity` decides, then the first that matches; else the source.",
    )
    log_groups: tuple[str, ...] = Field(default=(), description="searched for errors; only for the service `logs`")


class Channel(Value):
    """Where messages go. Its webhook is a secret, kept apart under the same name."""

    name: str
    rate_per_minute: int = 30


class ResolvedAlertPolicy(StrEnum):
    """What becomes of the task about an alert that was resolved."""

    COMMENT = "comment"
    CLOSE = "close"
    NOTHING = "nothing"


class DailyReport(Value):
    """The report of every morning; without a channel it goes to the default one."""

    enabled: bool = True
    channel: str | None = None


class GlobalSettings(Value):
    """What holds for all services."""

    default_channel: str = "default"
    timezone: str = Field(default="UTC", description="of the IANA database; for quiet hours, and for times in messages")
    account_names: Mapping[str, str] = Field(
        default={}, description="what accounts are called in messages, by account id"
    )
    resolved_alert_policy: ResolvedAlertPolicy = Field(
        default=ResolvedAlertPolicy.COMMENT, description="what becomes of the task about an alert that was resolved"
    )
    daily_report: DailyReport = Field(default_factory=DailyReport)


class MonitoringConfig(Value):
    """The config as its events tell it.

    Attributes:
        services: those that are watched. One that is not listed is not.
        notification_rules: the first that matches decides; what matches none is not sent.
        updated_at: None, as `updated_by`, for the defaults.
        updated_by: a user's id.
    """

    services: tuple[ServiceConfig, ...]
    notification_rules: tuple[NotificationRule, ...]
    channels: tuple[Channel, ...]
    global_settings: GlobalSettings
    updated_at: datetime | None = None
    updated_by: str | None = None


@cache
def defaults() -> MonitoringConfig:
    """What holds until somebody changes it."""
    return MonitoringConfig(
        services=tuple(ServiceConfig(service_name=name.value) for name in ServiceName),
        notification_rules=(
            NotificationRule(
                name="alerts",
                match=Match(min_severity=2),
                transitions=(Transition.OPENED, Transition.SEVERITY_RAISED, Transition.RESOLVED),
            ),
            NotificationRule(name="tasks", task_changes=(TaskChange.CREATED, TaskChange.ASSIGNED)),
        ),
        channels=(Channel(name="default"),),
        global_settings=GlobalSettings(),
    )


# ---- events


@event_type("monitoring-config.started", 1)
class MonitoringConfigStarted(DomainEvent):
    """The defaults of the release that was deployed when somebody first changed something.

    Kept, so that those of a later release do not change what was.
    """

    services: tuple[ServiceConfig, ...]
    notification_rules: tuple[NotificationRule, ...]
    channels: tuple[Channel, ...]
    global_settings: GlobalSettings


@event_type("monitoring-config.service-configured", 1)
class ServiceConfigured(DomainEvent):
    """A service as it is watched now; new or changed."""

    service: ServiceConfig


@event_type("monitoring-config.service-removed", 1)
class ServiceRemoved(DomainEvent):
    service_name: str


@event_type("monitoring-config.channels-changed", 1)
class ChannelsChanged(DomainEvent):
    channels: tuple[Channel, ...]


@event_type("monitoring-config.notification-rules-changed", 1)
class NotificationRulesChanged(DomainEvent):
    notification_rules: tuple[NotificationRule, ...]


@event_type("monitoring-config.global-settings-changed", 1)
class GlobalSettingsChanged(DomainEvent):
    global_settings: GlobalSettings


# ---- rules


def replace(config: MonitoringConfig | None, wanted: MonitoringConfig) -> list[DomainEvent]:
    """What changes when the config becomes another; nothing if it is that already. Services have no order."""
    before = config or defaults()
    changes = [*_service_changes(before.services, wanted.services)]
    if wanted.channels != before.channels:
        changes.append(ChannelsChanged(channels=wanted.channels))
    if wanted.notification_rules != before.notification_rules:
        changes.append(NotificationRulesChanged(notification_rules=wanted.notification_rules))
    if wanted.global_settings != before.global_settings:
        changes.append(GlobalSettingsChanged(global_settings=wanted.global_settings))
    if config is None and changes:
        started = {name: getattr(before, name) for name in MonitoringConfigStarted.model_fields}
        return [MonitoringConfigStarted(**started), *changes]
    return changes


def _service_changes(before: Sequence[ServiceConfig], wanted: Sequence[ServiceConfig]) -> Iterable[DomainEvent]:
    known = {service.service_name: service for service in before}
    for service in wanted:
        if known.pop(service.service_name, None) != service:
            yield ServiceConfigured(service=service)
    for name in known:
        yield ServiceRemoved(service_name=name)


def evolve(config: MonitoringConfig | None, recorded: Recorded) -> MonitoringConfig:
    event = recorded.event
    if config is None and isinstance(event, MonitoringConfigStarted):
        return MonitoringConfig(**dict(event))
    if config is None:
        raise ValueError(f"{event.name} before monitoring-config.started")
    match event:
        case ServiceConfigured():
            others = {service.service_name: service for service in config.services}
            services = {**others, event.service.service_name: event.service}
            changes: dict[str, object] = {"services": tuple(services.values())}
        case ServiceRemoved():
            left = (service for service in config.services if service.service_name != event.service_name)
            changes = {"services": tuple(left)}
        case ChannelsChanged() | NotificationRulesChanged() | GlobalSettingsChanged():
            changes = dict(event)
        case _:
            raise ValueError(f"the monitoring config does not know the event {event.name}")
    return config.model_copy(update={**changes, "updated_at": recorded.at, "updated_by": recorded.by})


MONITORING_CONFIG: Decider[MonitoringConfig] = Decider("monitoring-config", evolve, MonitoringConfig)
