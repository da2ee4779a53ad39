"""ECS, as the field map says."""

from collections.abc import Callable
from typing import Any
from uuid import UUID

import pytest

from domain.sources.envelope import delivery_uuid, read
from domain.sources.mapping import MappedEvent, State

Mapped = Callable[..., MappedEvent]
Message = Callable[..., dict[str, Any]]

CLUSTER = "arn:aws:ecs:eu-central-1:111122223333:cluster/shop"
SERVICE = "arn:aws:ecs:eu-central-1:111122223333:service/shop/web"
INSTANCE = "arn:aws:ecs:eu-central-1:111122223333:container-instance/shop/0f1e2d3c4b5a69788796a5b4c3d2e1f0"
PAGE = "https://console.aws.amazon.com/ecs/home?region=eu-central-1#/clusters"


def containers(*codes: int | None) -> list[dict[str, Any]]:
    return [{"name": "web"} if code is None else {"name": "web", "exitCode": code} for code in codes]


@pytest.mark.parametrize(
    ("changes", "state", "severity"),
    [
        ({}, State.OPEN, 2),
        ({"detail.containers": containers(0, 255)}, State.OPEN, 2),
        ({"detail.containers": containers(0, 0)}, State.EVENT, 0),
        ({"detail.containers": containers(0, 0), "detail.group": "family:nightly"}, State.RESOLVED, 0),
        ({"detail.containers": containers(0, 1), "detail.group": "family:nightly"}, State.OPEN, 2),
        ({"detail.containers": containers(None), "detail.group": "family:nightly"}, State.EVENT, 0),
        ({"detail.containers": containers(None), "detail.stopCode": "TaskFailedToStart"}, State.OPEN, 2),
        ({"detail.lastStatus": "RUNNING"}, State.EVENT, 0),
        ({"detail.lastStatus": "RUNNING", "detail.healthStatus": "HEALTHY"}, State.RESOLVED, 0),
        ({"detail.lastStatus": "DEPROVISIONING"}, State.EVENT, 0),
        ({"detail.lastStatus": "PENDING", "detail.containers": ...}, State.EVENT, 0),
    ],
)
def test_what_a_task_says_of_its_group(mapped: Mapped, changes: dict[str, Any], state: State, severity: int) -> None:
    event = mapped("ecs-task", changes)
    assert (event.state, event.severity) == (state, severity)
    assert event.unmapped == ()


def test_a_problem_is_the_groups_and_not_the_tasks(mapped: Mapped) -> None:
    another = "arn:aws:ecs:eu-central-1:111122223333:task/shop/0123"
    first, second = mapped("ecs-task"), mapped("ecs-task", {"detail.taskArn": another, "resources": [another]})
    assert first.fingerprint == second.fingerprint == f"ecs-tasks:{CLUSTER}|service:web"
    assert mapped("ecs-task", {"detail.group": "service:api"}).fingerprint != first.fingerprint
    assert mapped("ecs-task", {"detail.clusterArn": f"{CLUSTER}2"}).fingerprint != first.fingerprint


def test_tasks_are_ordered_by_time_since_the_version_counts_the_states_of_one(mapped: Mapped) -> None:
    crashed = mapped("ecs-task", {"detail.version": 9})
    well = mapped(
        "ecs-task",
        {
            "detail.taskArn": "arn:aws:ecs:eu-central-1:111122223333:task/shop/next",
            "detail.lastStatus": "RUNNING",
            "detail.healthStatus": "HEALTHY",
            "detail.version": 4,
            "detail.updatedAt": "2026-03-12T10:08:00Z",
        },
    )
    assert crashed.order == 1773309933441
    assert well.order > crashed.order


