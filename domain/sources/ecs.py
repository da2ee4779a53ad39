"""ECS: tasks, services and their deployments, container instances.

Source: the ECS developer guide, "Amazon ECS events".
"""

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from domain.sources import arn, console
from domain.sources.facts import Facts
from domain.sources.fingerprint import fingerprint
from domain.sources.mapping import State
from domain.sources.reading import UnreadableError, flag, instant, items, number, optional, text

if TYPE_CHECKING:
    from domain.sources.envelope import Envelope

SOURCE = "aws.ecs"

_FAILED_TASK = 2
_SERVICE = "service:"
"""How the group begins of a task that a service runs; the group of any other is its family."""

_KILLED, _TERMINATED = 137, 143
"""What a container exits with that ended by SIGKILL or SIGTERM, as every one does that is stopped from outside."""

_EVENT_TYPES = {"ERROR": (State.OPEN, 3), "WARN": (State.OPEN, 2), "INFO": (State.EVENT, 0)}
_OTHER_EVENT_TYPE = (State.EVENT, 0)
_WELL = frozenset({"SERVICE_STEADY_STATE", "SERVICE_DEPLOYMENT_COMPLETED"})

_HEALTH = {
    "OK": (State.RESOLVED, 0),
    "IMPAIRED": (State.OPEN, 2),
    "INSUFFICIENT_DATA": (State.NO_DATA, 0),
}
_OTHER_HEALTH = (State.EVENT, 0)


def version(detail: Mapping[str, Any]) -> Sequence[object] | None:
    """The task or container instance that a message is about, and its version; None if ECS tells no version.

    It grows with each state, and copies of one message share it (ECS developer guide, "Amazon ECS events").
    """
    about, counted = detail.get("taskArn") or detail.get("containerInstanceArn"), detail.get("version")
    return [about, counted] if isinstance(about, str) and type(counted) is int else None


def task(envelope: "Envelope") -> Facts:
    """A task is in another state. Its problem is its group's: the next task of a crashing service is another one."""
    detail = envelope.detail
    cluster, group, status = text(detail, "clusterArn"), text(detail, "group"), text(detail, "lastStatus")
    task_arn, reason = text(detail, "taskArn"), optional(detail, "stoppedReason")
    state = _task_state(detail, group, status)
    return Facts(
        title=f"{group} {status}: {reason}" if reason else f"{group} {status}",
        text=_containers(items(detail, "containers")),
        resource=task_arn,
        severity=_FAILED_TASK if state is State.OPEN else 0,
        state=state,
        status=status,
        fingerprint=fingerprint("ecs-tasks", cluster, group),
        # The version counts the states of one task; the tasks of a group can be put in order by time only.
        order=instant(detail, "updatedAt"),
        console_url=_page(envelope, cluster, "tasks", task_arn, "/details"),
    )


def service(envelope: "Envelope") -> Facts:
    """A service reached a steady state, could not place tasks, or a deployment of it began, ended or failed."""
    detail = envelope.detail
    if not envelope.resources:
        raise UnreadableError("resources holds no service ARN")
    service_arn = envelope.resources[0]
    name, reason = text(detail, "eventName"), optional(detail, "reason")
    state, severity = _EVENT_TYPES.get(text(detail, "eventType"), _OTHER_EVENT_TYPE)
    if name in _WELL:
        state = State.RESOLVED
    elif state is State.EVENT and name.endswith("_IN_PROGRESS"):
        state = State.IN_PROGRESS
    title = f"{_last(service_arn)} {name}"
    return Facts(
        title=f"{title}: {reason}" if reason else title,
        text=reason,
        resource=service_arn,
        severity=severity,
        state=state,
        status=name,
        fingerprint=fingerprint("ecs-service", service_arn),
        order=instant(detail, "updatedAt") or instant(detail, "createdAt"),
        console_url=_page(envelope, optional(detail, "clusterArn"), "services", service_arn, "/details"),
    )


