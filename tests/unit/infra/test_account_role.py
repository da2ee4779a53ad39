"""The role that teams deploy into their accounts, and what the deployment may assume."""

from pathlib import Path
from typing import Any

from ops import template

ROOT = Path(__file__).parents[3]
OURS: dict[str, Any] = template.load(ROOT / "infra" / "template.yaml")
THEIRS: dict[str, Any] = template.load(ROOT / "docs" / "account-role.yaml")


def statements(role: dict[str, Any]) -> list[dict[str, Any]]:
    return [s for policy in role["Properties"]["Policies"] for s in policy["PolicyDocument"]["Statement"]]


def test_only_the_write_function_assumes_roles_and_only_by_the_names_that_are_set() -> None:
    roles = {name: found for name, found in OURS["Resources"].items() if found["Type"] == "AWS::IAM::Role"}
    assuming = {
        name: s["Resource"] for name, role in roles.items() for s in statements(role) if "sts:" in str(s["Action"])
    }
    assert assuming == {"WriteApiRole": {"Fn::Sub": "arn:${AWS::Partition}:iam::*:role/${AssumableRoles}"}}
    assert OURS["Parameters"]["AssumableRoles"]["Default"] == "opsledger-*"


def test_the_role_trusts_one_role_and_only_with_the_external_id() -> None:
    (role,) = THEIRS["Resources"].values()
    (trust,) = role["Properties"]["AssumeRolePolicyDocument"]["Statement"]
    assert trust["Principal"] == {"AWS": {"Ref": "TrustedRoleArn"}}
    assert trust["Condition"] == {"StringEquals": {"sts:ExternalId": {"Ref": "ExternalId"}}}
    assert (trust["Effect"], trust["Action"]) == ("Allow", "sts:AssumeRole")


def test_the_role_fits_the_names_that_may_be_assumed_by_default_and_may_do_nothing() -> None:
    assert THEIRS["Parameters"]["RoleName"]["Default"].startswith("opsledger-")
    (role,) = THEIRS["Resources"].values()
    assert not role["Properties"].keys() & {"Policies", "ManagedPolicyArns"}
