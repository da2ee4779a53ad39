"""What the monitoring config may be set to: every rule is here, so that what was stored once can always be read."""

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from functools import cache
from typing import Annotated, Any, Self
from zoneinfo import available_timezones

from pydantic import AfterValidator, ConfigDict, Field, StringConstraints, model_validator

from domain.aws_configs import AccountId, AccountName, Region
from domain.errors import FieldFault, InvalidError
from domain.monitoring_config import MonitoringConfig, ResolvedAlertPolicy, ServiceName, service_of
from domain.monitoring_rules import FilterAction, NotificationAction, TaskChange, Transition
from domain.text import ONE_LINE, PRINTABLE, TRIMMED
from domain.value import Value

MAX_CONFIG_BYTES = 42 * 1024
"""Of the whole config as compact JSON. With it, an event that holds all of it stays far below DynamoDB's 400 KB."""


@cache
def _timezones() -> frozenset[str]:
    # `localtime` is whatever the machine is set to; `Factory` says that it was never set.
    return frozenset(available_timezones() - {"localtime", "Factory"})


def _timezone(text: str) -> str:
    if text not in _timezones():
        raise ValueError("must be a time zone of the IANA database, such as Europe/Berlin or UTC")
    return text


def _unique(values: tuple[str, ...]) -> tuple[str, ...]:
    twice = [value for value, times in Counter(values).items() if times > 1]
    if twice:
        raise ValueError(f"{twice[0]} is there twice")
    return values


UNIQUE = (AfterValidator(_unique), Field(json_schema_extra={"uniqueItems": True}))

Severity = Annotated[int, Field(strict=True, ge=0, le=5, description="0 info to 5 emergency")]
Flag = Annotated[bool, Field(strict=True)]
Minutes = Annotated[int, Field(strict=True, ge=1, le=10_080)]
Timezone = Annotated[
    str,
    StringConstraints(strict=True, max_length=64),
    AfterValidator(_timezone),
    Field(description="of the IANA database, such as `Europe/Berlin`"),
]
TimeOfDay = Annotated[str, StringConstraints(strict=True, pattern=r"^([01][0-9]|2[0-3]):[0-5][0-9]$")]
ChannelName = Annotated[
    str,
    StringConstraints(strict=True, pattern=r"^[a-z0-9][a-z0-9_-]{0,79}$"),
    Field(description="under which its webhook is kept"),
]
Source = Annotated[str, StringConstraints(strict=True, pattern=r"^(aws|monitoring)\.[a-z0-9][a-z0-9.-]{0,63}$")]
LogGroup = Annotated[str, StringConstraints(strict=True, pattern=r"^[A-Za-z0-9._/#-]{1,512}$")]


class TagInput(Value):
    key: Annotated[str, StringConstraints(strict=True, min_length=1, max_length=128), PRINTABLE, ONE_LINE]
    value: Annotated[str, StringConstraints(strict=True, max_length=256), PRINTABLE, ONE_LINE]


class MatchInput(Value):
    """Which monitoring events are meant: every field that is given must fit, and one must be given."""

    model_config = ConfigDict(json_schema_extra={"minProperties": 1})

    source: Source | None = None
    service: ServiceName | None = None
    detail_type: (
        Annotated[str, TRIMMED, StringConstraints(min_length=1, max_length=128), PRINTABLE, ONE_LINE] | None
    ) = None
    account: AccountId | None = None
    region: Region | None = None
    resource: (
        Annotated[
            str,
            TRIMMED,
            StringConstraints(min_length=1, max_length=256),
            PRINTABLE,
            ONE_LINE,
            Field(description="fits one of the event's resources; `*` is any text, `?` one character"),
        ]
        | None
    ) = None
    tag: TagInput | None = None
    text: (
        Annotated[
            str,
            TRIMMED,
            StringConstraints(min_length=1, max_length=200),
            PRINTABLE,
            ONE_LINE,
            Field(description="stands in the event's title or text, in whatever case"),
        ]
        | None
    ) = None
    min_severity: Severity | None = None
    max_severity: Severity | None = None

    @model_validator(mode="after")
    def _can_match(self) -> Self:
        if all(value is None for _, value in self):
            raise ValueError("must give at least one field")
        least, most = self.min_severity, self.max_severity
        if least is not None and most is not None and least > most:
            raise ValueError("matches nothing: min_severity is above max_severity")
        if self.source is not None and self.service not in (None, service_of(self.source)):
            raise ValueError("matches nothing: the source is of another service")
        return self


