"""The REST API's frame, the same for both functions: routes with one permission each, tokens, problems, headers.

A handler parses, calls and answers; everything else (who calls, what they may do, how errors are shown, correlation
ids) happens here. Errors are problem details (RFC 9457) and carry no inner detail.
"""

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any, NamedTuple, TypeVar

import uuid_utils
from aws_lambda_powertools import Logger
from aws_lambda_powertools.event_handler import APIGatewayRestResolver, Response
from pydantic import BaseModel, ValidationError

from domain.commit import CommandKey
from domain.errors import (
    DomainError,
    FieldFault,
    ForbiddenError,
    InvalidError,
    NotFoundError,
    ReusedKeyError,
    StateConflictError,
)
from domain.permissions import Caller, Permission
from infra.event_store import ConflictError
from infra.request_digest import digest
from infra.settings import IDEMPOTENCY_KEY_LENGTH, MAX_ID_LENGTH
from infra.tokens import BadTokenError, Tokens

logger = Logger()
Model = TypeVar("Model", bound=BaseModel)

_STATUS: tuple[tuple[type[Exception], int, str], ...] = (
    (InvalidError, 422, "Some fields are not valid"),
    (ReusedKeyError, 422, "Idempotency-Key reused"),
    (NotFoundError, 404, "Not found"),
    (ForbiddenError, 403, "Not allowed"),
    (StateConflictError, 409, "Conflict"),
)


class BadRequestError(Exception):
    """A request that cannot be read at all."""


@dataclass(frozen=True)
class Answer:
    """What a handler answers. `version` becomes the `ETag`."""

    body: Any
    status: int = 200
    version: int | None = None
    headers: Mapping[str, str] = field(default_factory=dict)


class Route(NamedTuple):
    method: str
    path: str
    permission: Permission


class Request:
    """One request. `caller` is None on open routes only."""

    def __init__(self, event: Mapping[str, Any], route: Route) -> None:
        self._event = event
        self._route = route
        self._headers = {name.lower(): value for name, value in (event.get("headers") or {}).items()}
        self._caller: Caller | None = None

    @property
    def caller(self) -> Caller:
        if self._caller is None:
            raise RuntimeError("an open route has no caller")
        return self._caller

    def admit(self, tokens: Tokens) -> None:
        """Find out who calls, and whether they may.

        Raises:
            BadTokenError: no valid access token came with the request.
            ForbiddenError: the caller's role lacks the route's permission.
        """
        scheme, _, token = self._headers.get("authorization", "").partition(" ")
        if scheme.lower() != "bearer" or not token:
            raise BadTokenError("Send an access token: `Authorization: Bearer …`.")
        caller = tokens.caller(token.strip())
        if not caller.may(self._route.permission):
            raise ForbiddenError(f"This needs the permission {self._route.permission}.")
        self._caller = caller

    @cached_property
    def correlation_id(self) -> str:
        """The client's `X-Correlation-Id` if it is a plain word, else a new one."""
        given = self._headers.get("x-correlation-id", "")
        plain = 0 < len(given) <= 100 and all(c.isascii() and (c.isalnum() or c in "-_.:") for c in given)
        return given if plain else str(uuid_utils.uuid7())

    def parse(self, model: type[Model], *, may_be_empty: bool = False) -> Model:
        """The JSON body as a model.

        Args:
            may_be_empty: no body at all counts as `{}`.

        Raises:
            BadRequestError: it is not JSON.
            InvalidError: it does not fit the model; each field is named.
        """
        try:
            return model.model_validate_json(self._body or (b"{}" if may_be_empty else b""))
        except ValidationError as error:
            faults = error.errors(include_url=False, include_input=False, include_context=False)
        if faults[0]["type"] == "json_invalid":
            raise BadRequestError("The body is not JSON.")
        raise InvalidError(*(FieldFault(".".join(map(str, f["loc"])) or "body", _sentence(f["msg"])) for f in faults))

    def query(self, name: str) -> str | None:
        value: str | None = (self._event.get("queryStringParameters") or {}).get(name)
        return value

    def command_key(self) -> CommandKey | None:
        """The client's `Idempotency-Key`, made its own and this route's, with a digest of the request.

        Raises:
            InvalidError: it is too long or not printable ASCII.
        """
        key = self._headers.get("idempotency-key")
        if key is None:
            return None
        if not 0 < len(key) <= IDEMPOTENCY_KEY_LENGTH or not (key.isascii() and key.isprintable()):
            raise InvalidError(
                FieldFault("Idempotency-Key", f"must be 1 to {IDEMPOTENCY_KEY_LENGTH} printable ASCII characters")
            )
        who = self._caller.user_id if self._caller else ""
        where = f"{self._route.method} {self._event.get('path')}"
        return CommandKey(f"{who} {where} {key}", digest(self._body))

    @cached_property
    def _body(self) -> bytes:
        body = self._event.get("body") or ""
        if self._event.get("isBase64Encoded"):
            import base64  # noqa: PLC0415 - API Gateway encodes binary bodies only, which are rare here

            try:
                return base64.b64decode(body, validate=True)
            except ValueError:
                raise BadRequestError("The body is not base64.") from None
        return body.encode("utf-8", "surrogatepass") if isinstance(body, str) else b""


