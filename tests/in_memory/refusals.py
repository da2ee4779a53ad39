"""Answers that are errors, before a client makes its exceptions of them."""

from collections.abc import Mapping, Sequence
from typing import Any

from tests.in_memory.tables import Stored


class RefusalError(Exception):
    """An answer that is an error, by its code in the "Amazon DynamoDB API Reference"."""

    def __init__(self, code: str, message: str, **more: Any) -> None:
        super().__init__(code)
        self.code = code
        self.response: dict[str, Any] = {
            "Error": {"Code": code, "Message": message},
            "ResponseMetadata": {"HTTPStatusCode": 400, "HTTPHeaders": {}, "RetryAttempts": 0},
            **more,
        }


class ConditionFailedError(Exception):
    """A write's condition does not hold for what is stored; None where there is nothing."""

    def __init__(self, stored: Stored | None) -> None:
        super().__init__()
        self.stored = stored


def condition_failed(request: Mapping[str, Any], stored: Stored | None) -> RefusalError:
    message = "The conditional request failed"
    return RefusalError("ConditionalCheckFailedException", message, **old_item(request, stored))


def old_item(request: Mapping[str, Any], stored: Stored | None) -> dict[str, Any]:
    """The item that stood in the way, if the request asks for it."""
    wanted = request.get("ReturnValuesOnConditionCheckFailure") == "ALL_OLD"
    return {"Item": dict(stored.item)} if wanted and stored else {}


def cancelled(reasons: Sequence[Mapping[str, Any]]) -> RefusalError:
    """A transaction that was not carried out, with the reason of each of its items."""
    codes = ", ".join(reason["Code"] for reason in reasons)
    message = f"Transaction cancelled, please refer cancellation reasons for specific reasons [{codes}]"
    return RefusalError("TransactionCanceledException", message, Message=message, CancellationReasons=list(reasons))
