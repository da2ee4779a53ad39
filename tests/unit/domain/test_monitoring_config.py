"""The monitoring config: what a change of it is recorded as, and that its events tell it again."""

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from domain.commit import Recorded
from domain.event import DomainEvent, StoredEvent, decode, encode
from domain.monitoring_config import (
    MONITORING_CONFIG,
    Channel,
    ChannelsChanged,
    DailyReport,
    GlobalSettings,
    GlobalSettingsChanged,
    MonitoringConfig,
    MonitoringConfigStarted,
    NotificationRulesChanged,
    ResolvedAlertPolicy,
    ServiceConfig,
    ServiceConfigured,
    ServiceName,
    ServiceRemoved,
    Thresholds,
    defaults,
    replace,
    service_of,
)
from domain.monitoring_rules import (
    FilterAction,
    Match,
    NotificationAction,
    NotificationRule,
    ResourceFilter,
    SeverityRule,
    Transition,
)
from domain.sources.monitoring_agent import SOURCE
from domain.users import UserDeactivated

DEFAULTS = defaults()
NOW = datetime(2026, 4, 1, 12, 0, tzinfo=UTC)
PARTS = ("services", "notification_rules", "channels", "global_settings")
QUIET_EC2 = ServiceConfig(service_name="ec2", enabled=False)


def after(*steps: list[DomainEvent], state: MonitoringConfig | None = None) -> MonitoringConfig:
    """The config after these commits, an hour apart; each event goes through its stored form."""
    version = 0
    for hours, events in enumerate(steps):
        for event in events:
            version += 1
            name, schema, fields = encode(event)
            read = decode(StoredEvent(name, schema, fields))
            recorded = Recorded(read, version, NOW + timedelta(hours=hours), f"user-{hours}")
            state = MONITORING_CONFIG.evolve(state, recorded)
    assert state is not None
    return state


def changed(**parts: Any) -> MonitoringConfig:
    return DEFAULTS.model_copy(update=parts)


def configured(*services: ServiceConfig) -> tuple[ServiceConfig, ...]:
    """The default services, with some replaced or added."""
    known = {service.service_name: service for service in DEFAULTS.services}
    return tuple({**known, **{service.service_name: service for service in services}}.values())


def started() -> MonitoringConfigStarted:
    return MonitoringConfigStarted(**{name: getattr(DEFAULTS, name) for name in PARTS})


# ---- defaults


def test_by_default_every_service_is_watched() -> None:
    assert [service.service_name for service in DEFAULTS.services] == list(ServiceName)
    assert all(service.enabled for service in DEFAULTS.services)


def test_a_service_is_known_by_the_source_of_its_events() -> None:
    assert service_of("aws.guardduty") == "guardduty"
    assert service_of(SOURCE) == "logs"
    assert [service_of(source) for source in ("guardduty", "aws.logs", "aws.s3", "monitoring.checkout")] == [None] * 4


# ---- what changed


def test_the_first_change_keeps_the_defaults_that_it_was_a_change_of() -> None:
    assert replace(None, changed(services=configured(QUIET_EC2))) == [started(), ServiceConfigured(service=QUIET_EC2)]


@pytest.mark.parametrize("state", [None, DEFAULTS])
def test_what_is_so_already_is_no_change(state: MonitoringConfig | None) -> None:
    assert replace(state, DEFAULTS) == []
    assert replace(state, changed(services=tuple(reversed(DEFAULTS.services)))) == []


def test_only_what_really_changed_is_recorded() -> None:
    services = tuple(service for service in configured(QUIET_EC2) if service.service_name != "rds")
    channels = (*DEFAULTS.channels, Channel(name="ops"))
    settings = GlobalSettings(timezone="Europe/Berlin")
    assert replace(DEFAULTS, changed(services=services)) == [
        ServiceConfigured(service=QUIET_EC2),
        ServiceRemoved(service_name="rds"),
    ]
    assert replace(DEFAULTS, changed(channels=channels)) == [ChannelsChanged(channels=channels)]
    assert replace(DEFAULTS, changed(notification_rules=())) == [NotificationRulesChanged(notification_rules=())]
    assert replace(DEFAULTS, changed(global_settings=settings)) == [GlobalSettingsChanged(global_settings=settings)]