@pytest.mark.parametrize(
    ("changes", "state"),
    [
        ({"detail.stopCode": "UserInitiated", "detail.containers": containers(143, 0)}, State.EVENT),
        ({"detail.stopCode": "UserInitiated", "detail.containers": containers(1)}, State.OPEN),
        (
            {
                "detail.stopCode": "ServiceSchedulerInitiated",
                "detail.stoppedReason": "Scaling activity initiated by (deployment ecs-svc/1)",
                "detail.containers": containers(137),
            },
            State.EVENT,
        ),
        (
            {
                "detail.stopCode": "ServiceSchedulerInitiated",
                "detail.stoppedReason": "Task failed ELB health checks in (target-group web)",
                "detail.containers": containers(137),
            },
            State.OPEN,
        ),
    ],
)
def test_a_task_that_was_stopped_on_purpose_is_no_problem(
    mapped: Mapped, changes: dict[str, Any], state: State
) -> None:
    event = mapped("ecs-task", changes)
    assert (event.state, event.severity) == (state, 2 if state is State.OPEN else 0)


@pytest.mark.parametrize("fixture", ["ecs-task", "ecs-instance"])
def test_copies_of_one_version_are_deliveries_of_one_message(message: Message, fixture: str) -> None:
    def identity(changes: dict[str, Any]) -> UUID:
        return delivery_uuid(read(message(fixture, changes)))

    about = "detail.taskArn" if fixture == "ecs-task" else "detail.containerInstanceArn"
    copy = {"id": "another", "time": "2026-03-12T10:05:39Z"}
    assert identity(copy) == identity({})
    assert identity({"detail.version": 5}) != identity({})
    assert identity({about: "arn:aws:ecs:eu-central-1:111122223333:task/shop/other"}) != identity({})
    assert identity({"detail-type": "ECS Something Else"}) != identity({})
    no_versions: list[Any] = [..., None, True, "6", 6.5, [], {}]
    for odd in [*({"detail.version": value} for value in no_versions), {about: ...}, {about: 7}]:
        assert identity({**copy, **odd}) != identity(odd)


def test_a_task_by_its_group_with_the_reasons(mapped: Mapped) -> None:
    event = mapped("ecs-task")
    assert event.title == "service:web STOPPED: Essential container in task exited"
    assert event.text == (
        "web: exit code 1, OutOfMemoryError: Container killed due to memory usage\nproxy: exit code 0"
    )
    assert event.resource == "arn:aws:ecs:eu-central-1:111122223333:task/shop/9a8b7c6d5e4f40312233445566778899"
    assert event.console_url == f"{PAGE}/shop/tasks/9a8b7c6d5e4f40312233445566778899/details"


@pytest.mark.parametrize(
    ("name", "kind", "state", "severity"),
    [
        ("SERVICE_TASK_PLACEMENT_FAILURE", "ERROR", State.OPEN, 3),
        ("SERVICE_DEPLOYMENT_FAILED", "ERROR", State.OPEN, 3),
        ("SERVICE_TASK_START_IMPAIRED", "WARN", State.OPEN, 2),
        ("SERVICE_STEADY_STATE", "INFO", State.RESOLVED, 0),
        ("SERVICE_DEPLOYMENT_COMPLETED", "INFO", State.RESOLVED, 0),
        ("SERVICE_DEPLOYMENT_IN_PROGRESS", "INFO", State.IN_PROGRESS, 0),
        ("SERVICE_DESIRED_COUNT_UPDATED", "INFO", State.EVENT, 0),
        ("CAPACITY_PROVIDER_STEADY_STATE", "INFO", State.EVENT, 0),
        ("SOMETHING_NEW", "LOUD", State.EVENT, 0),
    ],
)
@pytest.mark.parametrize("fixture", ["ecs-service", "ecs-deployment"])
def test_what_a_service_says(
    mapped: Mapped, fixture: str, *, name: str, kind: str, state: State, severity: int
) -> None:
    event = mapped(fixture, {"detail.eventName": name, "detail.eventType": kind})
    assert (event.state, event.severity, event.status) == (state, severity, name)
    assert event.fingerprint == f"ecs-service:{SERVICE}"


def test_a_service_by_its_name_with_the_reason_and_its_own_time(mapped: Mapped) -> None:
    action, deployment = mapped("ecs-service"), mapped("ecs-deployment")
    assert action.title == "web SERVICE_TASK_PLACEMENT_FAILURE: RESOURCE:FARGATE"
    assert (action.order, deployment.order) == (1773310021118, 1773310798000)
    assert action.resource == SERVICE
    assert action.console_url == deployment.console_url == f"{PAGE}/shop/services/web/details"


