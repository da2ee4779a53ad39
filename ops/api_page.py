"""The page at `/docs`: the OpenAPI document written as HTML, with nothing to run in it and nothing to load.

Everything that the template prints is escaped. The document is our own, but the page is no place to rely on that.
"""

import json
import re
import shlex
from collections.abc import Iterator, Mapping
from typing import Any

from jinja2 import Environment, FileSystemLoader, StrictUndefined
from markupsafe import Markup, escape

from ops import paths

TEMPLATES = paths.PROJECT / "templates" / "docs"

_LIMITS = {
    "minLength": "length ≥ {}",
    "maxLength": "length ≤ {}",
    "minimum": "≥ {}",
    "maximum": "≤ {}",
    "exclusiveMinimum": "> {}",
    "exclusiveMaximum": "< {}",
    "minItems": "items ≥ {}",
    "maxItems": "items ≤ {}",
    "pattern": "matches {}",
}


def render(document: Mapping[str, Any]) -> str:
    """The page of a document."""
    environment = Environment(
        loader=FileSystemLoader(TEMPLATES),
        undefined=StrictUndefined,
        autoescape=True,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters |= {"kind": _kind, "limits": _limits, "prose": _prose, "curl": _curl}
    environment.filters["resolved"] = lambda part: _resolved(document, part)
    tags = {tag["name"]: list(_operations(document, tag["name"])) for tag in document["tags"]}
    every: dict[str, Any] = {}
    for operations in tags.values():
        for operation in operations:
            every |= operation["responses"]
    problems = {status: _resolved(document, every[status]) for status in sorted(every) if status >= "400"}
    return environment.get_template("api.html.j2").render(document=document, tags=tags, problems=problems)


def _operations(document: Mapping[str, Any], tag: str) -> Iterator[dict[str, Any]]:
    for path, item in document["paths"].items():
        for method, operation in item.items():
            if tag in operation["tags"]:
                problems = [status for status in operation["responses"] if status >= "400"]
                yield {**operation, "method": method.upper(), "path": path, "problems": problems}


def _resolved(document: Mapping[str, Any], part: Mapping[str, Any]) -> Mapping[str, Any]:
    """What a reference stands for; anything else is itself."""
    while "$ref" in part:
        found: Any = document
        for name in part["$ref"].removeprefix("#/").split("/"):
            found = found[name]
        part = found
    return part


def _kind(schema: Mapping[str, Any]) -> Markup:
    """What kind of value it is, in words, with links to the schemas it names."""
    if "$ref" in schema:
        name = schema["$ref"].rpartition("/")[2]
        return Markup('<a href="#schema-{0}">{0}</a>').format(name)
    for combined, joint in (("anyOf", " or "), ("oneOf", " or "), ("allOf", " and ")):
        if combined in schema:
            return escape(joint).join(_kind(alternative) for alternative in schema[combined])
    if "enum" in schema or "const" in schema:
        values = schema.get("enum", [schema.get("const")])
        return Markup(" | ").join(Markup("<code>{}</code>").format(json.dumps(value)) for value in values)
    if schema.get("type") == "array":
        return Markup("list of {}").format(_kind(schema.get("items", {})))
    if isinstance(schema.get("additionalProperties"), dict):
        return Markup("object of {}").format(_kind(schema["additionalProperties"]))
    return escape(schema.get("type", "anything"))


def _limits(schema: Mapping[str, Any]) -> str:
    """The bounds of a value, its alternatives' included, in words."""
    parts = [schema, *schema.get("anyOf", ())]
    told = [text.format(part[name]) for part in parts for name, text in _LIMITS.items() if name in part]
    if schema.get("default") is not None:
        told.append(f"by default {json.dumps(schema['default'])}")
    return ", ".join(told)


def _prose(text: str) -> Markup:
    """Paragraphs, with what stands between back-ticks as code."""
    paragraphs = filter(None, re.split(r"\n\s*\n", text.strip()))
    return Markup("").join(Markup("<p>{}</p>").format(_with_code(paragraph)) for paragraph in paragraphs)


def _with_code(paragraph: str) -> Markup:
    parts = paragraph.split("`")
    return Markup("").join(
        Markup("<code>{}</code>").format(part) if n % 2 else escape(part) for n, part in enumerate(parts)
    )


def _curl(operation: Mapping[str, Any]) -> str:
    """How to call it from a shell in which `$url` is the API's address and `$token` an access token."""
    words = ["curl"]
    if operation["method"] != "GET":
        words += ["--request", operation["method"]]
    if operation["security"]:
        words += ["--header", '"Authorization: Bearer $token"']
    content = operation.get("requestBody", {}).get("content", {}).get("application/json")
    if content:
        words += ["--header", "'Content-Type: application/json'"]
        words += ["--data", shlex.quote(json.dumps(content.get("example", {}), ensure_ascii=False))]
    lines, words = [words[0]], words[1:]
    lines += [f"{option} {value}" for option, value in zip(words[::2], words[1::2], strict=True)]
    return " \\\n  ".join([*lines, f'"$url{operation["path"]}"'])
