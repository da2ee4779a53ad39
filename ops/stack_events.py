"""A CloudFormation stack while it changes: waiting for the end, and telling in plain words why it failed."""

import time
from collections.abc import Callable
from typing import Any, TypeVar

from ops.aws import SessionConfig
from ops.errors import OpsError

_Found = TypeVar("_Found")

_CONSEQUENCE = ("cancelled", "canceled")
_STEADY_ENDINGS = ("_COMPLETE", "_FAILED")

EXECUTE_SECONDS = 1800.0


def describe_stack(config: SessionConfig) -> dict[str, Any] | None:
    """The stack as CloudFormation describes it; None when there is none."""
    from botocore.exceptions import ClientError  # noqa: PLC0415

    try:
        stacks: list[dict[str, Any]]
        stacks = config.client("cloudformation").describe_stacks(StackName=config.stack_name)["Stacks"]
    except ClientError as error:
        if "does not exist" in str(error):
            return None
        raise
    return stacks[0] if stacks else None


def follow(config: SessionConfig, begin: Callable[[], object], progress: Callable[[str], None]) -> None:
    """Begin something that changes the stack, and wait for its end.

    Args:
        config: where.
        begin: asks CloudFormation for the change.
        progress: is told what finished, one resource a call.

    Raises:
        OpsError: it failed; with the resources that failed and AWS's reason.
    """
    cloudformation = config.client("cloudformation")

    def events() -> list[dict[str, Any]]:
        # The latest hundred, newest first; enough between two looks.
        latest: list[dict[str, Any]]
        latest = cloudformation.describe_stack_events(StackName=config.stack_name)["StackEvents"]
        return latest

    known = {event["EventId"] for event in events()}
    begin()
    failures: list[str] = []

    def finished() -> str | None:
        # The stack's own event, not its status, which may still be that of the time before.
        ending = None
        for event in reversed([event for event in events() if event["EventId"] not in known]):
            known.add(event["EventId"])
            status = event["ResourceStatus"]
            if status.endswith(_STEADY_ENDINGS):
                progress(f"{event['LogicalResourceId']} {in_words(status)}")
                if event.get("PhysicalResourceId") == event["StackId"]:
                    ending = status
            if failure := _failure(event):
                failures.append(failure)
        return ending

    status = poll(config, finished, EXECUTE_SECONDS, "the deployment")
    if status not in {"CREATE_COMPLETE", "UPDATE_COMPLETE"}:
        reasons = "\n".join(f"  {failure}" for failure in failures) or "  CloudFormation names no resource"
        raise OpsError(
            f"the deployment of {config.stack_name} failed and was undone ({in_words(status)}):\n{reasons}",
            "Correct what is named above and deploy again",
        )


def in_words(status: str) -> str:
    """`UPDATE_ROLLBACK_COMPLETE` as a person would say it."""
    return status.lower().replace("_", " ")


def poll(config: SessionConfig, look: Callable[[], _Found | None], seconds: float, what: str) -> _Found:
    """Look until there is something to see.

    Raises:
        OpsError: there was nothing within that many seconds.
    """
    pause = 0.05 if config.is_local else 2.0
    deadline = time.monotonic() + seconds
    while (found := look()) is None:
        if time.monotonic() > deadline:
            raise OpsError(f"{what} did not end within {seconds:.0f} s", f"Look at the stack {config.stack_name}")
        time.sleep(pause)
    return found


def _failure(event: dict[str, Any]) -> str | None:
    reason = event.get("ResourceStatusReason", "")
    if not event["ResourceStatus"].endswith("_FAILED") or any(word in reason.lower() for word in _CONSEQUENCE):
        return None
    return f"{event['LogicalResourceId']} ({event['ResourceType']}): {reason or in_words(event['ResourceStatus'])}"
