"""Alerts as their events tell them, in the history of a test."""

from typing import Any

from domain.alerts import (
    AlertAcknowledged,
    AlertOpened,
    AlertReopened,
    AlertResolved,
    AlertSnoozed,
    Ending,
    Face,
    Seen,
)
from domain.commit import Commit
from domain.event import DomainEvent
from tests.integration.conftest import History

FACE = {"source": "aws.cloudwatch", "detail_type": "CloudWatch Alarm State Change", "account": "1" * 12, "title": "CPU"}


def seen(*ids: str, order: int = 1) -> Seen:
    return Seen(ids=ids or ("1772366400-u",), count=1, first=1772366400, last=1772366400, order=order, rank=3)


def open_alert(history: History, alert_id: str, *more: DomainEvent, severity: int = 3, **face: Any) -> Commit:
    """An alert that opens, and what else happens to it in the same commit; `face` is that of `Face`."""
    opened = AlertOpened(
        fingerprint=f"alarm:{alert_id}", seen=seen(), face=Face(**{**FACE, **face}), severity=severity, config=4
    )
    return history.append(f"alert#{alert_id}", opened, *more, by="system:ingest")


def reopened(severity: int = 3) -> DomainEvent:
    return AlertReopened(seen=seen(), face=Face(**FACE), severity=severity, config=4)


def acknowledge(history: History, alert_id: str, by: str = "ann") -> Commit:
    return history.append(f"alert#{alert_id}", AlertAcknowledged(), by=by)


def snooze(history: History, alert_id: str, until: Any, by: str = "ann") -> Commit:
    return history.append(f"alert#{alert_id}", AlertSnoozed(until=until), by=by)


def resolve(history: History, alert_id: str, ending: Ending = Ending.SOURCE, by: str = "system:ingest") -> Commit:
    return history.append(f"alert#{alert_id}", AlertResolved(ending=ending), by=by)
