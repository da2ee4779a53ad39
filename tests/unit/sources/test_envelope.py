"""The envelope: what is noted, what is refused, and what makes two deliveries one."""

import json
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any

import pytest

from domain.sources.envelope import Envelope, MalformedEnvelopeError, delivery_uuid, parse, read

Message = Callable[..., dict[str, Any]]


@pytest.fixture
def changed(message: Message) -> Callable[[dict[str, Any]], Envelope]:
    return lambda changes: read(message("alarm", changes))


Changed = Callable[[dict[str, Any]], Envelope]


def test_a_whole_message_has_no_faults(changed: Changed, message: Message) -> None:
    envelope = changed({})
    assert (envelope.source, envelope.account, envelope.region) == ("aws.cloudwatch", "111122223333", "eu-central-1")
    assert envelope.detail_type == "CloudWatch Alarm State Change"
    assert envelope.time == datetime(2026, 3, 10, 8, 14, 22, tzinfo=UTC)
    assert envelope.faults == ()
    assert envelope.raw == message("alarm")
    assert envelope.detail == message("alarm")["detail"]


@pytest.mark.parametrize(
    ("field", "value", "fault", "kept"),
    [
        ("account", "123456789", "account is not 12 digits: '123456789'", "123456789"),
        ("account", "1234567890123", "account is not 12 digits: '1234567890123'", "1234567890123"),
        ("account", "111122223333\n", "account is not 12 digits: '111122223333\\n'", "111122223333\n"),
        ("account", 111122223333, "account is not a string but of type int", None),
        ("account", ..., "account is missing", None),
        ("account", None, "account is missing", None),
        ("region", "region", "region is not a Region: 'region'", "region"),
        ("region", "", "region is missing", None),
        ("id", ..., "id is missing", None),
        ("id", {}, "id is not a string but of type dict", None),
        ("time", "yyyy-mm-ddThh:mm:ssZ", "time is not a timestamp: 'yyyy-mm-ddThh:mm:ssZ'", None),
        ("time", "2026-02-30T00:00:00Z", "time is not a timestamp: '2026-02-30T00:00:00Z'", None),
        ("time", "0001-01-01T00:00:00+14:00", "time is not a timestamp: '0001-01-01T00:00:00+14:00'", None),
        ("time", 1773130462, "time is not a string but of type int", None),
        ("time", "9" * 500, f"time is not a timestamp: '{'9' * 200}'…", None),
        (
            "source",
            "acme.billing",
            "source starts neither with aws. nor with monitoring.: 'acme.billing'",
            "acme.billing",
        ),
    ],
)
def test_a_broken_field_is_noted(changed: Changed, field: str, value: Any, fault: str, kept: str | None) -> None:
    envelope = changed({field: value})
    assert envelope.faults == (fault,)
    assert getattr(envelope, field) == kept


@pytest.mark.parametrize("region", ["eu-central-1", "us-gov-east-1", "ap-southeast-4", "us-iso-east-1"])
def test_every_shape_of_a_region_is_one(changed: Changed, region: str) -> None:
    assert changed({"region": region}).faults == ()


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("2020-02-20T00:00:00.00Z", datetime(2020, 2, 20, tzinfo=UTC)),
        ("2026-03-10T08:14:22+02:00", datetime(2026, 3, 10, 6, 14, 22, tzinfo=UTC)),
        ("2026-03-10 08:14:22.5", datetime(2026, 3, 10, 8, 14, 22, 500_000, tzinfo=UTC)),
        ("1970-01-01T00:00:00Z", datetime(1970, 1, 1, tzinfo=UTC)),
    ],
)
def test_times_become_utc(changed: Changed, text: str, expected: datetime) -> None:
    assert changed({"time": text}).time == expected


@pytest.mark.parametrize(
    ("resources", "kept", "faults"),
    [
        (..., (), ()),
        (None, (), ()),
        ([], (), ()),
        (["a", "b"], ("a", "b"), ()),
        (["a", None, 7, "", {}, "b"], ("a", "b"), ("resources holds 4 entries that are not names",)),
        ("arn:aws:x", (), ("resources is not a list but 'arn:aws:x'",)),
        ({"a": 1}, (), ("resources is not a list but of type dict",)),
    ],
)
def test_resources_are_cleaned(
    changed: Changed, resources: Any, kept: tuple[str, ...], faults: tuple[str, ...]
) -> None:
    envelope = changed({"resources": resources})
    assert (envelope.resources, envelope.faults) == (kept, faults)


