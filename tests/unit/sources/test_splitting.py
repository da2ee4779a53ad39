"""Messages that hold several things: each becomes an event of its own, once."""

import json
from collections.abc import Callable
from datetime import datetime
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from domain.sources import registry
from domain.sources.envelope import delivery_uuid, read
from domain.sources.splitting import split

Message = Callable[..., dict[str, Any]]

FORMATS = ("securityhub-control", "securityhub-ocsf")


def several(message: Message, name: str, *ids: str) -> dict[str, Any]:
    """A message of several findings that differ by their ids."""
    findings = []
    for identifier in ids:
        path = "detail.findings.0.finding_info.uid" if name == "securityhub-ocsf" else "detail.findings.0.Id"
        findings.append(message(name, {path: identifier})["detail"]["findings"][0])
    return message(name, {"detail.findings": findings})


def uuids(message: dict[str, Any]) -> list[str]:
    return [str(delivery_uuid(part)) for part in split(read(message))]


@pytest.mark.parametrize("name", ["alarm", "health", "securityhub-control", "securityhub-ocsf", "sns-text"])
def test_a_message_that_holds_one_thing_stays_itself(message: Message, name: str) -> None:
    envelope = read(message(name))
    (part,) = split(envelope)
    assert part is envelope
    assert part.part is None


@pytest.mark.parametrize("name", FORMATS)
def test_each_finding_is_a_message_of_its_own(message: Message, name: str, received_at: datetime) -> None:
    parts = split(read(several(message, name, "arn:aws:a:1", "arn:aws:a:2", "arn:aws:a:3")))
    events = [registry.map_envelope(part, received_at=received_at) for part in parts]
    assert [event.fingerprint for event in events] == [f"securityhub:arn:aws:a:{n}" for n in (1, 2, 3)]
    for part, event in zip(parts, events, strict=True):
        assert len(part.raw["detail"]["findings"]) == 1
        assert part.raw["id"] == message(name)["id"]
        stored = read(json.loads(json.dumps(part.raw)))
        assert registry.map_envelope(stored, received_at=received_at) == event


@pytest.mark.parametrize("name", FORMATS)
def test_the_parts_have_uuids_of_their_own_and_the_same_again(message: Message, name: str) -> None:
    whole = several(message, name, "arn:aws:a:1", "arn:aws:a:1", "arn:aws:a:2")
    first = uuids(whole)
    assert len(set(first)) == 3
    assert str(delivery_uuid(read(whole))) not in first
    assert uuids(json.loads(json.dumps(whole))) == first
    assert not set(uuids({**whole, "id": "another"})) & set(first)


def test_the_uuid_of_a_part_never_changes(message: Message) -> None:
    """Stored ids are made from it."""
    assert uuids(several(message, "securityhub-control", "arn:aws:a:1", "arn:aws:a:2")) == [
        "3cc5cbcc-9743-5fc7-bfbc-039ae318143b",
        "992efeb7-7700-563a-b071-dfb73fef988b",
    ]


@pytest.mark.parametrize("name", FORMATS)
def test_a_bad_entry_is_generic_and_holds_up_no_other(message: Message, name: str, received_at: datetime) -> None:
    good = message(name)["detail"]["findings"][0]
    parts = split(read(message(name, {"detail.findings": [None, good, "arn", {}, [good]]})))
    events = [registry.map_envelope(part, received_at=received_at) for part in parts]
    understood = [not event.fingerprint.startswith("generic") for event in events]
    assert understood == [False, True, False, False, False]
    assert all(event.unmapped for event in events if event.fingerprint.startswith("generic"))
    assert len(set(uuids(message(name, {"detail.findings": [None, good, "arn", {}, [good]]})))) == 5


@pytest.mark.parametrize("findings", [..., None, [], {}, "x", [None]])
def test_an_empty_or_odd_list_is_one_event(message: Message, findings: Any, received_at: datetime) -> None:
    (part,) = split(read(message("securityhub-control", {"detail.findings": findings})))
    event = registry.map_envelope(part, received_at=received_at)
    assert event.fingerprint.startswith("generic")
    assert event.unmapped


@pytest.mark.parametrize(
    "changes",
    [{"source": "acme.securityhub"}, {"detail-type": "Security Hub Findings - Custom Action"}, {"source": "aws.x"}],
)
def test_nobody_elses_list_of_findings_is_split(message: Message, changes: dict[str, Any]) -> None:
    whole = several(message, "securityhub-control", "arn:aws:a:1", "arn:aws:a:2") | changes
    assert len(split(read(whole))) == 1


@given(
    st.lists(st.none() | st.text(max_size=3) | st.dictionaries(st.just("Id"), st.text() | st.integers()), max_size=8)
)
def test_every_entry_is_kept_once_whatever_it_is(findings: list[Any]) -> None:
    whole = {
        "id": "1",
        "source": "aws.securityhub",
        "detail-type": "Security Hub Findings - Imported",
        "detail": {"findings": findings},
    }
    parts = split(read(whole))
    assert len(parts) == max(1, len(findings)) == len({delivery_uuid(part) for part in parts})
    if findings:
        assert [part.detail["findings"][0] for part in parts] == read(whole).detail["findings"]


def records(*notifications: Any) -> dict[str, Any]:
    return {"Records": [{"EventSource": "aws:sns", "Sns": one} for one in notifications]}


def test_each_record_of_sns_is_a_message_of_its_own(message: Message, received_at: datetime) -> None:
    hub = several(message, "securityhub-control", "arn:aws:a:1", "arn:aws:a:2")
    carried = message("sns-text", {"MessageId": "hub", "Message": json.dumps(hub)})
    parts = split(read(records(message("sns-alarm"), message("sns-text"), carried)))
    events = [registry.map_envelope(part, received_at=received_at) for part in parts]
    assert [event.source for event in events] == ["aws.cloudwatch", "aws.sns", "aws.securityhub", "aws.securityhub"]
    alone = [*uuids(message("sns-alarm")), *uuids(message("sns-text")), *uuids(hub)]
    assert [str(delivery_uuid(part)) for part in parts] == alone


def test_a_notification_twice_in_one_message_is_one_event(message: Message) -> None:
    assert uuids(records(message("sns-text"), message("sns-text"))) == uuids(message("sns-text"))


def test_different_notifications_under_one_id_are_all_kept(message: Message) -> None:
    """Published samples have this."""
    same_id = [message("sns-text", {"Message": f"text {n}"}) for n in range(3)]
    found = uuids(records(*same_id))
    assert len(set(found)) == 3
    assert uuids(records(*same_id)) == found


def test_records_that_are_no_notifications_are_generic(message: Message, received_at: datetime) -> None:
    whole = records(message("sns-text"), None, "x", {}) | {"more": 1}
    whole["Records"].append(7)
    events = [registry.map_envelope(part, received_at=received_at) for part in split(read(whole))]
    assert [event.fingerprint.startswith("generic") for event in events] == [False, *[True] * (len(events) - 1)]
    assert len(events) == 5
    assert all(event.unmapped for event in events[1:])


def test_a_message_that_only_claims_to_hold_records_is_one_event(received_at: datetime) -> None:
    whole = {"id": "1", "source": "aws.sns", "detail-type": "SNS Records", "detail": {"Records": []}}
    (part,) = split(read(whole))
    assert registry.map_envelope(part, received_at=received_at).fingerprint.startswith("generic")