def container_instance(envelope: "Envelope") -> Facts:
    """A container instance has other resources left, or lost its agent for a moment: mostly noise, so never a problem.

    What is wrong with one, ECS tells by a health change.
    """
    detail = envelope.detail
    instance, status = text(detail, "containerInstanceArn"), text(detail, "status")
    version = number(detail, "version")
    connected = "connected" if flag(detail, "agentConnected") else "not connected"
    return Facts(
        title=f"{_instance_name(detail, instance)} {status}, agent {connected}",
        resource=instance,
        severity=0,
        state=State.EVENT,
        status=status,
        fingerprint=fingerprint("ecs-instance", instance),
        order=None if version is None else int(version),
        console_url=_page(envelope, optional(detail, "clusterArn"), "containerInstances", instance),
    )


def container_instance_health(envelope: "Envelope") -> Facts:
    """A container instance became impaired, or well again."""
    detail = envelope.detail
    instance, status = text(detail, "containerInstanceArn"), text(detail, "overallStatus")
    state, severity = _HEALTH.get(status, _OTHER_HEALTH)
    checks = [
        ": ".join(filter(None, (optional(check, "type"), optional(check, "statusReason"))))
        for check in items(detail, "healthChecks")
        if optional(check, "status") == "IMPAIRED"
    ]
    return Facts(
        title=": ".join([f"{_instance_name(detail, instance)} {status}", *checks]),
        text="\n".join(checks) or None,
        resource=instance,
        severity=severity,
        state=state,
        status=status,
        # Not the fingerprint of the state changes: those are ordered by a version, and these have none.
        fingerprint=fingerprint("ecs-instance-health", instance),
        console_url=_page(envelope, optional(detail, "clusterArn"), "containerInstances", instance),
    )


def _task_state(detail: Mapping[str, Any], group: str, status: str) -> State:
    if status == "RUNNING":
        # Running alone says little: a task that crashes runs before it does.
        return State.RESOLVED if optional(detail, "healthStatus") == "HEALTHY" else State.EVENT
    if status != "STOPPED":
        return State.EVENT
    codes = _exit_codes(detail)
    # Without any exit code no container of it ever started.
    if any(codes) or optional(detail, "stopCode") == "TaskFailedToStart":
        return State.EVENT if _stopped_on_purpose(detail) else State.OPEN
    # A task of a service that ends says nothing of the others; of a job, it is the job that went well.
    done = bool(codes) and not group.startswith(_SERVICE)
    return State.RESOLVED if done else State.EVENT


def _stopped_on_purpose(detail: Mapping[str, Any]) -> bool:
    """Whether a person or the scaling of its service stopped it: its exit codes are no failure then."""
    asked = optional(detail, "stopCode") == "UserInitiated" or (optional(detail, "stoppedReason") or "").startswith(
        "Scaling activity initiated by"
    )
    return asked and all(code in {0, _KILLED, _TERMINATED} for code in _exit_codes(detail))


def _exit_codes(detail: Mapping[str, Any]) -> list[float]:
    codes = (number(container, "exitCode") for container in items(detail, "containers"))
    return [code for code in codes if code is not None]


def _containers(containers: Sequence[Mapping[str, Any]]) -> str | None:
    """A line for each container that ended."""
    lines = []
    for container in containers:
        code, reason = number(container, "exitCode"), optional(container, "reason")
        ended = f"exit code {code:.0f}" if code is not None else None
        said = ", ".join(filter(None, (ended, reason)))
        if said:
            lines.append(f"{optional(container, 'name') or 'container'}: {said}")
    return "\n".join(lines) or None


def _instance_name(detail: Mapping[str, Any], instance: str) -> str:
    return optional(detail, "ec2InstanceId") or _last(instance)


def _last(resource: str) -> str:
    """`web` of `arn:aws:ecs:R:A:service/shop/web`."""
    return resource.rpartition("/")[2]


def _page(envelope: "Envelope", cluster: str | None, kind: str, resource: str, tab: str = "") -> str | None:
    """The page of a part of a cluster. Newer ARNs hold the cluster's name; of older ones it stands in `clusterArn`."""
    where = arn.split(resource)
    steps = where.resource.split("/")
    name = _last(cluster) if cluster else steps[1] if len(steps) > 2 else None
    if name is None:
        return console.page(envelope.region, "ecs", "/clusters")
    path = f"/clusters/{console.encoded(name)}/{kind}/{console.encoded(steps[-1])}{tab}"
    return console.page(where.region or envelope.region, "ecs", path)
