"""Where alerts stand in the views table: their rows, and the pointers that lists read. `infra.views` has the plan."""

import hashlib

from domain.alerts import ALERTS, Alert, AlertState
from domain.commit import timestamp
from infra.task_keys import Pointer
from infra.views import Key

SHARDS = 4
"""Parts of each partition of pointers: 1,000 alerts of one severity that open within a second are 2,000 write units, of
which a partition takes 1,000."""


def alert_key(alert_id: str) -> Key:
    return Key(ALERTS.stream(alert_id), "alert")


def alerts_partition(state: AlertState, severity: int, shard: int) -> str:
    return f"alerts#{state}#{severity}#{shard}"


def alert_place(alert_id: str, alert: Alert) -> str | None:
    """An alert's place in the list of its state: when it last opened, or was resolved. None if it never opened.

    Its id tells those of the same moment apart. What happens again and again, a recurrence, moves it to no other place.
    """
    at = alert.resolved_at if alert.state is AlertState.RESOLVED else alert.opened_at
    return f"{timestamp(at)}#{alert_id}" if at and alert.openings else None


def pointer(alert_id: str, alert: Alert) -> Pointer | None:
    """The row that points to an alert as it is now, with what a list filters by before it fetches the alert."""
    place = alert_place(alert_id, alert)
    if place is None:
        return None
    shard = hashlib.sha256(alert_id.encode()).digest()[0] % SHARDS
    known = {
        "source": alert.face.source,
        "account": alert.face.account,
        "acknowledged": alert.acknowledged_at is not None,
        "snoozed_until": int(alert.snoozed_until.timestamp()) if alert.snoozed_until else None,
    }
    return Pointer(alerts_partition(alert.state, alert.severity, shard), place, known)
