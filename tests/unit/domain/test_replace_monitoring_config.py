"""What the monitoring config may be set to: each rule, and the path by which a refusal names its field."""

import json
import re
from copy import deepcopy
from pathlib import Path
from typing import Any

import pytest
from pydantic import BaseModel, ValidationError

from domain.errors import InvalidError
from domain.monitoring_config import (
    Channel,
    DailyReport,
    GlobalSettings,
    ServiceConfig,
    ServiceName,
    Thresholds,
    defaults,
)
from domain.monitoring_config_shape import shown
from domain.monitoring_rules import (
    Match,
    NotificationRule,
    QuietHours,
    ResourceFilter,
    SeverityRule,
    Tag,
    TaskChange,
    Transition,
)
from domain.replace_monitoring_config import (
    MAX_CONFIG_BYTES,
    ChannelInput,
    DailyReportInput,
    GlobalSettingsInput,
    MatchInput,
    NotificationRuleInput,
    QuietHoursInput,
    ReplaceMonitoringConfig,
    ResourceFilterInput,
    ServiceInput,
    SeverityRuleInput,
    TagInput,
    ThresholdsInput,
    checked,
)

DEFAULTS = defaults()
MATCH = {"min_severity": 2}
RULE = {"name": "night", "transitions": ["opened"]}
QUIET = {"from": "22:00", "to": "07:00"}
GUARDDUTY = next(n for n, service in enumerate(DEFAULTS.services) if service.service_name == "guardduty")
LOGS = next(n for n, service in enumerate(DEFAULTS.services) if service.service_name == "logs")


def sent() -> dict[str, Any]:
    """What GET answers when nobody has changed anything."""
    document: dict[str, Any] = json.loads(json.dumps(shown(DEFAULTS, 0)))
    return document


def with_(path: str, value: Any) -> dict[str, Any]:
    """The defaults with one field set, by its path; `+` appends to a list."""
    document = sent()
    *way, last = path.split(".")
    place: Any = document
    for step in way:
        place = place[int(step) if step.isdigit() else step]
    if last == "+":
        place.append(value)
    else:
        place[int(last) if last.isdigit() else last] = value
    return document


def refused(document: Any) -> dict[str, str]:
    """Why a document is refused, by the paths of its fields."""
    try:
        checked(ReplaceMonitoringConfig.model_validate_json(json.dumps(document)))
    except ValidationError as error:
        return {".".join(map(str, fault["loc"])): fault["msg"] for fault in error.errors()}
    except InvalidError as error:
        return {fault.field: fault.message for fault in error.faults}
    return {}


@pytest.mark.parametrize(("name", "choices"), [("transitions", list(Transition)), ("task_changes", list(TaskChange))])
def test_a_rule_names_no_more_changes_than_there_are(name: str, choices: list[str]) -> None:
    rule = f"notification_rules.0.{name}"
    assert refused(with_(rule, choices)) == {}
    assert f"at most {len(choices)} items" in refused(with_(rule, [*choices, choices[0]]))[rule]


def test_what_get_answers_can_be_sent_back() -> None:
    command = ReplaceMonitoringConfig.model_validate_json(json.dumps(sent()))
    assert checked(command) == DEFAULTS
    full = {**sent(), "updated_at": 1, "updated_by": {"id": "u", "name": "Ada"}, "version": 7}
    assert checked(ReplaceMonitoringConfig.model_validate_json(json.dumps(full))) == DEFAULTS


def test_the_example_in_the_documentation_can_be_sent() -> None:
    page = Path(__file__).parents[3] / "docs" / "configuration.md"
    (example,) = re.findall(r"```json\n(.*?)```", page.read_text(), re.DOTALL)
    assert refused(json.loads(example)) == {}


