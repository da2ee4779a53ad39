"""The digest that tells a repeat of a request from another request."""

import json

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from infra.request_digest import digest

JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(), inner, max_size=4),
    max_leaves=12,
)


def test_white_space_and_the_order_of_fields_do_not_matter() -> None:
    assert digest(b'{"a":1,"b":[1,2]}') == digest(b' {\n "b" : [1, 2], "a": 1 }\n')
    assert digest(b'{"a":{"b":1,"c":2}}') == digest(b'{"a":{"c":2,"b":1}}')
    assert digest('{"a":"ü"}'.encode()) == digest(b'{"a":"\\u00fc"}')


@pytest.mark.parametrize(
    "other",
    [
        b'{"a":2,"b":[1,2]}',
        b'{"a":1,"b":[2,1]}',
        b'{"a":"1","b":[1,2]}',
        b'{"a":true,"b":[1,2]}',
        b'{"a":1,"b":[1,2],"c":null}',
        b'{"a":1}',
        b"{}",
        b"[]",
        b"",
    ],
)
def test_another_content_has_another_digest(other: bytes) -> None:
    assert digest(b'{"a":1,"b":[1,2]}') != digest(other)


def test_no_body_is_like_null_and_not_like_an_empty_object() -> None:
    assert digest(b"") == digest(b"null") != digest(b"{}")


@settings(deadline=None)
@given(JSON)
def test_the_same_value_has_the_same_digest_however_it_is_written(value: object) -> None:
    compact = json.dumps(value, separators=(",", ":"), ensure_ascii=False).encode("utf-8", "surrogatepass")
    assert digest(json.dumps(value, indent=2, sort_keys=True).encode()) == digest(compact)


@settings(deadline=None)
@given(st.binary(max_size=200))
def test_any_bytes_have_a_digest_of_32_hex_digits(body: bytes) -> None:
    found = digest(body)
    assert len(found) == 32
    assert set(found) <= set("0123456789abcdef")


@pytest.mark.parametrize("body", [b"[" * 100_000, b"9" * 5_000, b"\xff\xfe", b'"\\ud800"'])
def test_what_no_parser_takes_has_a_digest_too(body: bytes) -> None:
    assert digest(body) == digest(body) != digest(body + b" x")
