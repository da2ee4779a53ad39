"""Calling a deployed function."""

import json
from typing import Any

from ops.aws import SessionConfig, as_ops_error
from ops.errors import OpsError


def invoke(config: SessionConfig, function: str, payload: Any) -> Any:
    """Call a function, wait for it, and give what it answers.

    Args:
        function: its name or ARN.

    Raises:
        OpsError: it failed, or could not be called.
    """
    from botocore.exceptions import BotoCoreError, ClientError  # noqa: PLC0415

    try:
        answer = config.client("lambda").invoke(FunctionName=function, Payload=json.dumps(payload).encode())
    except (BotoCoreError, ClientError) as error:
        raise as_ops_error(error) from error
    told = json.loads(answer["Payload"].read() or b"null")
    if "FunctionError" in answer:
        reason = told.get("errorMessage") if isinstance(told, dict) else None
        name = function.rpartition(":")[2].removeprefix(f"{config.stack_name}-")
        raise OpsError(f"the function {name} failed ({reason or 'without a reason'})", f"`opsledger logs {name}` tells")
    return told
