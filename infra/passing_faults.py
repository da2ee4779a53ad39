"""Faults of AWS that pass by themselves: it is busy, or away for a moment."""

from typing import Any

_PASSING = {
    "ProvisionedThroughputExceededException",
    "RequestLimitExceeded",
    "ThrottlingException",
    "ThrottledException",
    "InternalServerError",
    "ServiceUnavailable",
    "TransactionInProgressException",
    "ProvisionedThroughputExceeded",
    "ThrottlingError",
}
"""Codes of AWS faults that pass by themselves; botocore has tried several times by then. The last two are reasons why a
transaction was cancelled."""


def passes(error: Exception) -> bool:
    """Whether the same request may succeed a moment later."""
    from botocore.exceptions import ConnectionError as NoConnectionError  # noqa: PLC0415 - loaded with the client
    from botocore.exceptions import HTTPClientError  # noqa: PLC0415

    given: Any = getattr(error, "response", None)  # botocore's; PynamoDB wraps it
    response = given if isinstance(given, dict) else {}
    codes = {response.get("Error", {}).get("Code"), getattr(error, "cause_response_code", None)}
    codes |= {reason.get("Code") for reason in response.get("CancellationReasons", ())}
    cause = getattr(error, "cause", None)
    return (
        bool(codes & _PASSING)
        or response.get("ResponseMetadata", {}).get("HTTPStatusCode", 0) >= 500  # theirs, whatever they call it
        or isinstance(error, NoConnectionError | HTTPClientError)
        or (isinstance(cause, Exception) and cause is not error and passes(cause))
    )
