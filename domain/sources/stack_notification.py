"""What CloudFormation writes to the SNS topics of a stack: lines of `Name='value'`, one message for each stack event.

Source: the CloudFormation user guide, "Setting CloudFormation stack options" (notification options).
"""

import re
from typing import Any

from domain.sources import arn
from domain.sources.moments import moment

_STACK = "AWS::CloudFormation::Stack"

# A line at a time, and a value up to the line's last quote: values hold quotes, and strangers write some of them.
_LINE = re.compile(r"([A-Za-z]+)='(.*)'")


def is_one(text: str) -> bool:
    return text.startswith("StackId='")


def opened(text: str) -> dict[str, Any]:
    """A message of EventBridge's shape; `detail` holds what was told under `notification` too.

    It has no id, and `time` is in whole seconds: so EventBridge has it, and the order of a stack's messages must be
    the same by either way.
    """
    told = {found[1]: found[2] for line in text.splitlines() if (found := _LINE.fullmatch(line.strip()))}
    stack_id, when = told.get("StackId", ""), moment(told.get("Timestamp", ""))
    of_stack = told.get("ResourceType") == _STACK and told.get("PhysicalResourceId") == stack_id
    resource = {
        "logical-resource-id": told.get("LogicalResourceId"),
        "physical-resource-id": told.get("PhysicalResourceId"),
        "resource-type": told.get("ResourceType"),
    }
    return {
        "source": "aws.cloudformation",
        "detail-type": f"CloudFormation {'Stack' if of_stack else 'Resource'} Status Change",
        "account": arn.split(stack_id).account,
        "time": when.replace(microsecond=0).isoformat() if when else None,
        "region": arn.split(stack_id).region,
        "resources": [stack_id] if stack_id else [],
        "detail": {
            "stack-id": stack_id,
            "status-details": {
                "status": told.get("ResourceStatus"),
                "status-reason": told.get("ResourceStatusReason"),
            },
            "client-request-token": told.get("ClientRequestToken"),
            "notification": told,
        }
        | ({} if of_stack else resource),
    }
