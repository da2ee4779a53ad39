"""What the monitoring config makes of a monitoring event."""

from typing import Any

import pytest

from domain.judgement import Verdict, judge, thresholds
from domain.monitoring_config import MonitoringConfig, ServiceConfig, Thresholds, defaults
from domain.monitoring_rules import FilterAction, Match, ResourceFilter, SeverityRule, Tag
from domain.sources.mapping import MappedEvent, State


def mapped(**changes: Any) -> MappedEvent:
    event: dict[str, Any] = {
        "source": "aws.guardduty",
        "detail_type": "GuardDuty Finding",
        "account": "111122223333",
        "region": "eu-west-1",
        "title": "Someone scans ports",
        "resource": "i-1",
        "severity": 2,
        "state": State.OPEN,
        "fingerprint": "guardduty:f",
        "order": 1,
    }
    return MappedEvent.model_validate(event | changes)


def config(**of_guardduty: Any) -> MonitoringConfig:
    service = ServiceConfig(service_name="guardduty", **of_guardduty)
    return defaults().model_copy(update={"services": (service,)})


@pytest.mark.parametrize(
    ("state", "severity", "verdict"),
    [
        (State.OPEN, 1, Verdict.PROBLEM),
        (State.OPEN, 0, Verdict.MINOR),
        (State.RESOLVED, 5, Verdict.OVER),
        (State.NO_DATA, 1, Verdict.PROGRESS),
        (State.IN_PROGRESS, 0, Verdict.PROGRESS),
        (State.EVENT, 5, Verdict.NOTE),
    ],
)
def test_by_the_defaults_the_state_and_a_severity_of_one_decide(state: State, severity: int, verdict: Verdict) -> None:
    judged = judge(mapped(state=state, severity=severity), defaults(), 0)
    assert (judged.verdict, judged.severity, judged.config) == (verdict, severity, 0)


def test_a_service_that_is_disabled_or_not_listed_goes_no_further() -> None:
    assert judge(mapped(), config(enabled=False), 4).verdict is Verdict.NOT_WATCHED
    assert judge(mapped(source="aws.rds"), config(), 4).verdict is Verdict.NOT_WATCHED


def test_a_source_that_the_config_does_not_know_is_taken() -> None:
    assert judge(mapped(source="monitoring.billing"), config(enabled=False), 4).verdict is Verdict.PROBLEM


def test_the_first_severity_rule_that_matches_decides_and_the_config_version_is_kept() -> None:
    rules = (
        SeverityRule(match=Match(resource="i-9*"), severity=0),
        SeverityRule(match=Match(tag=Tag(key="env", value="prod"), min_severity=2), severity=5),
        SeverityRule(match=Match(), severity=1),
    )
    judged = judge(mapped(tags={"env": "prod"}), config(severity_rules=rules), 7)
    assert (judged.verdict, judged.severity, judged.config) == (Verdict.PROBLEM, 5, 7)
    assert judge(mapped(), config(severity_rules=rules), 7).severity == 1
    assert judge(mapped(resource="i-99"), config(severity_rules=rules), 7).verdict is Verdict.MINOR


def test_a_severity_rule_decides_before_filters_and_thresholds_look_at_the_severity() -> None:
    raised = (SeverityRule(match=Match(), severity=4),)
    only_grave = (ResourceFilter(action=FilterAction.INCLUDE, match=Match(min_severity=4)),)
    limits = Thresholds(min_severity=3)
    assert judge(mapped(), config(thresholds=limits), 1).verdict is Verdict.MINOR
    assert judge(mapped(), config(resource_filters=only_grave), 1).verdict is Verdict.FILTERED
    everything = config(severity_rules=raised, resource_filters=only_grave, thresholds=limits)
    assert judge(mapped(), everything, 1).verdict is Verdict.PROBLEM


@pytest.mark.parametrize(
    ("changes", "severity", "verdict"),
    [
        ({"severity": 1}, 2, Verdict.PROBLEM),
        ({"severity": 2}, 2, Verdict.NOTE),  # not raised
        ({"severity": 3}, 2, Verdict.NOTE),
        ({"severity": 1}, 1, Verdict.NOTE),
        ({"severity": 0}, 5, Verdict.NOTE),  # to its source it is nothing at all
        ({"severity": 0, "fingerprint": "generic:111122223333|aws.guardduty|New|"}, 2, Verdict.PROBLEM),
        ({"severity": 0, "fingerprint": "generic#3f"}, 2, Verdict.PROBLEM),
        ({"severity": 1, "quiet": "a copy"}, 2, Verdict.NOTE),
        ({"severity": 0, "state": State.RESOLVED}, 5, Verdict.OVER),
        ({"severity": 0, "state": State.IN_PROGRESS}, 5, Verdict.PROGRESS),
    ],
)
def test_a_severity_rule_that_raises_an_event_makes_a_problem_of_it(
    changes: dict[str, Any], severity: int, verdict: Verdict
) -> None:
    rules = (SeverityRule(match=Match(), severity=severity),)
    event = mapped(**{"state": State.EVENT, **changes})
    assert judge(event, config(severity_rules=rules), 1).verdict is verdict