class ThresholdsInput(Value):
    """When an alert opens: so many occurrences within so many seconds, none of them below a severity."""

    min_severity: Severity = 1
    occurrences: Annotated[int, Field(strict=True, ge=1, le=1000)] = 1
    seconds: Annotated[int, Field(strict=True, ge=60, le=86_400)] = 300


class ResourceFilterInput(Value):
    """Whether events are taken into account."""

    action: FilterAction
    match: MatchInput


class SeverityRuleInput(Value):
    """The severity that events get."""

    match: MatchInput
    severity: Severity


class ServiceInput(Value):
    """How one service is watched."""

    service_name: ServiceName
    enabled: Flag = True
    polling_interval: Annotated[int, Field(strict=True, ge=30, le=3600, description="in seconds")] = 300
    thresholds: ThresholdsInput = Field(default_factory=ThresholdsInput)
    resource_filters: Annotated[
        tuple[ResourceFilterInput, ...],
        Field(
            max_length=30,
            description="The first that matches decides. What matches none is taken, unless one of them includes.",
        ),
    ] = ()
    severity_rules: Annotated[
        tuple[SeverityRuleInput, ...],
        Field(
            max_length=30,
            description="An alarm's own tag `severity` decides, then the first that matches; else the source.",
        ),
    ] = ()
    log_groups: Annotated[
        tuple[LogGroup, ...],
        Field(max_length=50, description="searched for errors; only for the service `logs`"),
        *UNIQUE,
    ] = ()

    @model_validator(mode="after")
    def _groups_are_of_logs(self) -> Self:
        if self.log_groups and self.service_name is not ServiceName.LOGS:
            raise ValueError("only the service logs has log_groups")
        return self


class QuietHoursInput(Value):
    """When people are not told: from one time of day to another, perhaps over midnight."""

    model_config = ConfigDict(serialize_by_alias=True)

    start: TimeOfDay = Field(alias="from", examples=["22:00"])
    end: TimeOfDay = Field(alias="to", examples=["07:00"])
    timezone: Annotated[Timezone | None, Field(description="null: that of the global settings")] = None
    except_min_severity: Annotated[
        Severity | None, Field(description="from this severity on, people are told all the same")
    ] = None

    @model_validator(mode="after")
    def _some_hours(self) -> Self:
        if self.start == self.end:
            raise ValueError("from and to are the same time")
        return self


class NotificationRuleInput(Value):
    """Whom to tell what. The first rule that matches decides; what matches none is not sent."""

    name: Annotated[str, TRIMMED, StringConstraints(min_length=1, max_length=100), PRINTABLE, ONE_LINE]
    match: Annotated[MatchInput | None, Field(description="null: everything")] = None
    transitions: Annotated[
        tuple[Transition, ...], Field(max_length=len(Transition), description="of alerts"), *UNIQUE
    ] = ()
    task_changes: Annotated[tuple[TaskChange, ...], Field(max_length=len(TaskChange)), *UNIQUE] = ()
    action: NotificationAction = NotificationAction.SEND
    channels: Annotated[
        tuple[ChannelName, ...], Field(max_length=20, description="none: the default channel"), *UNIQUE
    ] = ()
    only_if_open_after_minutes: Annotated[
        Minutes | None, Field(description="only of alerts that are still open after this time")
    ] = None
    group_within_minutes: Annotated[
        Minutes | None, Field(description="what comes within this time goes into one message")
    ] = None
    quiet_hours: QuietHoursInput | None = None

    @model_validator(mode="after")
    def _says_something(self) -> Self:
        if not self.transitions and not self.task_changes:
            raise ValueError("must name transitions or task_changes")
        about_sending = ("channels", "only_if_open_after_minutes", "group_within_minutes", "quiet_hours")
        given = [name for name in about_sending if getattr(self, name)]
        if self.action is NotificationAction.SUPPRESS and given:
            raise ValueError(f"suppresses, so that {given[0]} has no meaning")
        return self


class ChannelInput(Value):
    """Where messages go. Its webhook is a secret, kept apart under the same name."""

    name: ChannelName
    rate_per_minute: Annotated[
        int, Field(strict=True, ge=1, le=600, description="messages, at most; Slack takes about 60")
    ] = 30