@pytest.mark.parametrize(
    ("given", "stored"),
    [
        (TagInput, Tag),
        (MatchInput, Match),
        (ThresholdsInput, Thresholds),
        (ResourceFilterInput, ResourceFilter),
        (SeverityRuleInput, SeverityRule),
        (ServiceInput, ServiceConfig),
        (QuietHoursInput, QuietHours),
        (NotificationRuleInput, NotificationRule),
        (ChannelInput, Channel),
        (DailyReportInput, DailyReport),
        (GlobalSettingsInput, GlobalSettings),
    ],
)
def test_what_is_sent_and_what_is_stored_have_the_same_fields_and_defaults(
    given: type[BaseModel], stored: type[BaseModel]
) -> None:
    assert {name: field.alias for name, field in given.model_fields.items()} == {
        name: field.alias for name, field in stored.model_fields.items()
    }
    for name, field in given.model_fields.items():
        default, other = (f.get_default(call_default_factory=True) for f in (field, stored.model_fields[name]))
        plain = [value.model_dump() if isinstance(value, BaseModel) else value for value in (default, other)]
        assert plain[0] == plain[1], name


@pytest.mark.parametrize(
    ("path", "value"),
    [
        ("services.0.polling_interval", 30),
        ("services.0.polling_interval", 3600),
        ("services", []),
        ("notification_rules", []),
        (f"services.{LOGS}.log_groups", ["/aws/lambda/checkout", "a.b-c_d/e#f"]),
        (f"services.{GUARDDUTY}.resource_filters.+", {"action": "exclude", "match": {"source": "aws.guardduty"}}),
        (f"services.{LOGS}.severity_rules.+", {"match": {"source": "monitoring.agent"}, "severity": 0}),
        ("notification_rules.+", RULE),
        ("notification_rules.+", {**RULE, "match": {"source": "monitoring.checkout", "text": " probe "}}),
        ("notification_rules.+", {**RULE, "match": {"service": "logs", "source": "monitoring.agent"}}),
        ("notification_rules.+", {**RULE, "match": {"min_severity": 3, "max_severity": 3}}),
        ("notification_rules.+", {**RULE, "match": {"tag": {"key": "env", "value": ""}}}),
        ("notification_rules.+", {**RULE, "channels": ["default"], "quiet_hours": QUIET}),
        ("notification_rules.+", {**RULE, "action": "suppress"}),
        ("global_settings.account_names", {"111122223333": "Production"}),
        ("global_settings.daily_report", {"channel": "default"}),
        ("global_settings", {}),
    ],
)
def test_what_fits_is_taken(path: str, value: Any) -> None:
    assert refused(with_(path, value)) == {}


