"""The REST API as one OpenAPI 3.1 document, from the route tables, the models and the docstrings of both functions.

docs/openapi.json is this document; `opsledger openapi` renews it, and a test fails where the two differ. It is what the
API serves and what its page is made from.
"""

import inspect
import json
import re
import tomllib
from collections.abc import Iterable, Mapping
from functools import cache
from typing import Any, get_origin

from pydantic import BaseModel, TypeAdapter
from pydantic.json_schema import GenerateJsonSchema

from domain.permissions import Permission
from infra.problems import Problem
from infra.request import Query, takes_if_match
from infra.rest import Html, JsonText, ListOf, Route
from infra.settings import IDEMPOTENCY_KEY_LENGTH, MAX_BODY_BYTES, MAX_ID_LENGTH
from ops import paths
from ops.openapi_examples import BODIES

FILE = paths.PROJECT / "docs" / "openapi.json"

JSON, PROBLEM = "application/json", "application/problem+json"

DESCRIPTION = f"""\
An event-sourced operations ledger for AWS accounts: what AWS reports, and the tasks that a team makes of it.

Send `Authorization: Bearer <access token>` with everything that is not marked open; `POST /auth/login` gives a token.
Times are Unix seconds unless a field says otherwise. Unknown fields and unknown query parameters are refused. A body is
JSON of at most {MAX_BODY_BYTES:,} bytes. Every error is a problem (RFC 9457). In addition to the answers listed, a path
that exists answers 405 to a method that it does not have."""

TAGS = {
    "auth": ("sessions", "Logging in and out."),
    "users": ("users", "People who may log in."),
    "events": ("monitoring events", "What AWS reported. Never changed."),
    "alerts": ("alerts", "What is wrong, found by fingerprint."),
    "tasks": ("tasks", "Work for a person."),
    "config": ("configuration", "The AWS accounts that are watched, and how."),
    "dashboard": ("dashboards", "Sums, from counters."),
    "notifications": ("notifications", "What people were told."),
    "reports": ("reports", "A day in figures."),
    "health": ("service", "The API itself."),
    "openapi.json": ("service", ""),
    "docs": ("service", ""),
}
"""Each tag and its description, by the first part of a path."""

PROBLEMS = {
    400: ("BadRequest", "The body is not JSON, or a header cannot be read."),
    401: ("Unauthorized", "No access token, or one that is forged, expired or ended; or wrong credentials."),
    403: ("Forbidden", "The caller may not do this."),
    404: ("NotFound", "There is no such thing, or the caller may not know of it."),
    406: ("NotAcceptable", "`Accept` leaves out what the route answers."),
    409: ("Conflict", "The state of things does not allow it, or others kept changing them at the same time."),
    412: ("PreconditionFailed", "`If-Match` names another version than the one there is."),
    413: ("TooLarge", f"The body has more than {MAX_BODY_BYTES:,} bytes, or does not fit into one change."),
    415: ("UnsupportedMediaType", "The body is said to be something else than JSON."),
    422: ("Invalid", "Fields or parameters that are not valid, named in `errors`; a reused `Idempotency-Key`."),
    429: ("TooManyRequests", "Too many requests, or too many failed ones. `Retry-After` says when to go on."),
    500: ("InternalError", "A fault of ours; the log has it under the correlation id."),
    503: ("NotYet", "What is asked for is not there yet, or something is busy. `Retry-After` says when to try again."),
    504: ("TimedOut", "It took too long."),
}

_MAY_BE_MISSING = {
    "GET /docs",  # in a checkout
    "GET /users/me",  # just registered
    "GET /config/monitoring",  # at a version or a time that has none
    "GET /notifications",  # of a task that is not the caller's to see
}

_TEXT = {"type": "string"}
_HEADERS = {
    "CorrelationId": ("X-Correlation-Id", "The request's, or a new one. Log lines and commits carry it.", _TEXT),
    "ETag": ("ETag", "The version of the stream that the answer shows; left out where it shows none.", _TEXT),
    "StreamVersion": (
        "Stream-Version",
        "The stream and its version after the change, `task#<id>@3`; `min_version` of a read takes it.",
        _TEXT,
    ),
    "Location": ("Location", "The path of what was created.", _TEXT),
    "RetryAfter": ("Retry-After", "Seconds after which it is worth trying again.", {"type": "integer", "minimum": 0}),
    "Challenge": ("WWW-Authenticate", "`Bearer`.", _TEXT),
}
_OF_PROBLEMS = {401: "Challenge", 409: "RetryAfter", 429: "RetryAfter", 503: "RetryAfter"}

