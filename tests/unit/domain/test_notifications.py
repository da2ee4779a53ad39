"""Who is told of what: the verdict on a monitoring event, and the rule behind it."""

from typing import Any

import pytest

from domain.notifications import Verdict, judge
from domain.sources.mapping import MappedEvent, State


def mapped(**facts: Any) -> MappedEvent:
    return MappedEvent(
        **{
            "source": "aws.cloudwatch",
            "detail_type": "CloudWatch Alarm State Change",
            "account": "111122223333",
            "region": "eu-central-1",
            "title": "cpu: ALARM",
            "severity": 3,
            "state": State.OPEN,
            "fingerprint": "alarm:cpu",
            "order": 1,
            **facts,
        }
    )


@pytest.mark.parametrize(("severity", "told"), [(0, False), (1, False), (2, True), (3, True), (4, True), (5, True)])
def test_problems_are_told_from_the_least_severity_upwards(severity: int, *, told: bool) -> None:
    assert judge(mapped(severity=severity), 2).send is told


def test_the_rule_says_in_words_why() -> None:
    assert judge(mapped(severity=1), 2) == Verdict(send=False, rule="severity 1 is below 2")
    assert judge(mapped(severity=2), 2) == Verdict(send=True, rule="severity 2 is 2 or more")


@pytest.mark.parametrize("severity", range(6))
def test_a_least_severity_of_0_tells_every_problem(severity: int) -> None:
    assert judge(mapped(severity=severity), 0).send


@pytest.mark.parametrize("severity", range(6))
def test_what_aws_muted_is_not_told_however_severe(severity: int) -> None:
    assert judge(mapped(severity=severity, quiet="muted by AWS"), 0) == Verdict(send=False, rule="quiet: muted by AWS")


def test_the_end_of_a_problem_is_not_told() -> None:
    assert judge(mapped(state=State.RESOLVED, severity=5), 0) == Verdict(send=False, rule="says that a problem is over")


@pytest.mark.parametrize("state", sorted(set(State) - {State.RESOLVED}))
def test_every_other_state_is_told_by_its_severity(state: State) -> None:
    assert judge(mapped(state=state, severity=2), 2).send
    assert not judge(mapped(state=state, severity=1), 2).send
