"""The role that teams deploy into their accounts."""

import uuid
from pathlib import Path
from typing import Any

from tests.e2e.system import System, wait_for

TEMPLATE = Path(__file__).parents[2] / "docs" / "account-role.yaml"


def make_role(system: System, name: str, external_id: str) -> str:
    """Deploy the template that teams deploy; returns the role's ARN."""
    cloudformation = system.client("cloudformation")
    stack = f"role-{uuid.uuid4().hex[:8]}"
    own = cloudformation.describe_stacks(StackName=system.status.stack_name)["Stacks"][0]["Outputs"]
    outputs = {output["OutputKey"]: output["OutputValue"] for output in own}
    given = {
        "TrustedRoleArn": outputs["WriteApiRoleArn"],
        "LogQueryRoleArn": outputs["LogQueryRoleArn"],
        "ExternalId": external_id,
        "RoleName": name,
    }
    cloudformation.create_stack(
        StackName=stack,
        TemplateBody=TEMPLATE.read_text(),
        Capabilities=["CAPABILITY_NAMED_IAM"],
        Parameters=[{"ParameterKey": key, "ParameterValue": value} for key, value in given.items()],
    )

    def described() -> dict[str, Any]:
        (found,) = cloudformation.describe_stacks(StackName=stack)["Stacks"]
        return dict(found)

    made = wait_for(described, lambda found: found["StackStatus"] == "CREATE_COMPLETE")
    return str(made["Outputs"][0]["OutputValue"])
