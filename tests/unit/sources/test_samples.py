"""Every message that AWS and others have published is understood or set aside with a reason; nothing crashes."""

import json
from collections.abc import Iterator
from datetime import datetime
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from domain.sources import envelope, generic, registry
from domain.sources.envelope import MalformedEnvelopeError
from domain.sources.mapping import MappedEvent
from domain.sources.splitting import split

MAPPED = (
    "access-analyzer",
    "cloudformation",
    "cloudwatch",
    "ec2",
    "ecs",
    "guardduty",
    "health",
    "rds",
    "securityhub",
    "trustedadvisor",
)
BY_OTHER_WAYS = {
    "cloudwatch-sns": "CloudWatch Alarm State Change",
    "cloudwatch-lambda-action": "CloudWatch Alarm State Change",
    "cloudformation-sns": "CloudFormation Stack Status Change",
}
BARE = {
    "guardduty": ("aws.guardduty", "GuardDuty Finding"),
    "health": ("aws.health", "AWS Health Event"),
    "securityhub": ("aws.securityhub", "Security Hub Findings - Imported"),
}


def test_every_published_message_is_understood_or_set_aside(samples: Path, received_at: datetime) -> None:
    seen = understood = 0
    for path, message in messages(samples):
        events = outcome(message, received_at)
        seen += 1
        if not events:
            assert not (isinstance(message, dict) and message.get("detail-type") and message.get("detail")), path
        for event in events:
            known = (event.source, event.detail_type) in registry.MAPPERS
            by_other_way = event.detail_type == BY_OTHER_WAYS.get(path.parent.name)
            if path.name == "notify-slack-alarm-sns-envelope.json":  # neither its ARN nor its topic
                assert event.unmapped[-1] == "taken as generic: resources holds no alarm ARN"
                continue
            assert event.fingerprint.startswith(("generic:", "generic#")) is not known, (path, event.unmapped)
            if by_other_way or (path.parent.name in MAPPED and event.source.startswith("aws.")):
                assert known, (path, event.unmapped)
                understood += 1
        assert events or path.parent.name not in BY_OTHER_WAYS, path
    assert seen > 100
    assert understood > 60


def test_no_cut_or_bent_message_crashes(samples: Path, received_at: datetime) -> None:
    for _, original in messages(samples):
        for bent in bent_messages(original):
            outcome(bent, received_at)


def test_no_cut_or_bent_fixture_crashes(fixtures: list[Path], received_at: datetime) -> None:
    for path in fixtures:
        for bent in bent_messages(json.loads(path.read_text())):
            outcome(bent, received_at)


