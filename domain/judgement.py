"""What the monitoring config makes of a monitoring event: how severe it is, and whether an alert takes it.

A judgement is made once, when the event is recorded, and kept with it together with the version of the config.
"""

from enum import StrEnum

from domain.monitoring_config import MonitoringConfig, ServiceConfig, Thresholds, service_of
from domain.monitoring_rules import FilterAction, Matchable, ResourceFilter, matches
from domain.sources.generic import is_generic
from domain.sources.mapping import MappedEvent, Severity, State
from domain.sources.severity import tagged_severity
from domain.value import Value


class Verdict(StrEnum):
    """What becomes of a monitoring event once it is recorded."""

    PROBLEM = "problem"
    """It tells of a problem that is severe enough for an alert, or of what a severity rule makes one."""
    MINOR = "minor"
    """It tells of one that is not."""
    OVER = "over"
    """It tells that a problem is over."""
    PROGRESS = "progress"
    """It tells something about a problem: that it is worked on, or that nothing is known of it at present."""
    NOTE = "note"
    """It tells of no problem; no alert takes it."""
    NOT_WATCHED = "not_watched"
    """Its service is not watched; no alert takes it."""
    FILTERED = "filtered"
    """A resource filter takes it out; no alert takes it."""


TAKEN = frozenset({Verdict.PROBLEM, Verdict.MINOR, Verdict.OVER, Verdict.PROGRESS})
"""Those that the alert of their fingerprint takes."""


class Judgement(Value):
    """A judgement.

    Attributes:
        severity: by an alarm's own tag, by the first severity rule that matches, else the source's own.
        config: the version of the monitoring config that decided; 0 for the defaults.
    """

    verdict: Verdict
    severity: Severity
    config: int


def judge(mapped: MappedEvent, config: MonitoringConfig, version: int) -> Judgement:
    """Judge a monitoring event by the config of a version."""
    service = _service(mapped, config)
    if service is None or not service.enabled:
        return Judgement(verdict=Verdict.NOT_WATCHED, severity=mapped.severity, config=version)
    facts = matchable(mapped)
    rule = next((rule for rule in service.severity_rules if matches(rule.match, facts)), None)
    severity = mapped.severity if rule is None or _says_itself(mapped) else rule.severity
    if not _watched(mapped, severity, service.resource_filters, facts):
        verdict = Verdict.FILTERED
    else:
        verdict = _verdict(mapped, severity, service.thresholds)
    return Judgement(verdict=verdict, severity=severity, config=version)


def thresholds(mapped: MappedEvent, config: MonitoringConfig) -> Thresholds:
    """When the alert of a monitoring event opens."""
    service = _service(mapped, config)
    return service.thresholds if service else Thresholds()


def matchable(mapped: MappedEvent) -> Matchable:
    """What the matches of rules look at in a monitoring event."""
    return Matchable(
        source=mapped.source,
        service=service_of(mapped.source),
        detail_type=mapped.detail_type,
        account=mapped.account,
        region=mapped.region,
        resources=tuple(filter(None, (mapped.resource, *mapped.resources))),
        tags=mapped.tags or {},
        text="\n".join(filter(None, (mapped.title, mapped.text))),
        severity=mapped.severity,
    )


_UNKNOWN_SERVICE = ServiceConfig(service_name="")
"""A source that is no service of the config cannot be disabled there: it was let in by a rule of EventBridge."""


def _service(mapped: MappedEvent, config: MonitoringConfig) -> ServiceConfig | None:
    name = service_of(mapped.source)
    if name is None:
        return _UNKNOWN_SERVICE
    return next((service for service in config.services if service.service_name == name), None)


def _says_itself(mapped: MappedEvent) -> bool:
    """Whether an alarm's own tag says how severe it is: who made the alarm knows that better than a rule for many."""
    is_alarm = service_of(mapped.source) == "cloudwatch" and mapped.state is State.OPEN
    return is_alarm and tagged_severity(mapped.tags) is not None


def _watched(mapped: MappedEvent, severity: int, filters: tuple[ResourceFilter, ...], facts: Matchable) -> bool:
    """Whether the resource filters let an event in."""
    if mapped.state is not State.RESOLVED:
        return _takes(filters, facts.model_copy(update={"severity": severity}))
    # The end of a problem is not as severe as the problem was, mostly 0, and some ends tell no tags, as the deletion of
    # an alarm. It is let in if a problem of any severity, with any tags, would be: or an alert that a filter let open
    # would never end.
    asked = [one.match.tag for one in filters if one.match.tag and mapped.tags is None]
    possible = [facts.tags, *({tag.key: tag.value} for tag in asked)]
    might_be = ({"severity": one, "tags": tags} for one in range(6) for tags in possible)
    return any(_takes(filters, facts.model_copy(update=one)) for one in might_be)


def _takes(filters: tuple[ResourceFilter, ...], facts: Matchable) -> bool:
    decided = next((one.action for one in filters if matches(one.match, facts)), None)
    if decided is None:
        return not any(one.action is FilterAction.INCLUDE for one in filters)
    return decided is FilterAction.INCLUDE


def _verdict(mapped: MappedEvent, severity: int, thresholds: Thresholds) -> Verdict:
    severe = severity >= thresholds.min_severity
    match mapped.state:
        case State.OPEN:
            return Verdict.PROBLEM if severe else Verdict.MINOR
        case State.RESOLVED:
            return Verdict.OVER
        case State.NO_DATA | State.IN_PROGRESS:
            return Verdict.PROGRESS
        case State.EVENT:
            return Verdict.PROBLEM if severe and _is_raised(mapped, severity) else Verdict.NOTE


def _is_raised(mapped: MappedEvent, severity: int) -> bool:
    """Whether a rule makes a problem of what is none to the source.

    A rule for many must not make one of every task that starts: what the source itself takes for severity 0 is no
    problem by any rule, unless nothing but its envelope was understood.
    """
    remarkable = mapped.severity > 0 or is_generic(mapped.fingerprint)
    return severity > mapped.severity and remarkable and not mapped.quiet
