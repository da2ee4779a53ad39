"""EC2 and EBS: states of instances, notices to Spot instances, what became of volumes and snapshots.

Source: the EC2 user guide ("State change events for your instances", "Spot Instance interruption notices", "Rebalance
recommendations") and the EBS user guide ("Amazon EventBridge events for Amazon EBS").
"""

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from domain.sources import arn, console
from domain.sources.facts import Facts
from domain.sources.fingerprint import fingerprint
from domain.sources.mapping import State
from domain.sources.reading import UnreadableError, items, optional, text, value

if TYPE_CHECKING:
    from domain.sources.envelope import Envelope

# A stopped instance may be what somebody wants: a note. That it is well is told by its status checks, not by this.
_INSTANCE = {"running": (State.RESOLVED, 0), "stopped": (State.EVENT, 1), "terminated": (State.EVENT, 1)}
_OTHER_STATE = (State.EVENT, 0)

_SPOT_INTERRUPTION = 2
_REBALANCE = 1

_RESULTS = {
    "failed": (State.OPEN, 2),
    "succeeded": (State.RESOLVED, 0),
    "available": (State.RESOLVED, 0),
    "completed": (State.RESOLVED, 0),
    "deleted": (State.RESOLVED, 0),
    "modifying": (State.IN_PROGRESS, 0),
    "optimizing": (State.IN_PROGRESS, 0),
}
_OTHER_RESULT = (State.EVENT, 0)


def instance_state(envelope: "Envelope") -> Facts:
    """An instance is in another state."""
    state = text(envelope.detail, "state")
    return _of_instance(envelope, state, *_INSTANCE.get(state, _OTHER_STATE), status=state)


def spot_interruption(envelope: "Envelope") -> Facts:
    """A Spot instance is taken away in two minutes. Nothing ever ends that, so it is an event and no problem."""
    action = optional(envelope.detail, "instance-action")
    what = f"Spot interruption: {action}" if action else "Spot interruption"
    return _of_instance(envelope, what, State.EVENT, _SPOT_INTERRUPTION, status=action)


def rebalance_recommendation(envelope: "Envelope") -> Facts:
    """A Spot instance is more likely to be taken away than others."""
    return _of_instance(envelope, "Spot rebalance recommendation", State.EVENT, _REBALANCE)


def volume(envelope: "Envelope") -> Facts:
    """An operation on a volume ended, well or not."""
    affected = _first_resource(envelope)
    return _of_ebs(envelope, affected, (affected,), f"VolumeDetails:volumeId={_encoded_id(affected)}")


def snapshot(envelope: "Envelope") -> Facts:
    """An operation on a snapshot ended, well or not."""
    affected = optional(envelope.detail, "snapshot_id") or _first_resource(envelope)
    # A new attempt makes a new snapshot: what was copied is what a failure and a later success have in common.
    return _of_ebs(envelope, affected, (_origin(envelope.detail) or affected,), _snapshot_page(affected))


def multi_volume_snapshots(envelope: "Envelope") -> Facts:
    """The snapshots of all volumes of an instance were made, or were not."""
    affected = _first_resource(envelope)
    origins = sorted(filter(None, (_origin(made) for made in items(envelope.detail, "snapshots"))))
    return _of_ebs(envelope, affected, tuple(origins) or (affected,), _snapshot_page(affected))


def _of_instance(envelope: "Envelope", what: str, state: State, severity: int, *, status: str | None = None) -> Facts:
    instance = text(envelope.detail, "instance-id")
    return Facts(
        title=f"{instance} {what}",
        resource=instance,
        severity=severity,
        state=state,
        status=status,
        fingerprint=fingerprint("ec2", envelope.account, envelope.region, instance),
        console_url=console.page(envelope.region, "ec2", f"InstanceDetails:instanceId={console.encoded(instance)}"),
    )


def _of_ebs(envelope: "Envelope", affected: str, about: tuple[str, ...], page: str) -> Facts:
    detail = envelope.detail
    operation, result = text(detail, "event"), text(detail, "result")
    cause = optional(detail, "cause")
    state, severity = _RESULTS.get(result, _OTHER_RESULT)
    title = f"{_id(affected)} {operation} {result}"
    return Facts(
        title=f"{title}: {cause}" if cause else title,
        text=cause,
        resource=affected,
        severity=severity,
        state=state,
        status=result,
        fingerprint=fingerprint("ebs", envelope.account, envelope.region, operation, *about),
        console_url=console.page(envelope.region, "ec2", page),
    )


def _first_resource(envelope: "Envelope") -> str:
    if not envelope.resources:
        raise UnreadableError("resources is empty")
    return envelope.resources[0]


def _origin(detail: Mapping[str, Any]) -> str | None:
    """The volume or snapshot that a snapshot was made of. When one is shared, an account number stands there."""
    source = value(detail, "source")
    return source if isinstance(source, str) and source.startswith("arn:") else None


def _snapshot_page(affected: str) -> str:
    return f"SnapshotDetails:snapshotId={_encoded_id(affected)}"


def _id(affected: str) -> str:
    """`vol-01` of `arn:aws:ec2:R:A:volume/vol-01`."""
    return arn.split(affected).resource.rpartition("/")[2]


def _encoded_id(affected: str) -> str:
    return console.encoded(_id(affected))
