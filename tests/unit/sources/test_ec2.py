"""EC2 and EBS, as the field map says."""

from collections.abc import Callable
from typing import Any

import pytest

from domain.sources.mapping import MappedEvent, State

Mapped = Callable[..., MappedEvent]

INSTANCE = "i-0c4d5e6f708192a3b"
PAGE = "https://console.aws.amazon.com/ec2/home?region=eu-central-1#"
VOLUME = "arn:aws:ec2:eu-central-1:111122223333:volume/vol-0d1e2f3a4b5c6d7e8"
SNAPSHOT = "arn:aws:ec2::eu-central-1:snapshot/snap-0aa11bb22cc33dd44"
ORIGIN = "arn:aws:ec2::eu-west-1:snapshot/snap-0ff99ee88dd77cc66"


@pytest.mark.parametrize(
    ("state", "meaning", "severity"),
    [
        ("pending", State.EVENT, 0),
        ("running", State.RESOLVED, 0),
        ("stopping", State.EVENT, 0),
        ("stopped", State.EVENT, 1),
        ("shutting-down", State.EVENT, 0),
        ("terminated", State.EVENT, 1),
        ("hibernating-someday", State.EVENT, 0),
    ],
)
def test_the_state_of_an_instance(mapped: Mapped, state: str, meaning: State, severity: int) -> None:
    event = mapped("ec2-instance", {"detail.state": state})
    assert (event.state, event.severity, event.status) == (meaning, severity, state)
    assert (event.title, event.resource) == (f"{INSTANCE} {state}", INSTANCE)
    assert event.fingerprint == f"ec2:111122223333|eu-central-1|{INSTANCE}"
    assert event.order == 1773209560000
    assert event.console_url == f"{PAGE}InstanceDetails:instanceId={INSTANCE}"
    assert event.unmapped == ()


@pytest.mark.parametrize(
    ("fixture", "severity", "title", "status"),
    [
        ("ec2-spot-interruption", 2, f"{INSTANCE} Spot interruption: terminate", "terminate"),
        ("ec2-rebalance", 1, f"{INSTANCE} Spot rebalance recommendation", None),
    ],
)
def test_a_notice_to_a_spot_instance_is_an_event_of_that_instance(
    mapped: Mapped, fixture: str, severity: int, title: str, status: str | None
) -> None:
    event = mapped(fixture)
    assert (event.state, event.severity, event.title, event.status) == (State.EVENT, severity, title, status)
    assert event.fingerprint == mapped("ec2-instance").fingerprint


def test_the_link_holds_an_id_of_any_spelling(mapped: Mapped) -> None:
    url = mapped("ec2-instance", {"detail.instance-id": "i-1;x=#a b"}).console_url
    assert url == f"{PAGE}InstanceDetails:instanceId=i-1%3Bx%3D%23a%20b"


@pytest.mark.parametrize("fixture", ["ebs-volume", "ebs-snapshot", "ebs-snapshots"])
@pytest.mark.parametrize(
    ("result", "state", "severity"),
    [
        ("failed", State.OPEN, 2),
        ("succeeded", State.RESOLVED, 0),
        ("available", State.RESOLVED, 0),
        ("completed", State.RESOLVED, 0),
        ("deleted", State.RESOLVED, 0),
        ("modifying", State.IN_PROGRESS, 0),
        ("optimizing", State.IN_PROGRESS, 0),
        ("something-new", State.EVENT, 0),
    ],
)
def test_the_result_of_an_operation_on_a_volume_or_a_snapshot(
    mapped: Mapped, fixture: str, result: str, state: State, severity: int
) -> None:
    event = mapped(fixture, {"detail.result": result})
    assert (event.state, event.severity, event.status) == (state, severity, result)
    assert event.fingerprint == mapped(fixture).fingerprint


