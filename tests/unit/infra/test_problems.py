"""How faults of AWS are shown: what passes by itself as such, and all else as an error of ours."""

from typing import Any

import pytest
from botocore.exceptions import ClientError, EndpointConnectionError
from pynamodb.exceptions import QueryError

from infra.problems import refusal_for


def fault(code: str, *reasons: str, status: int = 400) -> ClientError:
    response: Any = {
        "Error": {"Code": code, "Message": "no word of this is shown"},
        "ResponseMetadata": {"HTTPStatusCode": status},
    }
    if reasons:
        response["CancellationReasons"] = [{"Code": reason} for reason in reasons]
    return ClientError(response, "TransactWriteItems")


@pytest.mark.parametrize(
    "error",
    [
        fault("ThrottlingException"),
        fault("TransactionInProgressException"),
        fault("TransactionCanceledException", "None", "ThrottlingError"),
        fault("TransactionCanceledException", "ProvisionedThroughputExceeded", "None"),
        fault("InternalFailure", status=500),
        QueryError(cause=fault("InternalError", status=500)),
        EndpointConnectionError(endpoint_url="https://dynamodb.eu-central-1.amazonaws.com"),
    ],
)
def test_a_fault_that_passes_is_worth_trying_again(error: Exception) -> None:
    refusal = refusal_for(error)
    assert (refusal.problem["status"], refusal.headers["Retry-After"]) == (503, "1")
    assert "shown" not in str(refusal)
    assert "amazonaws" not in str(refusal)


@pytest.mark.parametrize(
    "error",
    [
        fault("ValidationException"),
        fault("AccessDeniedException"),
        fault("TransactionCanceledException", "ValidationError", "None"),
        ValueError("no word of this is shown"),
    ],
)
def test_any_other_fault_is_an_error_of_ours_and_tells_nothing(error: Exception) -> None:
    refusal = refusal_for(error)
    assert refusal.problem["status"] == 500
    assert "shown" not in str(refusal)