Handler = Callable[..., Answer]


class Api:
    """The routes of one function."""

    def __init__(self, tokens: Callable[[], Tokens]) -> None:
        self.routes: list[Route] = []
        self._tokens = tokens
        self._resolver = APIGatewayRestResolver()
        self._resolver.not_found(lambda _error: self._shown(_problem(404, "Not found", "There is no such route.")))

    def route(self, method: str, path: str, permission: Permission) -> Callable[[Handler], Handler]:
        """Declare a handler's route and the one permission it asks for.

        Args:
            path: with parameters in angle brackets, `/tasks/<task_id>`; they are given to the handler by name.
        """
        route = Route(method, path, permission)

        def declare(handler: Handler) -> Handler:
            def endpoint(**parameters: str) -> Response[str]:
                return self._carried_out(route, handler, parameters)

            self.routes.append(route)
            self._resolver.route(path, method=method)(endpoint)
            return handler

        return declare

    def __call__(self, event: dict[str, Any], context: Any) -> dict[str, Any]:
        """Answer an API Gateway proxy event."""
        return self._resolver.resolve(event, context)

    def _carried_out(self, route: Route, handler: Handler, parameters: Mapping[str, str]) -> Response[str]:
        event = self._resolver.current_event.raw_event
        request = Request(event, route)
        logger.append_keys(correlation_id=request.correlation_id)
        try:
            if route.permission is not Permission.OPEN:
                request.admit(self._tokens())
            if any(len(value) > MAX_ID_LENGTH for value in parameters.values()):
                raise NotFoundError("There is no such thing.")  # noqa: TRY301 - as any handler would
            answer = handler(request, **parameters)
        except Exception as error:  # noqa: BLE001 - every error becomes a problem; unknown ones are logged there
            answer = _problem_for(error)
        logger.info("answered", extra={"route": f"{route.method} {route.path}", "status": answer.status})
        return self._shown(answer, request.correlation_id)

    @staticmethod
    def _shown(answer: Answer, correlation_id: str | None = None) -> Response[str]:
        problem = answer.status >= 400
        headers = {"Cache-Control": "no-store", "X-Content-Type-Options": "nosniff", **answer.headers}
        if correlation_id:
            headers["X-Correlation-Id"] = correlation_id
        if answer.version is not None:
            headers["ETag"] = f'"{answer.version}"'
        return Response(
            status_code=answer.status,
            content_type="application/problem+json" if problem else "application/json",
            body=json.dumps(answer.body, ensure_ascii=False, separators=(",", ":")),
            headers=headers,
        )


def _problem(status: int, title: str, detail: str, headers: Mapping[str, str] | None = None) -> Answer:
    body = {"type": "about:blank", "title": title, "status": status, "detail": detail}
    return Answer(body, status, headers=headers or {})


def _problem_for(error: Exception) -> Answer:
    if isinstance(error, BadTokenError):
        return _problem(401, "Log in first", str(error), {"WWW-Authenticate": "Bearer"})
    if isinstance(error, BadRequestError):
        return _problem(400, "Unreadable request", str(error))
    if isinstance(error, DomainError):
        for kind, status, title in _STATUS:
            if isinstance(error, kind):
                problem = _problem(status, title, str(error))
                if isinstance(error, InvalidError):
                    problem.body["errors"] = [fault._asdict() for fault in error.faults]
                return problem
    if isinstance(error, ConflictError):
        return _problem(409, "Conflict", "Others changed this at the same time; try again.", {"Retry-After": "1"})
    logger.error("unexpected error", exc_info=error)
    return _problem(500, "Internal error", "Something went wrong on our side; the log has it under the correlation id.")


def _sentence(message: str) -> str:
    """Pydantic's message, in the form of the project's own."""
    return message.removeprefix("Value error, ").removeprefix("Input ")