@pytest.mark.parametrize(("cluster", "page"), [(CLUSTER, f"{PAGE}/shop/services/w%23b/details"), (..., PAGE)])
def test_an_older_arn_does_not_hold_the_name_of_the_cluster(mapped: Mapped, cluster: Any, page: str) -> None:
    older = "arn:aws:ecs:eu-central-1:111122223333:service/w#b"
    assert mapped("ecs-service", {"resources": [older], "detail.clusterArn": cluster}).console_url == page


def test_a_container_instance_is_noise_in_the_order_of_its_versions(mapped: Mapped) -> None:
    event = mapped("ecs-instance")
    assert (event.state, event.severity, event.order) == (State.EVENT, 0, 14801)
    assert event.title == "i-0123456789abcdef0 ACTIVE, agent not connected"
    assert event.fingerprint == f"ecs-instance:{INSTANCE}"
    assert event.console_url == f"{PAGE}/shop/containerInstances/0f1e2d3c4b5a69788796a5b4c3d2e1f0"
    assert mapped("ecs-instance", {"detail.agentConnected": True}).title.endswith("agent connected")


@pytest.mark.parametrize(
    ("status", "state", "severity"),
    [
        ("IMPAIRED", State.OPEN, 2),
        ("OK", State.RESOLVED, 0),
        ("INSUFFICIENT_DATA", State.NO_DATA, 0),
        ("INITIALIZING", State.EVENT, 0),
    ],
)
def test_the_health_of_a_container_instance(mapped: Mapped, status: str, state: State, severity: int) -> None:
    event = mapped("ecs-instance-health", {"detail.overallStatus": status})
    assert (event.state, event.severity) == (state, severity)
    assert event.fingerprint == f"ecs-instance-health:{INSTANCE}"


def test_an_impaired_container_instance_with_what_is_wrong(mapped: Mapped) -> None:
    event = mapped("ecs-instance-health")
    assert event.title == "i-0123456789abcdef0 IMPAIRED: CONTAINER_RUNTIME: Docker does not answer"
    assert event.text == "CONTAINER_RUNTIME: Docker does not answer"
    well = mapped("ecs-instance-health", {"detail.overallStatus": "OK", "detail.healthChecks": [{"status": "OK"}]})
    assert (well.title, well.text) == ("i-0123456789abcdef0 OK", None)


@pytest.mark.parametrize(
    ("fixture", "changes", "reason"),
    [
        ("ecs-task", {"detail.clusterArn": ...}, "clusterArn is missing"),
        ("ecs-task", {"detail.group": ...}, "group is missing"),
        ("ecs-task", {"detail.lastStatus": ...}, "lastStatus is missing"),
        ("ecs-task", {"detail.taskArn": ...}, "taskArn is missing"),
        ("ecs-task", {"detail.containers": [{"exitCode": "one"}]}, "exitCode is not a number: 'one'"),
        ("ecs-task", {"detail.containers": {}}, "containers is not a list of objects"),
        ("ecs-service", {"resources": []}, "resources holds no service ARN"),
        ("ecs-service", {"detail.eventName": ...}, "eventName is missing"),
        ("ecs-service", {"detail.eventType": ...}, "eventType is missing"),
        ("ecs-instance", {"detail.containerInstanceArn": ...}, "containerInstanceArn is missing"),
        ("ecs-instance", {"detail.version": "x"}, "version is not a number: 'x'"),
        ("ecs-instance-health", {"detail.overallStatus": ...}, "overallStatus is missing"),
        ("ecs-service", {"detail-type": "ECS Hook State Change"}, "no mapper for this detail-type of aws.ecs"),
    ],
)
def test_an_odd_message_is_generic_with_the_reason(
    mapped: Mapped, fixture: str, changes: dict[str, Any], reason: str
) -> None:
    event = mapped(fixture, changes)
    assert event.fingerprint.startswith("generic:")
    assert event.unmapped == (f"taken as generic: {reason}",)
