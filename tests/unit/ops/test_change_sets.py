from typing import Any

import pytest
from rich.console import Console

from ops import change_sets
from ops.aws import SessionConfig
from ops.errors import OpsError

CONFIG = SessionConfig.local(1)
TEMPLATE = change_sets.TemplateSource(body="Resources: {}")


class CloudFormation:
    """Answers as told and remembers the change set that was asked for."""

    def __init__(self, stack: dict[str, Any] | None, *, status: str = "CREATE_COMPLETE", reason: str = "") -> None:
        self.stack = stack
        self.description = {"Status": status, "StatusReason": reason}
        self.request: dict[str, Any] = {}
        self.deleted = False

    def describe_stacks(self, **_: Any) -> dict[str, Any]:
        return {"Stacks": [self.stack] if self.stack else []}

    def create_change_set(self, **request: Any) -> dict[str, str]:
        self.request = request
        return {"Id": "arn"}

    def describe_change_set(self, **_: Any) -> dict[str, str]:
        return self.description

    def delete_change_set(self, **_: Any) -> None:
        self.deleted = True

    def get_paginator(self, _: str) -> "CloudFormation":
        return self

    def paginate(self, **_: Any) -> list[dict[str, Any]]:
        change = {"Action": "Modify", "LogicalResourceId": "Queue", "ResourceType": "AWS::SQS::Queue"}
        return [{"Changes": [{"ResourceChange": change}]}]


@pytest.fixture
def answer(monkeypatch: pytest.MonkeyPatch) -> Any:
    def use(cloudformation: CloudFormation) -> CloudFormation:
        monkeypatch.setattr(SessionConfig, "client", lambda *_: cloudformation)
        return cloudformation

    return use


def test_a_new_stack_is_created(answer: Any) -> None:
    made = answer(CloudFormation(None))
    prepared = change_sets.prepare(CONFIG, TEMPLATE, {"Stage": "local"}, known={"Stage", "LogLevel"})
    assert made.request["ChangeSetType"] == "CREATE"
    assert made.request["Parameters"] == [{"ParameterKey": "Stage", "ParameterValue": "local"}]
    assert prepared.creates_stack
    assert prepared.changes == [change_sets.Change("Modify", "Queue", "AWS::SQS::Queue", "")]


def test_a_parameter_that_is_not_set_keeps_its_value(answer: Any) -> None:
    had = [{"ParameterKey": name} for name in ("Stage", "LogLevel", "RemovedSince")]
    made = answer(CloudFormation({"StackStatus": "UPDATE_COMPLETE", "Parameters": had}))
    change_sets.prepare(CONFIG, TEMPLATE, {"Stage": "local"}, known={"Stage", "LogLevel", "New"})
    assert made.request["ChangeSetType"] == "UPDATE"
    assert {"ParameterKey": "LogLevel", "UsePreviousValue": True} in made.request["Parameters"]
    assert len(made.request["Parameters"]) == 2


def test_nothing_to_update_is_a_success(answer: Any) -> None:
    reason = "The submitted information didn't contain changes. Submit different information to create a change set."
    made = answer(CloudFormation({"StackStatus": "CREATE_COMPLETE"}, status="FAILED", reason=reason))
    assert not change_sets.prepare(CONFIG, TEMPLATE, {}, known=set()).needed
    assert made.deleted


def test_a_refused_template_tells_awss_reason(answer: Any) -> None:
    answer(CloudFormation(None, status="FAILED", reason="Template error: no such thing"))
    with pytest.raises(OpsError, match="no such thing"):
        change_sets.prepare(CONFIG, TEMPLATE, {}, known=set())


@pytest.mark.parametrize("status", ["ROLLBACK_COMPLETE", "CREATE_FAILED", "UPDATE_IN_PROGRESS"])
def test_a_stack_that_cannot_be_changed_is_left_alone(answer: Any, status: str) -> None:
    made = answer(CloudFormation({"StackStatus": status}))
    with pytest.raises(OpsError, match=status.lower().replace("_", " ")):
        change_sets.prepare(CONFIG, TEMPLATE, {}, known=set())
    assert not made.request


def test_the_table_shows_what_is_replaced() -> None:
    console = Console(width=120, record=True, quiet=False, file=None)
    with console.capture() as shown:
        console.print(
            change_sets.as_table([change_sets.Change("Modify", "EventsTable", "AWS::DynamoDB::Table", "True")])
        )
    for word in ("Modify", "EventsTable", "AWS::DynamoDB::Table", "True"):
        assert word in shown.get()
