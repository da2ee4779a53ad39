"""CloudWatch alarms.

Source: the CloudWatch user guide, "Alarm events and EventBridge".
"""

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from domain.sources import alarm_messages, console, json_text
from domain.sources.facts import Facts
from domain.sources.fingerprint import fingerprint
from domain.sources.mapping import State
from domain.sources.moments import ending
from domain.sources.reading import (
    UnreadableError,
    instant,
    items,
    named_values,
    optional,
    part,
    shown,
    tags,
    text,
    value,
)
from domain.sources.severity import tagged_severity

if TYPE_CHECKING:
    from domain.sources.envelope import Envelope

_STATES = {
    "ALARM": (State.OPEN, 3),
    "OK": (State.RESOLVED, 0),
    "INSUFFICIENT_DATA": (State.NO_DATA, 1),
}
_FIRST_STATE = "Unchecked: Initial alarm creation"


def state_change(envelope: "Envelope") -> Facts:
    """An alarm, or one contributor of a multi-time-series alarm, changed its state."""
    detail = envelope.detail
    if alarm_messages.is_notification(detail):
        detail = alarm_messages.as_detail(detail)
    alarm, name = _alarm(envelope), text(detail, "alarmName")
    status, reason = text(detail, "state", "value"), optional(detail, "state", "reason")
    if status not in _STATES:
        raise UnreadableError(f"state.value is no state of an alarm: {shown(status)}")
    state, severity = _STATES[status]
    if state is State.OPEN:  # a tag says how bad the alarm is, not how bad its end
        tagged = tagged_severity(tags(detail, "alarmTags"))
        severity = severity if tagged is None else tagged
    causes = _causes(detail)
    contributor = optional(detail, "alarmContributor", "id")
    return Facts(
        title=f"{name}: {status}",  # the reason is long and mostly numbers: it is the text
        text=_explanation(detail, reason, causes),
        resource=_affected(detail) or alarm,
        resources=(*envelope.resources, *(cause for cause in causes if cause not in envelope.resources)),
        severity=severity,
        state=state,
        status=status,
        fingerprint=fingerprint("alarm", alarm, contributor) if contributor else fingerprint("alarm", alarm),
        order=instant(detail, "state", "timestamp"),
        console_url=_page(envelope, name),
        quiet=_FIRST_STATE if (reason or "").startswith(_FIRST_STATE) else _muted(detail),
        tags=tags(detail, "alarmTags"),
    )


def configuration_change(envelope: "Envelope") -> Facts:
    """An alarm was created, changed or deleted; deleting it ends what it reported."""
    detail = envelope.detail
    alarm, name, operation = _alarm(envelope), text(detail, "alarmName"), text(detail, "operation")
    order = instant(detail, "configuration", "timestamp")
    if operation == "delete":
        # Of a deleted alarm, `configuration.timestamp` is that of the last change *before*: by it the deletion would
        # be older than the alarm's last state, and the alert would stay open for ever.
        known = [at for at in (order, instant(detail, "state", "timestamp")) if at is not None]
        order = ending(max(known, default=None), envelope.time)
    return Facts(
        title=f"{name}: {operation}",
        text=optional(detail, "configuration", "description"),
        resource=alarm,
        # By these a resource filter let in what the deletion ends.
        resources=tuple(filter(None, (*envelope.resources, _affected(detail)))),
        severity=0,
        state=State.RESOLVED if operation == "delete" else State.EVENT,
        status=operation,
        fingerprint=fingerprint("alarm", alarm),
        order=order,
        console_url=_page(envelope, name),
        quiet=_muted(detail),
    )


def _alarm(envelope: "Envelope") -> str:
    if not envelope.resources:
        raise UnreadableError("resources holds no alarm ARN")
    return envelope.resources[0]


def _page(envelope: "Envelope", name: str) -> str | None:
    return console.page(envelope.region, "cloudwatch", f"alarmsV2:alarm/{console.encoded(name)}")


def _affected(detail: Mapping[str, Any]) -> str | None:
    attributes = named_values(part(detail, "alarmContributor", "attributes"))
    if attributes:
        return attributes
    for metric in items(detail, "configuration", "metrics"):
        dimensions = named_values(part(metric, "metricStat", "metric", "dimensions"))
        if dimensions:
            return dimensions
    return None


def _explanation(detail: Mapping[str, Any], reason: str | None, causes: list[str]) -> str | None:
    rule = optional(detail, "configuration", "alarmRule")
    lines = (
        reason,
        optional(detail, "configuration", "description"),
        f"Rule: {rule}" if rule else None,
        f"Caused by: {', '.join(causes)}" if causes else None,
    )
    return "\n".join(line for line in lines if line) or None


def _causes(detail: Mapping[str, Any]) -> list[str]:
    """The ARNs of the alarms that triggered a composite one. `reasonData` is JSON in a string, and may be cut off."""
    try:
        reason_data = json_text.decode(optional(detail, "state", "reasonData") or "{}")
        return [text(alarm, "arn") for alarm in items(reason_data, "triggeringAlarms")]
    except ValueError:
        return []


def _muted(detail: Mapping[str, Any]) -> str | None:
    suppressor = optional(detail, "state", "actionsSuppressedBy")
    if suppressor:
        return f"muted by AWS: actions suppressed by {suppressor}"
    mute = value(detail, "muteDetail")
    if not mute:
        return None
    rule = mute.get("mutedByArn") if isinstance(mute, Mapping) else None
    return f"muted by AWS: {rule}" if isinstance(rule, str) else "muted by AWS"
