"""The API's document and page, as the read function answers them."""

import json
import re
from base64 import b64encode
from hashlib import sha256
from pathlib import Path
from typing import Any

import pytest

from infra import documents as files
from ops import api_page, openapi
from queries import api, documents


def get(path: str, accept: str = "*/*") -> dict[str, Any]:
    event = {"path": path, "httpMethod": "GET", "headers": {"Accept": accept}, "requestContext": {}, "body": None}
    return api.api(event, object())


@pytest.fixture
def packaged(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    """Both, as packaging puts them beside the code; returns the page."""
    page = api_page.render(openapi.document())
    (tmp_path / files.DOCUMENT).write_text('{"openapi":"3.1.0"}')
    (tmp_path / files.PAGE).write_text(page)
    monkeypatch.setattr(files, "PACKAGED", tmp_path)
    documents._page.cache_clear()
    return page


def test_the_document_is_open_and_answered_as_it_was_packaged(packaged: str) -> None:  # noqa: ARG001
    answer = get("/openapi.json")
    assert (answer["statusCode"], answer["body"]) == (200, '{"openapi":"3.1.0"}')
    assert answer["multiValueHeaders"]["Content-Type"] == ["application/json"]


def test_a_checkout_answers_the_document_that_is_checked_in_and_has_no_page(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(files, "PACKAGED", tmp_path)
    documents._page.cache_clear()
    assert json.loads(get("/openapi.json")["body"])["openapi"] == "3.1.0"
    answer = get("/docs")
    assert (answer["statusCode"], json.loads(answer["body"])["title"]) == (404, "Not found")


def test_the_page_may_use_its_own_styles_and_nothing_else(packaged: str) -> None:
    answer = get("/docs", accept="text/html")
    assert (answer["statusCode"], answer["body"]) == (200, packaged)
    (policy,) = answer["multiValueHeaders"]["Content-Security-Policy"]
    (style,) = re.findall("<style>(.*?)</style>", packaged, re.DOTALL)
    digest = b64encode(sha256(style.encode()).digest()).decode()
    assert f"default-src 'none'; style-src 'sha256-{digest}'; " in policy
    assert "unsafe" not in policy
