"""GuardDuty findings, as the field map says."""

from collections.abc import Callable
from typing import Any

import pytest

from domain.sources.mapping import MappedEvent, State

Mapped = Callable[..., MappedEvent]


@pytest.mark.parametrize(
    ("score", "severity"),
    [
        (10, 4), (9, 4), ("9.0", 4), (8.95, 3), (8.9, 3), (7, 3), ("7.0", 3), (6.9, 2), (4, 2), (3.9, 1), (1, 1),
        (0.9, 0), (0, 0),
    ],
)  # fmt: skip
def test_the_score_gives_the_severity(mapped: Mapped, score: Any, severity: int) -> None:
    assert mapped("guardduty", {"detail.severity": score}).severity == severity


@pytest.mark.parametrize(("score", "severity"), [(2, 4), (9.5, 4)])
def test_an_attack_sequence_is_at_least_critical(mapped: Mapped, score: float, severity: int) -> None:
    changes = {"detail.type": "AttackSequence:IAM/CompromisedCredentials", "detail.severity": score}
    assert mapped("guardduty", changes).severity == severity


@pytest.mark.parametrize("sample", [True, "true"])
def test_a_sample_finding_is_harmless_and_quiet(mapped: Mapped, sample: Any) -> None:
    event = mapped("guardduty", {"detail.service.additionalInfo": {"sample": sample}, "detail.severity": 9})
    assert (event.severity, event.quiet) == (0, "a sample finding")


def test_a_finding_is_open_until_it_is_archived(mapped: Mapped) -> None:
    assert mapped("guardduty").state is State.OPEN
    assert mapped("guardduty", {"detail.service.archived": True}).state is State.RESOLVED


@pytest.mark.parametrize("changes", [{}, {"time": "2026-03-10T10:15:33Z"}, {"time": ...}])
def test_archiving_a_finding_is_newer_although_it_does_not_update_it(mapped: Mapped, changes: dict[str, Any]) -> None:
    archived = mapped("guardduty", {**changes, "detail.service.archived": True})
    assert archived.order > mapped("guardduty", changes).order == 1773137733402


def test_a_repeat_is_the_same_problem_and_later(mapped: Mapped) -> None:
    first = mapped("guardduty")
    repeat = mapped(
        "guardduty",
        {"id": "another", "detail.service.count": 5, "detail.updatedAt": "2026-03-10T16:15:33.402Z"},
    )
    assert first.fingerprint == repeat.fingerprint
    assert (first.order, repeat.order) == (1773137733402, 1773159333402)
    assert repeat.text is not None
    assert repeat.text.endswith("Seen 5 times.")


def test_a_delegated_administrators_copy_is_the_same_problem_of_the_member(mapped: Mapped) -> None:
    copy = mapped("guardduty", {"account": "999988887777", "id": "another"})
    assert copy.fingerprint == mapped("guardduty").fingerprint
    assert copy.account == "111122223333"


def test_a_trimmed_message_without_its_arn_is_found_by_account_region_and_id(mapped: Mapped) -> None:
    trimmed = {"source": ..., "account": ..., "detail.arn": ..., "detail.updatedAt": ...}
    event = mapped("guardduty", trimmed)
    assert event.source == "aws.guardduty"
    assert event.fingerprint == "guardduty:111122223333|eu-central-1|5ec8f0a4b1d94e6f8a7c2b3d4e5f6a70"
    assert event.fingerprint == mapped("guardduty", trimmed).fingerprint


@pytest.mark.parametrize(
    ("resource", "expected"),
    [
        ({"resourceType": "Instance", "instanceDetails": {"instanceId": "i-01"}}, "i-01"),
        ({"resourceType": "AccessKey", "accessKeyDetails": {"userName": "deployer"}}, "deployer"),
        ({"s3BucketDetails": [{"arn": "arn:aws:s3:::invoices"}]}, "arn:aws:s3:::invoices"),
        (
            {"eksClusterDetails": {"arn": "arn:aws:eks:eu-central-1:1:cluster/a"}},
            "arn:aws:eks:eu-central-1:1:cluster/a",
        ),
        ({"lambdaDetails": {"functionArn": "arn:aws:lambda:x"}}, "arn:aws:lambda:x"),
        ({"rdsDbInstanceDetails": {"dbInstanceArn": "arn:aws:rds:x"}}, "arn:aws:rds:x"),
        ({"resourceType": "AttackSequence", "s3BucketDetails": [], "instanceDetails": None}, "AttackSequence"),
        ({}, None),
        (None, None),
    ],
)
def test_the_resource_is_where_its_kind_keeps_it(mapped: Mapped, resource: Any, expected: str | None) -> None:
    event = mapped("guardduty", {"detail.resource": resource})
    assert event.resource == expected
    assert event.unmapped == ()


def test_the_link_searches_the_finding(mapped: Mapped) -> None:
    assert mapped("guardduty", {"detail.id": "a b"}).console_url == (
        "https://console.aws.amazon.com/guardduty/home?region=eu-central-1#/findings?search=id%3Da%20b"
    )
    assert mapped("guardduty", {"region": ..., "detail.region": ...}).console_url is None
    without_id = mapped("guardduty", {"detail.id": ...}).console_url
    assert without_id == "https://console.aws.amazon.com/guardduty/home?region=eu-central-1#/findings"


@pytest.mark.parametrize(
    ("resource", "expected"),
    [
        ({"instanceDetails": {"tags": [{"key": "env", "value": "prod"}, {"key": 1}, "x"]}}, {"env": "prod"}),
        ({"s3BucketDetails": [{"arn": "arn:aws:s3:::a", "tags": [{"key": "env", "value": "prod"}]}]}, {"env": "prod"}),
        ({"instanceDetails": {"tags": "env"}}, None),
        ({"instanceDetails": {"tags": []}, "s3BucketDetails": []}, None),
    ],
)
def test_the_tags_of_the_resource_are_kept(mapped: Mapped, resource: Any, expected: Any) -> None:
    assert mapped("guardduty", {"detail.resource": resource}).tags == expected


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({"detail.severity": ...}, "severity is missing"),
        ({"detail.severity": "high"}, "severity is not a number: 'high'"),
        ({"detail.severity": "nan"}, "severity is not a number: 'nan'"),
        ({"detail.severity": True}, "severity is not a number: of type bool"),
        ({"detail.title": ...}, "title is missing"),
        ({"detail.arn": ..., "detail.id": ...}, "arn and id are missing"),
        ({"detail.resource": []}, "resource is not an object"),
        ({"detail-type": "GuardDuty Something New"}, "no mapper for this detail-type of aws.guardduty"),
    ],
)
def test_an_odd_finding_is_generic_with_the_reason(mapped: Mapped, changes: dict[str, Any], reason: str) -> None:
    event = mapped("guardduty", changes)
    assert event.fingerprint.startswith("generic:")
    assert event.unmapped == (f"taken as generic: {reason}",)
