"""Messages that AWS and others published, through the deployed system."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.e2e.system import Api, System, wait_for

FOLDERS = {
    "cloudwatch": ("aws.cloudwatch", ""),
    "cloudformation": ("aws.cloudformation", ""),
    "guardduty": ("aws.guardduty", "GuardDuty Finding"),
    "health": ("aws.health", "AWS Health Event"),
}


@pytest.mark.usefixtures("empty_queues")
def test_every_published_message_is_listed_or_set_aside(samples: Path, system: System, admin: Api) -> None:
    before = {event["id"] for event in admin.all("/events?limit=200")}
    sent = [
        message
        for folder in FOLDERS
        for path in sorted((samples / folder).glob("*.json"))
        for message in messages(path)
    ]
    envelopes = [held(message) for message in sent if is_envelope(held(message))]
    assert len(envelopes) >= 30
    system.hand_in(*sent)

    def listed() -> list[dict[str, Any]]:
        return [event for event in admin.all("/events?limit=200") if event["id"] not in before]

    found = wait_for(listed, lambda events: len(events) >= len(envelopes))
    assert sorted(map(identity, found)) == sorted(map(identity, envelopes))
    for event in found:
        assert event["title"]
        assert event["fingerprint"]
        assert (
            event["source"] in {source for source, _ in FOLDERS.values()} | {"monitoring.health"} or (event["unmapped"])
        ), event
    system.settle()
    assert system.waiting(system.status.ingest_dead_letter_queue_url) == len(sent) - len(envelopes)


def messages(path: Path) -> Iterator[Any]:
    """What one file holds: messages, and a bare finding in an envelope."""
    content = json.loads(path.read_text())
    source, detail_type = FOLDERS[path.parent.name]
    for message in content if isinstance(content, list) else [content]:
        if message.keys().isdisjoint({"detail", "Detail", "Records"}):
            wrapped = {"id": path.stem, "source": source, "detail-type": detail_type, "account": "111122223333"}
            yield {**wrapped, "time": "2026-03-10T10:20:05Z", "region": "eu-central-1", "detail": message}
            continue
        yield message


def held(message: Any) -> Any:
    """The message itself, or what the one SNS notification in it holds."""
    records = message.get("Records") if isinstance(message, dict) else None
    return json.loads(records[0]["Sns"]["Message"]) if records else message


def is_envelope(message: Any) -> bool:
    return isinstance(message, dict) and {"detail-type", "detail"} <= message.keys()


def identity(message: dict[str, Any]) -> str:
    """What a message and the event made of it share."""
    detail_type = message.get("detail-type") or message.get("detail_type")
    return json.dumps([detail_type, message["detail"]], sort_keys=True)