def test_a_missing_source_is_that_of_the_mapper_which_claims_the_detail_type(changed: Changed) -> None:
    claimed = changed({"source": ...})
    assert (claimed.source, claimed.faults) == ("aws.cloudwatch", ("source is missing",))
    unclaimed = changed({"source": None, "detail-type": "Order Placed"})
    assert (unclaimed.source, unclaimed.faults) == ("unknown", ("source is missing",))


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("", "not usable JSON"),
        ("{", "not usable JSON"),
        (b"\xff\xfe\x00", "not usable JSON"),
        ('{"detail-type": "x", "detail": {"a": NaN}}', "NaN is not JSON"),
        ('{"detail-type": "x", "detail": {"a": -Infinity}}', "-Infinity is not JSON"),
        ('{"detail-type": "x", "detail": {"a": 1e999}}', "beyond the range of a double"),
        ('{"detail-type": "x", "detail": {"a": 1' + "0" * 400 + "}}", "beyond the range of a double"),
        ('{"detail-type": "x", "detail": {"a": 1' + "0" * 9_000 + "}}", "not usable JSON"),
        ("[" * 200_000, "nested deeper"),
        ('{"a":' * 500 + "1" + "}" * 500, "nested deeper"),
        ("[]", "not a JSON object but of type list"),
        ("null", "not a JSON object but of type NoneType"),
        ('"text"', "not a JSON object but 'text'"),
        ('{"detail": {}}', "no detail-type"),
        ('{"detail-type": " ", "detail": {}}', "no detail-type"),
        ('{"detail-type": 7, "detail": {}}', "no detail-type"),
        ('{"detail-type": "x"}', "detail is not an object"),
        ('{"detail-type": "x", "detail": "{}"}', "detail is not an object"),
        ('{"DetailType": "x", "Source": "aws.x", "Detail": "{}"}', "no detail-type"),
    ],
)
def test_what_is_no_message_is_refused_with_the_reason(text: str | bytes, reason: str) -> None:
    with pytest.raises(MalformedEnvelopeError, match=reason):
        parse(text)


def test_the_reason_never_repeats_the_whole_body() -> None:
    with pytest.raises(MalformedEnvelopeError) as refused:
        parse(json.dumps("x" * 100_000))
    assert len(str(refused.value)) < 300


@pytest.mark.parametrize(
    "message", [{1: 2}, {"detail-type": "x", "detail": {"a": {1, 2}}}, datetime(2026, 1, 1, tzinfo=UTC)]
)
def test_what_json_cannot_hold_is_refused(message: object) -> None:
    with pytest.raises(MalformedEnvelopeError, match="not usable JSON"):
        read(message)


def test_what_cannot_be_stored_is_replaced() -> None:
    text = '{"detail-type": "x\\ud800", "detail": {"k\\udfff": ["\\ud83d", "\\ud83d\\ude00", "a\\u0000b"]}}'
    envelope = parse(text)
    assert envelope.detail_type == "x\ufffd"
    assert envelope.detail == {"k\ufffd": ["\ufffd", "\U0001f600", "a\x00b"]}
    json.dumps(envelope.raw, ensure_ascii=False).encode()
    assert parse(b'{"detail-type": "x\xff", "detail": {}}').detail_type == "x\ufffd"
    assert parse('\ufeff{"detail-type": "x", "detail": {}}'.encode()).detail_type == "x"


def test_of_a_key_that_stands_twice_the_last_counts() -> None:
    assert parse('{"detail-type": "x", "detail": {}, "detail-type": "y"}').detail_type == "y"


def test_the_raw_message_is_a_copy(message: Message) -> None:
    given = message("alarm")
    envelope = read(given)
    given["detail"].clear()
    assert envelope.raw == message("alarm")


def test_a_second_delivery_has_the_same_uuid(changed: Changed) -> None:
    first = delivery_uuid(changed({}))
    assert first.version == 5
    assert delivery_uuid(changed({})) == first
    # Stored ids are made from it: this value must never change.
    assert str(first) == "8a37effc-41e1-531e-9c0b-c51f390eceb6"


@pytest.mark.parametrize(
    "changes",
    [
        {"id": "another"},
        {"source": "aws.other"},
        {"detail-type": "CloudWatch Alarm Configuration Change"},
        {"account": "444455556666"},
        {"region": "eu-west-1"},
        {"time": "2026-03-10T08:14:23Z"},
        {"time": ...},
    ],
)
def test_another_message_under_the_same_id_has_another_uuid(changed: Changed, changes: dict[str, Any]) -> None:
    assert delivery_uuid(changed(changes)) != delivery_uuid(changed({}))


def test_without_an_id_the_whole_message_decides(changed: Changed) -> None:
    one, same = changed({"id": ...}), changed({"id": ...})
    other = changed({"id": ..., "detail.state.value": "OK"})
    assert delivery_uuid(one) == delivery_uuid(same)
    assert delivery_uuid(one) != delivery_uuid(other)


def test_the_order_of_keys_does_not_matter(message: Message) -> None:
    given = message("alarm", {"id": ...})
    assert delivery_uuid(read(dict(reversed(given.items())))) == delivery_uuid(read(given))
