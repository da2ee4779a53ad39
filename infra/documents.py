"""The API's OpenAPI document and the page to read it, made before the code is packaged, and what they say of paths.

They are read where they are asked for and not when the module is imported: few requests want them.
"""

import json
import re
from functools import cache
from pathlib import Path

PACKAGED = Path(__file__).resolve().parent / "packaged"
"""Where packaging puts both."""

CHECKED_IN = Path(__file__).resolve().parent.parent / "docs"
"""Where the document is in a checkout."""

DOCUMENT, PAGE = "openapi.json", "api.html"


def document() -> str:
    """The OpenAPI document, as JSON."""
    return _file(DOCUMENT).read_text(encoding="utf-8")


def page() -> str:
    """The page, as HTML. Raises FileNotFoundError in a checkout, which has none."""
    return _file(PAGE).read_text(encoding="utf-8")


def methods_of(path: str) -> tuple[str, ...]:
    """The methods that a path has; none for a path that no route has."""
    plain = path.rstrip("/")
    found = {method for pattern, methods in _table() if pattern.fullmatch(plain) for method in methods}
    return tuple(sorted(found))


@cache
def _table() -> list[tuple[re.Pattern[str], tuple[str, ...]]]:
    paths = json.loads(document())["paths"]
    return [
        (re.compile("/".join(map(_pattern, path.split("/")))), tuple(method.upper() for method in item))
        for path, item in paths.items()
    ]


def _pattern(part: str) -> str:
    return "[^/]+" if part.startswith("{") else re.escape(part)


def _file(name: str) -> Path:
    packaged = PACKAGED / name
    return packaged if packaged.exists() else CHECKED_IN / name
