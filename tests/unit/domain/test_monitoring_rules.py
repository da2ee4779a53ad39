"""Matches: which monitoring events a filter or a rule means."""

import re
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from domain.monitoring_rules import Match, Matchable, Tag, fits, matches

FACTS = Matchable(
    source="aws.guardduty",
    service="guardduty",
    detail_type="GuardDuty Finding",
    account="111122223333",
    region="eu-central-1",
    resources=("arn:aws:ec2:eu-central-1:111122223333:instance/i-1", "arn:aws:s3:::logs"),
    tags={"env": "prod"},
    text="Port probe on i-1 in Straße 5",
    severity=3,
)
FITTING: dict[str, Any] = {
    "source": "aws.guardduty",
    "service": "guardduty",
    "detail_type": "GuardDuty Finding",
    "account": "111122223333",
    "region": "eu-central-1",
    "resource": "arn:aws:s3:::*",
    "tag": Tag(key="env", value="prod"),
    "text": "PORT PROBE",
    "min_severity": 3,
    "max_severity": 3,
}
OTHER: dict[str, Any] = {
    "source": "aws.guard",
    "service": "health",
    "detail_type": "guardduty finding",
    "account": "444455556666",
    "region": "eu-central-2",
    "resource": "arn:aws:rds:*",
    "tag": Tag(key="env", value="test"),
    "text": "port scan",
    "min_severity": 4,
    "max_severity": 2,
}


def test_the_cases_cover_every_field() -> None:
    assert set(FITTING) == set(OTHER) == set(Match.model_fields)


@given(st.sets(st.sampled_from(sorted(FITTING))), st.sets(st.sampled_from(sorted(OTHER))))
def test_every_field_that_is_given_must_fit(fitting: set[str], other: set[str]) -> None:
    match = Match(**{**{name: FITTING[name] for name in fitting}, **{name: OTHER[name] for name in other}})
    assert matches(match, FACTS) is not bool(other)


@pytest.mark.parametrize("field", sorted(FITTING))
def test_what_is_not_known_does_not_fit(field: str) -> None:
    assert not matches(Match(**{field: FITTING[field]}), Matchable())


def test_severity_zero_is_a_severity() -> None:
    assert matches(Match(min_severity=0), Matchable(severity=0))
    assert matches(Match(max_severity=0), Matchable(severity=0))
    assert not matches(Match(max_severity=0), Matchable(severity=1))


def test_text_is_found_in_whatever_case_also_beyond_ascii() -> None:
    assert matches(Match(text="STRASSE"), FACTS)


@pytest.mark.parametrize(
    ("pattern", "text", "fitting"),
    [
        ("*", "", True),
        ("*", "two\nlines", True),
        ("a?c", "abc", True),
        ("a?c", "ac", False),
        ("a*c", "abbc", True),
        ("a*c", "abbcd", False),
        ("A*", "abc", False),
        ("i-[1]", "i-[1]", True),
        ("i-[12]", "i-1", False),
        ("[!a]", "b", False),
        ("a.c", "abc", False),
        ("(", "(", True),
        ("\\*", "\\x", True),
    ],
)
def test_patterns(pattern: str, text: str, *, fitting: bool) -> None:
    assert fits(pattern, text) is fitting


ALPHABET = st.text(alphabet="ab[]!*?.\\-", max_size=12)


@given(ALPHABET, st.text(alphabet="ab[]!.\\-\n", max_size=12))
def test_a_pattern_means_what_the_same_regular_expression_means(pattern: str, text: str) -> None:
    parts = ({"*": ".*", "?": "."}.get(character, re.escape(character)) for character in pattern)
    assert fits(pattern, text) is bool(re.fullmatch("".join(parts), text, re.DOTALL))


def test_no_pattern_takes_exponential_time() -> None:
    """With a backtracking regular expression this would take longer than the universe is old."""
    assert not fits("*a" * 127 + "b", "a" * 2_048)
