"""The resources of infra/template.yaml, and who mentions whom in it."""

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from ops import template

ROOT = Path(__file__).parents[3]

TEMPLATE = template.load(ROOT / "infra" / "template.yaml")
RESOURCES: dict[str, dict[str, Any]] = TEMPLATE["Resources"]
GLOBALS: dict[str, Any] = TEMPLATE["Globals"]["Function"]
GLOBAL_VARIABLES: dict[str, Any] = GLOBALS["Environment"]["Variables"]


def of_type(kind: str) -> dict[str, dict[str, Any]]:
    return {name: resource["Properties"] for name, resource in RESOURCES.items() if resource["Type"] == kind}


FUNCTIONS = of_type("AWS::Serverless::Function")
QUEUES = of_type("AWS::SQS::Queue")
ROLES = of_type("AWS::IAM::Role")


def listed(value: Any) -> list[Any]:
    return value if isinstance(value, list) else [value]


def attribute_of(value: Any) -> str:
    """The logical id in a `!GetAtt`."""
    name = value["Fn::GetAtt"][0]
    assert isinstance(name, str)
    return name


def mentions(value: Any, logical_id: str) -> bool:
    """Whether `!Ref`, `!GetAtt` or `${…}` of this resource stands anywhere in a value."""
    if isinstance(value, dict):
        if value.get("Ref") == logical_id or value.get("Fn::GetAtt", [None])[0] == logical_id:
            return True
        return any(mentions(inner, logical_id) for inner in value.values())
    if isinstance(value, list):
        return any(mentions(inner, logical_id) for inner in value)
    return isinstance(value, str) and re.search(rf"\$\{{{logical_id}[.}}]", value) is not None


def statements(role: str) -> Iterator[tuple[list[str], list[Any]]]:
    """Actions and resources of each statement of a role."""
    for policy in ROLES[role]["Policies"]:
        for statement in policy["PolicyDocument"]["Statement"]:
            assert statement["Effect"] == "Allow"
            yield listed(statement["Action"]), listed(statement["Resource"])


def variables(function: str) -> dict[str, Any]:
    own: dict[str, Any] = FUNCTIONS[function].get("Environment", {}).get("Variables", {})
    return {**GLOBAL_VARIABLES, **own}
