"""Alarms as EventBridge delivers them, of 1 KB each, and alerts that stand open already."""

import itertools
import json
import uuid
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

from commands.correlation import take
from domain.alerts import ALERTS, alert_id
from domain.commit import Commit
from domain.correlation import Occurrence
from domain.judgement import Judgement, Verdict
from domain.monitoring_config import Thresholds
from domain.sources.envelope import parse
from domain.sources.registry import map_envelope
from infra.history import WarmHistories
from infra.memory_event_store import MemoryEventStore

BYTES = 1_024
_ACCOUNT, _REGION = "111122223333", "eu-central-1"
_LATER = itertools.count()
_START = datetime.now(UTC) - timedelta(days=1)


def alarm(number: int, value: str = "ALARM") -> str:
    """A new change of state of the alarm with that number; each is later than the one before."""
    at = _START + timedelta(milliseconds=next(_LATER))
    name = f"orders-api-{number:05d}-5xx"
    message: dict[str, Any] = {
        "version": "0",
        "id": str(uuid.uuid4()),
        "detail-type": "CloudWatch Alarm State Change",
        "source": "aws.cloudwatch",
        "account": _ACCOUNT,
        "time": f"{at:%Y-%m-%dT%H:%M:%SZ}",
        "region": _REGION,
        "resources": [f"arn:aws:cloudwatch:{_REGION}:{_ACCOUNT}:alarm:{name}"],
        "detail": {
            "alarmName": name,
            "state": {
                "value": value,
                "reason": "Threshold Crossed: 3 datapoints were greater than the threshold (5.0).",
                "timestamp": f"{at:%Y-%m-%dT%H:%M:%S}.{at.microsecond // 1000:03d}+0000",
            },
            "previousState": {"value": "OK"},
            "configuration": {"description": ""},
        },
    }
    missing = BYTES - len(json.dumps(message))
    message["detail"]["configuration"]["description"] = "x" * max(0, missing)
    return json.dumps(message)


def open_alerts(count: int) -> Iterator[Commit]:
    """The streams of so many open alerts: those of the alarms 0, 1, 2 and so on."""
    store = MemoryEventStore()
    for number in range(count):
        now = datetime.now(UTC)
        mapped = map_envelope(parse(alarm(number)), received_at=now)
        published_at = int(now.timestamp())
        judged = Judgement(verdict=Verdict.PROBLEM, severity=mapped.severity, config=0)
        one = Occurrence(f"{published_at}-{uuid.uuid4()}", mapped, judged, published_at, now)
        take(store, WarmHistories(), [one], Thresholds(), "system:ingest")
        yield from store.streams.pop(ALERTS.stream(alert_id(mapped.fingerprint)))
