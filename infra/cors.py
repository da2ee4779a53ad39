"""Which web pages may call the API from a browser, as the Fetch standard has it (CORS).

ALLOWED_ORIGINS lists them, separated by commas: exact origins, `https://ops.example.com`; `:*` at the end of one stands
for any port. None is the default. Tokens travel in a header and never in a cookie, so credentials are not allowed.
"""

import os
from collections.abc import Iterable, Mapping

ACCEPTED_HEADERS = ("Accept", "Authorization", "Content-Type", "Idempotency-Key", "If-Match", "X-Correlation-Id")
"""What a page may send."""

EXPOSED_HEADERS = ("ETag", "Location", "Retry-After", "Stream-Version", "WWW-Authenticate", "X-Correlation-Id")
"""What a page may read of an answer."""

MAX_AGE_SECONDS = 7200
"""How long a browser may keep the answer to a preflight; Chromium keeps none longer."""


def answer_headers(origin: str | None) -> Mapping[str, str]:
    """What an answer to a page of this origin says. That it varies is said to all, or a cache would mix them up.

    Args:
        origin: the request's `Origin`.
    """
    if not _allowed(origin):
        return {"Vary": "Origin"}
    return {
        "Vary": "Origin",
        "Access-Control-Allow-Origin": str(origin),
        "Access-Control-Expose-Headers": ", ".join(EXPOSED_HEADERS),
    }


def preflight_headers(origin: str | None, methods: Iterable[str]) -> Mapping[str, str]:
    """What the answer to `OPTIONS` says besides.

    Args:
        methods: those that the path has.
    """
    if not _allowed(origin):
        return {}
    return {
        "Access-Control-Allow-Methods": ", ".join(methods),
        "Access-Control-Allow-Headers": ", ".join(ACCEPTED_HEADERS),
        "Access-Control-Max-Age": str(MAX_AGE_SECONDS),
    }


def _allowed(origin: str | None) -> bool:
    if origin is None:
        return False
    listed = os.environ.get("ALLOWED_ORIGINS", "").split(",")
    return any(_matches(origin, known.strip()) for known in listed if known.strip())


def _matches(origin: str, known: str) -> bool:
    if not known.endswith(":*"):
        return origin == known
    rest = origin.removeprefix(known[:-2])
    port = rest.removeprefix(":")
    return rest != origin and (not rest or (rest[0] == ":" and port.isascii() and port.isdigit()))