def test_no_message_that_was_cut_off_crashes(samples: Path) -> None:
    for path, _ in messages(samples):
        text = path.read_bytes()
        for length in range(0, len(text) - 2, max(1, len(text) // 25)):
            with pytest.raises(MalformedEnvelopeError):
                envelope.parse(text[:length])


KNOWN = st.sampled_from(sorted(registry.MAPPERS))
NAMES = st.sampled_from([
    "alarmName", "state", "value", "reason", "reasonData", "timestamp", "configuration", "metrics", "operation", "arn",
    "id", "title", "severity", "service", "resource", "s3BucketDetails", "instanceDetails", "additionalInfo",
    "eventArn", "eventTypeCode", "eventTypeCategory", "affectedEntities", "eventDescription", "statusCode", "startTime",
    "stack-id", "status-details", "status", "logical-resource-id", "stack-set-arn", "log_group", "message", "count",
    "muteDetail", "instance-id", "event", "result", "snapshots", "source", "EventCategories", "EventID", "SourceArn",
    "clusterArn", "group", "lastStatus", "containers", "exitCode", "taskArn", "eventName", "eventType",
    "containerInstanceArn", "overallStatus", "healthChecks", "resourceArn", "createdBy", "indexStatus", "check-name",
    "check-item-detail", "resource_id", "findingId", "principal", "action", "accessPreviewId", "configuredResources",
    "configRuleName", "resourceType", "resourceId", "newEvaluationResult", "complianceType", "anomalyId", "impact",
    "totalImpact", "rootCauses", "anomalyDetailsLink", "findings", "Id", "Title", "Severity", "Resources",
    "finding_info", "uid", "severity_id", "resources", "actionName", "insightName", "resourceDetails",
    "s3ObjectDetails", "bucketName", "objectKey", "scanResultDetails", "s3BucketDetails", "resourceStatus",
    "postScanActions", "TopicArn", "Message", "AlarmName", "NewStateValue", "Trigger",
])  # fmt: skip
SCALARS = (
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats(allow_nan=False)
    | st.text(st.characters(), max_size=12)
    | st.sampled_from(["ALARM", "OK", "issue", "CREATE_FAILED", "arn:aws:x:r:1:stack/a/b", "2026-03-10T08:14:22Z", "7"])
)
JSON = st.recursive(
    SCALARS,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(NAMES | st.text(max_size=4), inner, max_size=5),
    max_leaves=15,
)


@settings(max_examples=200, deadline=None)
@given(
    kind=KNOWN,
    fields=st.dictionaries(st.sampled_from(["id", "source", "account", "time", "region", "resources"]), JSON),
    detail=st.dictionaries(NAMES, JSON, max_size=8) | JSON,
)
def test_no_json_under_a_known_detail_type_crashes(kind: tuple[str, str], fields: dict[str, Any], detail: Any) -> None:
    source, detail_type = kind
    message = {"source": source, **fields, "detail-type": detail_type, "detail": detail}
    outcome(json.dumps(message), datetime.fromisoformat("2026-04-01T12:00:00+00:00"))


@settings(max_examples=150, deadline=None)
@given(text=JSON.map(json.dumps) | st.text(max_size=50) | st.binary(max_size=50))
def test_no_text_at_all_crashes(text: str | bytes) -> None:
    outcome(text, datetime.fromisoformat("2026-04-01T12:00:00+00:00"))


def outcome(message: Any, received_at: datetime) -> list[MappedEvent]:
    """What is made of a message, nothing for a malformed one; both are fine, any other exception is not."""
    try:
        parts = split(envelope.parse(message) if isinstance(message, (str, bytes)) else envelope.read(message))
    except MalformedEnvelopeError:
        return []
    assert len({envelope.delivery_uuid(part) for part in parts}) == len(parts) > 0
    return [understood(part, received_at) for part in parts]


def understood(read: envelope.Envelope, received_at: datetime) -> MappedEvent:
    event = registry.map_envelope(read, received_at=received_at)
    assert 0 < len(event.title) <= 300
    assert len(event.fingerprint) <= 200
    mapper = registry.MAPPERS.get((event.source, event.detail_type), generic.anything)
    fell_back = any(note.startswith("taken as generic: ") for note in event.unmapped)
    if mapper is not generic.anything:
        assert event.fingerprint.startswith(("generic:", "generic#")) is fell_back
    event.model_dump_json().encode()
    json.dumps(read.raw, allow_nan=False, ensure_ascii=False).encode()
    return event


def messages(samples: Path) -> Iterator[tuple[Path, Any]]:
    """One by one; a bare detail, or a bare finding, is put into an envelope."""
    for path in sorted(samples.rglob("*.json")):
        content = json.loads(path.read_text())
        for message in content if isinstance(content, list) else [content]:
            yield path, enveloped(path.parent.name, message)


def enveloped(folder: str, message: Any) -> Any:
    if folder not in BARE or {"detail", "Detail", "Records"} & message.keys():
        return message
    source, detail_type = BARE[folder]
    detail = {"findings": [message]} if folder == "securityhub" else message
    return {"id": "1", "source": source, "detail-type": detail_type, "account": "111122223333", "detail": detail}


def bent_messages(original: Any) -> Iterator[Any]:
    """The message without each of its fields in turn, and with each of another type; a notification's text likewise."""
    for path in paths(original):
        yield without(original, path)
        for value in (None, True, -1, 2.5, "", "x\ud800", [], [1], {}, {"a": None}):
            yield replaced(original, path, value)
        if path[-1] == "Message":
            for text in bent_texts(value_at(original, path)):
                yield replaced(original, path, text)


def bent_texts(text: Any) -> Iterator[str]:
    if not isinstance(text, str):
        return
    for length in range(0, len(text), max(1, len(text) // 25)):
        yield text[:length]
    if text.startswith("{"):
        yield from (json.dumps(bent) for bent in bent_messages(json.loads(text)))


def value_at(value: Any, path: tuple[Any, ...]) -> Any:
    for key in path:
        value = value[key]
    return value


def paths(value: Any) -> Iterator[tuple[Any, ...]]:
    inner = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    for key, item in inner:
        yield (key,)
        yield from ((key, *rest) for rest in paths(item))


def without(value: Any, path: tuple[Any, ...]) -> Any:
    key, *rest = path
    if rest:
        return replaced(value, (key,), without(value[key], tuple(rest)))
    if isinstance(value, list):
        return value[:key] + value[key + 1 :]
    return {name: item for name, item in value.items() if name != key}


def replaced(value: Any, path: tuple[Any, ...], new: Any) -> Any:
    if not path:
        return new
    key, *rest = path
    inner = replaced(value[key], tuple(rest), new)
    if isinstance(value, list):
        return [*value[:key], inner, *value[key + 1 :]]
    return {**value, key: inner}
