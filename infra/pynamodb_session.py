"""PynamoDB on the process's one botocore session: its `Model` and `Connection`, to be imported from here.

By itself each model makes a session of its own, which parses botocore's data files anew: 20 to 40 ms of a cold start
for each model. PynamoDB has no setting for it. A session may not make clients in several threads at once; the
functions have one.

`cause_response_code` of its exceptions is mended too: it fails with an AttributeError where no response came, since
botocore's errors of the connection have a `response` that is None. So a time-out would not be told as what it is.
"""

from pynamodb.connection import Connection
from pynamodb.exceptions import PynamoDBException
from pynamodb.models import Model

from infra import clients

__all__ = ["Connection", "Model"]

Connection.session = property(lambda _connection: clients.session())  # type: ignore[method-assign, assignment]


def _code(error: PynamoDBException) -> str | None:
    """What DynamoDB calls its refusal; None if it did not answer."""
    response = getattr(error.cause, "response", None) or {}
    code: str | None = response.get("Error", {}).get("Code")
    return code


PynamoDBException.cause_response_code = property(_code)  # type: ignore[method-assign, assignment]