@pytest.mark.parametrize(
    ("path", "value", "field"),
    [
        # services
        ("services.0.service_name", "s3", "services.0.service_name"),
        ("services.1.service_name", "access-analyzer", "services.1.service_name"),
        ("services.0.enabled", "true", "services.0.enabled"),
        ("services.0.enabled", 1, "services.0.enabled"),
        ("services.0.polling_interval", 29, "services.0.polling_interval"),
        ("services.0.polling_interval", 3601, "services.0.polling_interval"),
        ("services.0.polling_interval", "60", "services.0.polling_interval"),
        ("services.0.polling_interval", 60.5, "services.0.polling_interval"),
        ("services.0.polling_interval", None, "services.0.polling_interval"),
        ("services.0.thresholds", None, "services.0.thresholds"),
        ("services.0.thresholds.min_severity", 6, "services.0.thresholds.min_severity"),
        ("services.0.thresholds.occurrences", 0, "services.0.thresholds.occurrences"),
        ("services.0.thresholds.occurrences", 1001, "services.0.thresholds.occurrences"),
        ("services.0.thresholds.seconds", 59, "services.0.thresholds.seconds"),
        ("services.0.thresholds.seconds", 86_401, "services.0.thresholds.seconds"),
        ("services.0.poling_interval", 60, "services.0.poling_interval"),
        ("services.0.log_groups", ["/aws/lambda/x"], "services.0"),
        (f"services.{LOGS}.log_groups", ["has space"], f"services.{LOGS}.log_groups.0"),
        (f"services.{LOGS}.log_groups", ["x" * 513], f"services.{LOGS}.log_groups.0"),
        (f"services.{LOGS}.log_groups", ["x", "x"], f"services.{LOGS}.log_groups"),
        (f"services.{LOGS}.log_groups", [f"g{n}" for n in range(51)], f"services.{LOGS}.log_groups"),
        ("services", {}, "services"),
        ("services", None, "services"),
        # filters and severity rules
        (
            "services.0.resource_filters",
            [{"action": "drop", "match": MATCH}],
            "services.0.resource_filters.0.action",
        ),
        ("services.0.resource_filters", [{"action": "include"}], "services.0.resource_filters.0.match"),
        (
            "services.0.resource_filters",
            [{"action": "include", "match": {"account": f"{n:012d}"}} for n in range(31)],
            "services.0.resource_filters",
        ),
        (
            "services.0.resource_filters",
            [{"action": "include", "match": MATCH}, {"action": "exclude", "match": MATCH}],
            "services.0.resource_filters.1.match",
        ),
        (
            "services.0.resource_filters",
            [{"action": "include", "match": {"service": "guardduty"}}],
            "services.0.resource_filters.0.match.service",
        ),
        (
            "services.0.severity_rules",
            [{"match": {"source": "monitoring.checkout"}, "severity": 1}],
            "services.0.severity_rules.0.match.source",
        ),
        ("services.0.severity_rules", [{"match": MATCH, "severity": 6}], "services.0.severity_rules.0.severity"),
        # channels and settings
        ("channels", [], "channels"),
        ("channels.+", {"name": "default"}, "channels.1.name"),
        ("channels.+", {"name": "Ops"}, "channels.1.name"),
        ("channels.+", {"name": "x" * 81}, "channels.1.name"),
        ("channels.+", {"name": "ops", "rate_per_minute": 0}, "channels.1.rate_per_minute"),
        ("channels.+", {"name": "ops", "rate_per_minute": 601}, "channels.1.rate_per_minute"),
        ("global_settings.default_channel", "ops", "global_settings.default_channel"),
        ("global_settings.default_channel", None, "global_settings.default_channel"),
        ("global_settings.daily_report.channel", "ops", "global_settings.daily_report.channel"),
        ("global_settings.timezone", "Mars/Olympus", "global_settings.timezone"),
        ("global_settings.timezone", "localtime", "global_settings.timezone"),
        ("global_settings.timezone", "../../../etc/passwd", "global_settings.timezone"),
        ("global_settings.timezone", "Europe/berlin", "global_settings.timezone"),
        ("global_settings.timezone", "America", "global_settings.timezone"),
        ("global_settings.account_names", {"1": "x"}, "global_settings.account_names.1.[key]"),
        ("global_settings.account_names", {"111122223333": ""}, "global_settings.account_names.111122223333"),
        ("global_settings.resolved_alert_policy", "delete", "global_settings.resolved_alert_policy"),
        ("global_settings", None, "global_settings"),
        ("colour", "blue", "colour"),
    ],
)
def test_what_does_not_fit_is_refused_by_the_path_of_its_field(path: str, value: Any, field: str) -> None:
    assert set(refused(with_(path, value))) == {field}


