"""Errors as clients see them: problem details (RFC 9457), which carry no inner detail."""

from collections.abc import Mapping
from typing import Annotated, NamedTuple, NotRequired

from aws_lambda_powertools import Logger
from pydantic import Field
from typing_extensions import TypedDict

from domain.errors import (
    MAX_FAULTS,
    ForbiddenError,
    InvalidError,
    NotFoundError,
    ReusedKeyError,
    StateConflictError,
    VersionMismatchError,
)
from infra.event_store import CommitTooLargeError, ConflictError
from infra.passing_faults import passes
from infra.request import BadRequestError, BadTokenError, MediaTypeError, NotAcceptableError, TooLargeError
from infra.settings import MAX_BODY_BYTES

logger = Logger()


class _Kind(NamedTuple):
    """How a kind of error is shown; without a `detail`, by its own message."""

    error: type[Exception]
    status: int
    title: str
    detail: str | None = None
    headers: Mapping[str, str] = {}


_KINDS = (
    _Kind(InvalidError, 422, "Some fields are not valid"),
    _Kind(ReusedKeyError, 422, "Idempotency-Key reused"),
    _Kind(NotFoundError, 404, "Not found"),
    _Kind(ForbiddenError, 403, "Not allowed"),
    _Kind(VersionMismatchError, 412, "Changed meanwhile"),
    _Kind(StateConflictError, 409, "Conflict"),
    _Kind(BadTokenError, 401, "Log in first", headers={"WWW-Authenticate": "Bearer"}),
    _Kind(BadRequestError, 400, "Unreadable request"),
    _Kind(NotAcceptableError, 406, "Not acceptable"),
    _Kind(MediaTypeError, 415, "Not JSON", "Send the body as JSON, with `Content-Type: application/json`."),
    _Kind(TooLargeError, 413, "Too large", f"A body may have {MAX_BODY_BYTES:,} bytes."),
    _Kind(CommitTooLargeError, 413, "Too large", "This does not fit into one change; make it smaller."),
    _Kind(ConflictError, 409, "Conflict", "Others changed this at the same time; try again.", {"Retry-After": "1"}),
)


class Fault(TypedDict):
    """What is wrong with one field."""

    field: str
    message: str


class Problem(TypedDict):
    """The body of every answer from 400 on."""

    type: str
    title: str
    status: int
    detail: str
    errors: NotRequired[Annotated[list[Fault], Field(max_length=MAX_FAULTS)]]


class RetryLaterError(Exception):
    """Nothing is wrong with the request but its moment.

    Args:
        message: may be shown.
        seconds: after which it is worth trying again.
        status: 503, or 429 if it is the client who is too fast.
    """

    def __init__(self, message: str, seconds: int, *, status: int = 503) -> None:
        super().__init__(message)
        self.seconds = seconds
        self.status = status


class Refusal(NamedTuple):
    """A problem and the headers that go with it."""

    problem: Problem
    headers: Mapping[str, str] = {}


def problem(status: int, title: str, detail: str, headers: Mapping[str, str] | None = None) -> Refusal:
    body = Problem(type="about:blank", title=title, status=status, detail=detail)
    return Refusal(body, headers or {})


def refusal_for(error: Exception) -> Refusal:
    """How an error is shown. One that nobody foresaw is logged, and shows nothing of itself."""
    for kind in _KINDS:
        if isinstance(error, kind.error):
            refusal = problem(kind.status, kind.title, kind.detail or str(error), kind.headers)
            if isinstance(error, InvalidError):
                refusal.problem["errors"] = [Fault(field=fault.field, message=fault.message) for fault in error.faults]
            return refusal
    if isinstance(error, RetryLaterError):
        title = "Too many requests" if error.status == 429 else "Not yet"
        return problem(error.status, title, str(error), {"Retry-After": str(error.seconds)})
    if passes(error):
        logger.warning("AWS is busy or away", exc_info=error)
        return problem(503, "Busy", "Something this needs is busy; try again.", {"Retry-After": "1"})
    logger.error("unexpected error", exc_info=error)
    return problem(500, "Internal error", "Something went wrong on our side; the log has it under the correlation id.")
