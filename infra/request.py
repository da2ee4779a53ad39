"""One request to the REST API: its body, query, headers and caller, each checked as it is asked for."""

import re
from collections.abc import Callable, Mapping
from contextlib import suppress
from functools import cached_property
from typing import Annotated, Any, Protocol, TypeVar

import uuid_utils
from pydantic import BaseModel, BeforeValidator, ConfigDict, ValidationError

from domain.commit import CommandKey
from domain.errors import FieldFault, InvalidError
from domain.permissions import Caller, Role
from infra.request_digest import digest
from infra.settings import IDEMPOTENCY_KEY_LENGTH, MAX_BODY_BYTES

Model = TypeVar("Model", bound=BaseModel)


class BadRequestError(Exception):
    """A request that cannot be read at all."""


class TooLargeError(Exception):
    """A body over the limit."""


class MediaTypeError(Exception):
    """A body that is said to be something else than JSON."""


class NotAcceptableError(Exception):
    """A client that does not want what the route answers."""


class BadTokenError(Exception):
    """A token that is missing, forged, expired, ended or of another kind. The message may be shown."""


class Callers(Protocol):
    """Who tokens speak for."""

    def caller(self, token: str) -> Caller:
        """Raises BadTokenError unless it is a valid access token."""


class Query(BaseModel):
    """The parameters of a route's query; unknown ones are refused, so that a misspelt filter is never lost."""

    model_config = ConfigDict(frozen=True, extra="forbid", defer_build=True)


def _digits(value: object) -> object:
    if isinstance(value, str) and not (value.isascii() and value.isdigit() and len(value) < 19):
        raise ValueError("must be a whole number")
    return value


def _flag(value: object) -> object:
    if isinstance(value, str) and value not in {"true", "false"}:
        raise ValueError("must be true or false")
    return value


_NO_WEIGHT = re.compile(r"(?:^|;)\s*q=0(?:\.0*)?\s*(?:;|$)")

QueryNumber = Annotated[int, BeforeValidator(_digits)]
"""A whole number in a query, digits only: pydantic would also take `1_0`, ` 5` and `5.0`."""

QueryFlag = Annotated[bool, BeforeValidator(_flag)]
"""`true` or `false` in a query: pydantic would also take `yes`, `on` and `1`."""


_NO_NEW_VERSION = ("/create-task", "/redrive")
"""Ends of routes that append nothing to what their path names: they make another thing, or it has no stream."""


def takes_if_match(route: str) -> bool:
    """Whether `If-Match` counts on a route, such as `PUT /tasks/<task_id>`: it changes the stream of what it names."""
    method, _, path = route.partition(" ")
    return method == "PUT" or (method != "GET" and "<" in path and not path.endswith(_NO_NEW_VERSION))


