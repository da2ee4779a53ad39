"""Any other source, and what all messages share."""

from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any

import pytest

from domain.sources import envelope, registry
from domain.sources.facts import Facts
from domain.sources.mapping import MappedEvent, State

RECEIVED_AT = datetime(2026, 4, 1, 12, 0, tzinfo=UTC)
SCAN = {
    "id": "7c0e",
    "detail-type": "ECR Image Scan",
    "source": "aws.ecr",
    "account": "111122223333",
    "time": "2026-03-10T16:00:00Z",
    "region": "eu-central-1",
    "resources": [
        "arn:aws:ecr:eu-central-1:111122223333:repository/web/0a1b",
        "arn:aws:ecr:eu-central-1:111122223333:other",
    ],
    "detail": {"scan-status": "COMPLETE"},
}

Mapped = Callable[..., MappedEvent]


def mapped_from(**changes: Any) -> MappedEvent:
    message = {**SCAN, **{name.replace("_", "-"): value for name, value in changes.items()}}
    return registry.map_envelope(envelope.read(message), received_at=RECEIVED_AT)


def test_a_source_without_a_mapper_is_told_by_its_envelope() -> None:
    event = mapped_from()
    assert (event.title, event.severity, event.state) == ("ECR Image Scan", 0, State.EVENT)
    assert event.resource == "arn:aws:ecr:eu-central-1:111122223333:repository/web/0a1b"
    assert event.fingerprint == f"generic:111122223333|aws.ecr|ECR Image Scan|{event.resource}"
    assert (event.order, event.console_url, event.unmapped) == (1773158400000, None, ())


def test_each_part_of_the_fingerprint_tells_problems_apart() -> None:
    variants = [
        mapped_from(),
        mapped_from(account="444455556666"),
        mapped_from(source="aws.ec2"),
        mapped_from(detail_type="ECR Image Action"),
        mapped_from(resources=["arn:aws:ecr:eu-central-1:111122223333:repository/web/ffff"]),
        mapped_from(resources=[]),
    ]
    assert len({event.fingerprint for event in variants}) == len(variants)
    assert mapped_from(id="another", time="2026-03-11T16:00:00Z").fingerprint == variants[0].fingerprint


def test_our_own_messages_may_say_more() -> None:
    detail = {"severity": 4, "title": "Nightly backup failed", "message": "No space."}
    event = mapped_from(source="monitoring.backup", detail=detail)
    assert (event.severity, event.title, event.text) == (4, "Nightly backup failed", "No space.")


@pytest.mark.parametrize("detail", [{"severity": 9, "title": ["x"], "message": {}}, {"severity": True}, {"title": " "}])
def test_of_the_wrong_type_they_say_nothing(detail: dict[str, Any]) -> None:
    event = mapped_from(source="monitoring.backup", detail=detail)
    assert (event.severity, event.title, event.text) == (0, "ECR Image Scan", None)


def test_nobody_else_may_set_a_severity_by_a_field_of_that_name() -> None:
    assert mapped_from(detail={"severity": 5, "title": "x"}).severity == 0


def test_a_stand_in_source_is_another_source(mapped: Mapped) -> None:
    event = mapped("health", {"source": "ohero.health"})
    assert event.fingerprint.startswith("generic:111122223333|ohero.health|AWS Health Event|")
    assert event.unmapped == ("source starts neither with aws. nor with monitoring.: 'ohero.health'",)


def test_long_texts_are_cut_and_titles_stay_on_one_line() -> None:
    event = mapped_from(source="monitoring.x", detail={"title": "a\n\tb\x00c " + "d" * 400, "message": "e" * 4_000})
    assert event.title.startswith("a b c ddd")
    assert event.title.endswith("d…")
    assert len(event.title) == 300
    assert event.text == "e" * 2_999 + "…"


def test_a_fingerprint_is_readable_while_it_is_short_and_hashed_beyond() -> None:
    long = mapped_from(resources=["arn:" + "x" * 300])
    assert long.fingerprint.startswith("generic#")
    assert len(long.fingerprint) == len("generic#") + 40
    assert long.fingerprint != mapped_from(resources=["arn:" + "x" * 301]).fingerprint
    assert mapped_from(detail_type="a|b", resources=["c"]).fingerprint != (
        mapped_from(detail_type="a", resources=["b|c"]).fingerprint
    )


@pytest.mark.parametrize(
    "error", [KeyError("k"), TypeError("t"), ValueError("v"), AttributeError("a"), OverflowError("o")]
)
def test_whatever_a_mapper_raises_the_message_is_generic(error: Exception, monkeypatch: pytest.MonkeyPatch) -> None:
    def raising(_: envelope.Envelope) -> Facts:
        raise error

    monkeypatch.setattr(registry, "MAPPERS", {("aws.ecr", "ECR Image Scan"): raising})
    event = mapped_from()
    assert event.fingerprint.startswith("generic:")
    assert event.unmapped == (f"taken as generic: {type(error).__name__}: {error}",)


def test_facts_that_fit_no_event_are_generic_too(monkeypatch: pytest.MonkeyPatch) -> None:
    def beyond(_: envelope.Envelope) -> Facts:
        return Facts(title="t", severity=17, state=State.OPEN, fingerprint="f")

    monkeypatch.setattr(registry, "MAPPERS", {("aws.ecr", "ECR Image Scan"): beyond})
    event = mapped_from()
    assert event.severity == 0
    assert "severity" in event.unmapped[0]
    assert "\n" not in event.unmapped[0]


def test_every_detail_type_is_claimed_by_one_source_only() -> None:
    assert len({detail_type for _, detail_type in registry.MAPPERS}) == len(registry.MAPPERS)
    assert all(registry.claimed_source(detail_type) == source for source, detail_type in registry.MAPPERS)
