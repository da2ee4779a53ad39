"""Cost anomalies, as the field map says."""

from collections.abc import Callable
from typing import Any

import pytest

from domain.sources.mapping import MappedEvent, State

Mapped = Callable[..., MappedEvent]

IMPACT = "detail.impact.totalImpact"
MONITOR = "arn:aws:ce::111122223333:anomalymonitor/3c2b1a09-f8e7-4d6c-b5a4-938271605f4e"
OVERVIEW = "https://console.aws.amazon.com/cost-management/home?region=us-east-1#/anomaly-detection/overview"


@pytest.mark.parametrize(
    ("impact", "severity", "state"),
    [
        (25_000, 3, State.OPEN),
        (1_000, 3, State.OPEN),
        ("1000.00", 3, State.OPEN),
        (999.99, 2, State.OPEN),
        (100, 2, State.OPEN),
        (99.99, 1, State.EVENT),
        (0, 1, State.EVENT),
        (-5, 1, State.EVENT),
    ],
)
def test_the_impact_gives_the_severity(mapped: Mapped, impact: Any, severity: int, state: State) -> None:
    event = mapped("cost-anomaly", {IMPACT: impact})
    assert (event.severity, event.state) == (severity, state)


def test_an_anomaly_by_what_costs_more_in_the_account_that_spent_it(mapped: Mapped) -> None:
    event = mapped("cost-anomaly")
    assert event.title == "all services: Amazon Relational Database Service +1,001.00 USD"
    assert (event.account, event.region, event.resource) == ("444455556666", "eu-west-1", MONITOR)
    assert event.text == (
        "Spent 1,301.50 USD, expected 300.50 USD.\n"
        "Cause: Amazon Relational Database Service, EU-InstanceUsage:db.r6g.4xlarge, eu-west-1, shop"
    )
    assert event.unmapped == ()


def test_an_update_is_the_same_anomaly_and_later(mapped: Mapped) -> None:
    first = mapped("cost-anomaly", {IMPACT: 40})
    update = mapped("cost-anomaly", {"id": "another", "time": "2026-03-18T21:00:00Z"})  # of the same day
    assert first.fingerprint == update.fingerprint == "cost-anomaly:d4c3b2a1-0f9e-4d8c-b7a6-958473625140"
    assert (first.order, update.order) == (1773846000000, 1773867600000)
    assert mapped("cost-anomaly", {"time": ...}).order == 1773792000000
    assert mapped("cost-anomaly", {"detail.anomalyEndDate": ...}).order == first.order
    assert mapped("cost-anomaly", {"detail.anomalyEndDate": "2026-03-19T00:00:00Z"}).order == 1773878400000


@pytest.mark.parametrize("causes", [..., [], [{}]])
def test_without_a_cause_it_belongs_to_the_account_of_the_monitor(mapped: Mapped, causes: Any) -> None:
    event = mapped("cost-anomaly", {"detail.rootCauses": causes})
    assert (event.account, event.region) == ("111122223333", "us-east-1")
    assert event.text == "Spent 1,301.50 USD, expected 300.50 USD."


def test_an_anomaly_may_say_little(mapped: Mapped) -> None:
    little = {"anomalyId": "d4c3", "impact": {"totalImpact": 120}}
    event = mapped("cost-anomaly", {"detail": little})
    assert (event.title, event.text, event.resource) == ("Cost anomaly +120.00 USD", None, MONITOR)
    assert event.order == 1773846000000


@pytest.mark.parametrize(
    "link",
    [
        "https://console.aws.amazon.com/cost-management/home#/anomaly-detection/monitors/3c2b/anomalies/d4c3",
        "https://us-east-1.console.aws.amazon.com/costmanagement/home?region=us-east-1#/anomaly-detection",
    ],
)
def test_the_link_is_the_one_that_came_along(mapped: Mapped, link: str) -> None:
    assert mapped("cost-anomaly", {"detail.anomalyDetailsLink": link}).console_url == link


@pytest.mark.parametrize(
    "link",
    [
        ...,
        "https://console.aws.amazon.com.example.org/login",
        "https://example.org/?https://console.aws.amazon.com/",
        "https://user@console.aws.amazon.com/",
        "http://console.aws.amazon.com/cost-management/home",
        "javascript:alert(1)",
        "https://console.aws.amazon.com/|<x>",
    ],
)
def test_a_link_that_leads_anywhere_else_is_not_shown(mapped: Mapped, link: Any) -> None:
    assert mapped("cost-anomaly", {"detail.anomalyDetailsLink": link}).console_url == OVERVIEW


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({"detail.anomalyId": ...}, "anomalyId is missing"),
        ({"detail.impact": ...}, "impact.totalImpact is missing"),
        ({"detail.impact": 7}, "impact is not an object"),
        ({IMPACT: "much"}, "impact.totalImpact is not a number: 'much'"),
        ({"detail.rootCauses": {}}, "rootCauses is not a list of objects"),
    ],
)
def test_an_odd_anomaly_is_generic_with_the_reason(mapped: Mapped, changes: dict[str, Any], reason: str) -> None:
    event = mapped("cost-anomaly", changes)
    assert event.fingerprint.startswith("generic:")
    assert event.unmapped == (f"taken as generic: {reason}",)