class Request:
    """One request.

    Args:
        event: API Gateway's proxy event.
        route: method and path pattern of the route that it came to.
    """

    def __init__(self, event: Mapping[str, Any], route: str) -> None:
        self._event = event
        self._route = route
        self._headers = {name.lower(): value for name, value in (event.get("headers") or {}).items()}
        self._caller: Caller | None = None

    @property
    def caller(self) -> Caller:
        """Who called; known once `admit` has let them in, and never on an open route."""
        if self._caller is None:
            raise RuntimeError("an open route has no caller")
        return self._caller

    def admit(self, callers: Callers) -> Caller:
        """Find out who calls.

        Raises:
            BadTokenError: no valid access token came with the request.
        """
        scheme, _, token = self._headers.get("authorization", "").partition(" ")
        if scheme.lower() != "bearer" or not token:
            raise BadTokenError("Send an access token: `Authorization: Bearer …`.")
        self._caller = callers.caller(token.strip())
        return self._caller

    def recognise(self, callers: Callable[[], Callers]) -> None:
        """Find out who calls an open route, if a valid access token tells; nobody is refused."""
        if "authorization" in self._headers:
            with suppress(BadTokenError):
                self.admit(callers())

    @property
    def is_from_admin(self) -> bool:
        """Whether an admin is known to call, who may do what admins may."""
        caller = self._caller
        return caller is not None and caller.role is Role.ADMIN and not caller.must_change_password

    @cached_property
    def correlation_id(self) -> str:
        """The client's `X-Correlation-Id` if it is a plain word, else a new one."""
        given = self._headers.get("x-correlation-id", "")
        plain = 0 < len(given) <= 100 and all(c.isascii() and (c.isalnum() or c in "-_.:") for c in given)
        return given if plain else str(uuid_utils.uuid7())

    @property
    def source_address(self) -> str:
        """The IP address that the gateway saw."""
        identity = (self._event.get("requestContext") or {}).get("identity") or {}
        return str(identity.get("sourceIp") or "unknown")

    @property
    def origin(self) -> str | None:
        """Of the page that a browser sent it for."""
        return self._headers.get("origin")

    def check_accepts(self, media_type: str) -> None:
        """Whether the client takes such an answer, or one that is a problem; without an `Accept`, it takes any.

        Raises:
            NotAcceptableError: its `Accept` leaves out both (RFC 9110, section 12.5.1).
        """
        given = self._headers.get("accept", "").strip()
        ranges = [text.partition(";") for text in given.lower().split(",")]
        taken = {name.strip() for name, _, parameters in ranges if not _NO_WEIGHT.search(parameters)}
        wide = f"{media_type.partition('/')[0]}/*"
        if given and not taken & {media_type, wide, "*/*", "application/problem+json"}:
            raise NotAcceptableError(f"This route answers {media_type}; let Accept name it, or leave it out.")

    def body(self, model: type[Model], *, may_be_empty: bool = False) -> Model:
        """The JSON body as a model.

        Args:
            may_be_empty: no body at all counts as `{}`.

        Raises:
            MediaTypeError: its `Content-Type` is none of JSON. Without one, it is taken for JSON.
            TooLargeError: it has more than MAX_BODY_BYTES.
            BadRequestError: it is not JSON.
            InvalidError: it does not fit the model; each field is named.
        """
        media_type = self._headers.get("content-type", "application/json").partition(";")[0].strip().lower()
        if self._body and media_type != "application/json" and not media_type.endswith("+json"):
            raise MediaTypeError
        try:
            return model.model_validate_json(self._body or (b"{}" if may_be_empty else b""))
        except ValidationError as error:
            raise _refusal(error, "body") from None

    def query(self, model: type[Model]) -> Model:
        """The query's parameters as a model.

        Raises:
            InvalidError: a parameter is unknown, not valid or given twice; each is named.
        """
        given = self._event.get("multiValueQueryStringParameters") or {}
        repeated = [name for name, values in given.items() if len(values or ()) > 1]
        if repeated:
            raise InvalidError(*(FieldFault(name, "is given more than once") for name in repeated))
        try:
            return model.model_validate(self._event.get("queryStringParameters") or {})
        except ValidationError as error:
            raise _refusal(error, "query") from None

    def command_key(self, secret: bytes | None = None) -> CommandKey | None:
        """The client's `Idempotency-Key`, made its own and this route's, with a digest of the request.

        Args:
            secret: keys the digest. For requests with a password, which a plain digest would let others guess.

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
        where = f"{self._route.partition(' ')[0]} {self._event.get('path')}"
        return CommandKey(f"{who} {where} {key}", digest(self._body, secret))

    @property
    def expected_versions(self) -> frozenset[int] | None:
        """The versions that `If-Match` allows the thing to have; None if any will do (RFC 9110, section 13.1.1).

        On a route that does not take it, the header says nothing.

        Raises:
            BadRequestError: it is no list of entity tags.
        """
        given = self._headers.get("if-match")
        if given is None or given.strip() == "*" or not takes_if_match(self._route):
            return None
        tags = [tag.strip() for tag in given.split(",")]
        if not all(_is_tag(tag) for tag in tags):
            raise BadRequestError('If-Match takes an ETag as it was answered, such as "3".')
        versions = (tag[1:-1] for tag in tags if not tag.startswith("W/"))  # a weak tag never matches a change
        return frozenset(int(version) for version in versions if version.isdigit() and len(version) < 16)

    @cached_property
    def _body(self) -> bytes:
        body = self._event.get("body") or ""
        if not isinstance(body, str):
            return b""
        if len(body) > 2 * MAX_BODY_BYTES:  # also in base64, which takes a third more
            raise TooLargeError
        if self._event.get("isBase64Encoded"):
            import base64  # noqa: PLC0415 - API Gateway encodes binary bodies only, which are rare here

            try:
                content = base64.b64decode(body, validate=True)
            except ValueError:
                raise BadRequestError("The body is not base64.") from None
        else:
            content = body.encode("utf-8", "surrogatepass")
        if len(content) > MAX_BODY_BYTES:
            raise TooLargeError
        return content


def _is_tag(text: str) -> bool:
    opaque = text.removeprefix("W/")
    return len(opaque) >= 2 and opaque[0] == opaque[-1] == '"' and '"' not in opaque[1:-1] and text.isascii()


def _refusal(error: ValidationError, whole: str) -> Exception:
    faults = error.errors(include_url=False, include_input=False, include_context=False)
    if faults[0]["type"] == "json_invalid":
        return BadRequestError("The body is not JSON.")
    return InvalidError(*(FieldFault(".".join(map(str, f["loc"])) or whole, _sentence(f["msg"])) for f in faults))


def _sentence(message: str) -> str:
    """Pydantic's message, in the form of the project's own."""
    return message.removeprefix("Value error, ").removeprefix("Input ")