def test_the_order_of_rules_counts() -> None:
    rules = tuple(reversed(DEFAULTS.notification_rules))
    assert replace(DEFAULTS, changed(notification_rules=rules)) == [NotificationRulesChanged(notification_rules=rules)]


def test_a_service_that_was_removed_can_come_back() -> None:
    without = tuple(service for service in DEFAULTS.services if service.service_name != "rds")
    removed = after(replace(None, changed(services=without)))
    assert replace(removed, DEFAULTS) == [ServiceConfigured(service=ServiceConfig(service_name="rds"))]


# ---- what the events tell


def test_the_last_change_says_when_and_by_whom() -> None:
    first = replace(None, changed(channels=(Channel(name="ops"),)))
    state = after(first, replace(after(first), changed(global_settings=GlobalSettings(timezone="Asia/Tokyo"))))
    assert (state.updated_at, state.updated_by) == (NOW + timedelta(hours=1), "user-1")
    assert after([started()]).updated_by is None


def test_the_config_knows_no_other_events() -> None:
    with pytest.raises(ValueError, match=r"user\.deactivated"):
        after([started(), UserDeactivated()])
    with pytest.raises(ValueError, match="before"):
        after([ServiceRemoved(service_name="rds")])


def test_what_a_later_rule_would_refuse_can_still_be_read() -> None:
    odd = ServiceConfig(service_name="gone", polling_interval=1, thresholds=Thresholds(occurrences=10**6))
    rule = NotificationRule(name="", match=Match(min_severity=9), channels=("not there",))
    state = after([started(), ServiceConfigured(service=odd), NotificationRulesChanged(notification_rules=(rule,))])
    assert state.services[-1] == odd
    assert state.notification_rules == (rule,)


names = st.sampled_from(list(ServiceName))
match_strategy = st.builds(
    Match, account=st.none() | st.just("111122223333"), min_severity=st.none() | st.integers(0, 5)
)
service_strategy = st.builds(
    ServiceConfig,
    service_name=names,
    enabled=st.booleans(),
    polling_interval=st.integers(30, 3600),
    resource_filters=st.lists(
        st.builds(ResourceFilter, action=st.sampled_from(FilterAction), match=match_strategy), max_size=2
    ).map(tuple),
    severity_rules=st.lists(st.builds(SeverityRule, match=match_strategy, severity=st.integers(0, 5)), max_size=2).map(
        tuple
    ),
)
config_strategy = st.builds(
    MonitoringConfig,
    services=st.lists(service_strategy, unique_by=lambda service: service.service_name, max_size=5).map(tuple),
    notification_rules=st.lists(
        st.builds(
            NotificationRule,
            name=st.sampled_from("abc"),
            match=st.none() | match_strategy,
            transitions=st.just((Transition.OPENED,)),
            action=st.sampled_from(NotificationAction),
        ),
        max_size=3,
    ).map(tuple),
    channels=st.lists(st.builds(Channel, name=st.sampled_from(["default", "ops"])), max_size=2).map(tuple),
    global_settings=st.builds(
        GlobalSettings,
        account_names=st.dictionaries(st.just("111122223333"), st.sampled_from(["Shop", "Bank"])),
        resolved_alert_policy=st.sampled_from(ResolvedAlertPolicy),
        daily_report=st.builds(DailyReport, enabled=st.booleans()),
    ),
)


@given(st.lists(config_strategy, min_size=1, max_size=4))
def test_the_events_of_any_changes_lead_to_the_config_that_was_wanted(wanted: list[MonitoringConfig]) -> None:
    state: MonitoringConfig | None = None
    for config in wanted:
        events = replace(state, config)
        state = after(events, state=state) if events else state
        reached = state or DEFAULTS
        assert {service.service_name: service for service in reached.services} == {
            service.service_name: service for service in config.services
        }
        assert [getattr(reached, part) for part in PARTS[1:]] == [getattr(config, part) for part in PARTS[1:]]
        assert replace(state, config) == []
