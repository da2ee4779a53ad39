"""What messages are made of in these tests, and what must hold of each."""

from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from domain.monitoring_rules import TaskChange
from domain.sources.envelope import parse
from domain.sources.mapping import MappedEvent, State
from domain.sources.registry import map_envelope
from domain.tasks import Priority, Status
from domain.told import AlertNews, AlertTold, TaskTold
from infra.slack_messages import MOST_TEXT, blocks, text_objects

FIXTURES = Path(__file__).parents[2] / "fixtures" / "aws"
RECEIVED_AT = datetime(2026, 3, 10, 12, tzinfo=UTC)
EVENT_ID = "1765432100-5f0c7ab2-2b1d-5c7e-9d43-1b6a6f2f9c10"
ALERT_ID = "3f1d2b86-9a70-5c41-8a3f-5d2e4c6b7a80"
PUBLISHED_AT = 1765432100
NINE = 1765443600
"""At 09:00 UTC."""
TIMES = {
    PUBLISHED_AT: "2025-12-11 06:48:20 CET",
    PUBLISHED_AT + 1: "2025-12-11 06:48:21 CET",
    PUBLISHED_AT + 841: "2025-12-11 07:02:21 CET",
    NINE - 86_400: "2025-12-10 10:00:00 CET",
    NINE: "2025-12-11 10:00:00 CET",
}


def mapped(fixture: str) -> MappedEvent:
    """What is understood of a message from AWS."""
    return map_envelope(parse((FIXTURES / f"{fixture}.json").read_bytes()), received_at=RECEIVED_AT)


GLUE = MappedEvent(
    source="aws.glue",
    detail_type="Glue Job State Change",
    account="111122223333",
    region="eu-central-1",
    title="Glue Job State Change",
    resource="nightly-export",
    severity=2,
    state=State.OPEN,
    status="FAILED",
    fingerprint="111122223333#aws.glue#Glue Job State Change#nightly-export",
    order=PUBLISHED_AT * 1000,
)

EVENTS = {
    "aws.access-analyzer": mapped("access-analyzer"),
    "aws.backup": mapped("recovery-point"),
    "aws.ce": mapped("cost-anomaly"),
    "aws.cloudformation": mapped("stack-failed"),
    "aws.cloudwatch": mapped("alarm"),
    "aws.config": mapped("config-rule"),
    "aws.ec2": mapped("ebs-volume"),
    "aws.ecs": mapped("ecs-task"),
    "aws.guardduty": mapped("guardduty"),
    "aws.health": mapped("health"),
    "aws.rds": mapped("rds"),
    "aws.securityhub": mapped("securityhub-control"),
    "aws.trustedadvisor": mapped("trusted-advisor"),
    "monitoring.agent": mapped("log-error"),
    "generic": GLUE,
}
"""One of each source."""


def about(name: str, /, **fields: Any) -> MappedEvent:
    return EVENTS[name].model_copy(update=fields)


def alert(event: MappedEvent, transition: AlertNews | str = AlertNews.OPENED, **fields: Any) -> AlertTold:
    """An alert that opened a second after it was published, and was resolved 14 minutes later."""
    is_resolved = transition == AlertNews.RESOLVED
    known: dict[str, Any] = {
        "alert_id": ALERT_ID,
        "event_id": EVENT_ID,
        "published_at": PUBLISHED_AT,
        "severity": event.severity,
        "count": 1,
        "openings": 1,
        "opened_at": PUBLISHED_AT + 1,
        "resolved_at": PUBLISHED_AT + 841 if is_resolved else None,
        "account_name": "shop-prod",
        "timezone": "Europe/Berlin",
    }
    return AlertTold(event=event, transition=AlertNews(transition), **{**known, **fields})


def task(change: TaskChange = TaskChange.CREATED, **fields: Any) -> TaskTold:
    known: dict[str, Any] = {
        "task_id": "8c2e1f40-6b7d-4a9e-9c11-2d3e4f5a6b7c",
        "title": "Roll the deployment of checkout back",
        "status": Status.OPEN,
        "priority": Priority.HIGH,
        "due_date": PUBLISHED_AT + 841,
        "alert_id": ALERT_ID,
        "event_id": EVENT_ID,
        "comment": "Rolled back; the alarm is quiet." if change is TaskChange.COMMENTED else None,
        "account_name": "shop-prod",
        "timezone": "Europe/Berlin",
    }
    return TaskTold(change=change, **{**known, **fields})


def resolved(event: MappedEvent) -> MappedEvent:
    """The same problem, reported as over."""
    return event.model_copy(update={"state": State.RESOLVED})


# ---- reading a message


def facts_of(message: dict[str, Any]) -> dict[str, str]:
    """Label to value."""
    sections = [block["fields"] for block in message["blocks"] if "fields" in block and "text" not in block]
    fields = [field["text"] for section in sections for field in section]
    return {label.strip("*"): value for label, value in zip(fields[::2], fields[1::2], strict=True)}


def header_of(message: dict[str, Any]) -> str:
    header: str = message["blocks"][0]["text"]["text"]
    return header


def values_of(message: dict[str, Any]) -> list[str]:
    return [message["text"], *(text["text"] for text in text_objects(message))]


def units(text: str) -> int:
    return len(text.encode("utf-16-le")) // 2


# ---- what must hold


def assert_slack_takes(message: dict[str, Any]) -> None:
    """Slack's limits and its rules for the three characters; what is not escaped is markup of ours."""
    assert set(message) == {"text", "blocks", "attachments"}
    assert 1 <= units(message["text"]) <= 4000
    assert len(blocks(message)) <= 50
    for block in blocks(message):
        assert block["type"] in {"header", "section", "context"}
        assert len(block.get("fields", [])) <= 10
        assert all(units(field["text"]) <= 2000 for field in block.get("fields", []))
        assert len(block.get("elements", [])) <= 10
        if block["type"] == "header":
            assert units(block["text"]["text"]) <= 150
    for text in text_objects(message):
        assert 1 <= units(text["text"]) <= 3000
        assert text["text"].strip()
        text["text"].encode()
        if text["type"] == "plain_text":
            assert_escaped(text["text"])
            assert text["emoji"] is False
        else:
            assert text["verbatim"] is True
            assert_ours(text["text"])
    assert sum(units(text["text"]) for text in text_objects(message)) <= MOST_TEXT
    assert_escaped(message["text"])


def assert_escaped(text: str) -> None:
    assert "<" not in text
    assert ">" not in text
    rest = text.replace("&amp;", "").replace("&lt;", "").replace("&gt;", "")
    assert "&" not in rest, f"a bare or halved escape in {text!r}"


def assert_ours(text: str) -> None:
    """A label, a date or a link to AWS: nothing else may be formatted."""
    if text.startswith("*"):
        assert text.strip("*").replace(" ", "").isalpha()
    elif text.startswith("<!date^"):
        seconds = int(text.split("^")[1])
        assert text == f"<!date^{seconds}^{{date_short_pretty}} {{time_secs}}|{TIMES[seconds]}>"
    else:
        assert text.startswith("<https://")
        url, label = text[1:-1].split("|")
        assert label in {"Open in the AWS console", "Read what AWS advises"}
        assert url.split("/")[2].endswith("aws.amazon.com")
        assert_escaped(url)
