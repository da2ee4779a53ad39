"""Which pages may call the API from a browser: exact origins, none by default."""

import pytest

from infra import cors

PAGE = "https://ops.example.com"


@pytest.fixture
def allowed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ALLOWED_ORIGINS", f"{PAGE}, https://other.example.com,http://localhost:*")


@pytest.mark.usefixtures("allowed")
@pytest.mark.parametrize(
    "origin",
    [PAGE, "https://other.example.com", "http://localhost", "http://localhost:3000", "http://localhost:65535"],
)
def test_a_page_of_a_listed_origin_may_read_answers_and_their_headers(origin: str) -> None:
    headers = cors.answer_headers(origin)
    assert headers["Access-Control-Allow-Origin"] == origin
    assert {"ETag", "Stream-Version", "Retry-After"} <= set(headers["Access-Control-Expose-Headers"].split(", "))
    assert headers["Vary"] == "Origin"


@pytest.mark.usefixtures("allowed")
@pytest.mark.parametrize(
    "origin",
    [
        None,
        "",
        "null",
        "*",
        "https://ops.example.com.evil.example",
        "https://evil.example/https://ops.example.com",
        "http://ops.example.com",
        "https://ops.example.com:8443",
        "https://OPS.example.com",
        "http://localhost:",
        "http://localhost:30a0",
        "http://localhost:٣",
        "http://localhost.evil.example",
        "http://localhost:80@evil.example",
        "http://localhost:*",
        "https://localhost:3000",
    ],
)
def test_no_other_page_is_told_anything(origin: str | None) -> None:
    assert cors.answer_headers(origin) == {"Vary": "Origin"}
    assert cors.preflight_headers(origin, ["GET"]) == {}


@pytest.mark.parametrize("origins", [None, "", " ", ",", "*"])
def test_without_a_list_no_page_may(origins: str | None, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("ALLOWED_ORIGINS", raising=False)
    if origins is not None:
        monkeypatch.setenv("ALLOWED_ORIGINS", origins)
    for origin in ("", PAGE, "null"):
        assert cors.answer_headers(origin) == {"Vary": "Origin"}


@pytest.mark.usefixtures("allowed")
def test_a_preflight_tells_the_methods_of_the_path_and_the_headers_that_clients_need() -> None:
    headers = cors.preflight_headers(PAGE, ["GET", "PUT"])
    assert headers["Access-Control-Allow-Methods"] == "GET, PUT"
    accepted = set(headers["Access-Control-Allow-Headers"].split(", "))
    assert {"Authorization", "Content-Type", "Idempotency-Key", "If-Match", "X-Correlation-Id"} <= accepted
    assert int(headers["Access-Control-Max-Age"]) > 0


@pytest.mark.usefixtures("allowed")
def test_credentials_are_never_allowed() -> None:
    for headers in (cors.answer_headers(PAGE), cors.preflight_headers(PAGE, ["GET"])):
        assert "Access-Control-Allow-Credentials" not in headers
        assert "*" not in headers.values()
