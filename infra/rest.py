"""The REST API's frame, the same for both functions: routes with one permission each, tokens, problems, headers.

A handler parses, calls and answers; everything else (who calls, what they may do, how errors are shown, correlation
ids, which pages may call) happens here. What a handler takes and gives is said once, in its signature: a parameter
`body` or `query` is parsed as its annotation says, `Answer[…]` is what it answers, and the API's document is made from
the same.
"""

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any, Generic, TypeVar, get_args

from aws_lambda_powertools import Logger
from aws_lambda_powertools.event_handler import APIGatewayRestResolver, Response
from pydantic import BaseModel
from typing_extensions import TypedDict

from domain.errors import ForbiddenError, NotFoundError
from domain.permissions import Caller, Permission
from infra import cors, documents
from infra.problems import Refusal, RetryLaterError, problem, refusal_for
from infra.request import Callers, Query, Request
from infra.settings import MAX_ID_LENGTH

__all__ = ["Answer", "Api", "Html", "JsonText", "ListOf", "Request", "Route", "size_in_answer"]

logger = Logger()
Body = TypeVar("Body")
Item = TypeVar("Item")


class ListOf(TypedDict, Generic[Item]):
    """A page of a list. `next` is the cursor of the next page; null after the last one."""

    items: list[Item]
    next: str | None


class Html(str):
    """A page, answered as it is."""

    __slots__ = ()


class JsonText(str):
    """JSON that is written already."""

    __slots__ = ()


@dataclass(frozen=True)
class Answer(Generic[Body]):
    """What a handler answers.

    Attributes:
        body: written as JSON unless it is `Html` or `JsonText`; None for an answer without one (204).
        stream: whose version `version` is, for a client that wants to read what it wrote (`Stream-Version`).
        version: becomes the `ETag`.
    """

    body: Body
    version: int | None = None
    stream: str | None = None
    headers: Mapping[str, str] = field(default_factory=dict)


Handler = Callable[..., Answer[Any]]


@dataclass(frozen=True)
class Route:
    """One route, with its one permission.

    Attributes:
        path: with parameters in angle brackets, `/tasks/<task_id>`.
        status: of its success.
        body_optional: whether no body at all counts as `{}`.
        before_password_change: whether it is open to those who must change their password before anything else.
        recognises: whether an open route tells more to some: who has a valid access token is known then.
    """

    method: str
    path: str
    permission: Permission
    handler: Handler
    status: int = 200
    body_optional: bool = False
    before_password_change: bool = False
    recognises: bool = False

    def __str__(self) -> str:
        return f"{self.method} {self.path}"

    @cached_property
    def body(self) -> type[BaseModel] | None:
        """The model of its body."""
        return self.handler.__annotations__.get("body")

    @cached_property
    def query(self) -> type[Query]:
        """The model of its query's parameters; without any, none is accepted."""
        query: type[Query] = self.handler.__annotations__.get("query", Query)
        return query

    @cached_property
    def answer(self) -> Any:
        """What its `Answer` holds."""
        (body,) = get_args(self.handler.__annotations__["return"])
        return body

    @property
    def media_type(self) -> str:
        """Of its answer."""
        return "text/html" if self.answer is Html else "application/json"