class DailyReportInput(Value):
    """The report of every morning."""

    enabled: Flag = True
    channel: Annotated[ChannelName | None, Field(description="null: the default channel")] = None


class GlobalSettingsInput(Value):
    """What holds for all services."""

    default_channel: ChannelName = "default"
    timezone: Timezone = "UTC"
    account_names: Annotated[
        Mapping[AccountId, AccountName],
        Field(max_length=500, description="what accounts are called in messages, by account id"),
    ] = {}
    resolved_alert_policy: Annotated[
        ResolvedAlertPolicy, Field(description="what becomes of the task about an alert that was resolved")
    ] = ResolvedAlertPolicy.COMMENT
    daily_report: DailyReportInput = Field(default_factory=DailyReportInput)


_IGNORED = Field(description="ignored; taken so that what GET answered can be sent back")


class ReplaceMonitoringConfig(Value):
    """The whole monitoring config. A service that is not listed is not watched."""

    services: Annotated[tuple[ServiceInput, ...], Field(max_length=len(ServiceName))]
    notification_rules: Annotated[tuple[NotificationRuleInput, ...], Field(max_length=50)]
    channels: Annotated[tuple[ChannelInput, ...], Field(min_length=1, max_length=20)]
    global_settings: GlobalSettingsInput
    updated_at: Annotated[Any, _IGNORED] = None
    updated_by: Annotated[Any, _IGNORED] = None
    version: Annotated[Any, _IGNORED] = None


def checked(command: ReplaceMonitoringConfig) -> MonitoringConfig:
    """The config that a command asks for.

    Raises:
        InvalidError: its parts do not fit together; each field is named.
    """
    faults = list(_faults(command))
    config = command.model_dump(mode="json", exclude={"updated_at", "updated_by", "version"})
    wanted = MonitoringConfig.model_validate(config)
    size = len(wanted.model_dump_json(exclude_none=True).encode())
    if size > MAX_CONFIG_BYTES:
        faults.append(FieldFault("body", f"has {size:,} bytes; a monitoring config may have {MAX_CONFIG_BYTES:,}"))
    if faults:
        raise InvalidError(*faults)
    return wanted


def _faults(command: ReplaceMonitoringConfig) -> Iterator[FieldFault]:
    channels = [channel.name for channel in command.channels]
    yield from _repeated("services", "service_name", [service.service_name for service in command.services])
    yield from _repeated("channels", "name", channels)
    yield from _repeated("notification_rules", "name", [rule.name for rule in command.notification_rules])
    for place, service in enumerate(command.services):
        for part in ("resource_filters", "severity_rules"):
            found = [entry.match for entry in getattr(service, part)]
            yield from _unfit(f"services.{place}.{part}", found, service.service_name)
    for path, channel in _channels_named(command):
        if channel not in channels:
            yield FieldFault(path, "is not one of the channels of this config")


def _repeated(path: str, field: str, values: Sequence[str]) -> Iterator[FieldFault]:
    for place, value in enumerate(values):
        if value in values[:place]:
            yield FieldFault(f"{path}.{place}.{field}", "is there twice")


def _unfit(path: str, found: Sequence[MatchInput], service: ServiceName) -> Iterator[FieldFault]:
    """Matches of one list that never decide anything."""
    for place, match in enumerate(found):
        where = f"{path}.{place}.match"
        if match in found[:place]:
            yield FieldFault(where, f"never decides: {path.rpartition('.')[2]}.{found.index(match)} is the same")
        if match.service not in (None, service):
            yield FieldFault(f"{where}.service", f"never decides: the events here are those of {service}")
        if match.source is not None and service_of(match.source) != service:
            yield FieldFault(f"{where}.source", f"never decides: the events here are those of {service}")


def _channels_named(command: ReplaceMonitoringConfig) -> Iterable[tuple[str, str]]:
    settings = command.global_settings
    yield "global_settings.default_channel", settings.default_channel
    if settings.daily_report.channel is not None:
        yield "global_settings.daily_report.channel", settings.daily_report.channel
    for place, rule in enumerate(command.notification_rules):
        for number, channel in enumerate(rule.channels):
            yield f"notification_rules.{place}.channels.{number}", channel
