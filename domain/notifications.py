"""Notifications: what people are told of alerts and tasks, where, when, or why not at all.

A decision is taken once, by the monitoring config of that moment. One that waits is looked at again when it is due
(`due`), for an alert may have been resolved, or people may have asked for quiet, meanwhile.
"""

from datetime import UTC, datetime, timedelta
from enum import StrEnum

from domain.alerts import Alert, AlertState, is_snoozed
from domain.monitoring_config import MonitoringConfig
from domain.monitoring_rules import (
    Matchable,
    NotificationAction,
    NotificationRule,
    QuietHours,
    Transition,
    matches,
)
from domain.quiet_hours import quiet_until
from domain.told import AlertNews, AlertTold, TaskTold
from domain.value import Value

Told = AlertTold | TaskTold

DEFAULT_RATE = 30
"""Messages a minute to a channel that the config does not list (any more)."""


class Happening(Value):
    """What people may be told of.

    Attributes:
        told: what a message would show.
        facts: what the matches of rules look at.
        at: when it happened.
        alert: as it was then; None for what is about a task.
        snoozed_until: of what is to be told at the end of a snooze only: that end.
    """

    told: Told
    facts: Matchable
    at: datetime
    alert: Alert | None = None
    snoozed_until: datetime | None = None


class Outcome(StrEnum):
    SEND = "send"
    HOLD = "hold"
    SUPPRESS = "suppress"


class Terms(Value):
    """What a decision that waits depends on, as the monitoring config had it when the decision was taken.

    Attributes:
        severity: of what is told, 0 to 5; None for what has none.
        open_at: at this time the alert must still be open, since the same opening.
        snoozed_until: the end of the snooze that this is told at.
        snoozed_at: when people asked for that snooze; None in what was kept before this was noted.
        timezone: of the quiet hours.
    """

    severity: int | None = None
    open_at: datetime | None = None
    snoozed_until: datetime | None = None
    snoozed_at: datetime | None = None
    quiet_hours: QuietHours | None = None
    timezone: str = "UTC"


class Decision(Value):
    """What becomes of a happening in one channel.

    Attributes:
        rule: the name of the rule that decided; None if none did.
        reason: why, in words.
        until: when what is held is looked at again; UTC.
        wanted_at: when it was to be told; None where that is not before the decision, or nobody is told.
        group: names those that are told in one message.
        terms: of what is held.
        rate_per_minute: how many messages the channel takes.
    """

    channel: str
    outcome: Outcome
    rule: str | None = None
    reason: str
    until: datetime | None = None
    wanted_at: datetime | None = None
    group: str | None = None
    terms: Terms | None = None
    rate_per_minute: int = DEFAULT_RATE


def decide(what: Happening, config: MonitoringConfig, now: datetime) -> tuple[Decision, ...]:
    """The decisions on what happened: one for each channel, or a single one if nobody is told.

    Args:
        now: when the decision is taken, which may be later than what happened.
    """
    reason = _never(what)
    if reason:
        return (_suppressed(config, None, reason),)
    rule = next((rule for rule in config.notification_rules if _is_for(rule, what)), None)
    if rule is None:
        return (_suppressed(config, None, "no rule matches"),)
    if rule.action is NotificationAction.SUPPRESS:
        return (_suppressed(config, rule, "the rule says that nobody is told"),)
    if _was_never_told_to_open(rule, what):
        minutes = rule.only_if_open_after_minutes
        return (_suppressed(config, rule, f"it was open for less than {minutes} minutes, so nobody knows of it"),)
    terms = _terms(rule, what, config)
    if _is_told_to_open_later(rule, what, terms):
        return (_suppressed(config, rule, "that it opened is told after the snooze, and says the same"),)
    channels = rule.channels or (config.global_settings.default_channel,)
    return tuple(_decision(rule, channel, what, terms, config, now) for channel in channels)


def due(
    told: Told, terms: Terms, alert: Alert | None, now: datetime, alert_then: Alert | None = None
) -> Decision | None:
    """What becomes of what was held when its time has come: None to send it; else the decision without its channel.

    Args:
        alert: as it is now; None for what is about a task.
        alert_then: as it was at `terms.open_at`; needed only if it opened again since.
    """
    reason = _outdated(told, terms, alert, now, alert_then or alert)
    if reason:
        return Decision(channel="", outcome=Outcome.SUPPRESS, reason=reason)
    until = _quiet_until(terms, now)
    if until is not None:
        return Decision(channel="", outcome=Outcome.HOLD, reason=_quiet_words(until), until=until)
    return None


def _never(what: Happening) -> str | None:
    """Why nobody is told, whatever the rules say."""
    told, alert = what.told, what.alert
    if alert is None or not isinstance(told, AlertTold):
        return None
    quiet = alert.face.quiet
    # An alert that people know of stays loud, for its end; what its source mutes meanwhile is not for them.
    if told.transition in {AlertNews.RECURRED, AlertNews.SEVERITY_RAISED}:
        quiet = quiet or told.event.quiet
    if quiet:
        return f"not meant for people: {quiet}"
    if what.snoozed_until is None and is_snoozed(alert, what.at):
        return f"snoozed until {alert.snoozed_until:%Y-%m-%d %H:%M} UTC"
    return None


def _is_for(rule: NotificationRule, what: Happening) -> bool:
    told = what.told
    if isinstance(told, TaskTold):
        named = told.change in rule.task_changes
    else:  # who is to learn that an alert opened is also told that it is still open after a snooze
        still_open = told.transition is AlertNews.STILL_OPEN
        named = (Transition.OPENED if still_open else Transition(told.transition)) in rule.transitions
    return named and (rule.match is None or matches(rule.match, what.facts))


