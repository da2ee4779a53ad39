"""The API's own description: the OpenAPI document, and the page to read it."""

import re
from base64 import b64encode
from functools import cache
from hashlib import sha256

from domain.errors import NotFoundError
from infra import documents
from infra.rest import Answer, Html, JsonText, Request


def get_document(request: Request) -> Answer[JsonText]:  # noqa: ARG001 - the same for everybody
    """This API as an OpenAPI 3.1 document."""
    return Answer(JsonText(documents.document()))


def get_page(request: Request) -> Answer[Html]:  # noqa: ARG001 - as above
    """This API as a page to read."""
    try:
        page, policy = _page()
    except FileNotFoundError:
        raise NotFoundError("The page is made when the code is packaged; /openapi.json says the same.") from None
    return Answer(Html(page), headers={"Content-Security-Policy": policy, "Referrer-Policy": "no-referrer"})


@cache
def _page() -> tuple[str, str]:
    """The page, and the policy that lets it use its own styles and nothing else."""
    page = documents.page()
    styles = " ".join(
        f"'sha256-{b64encode(sha256(style.encode()).digest()).decode()}'"
        for style in re.findall("<style>(.*?)</style>", page, re.DOTALL)
    )
    return page, f"default-src 'none'; style-src {styles}; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