class Api:
    """The routes of one function.

    Args:
        callers: gives what knows access tokens.
    """

    def __init__(self, callers: Callable[[], Callers]) -> None:
        self.routes: list[Route] = []
        self._callers = callers
        self._resolver = APIGatewayRestResolver()
        self._resolver.not_found(lambda _error: self._not_routed())

    def route(
        self, method: str, path: str, permission: Permission, handler: Handler, status: int = 200, **more: bool
    ) -> None:
        """Declare a route; see `Route`. The path's parameters are given to the handler by name."""
        route = Route(method, path, permission, handler, status, **more)

        def endpoint(**parameters: str) -> Response[str]:
            return self._carried_out(route, parameters)

        self.routes.append(route)
        self._resolver.route(path, method=method)(endpoint)

    def __call__(self, event: dict[str, Any], context: Any) -> dict[str, Any]:
        """Answer an API Gateway proxy event."""
        return self._resolver.resolve(event, context)

    def _carried_out(self, route: Route, parameters: Mapping[str, str]) -> Response[str]:
        request = self._request(str(route))
        try:
            if route.permission is not Permission.OPEN:
                caller = request.admit(self._callers())
                if not caller.may(route.permission):
                    raise ForbiddenError(f"This needs the permission {route.permission}.")  # noqa: TRY301
                if caller.must_change_password and not _own_way_out(route, parameters, caller):
                    raise ForbiddenError("Change your password first: PUT /users/{id}/password.")  # noqa: TRY301
            elif route.recognises:
                self._recognise(request)
            request.check_accepts(route.media_type)
            answer = route.handler(request, **_arguments(route, request, parameters))
        except Exception as error:  # noqa: BLE001 - every error becomes a problem; unknown ones are logged there
            return self._refused(request, refusal_for(error), str(route))
        return self._answered(request, answer, route)

    def _recognise(self, request: Request) -> None:
        """An open route also answers while it cannot be found out who calls; the caller counts as unknown then."""
        try:
            request.recognise(self._callers)
        except Exception as error:
            from infra.aws_faults import INFRASTRUCTURE  # noqa: PLC0415 - loaded with the clients

            if not isinstance(error, (RetryLaterError, *INFRASTRUCTURE)):
                raise
            logger.warning("who calls cannot be found out", exc_info=error)

    def _not_routed(self) -> Response[str]:
        """Another method of a path that has routes, perhaps the other function's; a preflight; or nothing at all."""
        method, path = self._resolver.current_event.http_method.upper(), self._resolver.current_event.path
        request, methods = self._request(""), documents.methods_of(path)
        allow = {"Allow": ", ".join([*methods, "OPTIONS"])}
        if not methods or method in methods:
            refusal = problem(404, "Not found", "There is no such route.")
        elif method == "OPTIONS":
            return _response(request, 204, None, "", {**allow, **cors.preflight_headers(request.origin, methods)})
        else:
            refusal = problem(405, "Method not allowed", f"This path has {allow['Allow']}.", allow)
        return self._refused(request, refusal, "none")

    def _request(self, route: str) -> Request:
        request = Request(self._resolver.current_event.raw_event, route)
        logger.append_keys(correlation_id=request.correlation_id)
        return request

    def _answered(self, request: Request, answer: Answer[Any], route: Route) -> Response[str]:
        headers = dict(answer.headers)
        if answer.version is not None:
            headers["ETag"] = f'"{answer.version}"'
            if answer.stream is not None:
                headers["Stream-Version"] = f"{answer.stream}@{answer.version}"
        logger.info("answered", extra={"route": str(route), "status": route.status})
        return _response(request, route.status, _media_type(route, answer.body), _text(answer.body), headers)

    def _refused(self, request: Request, refusal: Refusal, route: str) -> Response[str]:
        status = refusal.problem["status"]
        logger.info("refused", extra={"route": route, "status": status})
        return _response(request, status, "application/problem+json", _text(refusal.problem), refusal.headers)


def _own_way_out(route: Route, parameters: Mapping[str, str], caller: Caller) -> bool:
    return route.before_password_change and parameters.get("user_id", caller.user_id) == caller.user_id


def _arguments(route: Route, request: Request, parameters: Mapping[str, str]) -> dict[str, Any]:
    if any(len(value) > MAX_ID_LENGTH for value in parameters.values()):
        raise NotFoundError("There is no such thing.")
    arguments: dict[str, Any] = dict(parameters)
    query = request.query(route.query)
    if route.query is not Query:
        arguments["query"] = query
    if route.body:
        arguments["body"] = request.body(route.body, may_be_empty=route.body_optional)
    return arguments


def _media_type(route: Route, body: Any) -> str | None:
    if body is None:
        return None
    return f"{route.media_type}; charset=utf-8" if route.media_type.startswith("text/") else route.media_type


def _text(body: Any) -> str:
    if body is None:
        return ""
    return body if isinstance(body, Html | JsonText) else json.dumps(body, ensure_ascii=False, separators=(",", ":"))


def size_in_answer(part: Any) -> int:
    """Bytes that a part of a body takes of what a function may answer.

    The body is JSON in UTF-8, and a text in the JSON that Lambda's runtime makes of the answer. That leaves what is not
    ASCII as it is (since Python 3.12), and escapes quotes and backslashes once more.
    """
    text = _text(part)
    return len(text.encode("utf-8", "surrogatepass")) + text.count('"') + text.count("\\")


def _response(
    request: Request, status: int, content_type: str | None, body: str, headers: Mapping[str, str]
) -> Response[str]:
    return Response(
        status_code=status,
        content_type=content_type,
        body=body,
        headers={
            "Cache-Control": "no-store",
            "X-Content-Type-Options": "nosniff",
            "X-Correlation-Id": request.correlation_id,
            **cors.answer_headers(request.origin),
            **headers,
        },
    )
