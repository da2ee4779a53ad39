"""The role that teams deploy into their accounts, and what the deployment may assume."""

from pathlib import Path
from typing import Any

from ops import template

ROOT = Path(__file__).parents[3]
OURS: dict[str, Any] = template.load(ROOT / "infra" / "template.yaml")
THEIRS: dict[str, Any] = template.load(ROOT / "docs" / "account-role.yaml")


def statements(role: dict[str, Any]) -> list[dict[str, Any]]:
    return [s for policy in role["Properties"]["Policies"] for s in policy["PolicyDocument"]["Statement"]]


def test_only_what_reaches_accounts_assumes_roles_and_only_by_the_names_that_are_set() -> None:
    roles = {name: found for name, found in OURS["Resources"].items() if found["Type"] == "AWS::IAM::Role"}
    assuming = {
        name: s["Resource"] for name, role in roles.items() for s in statements(role) if "sts:" in str(s["Action"])
    }
    named = {"Fn::Sub": "arn:${AWS::Partition}:iam::*:role/${AssumableRoles}"}
    assert assuming == {"WriteApiRole": named, "LogQueryRole": named}
    assert OURS["Parameters"]["AssumableRoles"]["Default"] == "opsledger-*"


def test_the_role_trusts_these_two_roles_and_only_with_the_external_id() -> None:
    (role,) = THEIRS["Resources"].values()
    (trust,) = role["Properties"]["AssumeRolePolicyDocument"]["Statement"]
    assert trust["Principal"] == {"AWS": [{"Ref": "TrustedRoleArn"}, {"Ref": "LogQueryRoleArn"}]}
    assert trust["Condition"] == {"StringEquals": {"sts:ExternalId": {"Ref": "ExternalId"}}}
    assert (trust["Effect"], trust["Action"]) == ("Allow", "sts:AssumeRole")


def test_the_role_fits_the_names_that_may_be_assumed_by_default_and_may_search_logs_only() -> None:
    assert THEIRS["Parameters"]["RoleName"]["Default"].startswith("opsledger-")
    (role,) = THEIRS["Resources"].values()
    assert "ManagedPolicyArns" not in role["Properties"]
    searching, reading = statements(role)
    assert searching["Action"] == "logs:StartQuery"
    assert searching["Resource"]["Fn::Sub"].endswith(":log-group:${LogGroups}")
    assert (reading["Action"], reading["Resource"]) == (["logs:GetQueryResults", "logs:StopQuery"], "*")
