"""What opsledger would make of a message from AWS: its alert, the decision to tell people, the text on Slack.

All of it is decided by the code that runs when it is deployed, with the default monitoring config and no alert known.
"""

from datetime import UTC, datetime, timedelta
from typing import Any, NamedTuple

from domain.alerts import Alert, AlertState, Face, alert_id
from domain.judgement import Judgement, Verdict, judge, matchable, thresholds
from domain.monitoring_config import MonitoringConfig, defaults
from domain.notifications import Happening, Outcome, decide
from domain.sources.envelope import Envelope, parse
from domain.sources.mapping import MappedEvent
from domain.sources.registry import map_envelope
from domain.sources.splitting import split
from domain.told import AlertNews, AlertTold
from infra.slack_messages import render_alert
from infra.slack_words import SEVERITIES

OPEN_FOR = timedelta(minutes=14)
"""How long an alert was open that is shown as resolved."""

RECURRENCES = 12
ALARM_SEVERITY = 3
"""Of an alert that is shown as resolved: what ends a problem does not tell how severe it was."""

_VERDICTS = {
    Verdict.PROBLEM: "opens its alert; if that is open already, counts as a recurrence",
    Verdict.OVER: "resolves its alert, if that is open",
    Verdict.PROGRESS: "opens and resolves nothing: its source says only how things stand",
    Verdict.NOTE: "opens and resolves nothing: it tells of no problem",
    Verdict.NOT_WATCHED: "opens and resolves nothing: its service is not watched",
    Verdict.FILTERED: "opens and resolves nothing: a resource filter takes it out",
}


class MessagePreview(NamedTuple):
    """What becomes of one monitoring event.

    Attributes:
        does: what its alert does, and why, in words.
        told: whether people are told, and by which rule, in words.
        message: as Slack would get it, whether it is sent or not.
    """

    event: MappedEvent
    does: str
    told: str
    message: dict[str, Any]


def previews(body: str, transition: AlertNews | None, now: datetime) -> list[MessagePreview]:
    """What becomes of each part of a message.

    Args:
        body: a message as the ingest queue takes it: from EventBridge, or wrapped by SNS.
        transition: what the message is to tell; by default what the event would do.

    Raises:
        MalformedEnvelopeError: it is no message at all.
        RenderError: a template failed.
    """
    return [_preview(part, transition, now) for part in split(parse(body))]


def _preview(envelope: Envelope, transition: AlertNews | None, now: datetime) -> MessagePreview:
    config = defaults()
    mapped = map_envelope(envelope, received_at=now)
    judged = judge(mapped, config, 0)
    ends = judged.verdict in {Verdict.OVER, Verdict.MINOR}
    news = transition or (AlertNews.RESOLVED if ends else AlertNews.OPENED)
    told = _told(mapped, judged, news, envelope.time or now)
    is_taken = transition is not None or ends or judged.verdict is Verdict.PROBLEM
    return MessagePreview(
        event=mapped,
        does=_does(mapped, judged, config),
        told=_decided(told, config, now) if is_taken else "nobody is told; if it opened an alert, it would look so",
        message=render_alert(told),
    )


def _does(mapped: MappedEvent, judged: Judgement, config: MonitoringConfig) -> str:
    if judged.verdict is not Verdict.MINOR:
        return _VERDICTS[judged.verdict]
    least = thresholds(mapped, config).min_severity
    return (
        f"opens nothing: its severity, {judged.severity}, is below the {least} that its service is watched for;"
        " resolves its alert, if that is open"
    )


def _told(mapped: MappedEvent, judged: Judgement, news: AlertNews, at: datetime) -> AlertTold:
    is_over = news is AlertNews.RESOLVED
    severity = max(judged.severity, ALARM_SEVERITY) if is_over else judged.severity
    published_at = int(at.timestamp())
    return AlertTold(
        alert_id=alert_id(mapped.fingerprint),
        transition=news,
        event=mapped,
        published_at=published_at,
        severity=severity,
        previous_severity=max(severity - 1, 0) if news is AlertNews.SEVERITY_RAISED else None,
        count=RECURRENCES if news is AlertNews.RECURRED else 1,
        openings=1,
        opened_at=published_at if news is AlertNews.OPENED else published_at - int(OPEN_FOR.total_seconds()),
        resolved_at=published_at if is_over else None,
    )


def _decided(told: AlertTold, config: MonitoringConfig, now: datetime) -> str:
    """What the default rules say of it, in words."""
    facts = matchable(told.event).model_copy(update={"severity": told.severity})
    happening = Happening(told=told, facts=facts, at=now, alert=_alert(told))
    severity = SEVERITIES[told.severity].word
    said = []
    for decision in decide(happening, config, now):
        if decision.outcome is Outcome.SUPPRESS:
            said.append(f"nobody is told: {decision.reason}")
        else:
            said.append(f"told in the channel {decision.channel} by the rule {decision.rule}")
    return f"{'; '.join(said)} (severity {severity})"


def _alert(told: AlertTold) -> Alert:
    event, opened_at = told.event, datetime.fromtimestamp(told.opened_at, UTC)
    shown = {name: getattr(event, name) for name in Face.model_fields if name != "tags"}
    return Alert(
        fingerprint=event.fingerprint,
        state=AlertState.RESOLVED if told.transition is AlertNews.RESOLVED else AlertState.OPEN,
        face=Face(**shown, tags=dict(event.tags) if event.tags else None),
        severity=told.severity,
        order=event.order,
        rank=0,
        count=told.count,
        openings=told.openings,
        opened_at=opened_at,
        created_at=opened_at,
        updated_at=opened_at,
    )