@pytest.mark.parametrize(
    ("change", "field"),
    [
        ({"name": ""}, "name"),
        ({"name": "x" * 101}, "name"),
        ({"name": "alerts"}, "name"),
        ({"transitions": []}, ""),
        ({"transitions": ["closed"]}, "transitions.0"),
        ({"transitions": ["opened", "opened"]}, "transitions"),
        ({"task_changes": ["renamed"]}, "task_changes.0"),
        ({"action": "drop"}, "action"),
        ({"channels": ["ops"]}, "channels.0"),
        ({"channels": ["default", "default"]}, "channels"),
        ({"action": "suppress", "channels": ["default"]}, ""),
        ({"action": "suppress", "group_within_minutes": 5}, ""),
        ({"action": "suppress", "only_if_open_after_minutes": 5}, ""),
        ({"action": "suppress", "quiet_hours": QUIET}, ""),
        ({"only_if_open_after_minutes": 0}, "only_if_open_after_minutes"),
        ({"group_within_minutes": 10_081}, "group_within_minutes"),
        ({"quiet_hours": {**QUIET, "from": "24:00"}}, "quiet_hours.from"),
        ({"quiet_hours": {**QUIET, "to": "7:00"}}, "quiet_hours.to"),
        ({"quiet_hours": {**QUIET, "to": "22:00"}}, "quiet_hours"),
        ({"quiet_hours": {"from": "22:00"}}, "quiet_hours.to"),
        ({"quiet_hours": {"start": "22:00", "end": "07:00"}}, None),
        ({"quiet_hours": {**QUIET, "timezone": "CEST"}}, "quiet_hours.timezone"),
        ({"quiet_hours": {**QUIET, "except_min_severity": 6}}, "quiet_hours.except_min_severity"),
        ({"match": {}}, "match"),
        ({"match": {"text": None}}, "match"),
        ({"match": {"min_severity": 3, "max_severity": 2}}, "match"),
        ({"match": {"service": "guardduty", "source": "aws.health"}}, "match"),
        ({"match": {"service": "s3"}}, "match.service"),
        ({"match": {"source": "guardduty"}}, "match.source"),
        ({"match": {"account": "1"}}, "match.account"),
        ({"match": {"region": "earth"}}, "match.region"),
        ({"match": {"resource": "x" * 257}}, "match.resource"),
        ({"match": {"resource": "a\u0000"}}, "match.resource"),
        ({"match": {"text": " "}}, "match.text"),
        ({"match": {"detail_type": "x" * 129}}, "match.detail_type"),
        ({"match": {"tag": {"key": "env"}}}, "match.tag.value"),
        ({"match": {"tag": {"key": "", "value": "x"}}}, "match.tag.key"),
        ({"match": {"min_severity": True}}, "match.min_severity"),
        ({"match": {"colour": "blue"}}, "match.colour"),
    ],
)
def test_a_notification_rule_that_cannot_be_is_refused_by_the_path_of_its_field(
    change: dict[str, Any], field: str | None
) -> None:
    faults = refused(with_("notification_rules.+", {**RULE, **change}))
    path = "notification_rules.2"
    if field is None:
        assert faults
        assert all(name.startswith(f"{path}.") for name in faults)
    else:
        assert set(faults) == {f"{path}.{field}" if field else path}


def test_all_that_does_not_fit_together_is_told_at_once() -> None:
    document = with_("global_settings.default_channel", "ops")
    document["notification_rules"].append({**RULE, "channels": ["default", "night"]})
    document["services"].append({"service_name": "ec2"})
    del document["services"][0]
    assert set(refused(document)) == {
        "services.13.service_name",
        "global_settings.default_channel",
        "notification_rules.2.channels.1",
    }


def test_every_part_must_be_sent_as_it_replaces_the_whole() -> None:
    for part in ("services", "notification_rules", "channels", "global_settings"):
        document = sent()
        del document[part]
        assert set(refused(document)) == {part}


def test_there_are_no_more_services_than_are_known() -> None:
    document = sent()
    document["services"] = [{"service_name": "ec2"}] * (len(ServiceName) + 1)
    assert set(refused(document)) == {"services"}


def test_the_whole_config_is_bounded() -> None:
    """Each list is within its own bound here; what all of them may have together is less."""
    document = sent()
    rules = [{"match": {"text": f"{n:02d}" + "ü" * 198}, "severity": 1} for n in range(30)]
    for service in document["services"]:
        service["severity_rules"] = deepcopy(rules)
    faults = refused(document)
    assert set(faults) == {"body"}
    assert f"{MAX_CONFIG_BYTES:,}" in faults["body"]