def _was_never_told_to_open(rule: NotificationRule, what: Happening) -> bool:
    alert, minutes = what.alert, rule.only_if_open_after_minutes
    if alert is None or minutes is None or alert.state is not AlertState.RESOLVED or alert.opened_at is None:
        return False
    return what.at - alert.opened_at < timedelta(minutes=minutes)


def _suppressed(config: MonitoringConfig, rule: NotificationRule | None, reason: str) -> Decision:
    return Decision(
        channel=config.global_settings.default_channel,
        outcome=Outcome.SUPPRESS,
        rule=rule and rule.name,
        reason=reason,
    )


def _terms(rule: NotificationRule, what: Happening, config: MonitoringConfig) -> Terms:
    return Terms(
        severity=what.facts.severity,
        open_at=_open_at(rule, what),
        snoozed_until=what.snoozed_until,
        snoozed_at=what.at if what.snoozed_until else None,
        quiet_hours=rule.quiet_hours,
        timezone=config.global_settings.timezone,
    )


def _is_told_to_open_later(rule: NotificationRule, what: Happening, terms: Terms) -> bool:
    """Whether the opening itself is held until a snooze has ended: nothing is to be told at that end then."""
    alert, ends_at = what.alert, what.snoozed_until
    if alert is None or ends_at is None or alert.opened_at is None:
        return False
    at = terms.open_at or alert.opened_at
    # By the worst severity: rather twice than never.
    at = _quiet_until(terms.model_copy(update={"severity": alert.worst}), at) or at
    return ends_at <= (_window_end(at, rule.group_within_minutes) if rule.group_within_minutes else at)


def _decision(  # noqa: PLR0917 - what is told, by which rule and on which terms, where and when
    rule: NotificationRule, channel: str, what: Happening, terms: Terms, config: MonitoringConfig, now: datetime
) -> Decision:
    times = (
        (what.at, f"the rule tells of {_words(what.told)}"),
        (terms.snoozed_until, "the snooze ends; told if it is still open"),
        (terms.open_at, f"told if it is still open after {rule.only_if_open_after_minutes} minutes"),
    )
    wanted_at, reason = max((at, words) for at, words in times if at is not None)
    is_judged = wanted_at > what.at  # by `due`, also if that time has come already: it may be over since
    until, group = max(wanted_at, now) if is_judged else now, None
    quiet = _quiet_until(terms, until)
    if quiet is not None:
        until, reason = quiet, _quiet_words(quiet)
    if rule.group_within_minutes is not None:
        until = _window_end(until, rule.group_within_minutes)
        group = f"{rule.name}#{channel}#{int(until.timestamp())}"
        reason = f"told with what else comes within {rule.group_within_minutes} minutes"
    rates = {one.name: one.rate_per_minute for one in config.channels}
    held = is_judged or until > now
    return Decision(
        channel=channel,
        outcome=Outcome.HOLD if held else Outcome.SEND,
        rule=rule.name,
        reason=reason,
        until=until if held else None,
        wanted_at=min(wanted_at, now) if until <= now else None,
        group=group,
        terms=terms if held else None,
        rate_per_minute=rates.get(channel, DEFAULT_RATE),
    )


def _open_at(rule: NotificationRule, what: Happening) -> datetime | None:
    """When the alert must still be open; a resolution does not wait for that."""
    alert, minutes = what.alert, rule.only_if_open_after_minutes
    if alert is None or minutes is None or alert.state is not AlertState.OPEN or alert.opened_at is None:
        return None
    return alert.opened_at + timedelta(minutes=minutes)


def _outdated(told: Told, terms: Terms, alert: Alert | None, now: datetime, then: Alert | None) -> str | None:
    """Why nobody is told any more."""
    if not isinstance(told, AlertTold) or alert is None or then is None:
        return None
    snoozed = (alert.snoozed_until, alert.snoozed_at if terms.snoozed_at else None)
    if terms.snoozed_until is not None and snoozed != (terms.snoozed_until, terms.snoozed_at):
        return "snoozed to another time meanwhile, or opened again"
    if is_snoozed(alert, now):
        return f"snoozed until {alert.snoozed_until:%Y-%m-%d %H:%M} UTC"
    still_open = told.transition is AlertNews.STILL_OPEN
    judged, must_be_open_at = (alert, now) if still_open else (then, terms.open_at)
    if must_be_open_at is not None and not _was_open(judged, told.openings, must_be_open_at):
        return "it was over before its time came"
    return None


def _was_open(alert: Alert, openings: int, at: datetime) -> bool:
    """Whether an alert was open at a time that has come, since an opening.

    What was over a moment later is told all the same, for so is its end.
    """
    over = alert.resolved_at if alert.state is not AlertState.OPEN else None
    return alert.openings == openings and (over is None or over >= at)


def _quiet_until(terms: Terms, at: datetime) -> datetime | None:
    hours = terms.quiet_hours
    return None if hours is None else quiet_until(hours, at, terms.severity, terms.timezone)


def _quiet_words(until: datetime) -> str:
    return f"quiet hours, which end at {until:%Y-%m-%d %H:%M} UTC"


def _window_end(at: datetime, minutes: int) -> datetime:
    """The end of the window that a moment falls into: the same for all, so that they meet in one message."""
    length = minutes * 60
    return datetime.fromtimestamp((int(at.timestamp()) // length + 1) * length, UTC)


def _words(told: Told) -> str:
    if isinstance(told, TaskTold):
        return f"tasks: {told.change.replace('_', ' ')}"
    return f"alerts: {told.transition.replace('_', ' ')}"