def test_a_volume_by_its_id_with_the_cause(mapped: Mapped) -> None:
    event = mapped("ebs-volume")
    assert event.title.startswith("vol-0d1e2f3a4b5c6d7e8 attachVolume failed: arn:aws:kms:")
    assert (event.resource, event.text) == (VOLUME, event.title.partition("failed: ")[2])
    assert event.fingerprint == f"ebs:111122223333|eu-central-1|attachVolume|{VOLUME}"
    assert event.console_url == f"{PAGE}VolumeDetails:volumeId=vol-0d1e2f3a4b5c6d7e8"
    assert mapped("ebs-volume", {"detail.cause": ""}).title == "vol-0d1e2f3a4b5c6d7e8 attachVolume failed"


def test_another_operation_on_a_volume_is_another_problem(mapped: Mapped) -> None:
    assert mapped("ebs-volume", {"detail.event": "modifyVolume"}).fingerprint != mapped("ebs-volume").fingerprint


def test_the_next_copy_of_a_snapshot_ends_the_failure_of_the_first(mapped: Mapped) -> None:
    another = "arn:aws:ec2::eu-central-1:snapshot/snap-0new"
    failed = mapped("ebs-snapshot")
    copied = mapped(
        "ebs-snapshot", {"detail.result": "succeeded", "detail.snapshot_id": another, "resources": [another]}
    )
    assert (copied.state, copied.fingerprint) == (State.RESOLVED, failed.fingerprint)
    assert (failed.resource, copied.resource) == (SNAPSHOT, another)
    assert failed.fingerprint == f"ebs:111122223333|eu-central-1|copySnapshot|{ORIGIN}"
    assert failed.console_url == f"{PAGE}SnapshotDetails:snapshotId=snap-0aa11bb22cc33dd44"


def test_a_snapshot_is_the_one_that_the_detail_names(mapped: Mapped) -> None:
    assert mapped("ebs-snapshot", {"resources": []}).resource == SNAPSHOT
    assert mapped("ebs-snapshot", {"detail.snapshot_id": ..., "resources": ["snap-1"]}).resource == "snap-1"


@pytest.mark.parametrize("source", [..., 111122223333, "111122223333"])
def test_a_snapshot_that_was_made_of_nothing_else_is_told_by_itself(mapped: Mapped, source: Any) -> None:
    event = mapped("ebs-snapshot", {"detail.source": source, "detail.event": "shareSnapshot"})
    assert event.fingerprint == f"ebs:111122223333|eu-central-1|shareSnapshot|{SNAPSHOT}"


def test_the_snapshots_of_several_volumes_are_told_by_the_volumes_in_any_order(mapped: Mapped) -> None:
    made = [{"source": f"arn:aws:ec2::eu-central-1:volume/vol-0{n}", "snapshot_id": f"snap-1{n}"} for n in (2, 1)]
    again = mapped("ebs-snapshots", {"detail.snapshots": made, "resources": ["snap-12", "snap-11"]})
    assert again.fingerprint == mapped("ebs-snapshots").fingerprint
    other = mapped("ebs-snapshots", {"detail.snapshots": made[:1]})
    assert other.fingerprint != again.fingerprint


@pytest.mark.parametrize(
    ("fixture", "changes", "reason"),
    [
        ("ec2-instance", {"detail.state": ...}, "state is missing"),
        ("ec2-instance", {"detail.state": 16}, "state is not a string but of type int"),
        ("ec2-instance", {"detail": {"instance_id": INSTANCE, "state": "running"}}, "instance-id is missing"),
        ("ebs-volume", {"resources": []}, "resources is empty"),
        ("ebs-volume", {"detail.event": ...}, "event is missing"),
        ("ebs-volume", {"detail.result": ...}, "result is missing"),
        ("ebs-snapshot", {"detail.snapshot_id": ["snap"]}, "snapshot_id is not a string but of type list"),
        ("ebs-snapshots", {"detail.snapshots": ["snap"]}, "snapshots is not a list of objects"),
        ("ec2-instance", {"detail-type": "EC2 AMI State Change"}, "no mapper for this detail-type of aws.ec2"),
    ],
)
def test_an_odd_message_is_generic_with_the_reason(
    mapped: Mapped, fixture: str, changes: dict[str, Any], reason: str
) -> None:
    event = mapped(fixture, changes)
    assert event.fingerprint.startswith("generic:")
    assert event.unmapped == (f"taken as generic: {reason}",)