def test_what_a_rule_raises_below_the_threshold_stays_an_event() -> None:
    rules, limits = (SeverityRule(match=Match(), severity=2),), Thresholds(min_severity=3)
    event = mapped(state=State.EVENT, severity=1)
    assert judge(event, config(severity_rules=rules, thresholds=limits), 1).verdict is Verdict.NOTE


@pytest.mark.parametrize(
    ("changes", "severity"),
    [
        ({"tags": {"Severity": "critical"}, "severity": 4}, 4),
        ({"tags": {"severity": "dire"}}, 2),
        ({"tags": None}, 2),
        ({"tags": {"severity": "critical"}, "severity": 0, "state": State.RESOLVED}, 2),
    ],
)
def test_how_severe_an_alarm_is_its_own_tag_says_before_any_rule(changes: dict[str, Any], severity: int) -> None:
    service = ServiceConfig(service_name="cloudwatch", severity_rules=(SeverityRule(match=Match(), severity=2),))
    by = defaults().model_copy(update={"services": (service,)})
    assert judge(mapped(**{"source": "aws.cloudwatch", "severity": 3, **changes}), by, 1).severity == severity


def test_a_tag_of_what_is_no_alarm_says_nothing_of_its_severity() -> None:
    rules = (SeverityRule(match=Match(), severity=4),)
    assert judge(mapped(tags={"severity": "low"}), config(severity_rules=rules), 1).severity == 4


@pytest.mark.parametrize(
    ("filters", "resource", "verdict"),
    [
        ([("exclude", "i-*")], "i-1", Verdict.FILTERED),
        ([("exclude", "i-*")], "vol-1", Verdict.PROBLEM),
        ([("include", "i-*")], "i-1", Verdict.PROBLEM),
        ([("include", "i-*")], "vol-1", Verdict.FILTERED),
        ([("exclude", "i-1"), ("include", "i-*")], "i-1", Verdict.FILTERED),
        ([("exclude", "i-1"), ("include", "i-*")], "i-2", Verdict.PROBLEM),
        ([("include", "i-*"), ("exclude", "i-1")], "i-1", Verdict.PROBLEM),
    ],
)
def test_the_first_resource_filter_that_matches_decides(
    filters: list[tuple[str, str]], resource: str, verdict: Verdict
) -> None:
    given = tuple(ResourceFilter(action=FilterAction(action), match=Match(resource=fit)) for action, fit in filters)
    assert judge(mapped(resource=resource), config(resource_filters=given), 1).verdict is verdict


@pytest.mark.parametrize(
    ("filters", "verdict"),
    [
        ([("include", Match(min_severity=3))], Verdict.OVER),
        ([("exclude", Match(max_severity=1))], Verdict.OVER),
        ([("include", Match(min_severity=3, resource="i-*"))], Verdict.OVER),
        ([("include", Match(min_severity=3, resource="vol-*"))], Verdict.FILTERED),
        ([("exclude", Match(resource="i-*")), ("include", Match(min_severity=3))], Verdict.FILTERED),
    ],
)
def test_the_end_of_a_problem_that_a_filter_by_severity_let_in_is_let_in_too(
    filters: list[tuple[str, Match]], verdict: Verdict
) -> None:
    given = tuple(ResourceFilter(action=FilterAction(action), match=match) for action, match in filters)
    judged = judge(mapped(state=State.RESOLVED, severity=0), config(resource_filters=given), 1)
    assert (judged.verdict, judged.severity) == (verdict, 0)


PROD, TEST = Match(tag=Tag(key="env", value="prod")), Match(tag=Tag(key="env", value="test"))


@pytest.mark.parametrize(
    ("filters", "tags", "verdict"),
    [
        ([("include", PROD)], None, Verdict.OVER),
        ([("include", PROD)], {"env": "test"}, Verdict.FILTERED),
        ([("exclude", TEST)], None, Verdict.OVER),
        ([("exclude", TEST), ("include", PROD)], None, Verdict.OVER),
        ([("exclude", Match(resource="i-*")), ("include", PROD)], None, Verdict.FILTERED),
        ([("include", Match(tag=PROD.tag, min_severity=3))], None, Verdict.OVER),
    ],
)
def test_the_end_of_a_problem_that_tells_no_tags_is_let_in_if_any_tags_would_be(
    filters: list[tuple[str, Match]], tags: dict[str, str] | None, verdict: Verdict
) -> None:
    given = tuple(ResourceFilter(action=FilterAction(action), match=match) for action, match in filters)
    ended = mapped(state=State.RESOLVED, severity=0, tags=tags)
    assert judge(ended, config(resource_filters=given), 1).verdict is verdict


def test_thresholds_are_those_of_the_service() -> None:
    limits = Thresholds(occurrences=3, seconds=60)
    assert thresholds(mapped(), config(thresholds=limits)) == limits
    assert thresholds(mapped(source="monitoring.billing"), config(thresholds=limits)) == Thresholds()