_TAG = '"[0-9]{1,15}"'
_PARAMETERS = {
    "CorrelationId": {
        "name": "X-Correlation-Id",
        "in": "header",
        "description": "Names the request in logs and commits: letters, digits and `-_.:`, at most 100. Anything else"
        " is replaced by a new one.",
        "schema": _TEXT,
    },
    "IdempotencyKey": {
        "name": "Idempotency-Key",
        "in": "header",
        "description": "The client's name for this request. Sent again, it gets the first outcome and changes nothing.",
        "schema": {**_TEXT, "maxLength": IDEMPOTENCY_KEY_LENGTH, "pattern": "^[!-~]([ -~]*[!-~])?$"},
    },
    "IfMatch": {
        "name": "If-Match",
        "in": "header",
        "description": "The `ETag` of what is to be changed, as it was last read; a later version is not changed.",
        "schema": {**_TEXT, "pattern": rf"^(\*|{_TAG}(, ?{_TAG})*)$"},
    },
}


class _Schemas(GenerateJsonSchema):
    """As pydantic makes them, without the titles that only repeat a field's name."""

    def field_title_should_be_set(self, schema: Any) -> bool:  # noqa: ARG002
        return False


def document() -> dict[str, Any]:
    """The document as the code has it now."""
    routes = all_routes()
    schemas, definitions = _schemas(routes)
    operations: dict[str, dict[str, Any]] = {}
    for route in sorted(routes, key=_place):
        operations.setdefault(_path(route), {})[route.method.lower()] = _operation(route, schemas)
    used = dict.fromkeys(TAGS[_subject(route)][0] for route in routes)
    told = {name: text for name, text in TAGS.values() if text}
    return {
        "openapi": "3.1.0",
        "info": {
            "title": "opsledger",
            "version": _version(),
            "description": DESCRIPTION,
            "license": {"name": "MIT", "identifier": "MIT"},
        },
        "servers": [{"url": ".", "description": "where this document came from"}],
        "security": [{"accessToken": []}],
        "tags": [{"name": name, "description": text} for name, text in told.items() if name in used],
        "paths": operations,
        "components": {
            "schemas": dict(sorted(definitions.items())),
            "responses": {name: _problem(status, text) for status, (name, text) in PROBLEMS.items()},
            "parameters": _PARAMETERS,
            "headers": {name: {"description": text, "schema": schema} for name, (_, text, schema) in _HEADERS.items()},
            "securitySchemes": {"accessToken": {"type": "http", "scheme": "bearer", "bearerFormat": "JWT"}},
        },
    }


def text() -> str:
    """The document as docs/openapi.json has it: indented, so that a change shows what changed."""
    return json.dumps(document(), indent=1, ensure_ascii=False) + "\n"


def problems_of(route: Route) -> list[int]:
    """The statuses from 400 on that a route may answer."""
    statuses = {406, 422, 429, 500, 503, 504}
    if _is_closed(route):
        statuses |= {401, 403}
    elif route.body:  # credentials in its body
        statuses |= {401}
    if "<" in route.path or str(route) in _MAY_BE_MISSING:
        statuses |= {404}
    if route.method != "GET":
        statuses |= {400, 409, 413}
    if takes_if_match(str(route)):
        statuses |= {412}
    if route.body:
        statuses |= {415}
    return sorted(statuses)


def all_routes() -> list[Route]:
    """The routes of both functions."""
    from commands.api import api as writing  # noqa: PLC0415 - both take half a second
    from queries.api import api as reading  # noqa: PLC0415

    return [*reading.routes, *writing.routes]


def _place(route: Route) -> tuple[int, str, int]:
    """Where it stands: by subject, path and method, from reading to removing."""
    return list(TAGS).index(_subject(route)), route.path, ["GET", "POST", "PUT", "DELETE"].index(route.method)


