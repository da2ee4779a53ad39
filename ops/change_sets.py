"""CloudFormation change sets: make one, show it, carry it out, say in plain words why it failed."""

import time
from collections.abc import Callable, Collection, Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from rich.table import Table

from ops import stack_events
from ops.aws import SessionConfig
from ops.errors import OpsError

CAPABILITIES = ["CAPABILITY_IAM", "CAPABILITY_NAMED_IAM", "CAPABILITY_AUTO_EXPAND"]

_NEW = {None, "REVIEW_IN_PROGRESS"}
_NO_CHANGES = ("didn't contain changes", "no updates are to be performed")

CREATE_SECONDS = 120.0


@dataclass(frozen=True)
class Change:
    """One line of a change set. `replacement` is `True`, `False`, `Conditional`, or empty where it means nothing."""

    action: str
    logical_id: str
    type: str
    replacement: str


@dataclass(frozen=True)
class ChangeSet:
    """What a deployment would do to the stack.

    Attributes:
        arn: its name for CloudFormation.
        changes: of resources. There may be none although there is something to do: an output that is new, say.
        needed: whether there is anything to carry out.
        creates_stack: whether there is no stack yet.
        parameters: as they were given to CloudFormation.
    """

    arn: str
    changes: list[Change]
    needed: bool
    creates_stack: bool
    parameters: list[dict[str, Any]]


@dataclass(frozen=True)
class TemplateSource:
    """The template, in the request or by its address."""

    body: str | None = None
    url: str | None = None

    def arguments(self) -> dict[str, str]:
        """As boto3 wants it."""
        return {"TemplateURL": self.url} if self.url else {"TemplateBody": self.body or ""}


def prepare(
    config: SessionConfig, template: TemplateSource, parameters: Mapping[str, str], *, known: Collection[str]
) -> ChangeSet:
    """Make a change set for the stack, new or existing.

    Args:
        config: where.
        template: what the stack is to become.
        parameters: values to set.
        known: names of the template's parameters. One that is not set keeps the value it has in the stack;
            CloudFormation by itself would put the default back.

    Raises:
        OpsError: the stack is in no state to be changed, or CloudFormation refuses the template.
    """
    cloudformation = config.client("cloudformation")
    existing = stack_events.describe_stack(config)
    status = existing["StackStatus"] if existing else None
    _refuse_unchangeable(config, status)
    had = {parameter["ParameterKey"] for parameter in (existing or {}).get("Parameters", [])}
    values: list[dict[str, Any]] = [
        *({"ParameterKey": name, "ParameterValue": value} for name, value in sorted(parameters.items())),
        *({"ParameterKey": name, "UsePreviousValue": True} for name in sorted((had & set(known)) - set(parameters))),
    ]
    made = cloudformation.create_change_set(
        StackName=config.stack_name,
        ChangeSetName=f"opsledger-{time.time_ns()}",
        ChangeSetType="CREATE" if status in _NEW else "UPDATE",
        Capabilities=CAPABILITIES,
        Parameters=values,
        Tags=[{"Key": "application", "Value": "opsledger"}, {"Key": "stage", "Value": config.stage}],
        **template.arguments(),
    )
    arn = made["Id"]

    def described() -> dict[str, Any] | None:
        answer: dict[str, Any] = cloudformation.describe_change_set(ChangeSetName=arn)
        return answer if answer["Status"] in {"CREATE_COMPLETE", "FAILED"} else None

    answer = stack_events.poll(config, described, CREATE_SECONDS, "making the change set")
    if answer["Status"] == "FAILED":
        reason = answer.get("StatusReason", "")
        cloudformation.delete_change_set(ChangeSetName=arn)
        if not any(phrase in reason.lower() for phrase in _NO_CHANGES):
            raise OpsError(f"CloudFormation refuses the change: {reason or 'it gives no reason'}")
        return ChangeSet(arn, [], needed=False, creates_stack=False, parameters=values)
    return ChangeSet(
        arn, [*_changes(cloudformation, arn)], needed=True, creates_stack=status in _NEW, parameters=values
    )


def execute(config: SessionConfig, change_set: ChangeSet, progress: Callable[[str], None]) -> None:
    """Carry the change set out and wait for the end.

    Args:
        config: where.
        change_set: what.
        progress: is told what finished, one resource a call.

    Raises:
        OpsError: it failed; with the resources that failed and AWS's reason.
    """
    cloudformation = config.client("cloudformation")
    stack_events.follow(config, lambda: cloudformation.execute_change_set(ChangeSetName=change_set.arn), progress)


def discard(config: SessionConfig, change_set: ChangeSet) -> None:
    """Delete a change set that nobody wants; with it the empty stack that it would have filled."""
    cloudformation = config.client("cloudformation")
    cloudformation.delete_change_set(ChangeSetName=change_set.arn)
    if change_set.creates_stack:
        cloudformation.delete_stack(StackName=config.stack_name)


def as_table(changes: Iterable[Change]) -> Table:
    """The change set for a person: what is added, changed, replaced or removed."""
    table = Table(title="What the deployment changes", title_justify="left")
    for heading in ("action", "resource", "type", "replacement"):
        table.add_column(heading, overflow="fold")
    colours = {"Add": "green", "Modify": "yellow", "Remove": "red"}
    for change in changes:
        risky = change.replacement in {"True", "Conditional"} or change.action == "Remove"
        colour = "bold red" if risky else colours.get(change.action, "white")
        table.add_row(f"[{colour}]{change.action}[/]", change.logical_id, change.type, change.replacement)
    return table


def _refuse_unchangeable(config: SessionConfig, status: str | None) -> None:
    if status == "ROLLBACK_COMPLETE" or status in {"CREATE_FAILED", "DELETE_FAILED", "ROLLBACK_FAILED"}:
        raise OpsError(
            f"the stack {config.stack_name} was never completed ({stack_events.in_words(status)})",
            "Delete it and deploy again"
            + (": `opsledger down --wipe`" if config.is_local else ": aws cloudformation delete-stack --stack-name ")
            + ("" if config.is_local else config.stack_name),
        )
    if status is not None and status.endswith("_IN_PROGRESS") and status != "REVIEW_IN_PROGRESS":
        raise OpsError(
            f"the stack {config.stack_name} is just being changed ({stack_events.in_words(status)})",
            "Try again later" + ("; if it stays so: `opsledger down --wipe`" if config.is_local else ""),
        )


def _changes(cloudformation: Any, arn: str) -> Iterable[Change]:
    for page in cloudformation.get_paginator("describe_change_set").paginate(ChangeSetName=arn):
        for change in page["Changes"]:
            resource = change["ResourceChange"]
            yield Change(
                resource["Action"],
                resource["LogicalResourceId"],
                resource["ResourceType"],
                resource.get("Replacement") or "",
            )
