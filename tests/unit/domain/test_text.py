"""Text that people type."""

from typing import Annotated

import pytest
from pydantic import TypeAdapter, ValidationError

from domain.text import ONE_LINE, PRINTABLE, TRIMMED

TEXT = TypeAdapter[str](Annotated[str, TRIMMED, PRINTABLE])
LINE = TypeAdapter[str](Annotated[str, TRIMMED, PRINTABLE, ONE_LINE])


@pytest.mark.parametrize("text", ["", "plain", "naïve 🔥 日本", "two\nlines", "a\tb", "a\r\nb", "zero\u200bwidth"])
def test_text_that_people_type_is_taken_as_it_is(text: str) -> None:
    assert TEXT.validate_python(text) == text


def test_white_space_around_a_text_is_dropped() -> None:
    assert TEXT.validate_python("\n  in between\t ") == "in between"


@pytest.mark.parametrize("code", [0x00, 0x07, 0x08, 0x0B, 0x1B, 0x7F, 0x85, 0x9F])
def test_a_control_character_is_refused_and_named(code: int) -> None:
    with pytest.raises(ValidationError, match=rf"holds the control character U\+{code:04X}"):
        TEXT.validate_python(f"a{chr(code)}b")


@pytest.mark.parametrize("end", ["\n", "\r", "\r\n", "\u2028", "\u2029"])
def test_a_line_has_no_end_of_line_inside(end: str) -> None:
    with pytest.raises(ValidationError, match="must be one line"):
        LINE.validate_python(f"a{end}b")
    assert LINE.validate_python(f"a b{end}") == "a b"


@pytest.mark.parametrize("value", [1, None, True, b"text", ["text"]])
def test_nothing_but_text_is_taken_for_text(value: object) -> None:
    with pytest.raises(ValidationError):
        TEXT.validate_python(value)