def _operation(route: Route, schemas: Mapping[Any, Any]) -> dict[str, Any]:
    summary, _, description = (inspect.getdoc(route.handler) or "").partition("\n")
    operation: dict[str, Any] = {
        "operationId": route.handler.__name__,
        "tags": [TAGS[_subject(route)][0]],
        "summary": summary,
        "description": description.strip(),
        "x-permission": str(route.permission),
        "security": [{"accessToken": []}] if _is_closed(route) else [],
        "parameters": [*_path_parameters(route), *_query_parameters(route, schemas), *_header_parameters(route)],
    }
    if route.body:
        example = {"example": BODIES[str(route)]} if str(route) in BODIES else {}
        schema = {"schema": schemas[route.body, "validation"], **example}
        operation["requestBody"] = {"required": not route.body_optional, "content": {JSON: schema}}
    refused = {str(status): {"$ref": f"#/components/responses/{PROBLEMS[status][0]}"} for status in problems_of(route)}
    operation["responses"] = {str(route.status): _answer(route, schemas), **refused}
    return {name: value for name, value in operation.items() if value or name == "security"}


def _answer(route: Route, schemas: Mapping[Any, Any]) -> dict[str, Any]:
    headers = ["CorrelationId"]
    if _shows_stream(route):
        headers.append("ETag")
        if route.method != "GET":
            headers.append("StreamVersion")
    if route.status == 201:
        headers.append("Location")
    answer: dict[str, Any] = {"description": _SUCCESS[route.status], "headers": _header_references(headers)}
    if route.answer is Html:
        answer["content"] = {route.media_type: {"schema": _TEXT}}
    elif route.answer is JsonText:
        answer["content"] = {route.media_type: {"schema": {"type": "object"}}}
    elif _has_body(route):
        answer["content"] = {route.media_type: {"schema": schemas[route.answer, "serialization"]}}
    return answer


_SUCCESS = {200: "Done.", 201: "Created.", 202: "Accepted.", 204: "Done; there is nothing to say."}


def _problem(status: int, description: str) -> dict[str, Any]:
    headers = ["CorrelationId", *([_OF_PROBLEMS[status]] if status in _OF_PROBLEMS else [])]
    return {
        "description": description,
        "headers": _header_references(headers),
        "content": {PROBLEM: {"schema": {"$ref": "#/components/schemas/Problem"}}},
    }


def _header_references(names: Iterable[str]) -> dict[str, Any]:
    return {_HEADERS[name][0]: {"$ref": f"#/components/headers/{name}"} for name in names}


def _path_parameters(route: Route) -> list[dict[str, Any]]:
    schema = {**_TEXT, "minLength": 1, "maxLength": MAX_ID_LENGTH}
    return [
        {"name": name, "in": "path", "required": True, "schema": schema} for name in re.findall("<([^>]+)>", route.path)
    ]


def _query_parameters(route: Route, schemas: Mapping[Any, Any]) -> list[dict[str, Any]]:
    if route.query is Query:
        return []
    model = schemas[route.query, "validation"]
    return [
        {
            "name": name,
            "in": "query",
            "required": name in model.get("required", ()),
            **({"description": described} if (described := _description(schema)) else {}),
            "schema": _in_query(schema),
        }
        for name, schema in model["properties"].items()
    ]


def _description(schema: Mapping[str, Any]) -> str:
    """A parameter's own, which stands inside of what may be left out."""
    inner = (alternative.get("description", "") for alternative in schema.get("anyOf", ()))
    return str(schema.get("description") or next(filter(None, inner), ""))


def _in_query(schema: Mapping[str, Any]) -> dict[str, Any]:
    """The schema of one value in a query, where nothing is null: it is left out instead."""
    told = dict(schema)
    alternatives = [each for each in told.pop("anyOf", []) if each.get("type") != "null"]
    if len(alternatives) == 1:
        told |= alternatives[0]
    elif alternatives:
        told["anyOf"] = alternatives
    return {name: value for name, value in told.items() if name != "description" and value is not None}


def _header_parameters(route: Route) -> list[dict[str, Any]]:
    names = ["CorrelationId"]
    if route.method != "GET" and _subject(route) != "auth":
        names.append("IdempotencyKey")
    if takes_if_match(str(route)):
        names.append("IfMatch")
    return [{"$ref": f"#/components/parameters/{name}"} for name in names]


def _is_closed(route: Route) -> bool:
    return route.permission is not Permission.OPEN


def _shows_stream(route: Route) -> bool:
    """Whether its answer shows one stream, and so has a version: what is made or changed in one, or read of one."""
    if route.method == "GET":
        return _is_closed(route) and not _is_list(route) and _subject(route) != "dashboard"
    return route.status == 201 or takes_if_match(str(route))


def _is_list(route: Route) -> bool:
    origin: Any = get_origin(route.answer)  # they are generic
    return origin is not None and ListOf.__annotations__.keys() <= origin.__annotations__.keys()


def _has_body(route: Route) -> bool:
    return route.answer is not None and route.answer is not type(None)


def _subject(route: Route) -> str:
    return route.path.split("/")[1]


def _path(route: Route) -> str:
    return route.path.replace("<", "{").replace(">", "}")


def _schemas(routes: Iterable[Route]) -> tuple[dict[Any, Any], dict[str, Any]]:
    """The schema of every model by itself and mode, and the definitions that they share."""
    wanted: dict[Any, None] = {(Problem, "serialization"): None}
    for route in routes:
        wanted |= {(model, "validation"): None for model in (route.body, route.query) if model not in (None, Query)}
        if _has_body(route) and route.answer not in (Html, JsonText):
            wanted[route.answer, "serialization"] = None
    keys = list(wanted)
    made, shared = TypeAdapter.json_schemas(
        [(number, mode, TypeAdapter(model)) for number, (model, mode) in enumerate(keys)],
        ref_template="#/components/schemas/{model}",
        schema_generator=_Schemas,
    )
    renamed = _names(shared["$defs"])
    definitions = {renamed[name]: _plain(schema, renamed) for name, schema in shared["$defs"].items()}
    schemas = {key: _plain(made[number, key[1]], renamed) for number, key in enumerate(keys)}
    for (model, mode), schema in schemas.items():
        if _is_query(model):
            schemas[model, mode] = definitions.pop(schema["$ref"].rpartition("/")[2])
    return schemas, definitions


def _is_query(model: Any) -> bool:
    return inspect.isclass(model) and issubclass(model, BaseModel) and issubclass(model, Query)


_BOUNDS = {"ge": "minimum", "le": "maximum", "gt": "exclusiveMinimum", "lt": "exclusiveMaximum"}
"""Pydantic leaves bounds of a checked number (`QueryNumber`) under its own names."""


def _names(definitions: Mapping[str, Mapping[str, Any]]) -> dict[str, str]:
    """Names for people, by pydantic's own.

    `ListOfTaskShown` for `ListOf_TaskShown_`; `TasksStatus` for `domain__tasks__Status`, one of two so named;
    and one name for what input and output have in common.
    """
    names: dict[str, str] = {}
    for name, schema in definitions.items():
        alike = sorted(other for other in definitions if definitions[other] == schema)
        *module, plain = max(alike, key=len).removesuffix("-Input").removesuffix("-Output").split("__")
        names[name] = "".join([*(part.title() for part in module[-1:]), plain]).replace("_", "")
    return names


def _plain(value: Any, renamed: Mapping[str, str]) -> Any:
    """A schema without the titles of classes, which are their names, and with references by the new names."""
    if isinstance(value, dict):
        told = {name: inner for name, inner in value.items() if not (name == "title" and isinstance(inner, str))}
        if "$ref" in told:
            start, _, name = told["$ref"].rpartition("/")
            told["$ref"] = f"{start}/{renamed[name]}"
        return {
            name if isinstance(inner, dict) else _BOUNDS.get(name, name): _plain(inner, renamed)
            for name, inner in told.items()
        }
    return [_plain(inner, renamed) for inner in value] if isinstance(value, list) else value


@cache
def _version() -> str:
    return str(tomllib.loads((paths.PROJECT / "pyproject.toml").read_text())["project"]["version"])
