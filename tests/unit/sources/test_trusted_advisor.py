"""Trusted Advisor, as the field map says."""

import time
from collections.abc import Callable
from typing import Any

import pytest

from domain.sources.mapping import MappedEvent, State

Mapped = Callable[..., MappedEvent]

BALANCER = "arn:aws:elasticloadbalancing:eu-west-1:111122223333:loadbalancer/shop"
KEY: dict[str, str] = {
    "Case ID": "0a1b2c3d-1111-4222-8333-444455556666",
    "Usage (USD per Day)": "0",
    "User Name (IAM or Root)": "deployer",
    "Deadline": "1773500000000",
    "Access Key ID": "AKIAIOSFODNN7EXAMPLE",
    "Time Updated": "1773400000000",
    "Fraud Type": "Exposed",
    "Location": "www.example.com",
}
KEYS: dict[str, Any] = {
    "detail.check-name": "Exposed Access Keys",
    "detail.resource_id": "",
    "detail.check-item-detail": KEY,
}


@pytest.mark.parametrize(
    ("status", "state", "severity"),
    [
        ("ERROR", State.OPEN, 3),
        ("WARN", State.OPEN, 2),
        ("OK", State.RESOLVED, 0),
        ("NOT_AVAILABLE", State.EVENT, 0),
    ],
)
def test_the_status_of_an_item(mapped: Mapped, status: str, state: State, severity: int) -> None:
    event = mapped("trusted-advisor", {"detail.status": status})
    assert (event.state, event.severity, event.status) == (state, severity, status)
    assert event.fingerprint == f"trusted-advisor:111122223333|Load Balancer Optimization|{BALANCER}"


@pytest.mark.parametrize(
    ("status", "state", "severity"), [("ERROR", State.OPEN, 5), ("WARN", State.OPEN, 5), ("OK", State.RESOLVED, 0)]
)
def test_exposed_keys_are_an_emergency(mapped: Mapped, status: str, state: State, severity: int) -> None:
    event = mapped("trusted-advisor", {**KEYS, "detail.status": status})
    assert (event.state, event.severity, event.resource) == (state, severity, None)


def test_an_item_by_its_check_and_resource_in_the_resources_region(mapped: Mapped) -> None:
    event = mapped("trusted-advisor")
    assert event.title == f"Load Balancer Optimization: {BALANCER} WARN"
    assert (event.resource, event.region, event.account) == (BALANCER, "eu-west-1", "111122223333")
    assert event.order == 1773550800000
    assert event.text is not None
    assert event.text.startswith("Region: eu-west-1\nLoad Balancer Name: shop\n")
    assert event.console_url == "https://console.aws.amazon.com/trustedadvisor/home?region=us-east-1#/dashboard"
    assert event.unmapped == ()


def test_a_resource_that_is_no_arn_leaves_the_region_of_the_message(mapped: Mapped) -> None:
    assert mapped("trusted-advisor", {"detail.resource_id": "sg-1"}).region == "us-east-1"


@pytest.mark.parametrize(
    ("key", "value"),
    [
        ("Usage (USD per Day)", "17.20"),
        ("Deadline", "1773900000000"),
        ("Time Updated", "1773800000000"),
        ("Status", "Red"),
        ("Reason", "seen again"),
        ("Requests", "12%"),
        ("# of Zones", "3"),
    ],
)
def test_without_a_resource_an_item_is_told_by_what_does_not_change_in_it(mapped: Mapped, key: str, value: str) -> None:
    later = {**KEYS, "detail.check-item-detail": {**KEY, key: value}}
    assert mapped("trusted-advisor", later).fingerprint == mapped("trusted-advisor", KEYS).fingerprint


@pytest.mark.parametrize(
    ("key", "value"), [("User Name (IAM or Root)", "somebody-else"), ("Access Key ID", "AKIAI44QH8DHBEXAMPLE")]
)
def test_another_item_without_a_resource_is_another_problem(mapped: Mapped, key: str, value: str) -> None:
    other = {**KEYS, "detail.check-item-detail": {**KEY, key: value}}
    assert mapped("trusted-advisor", other).fingerprint != mapped("trusted-advisor", KEYS).fingerprint


@pytest.mark.parametrize("blanks", ["+", "+$", "1", "1%"])
def test_a_value_of_any_length_is_read_in_no_time(mapped: Mapped, blanks: str) -> None:
    odd = {**KEYS, "detail.check-item-detail": {**KEY, "Name": f"{blanks}{' ' * 20_000}x"}}
    began = time.process_time()
    mapped("trusted-advisor", odd)
    assert time.process_time() - began < 0.5  # a pattern that divides the blanks in every way takes seconds


@pytest.mark.parametrize("changes", [{"account": "444455556666"}, {"detail.check-name": "Service Limits"}])
@pytest.mark.parametrize("base", [{}, KEYS])
def test_another_account_or_check_is_another_problem(
    mapped: Mapped, base: dict[str, Any], changes: dict[str, Any]
) -> None:
    other, first = mapped("trusted-advisor", {**base, **changes}), mapped("trusted-advisor", base)
    assert other.fingerprint != first.fingerprint


def test_the_order_of_the_fields_of_an_item_does_not_matter(mapped: Mapped) -> None:
    turned = dict(reversed(KEY.items()))
    other = mapped("trusted-advisor", {**KEYS, "detail.check-item-detail": turned})
    assert other.fingerprint == mapped("trusted-advisor", KEYS).fingerprint


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({"detail.check-name": ...}, "check-name is missing"),
        ({"detail.status": ...}, "status is missing"),
        ({"detail.status": ["OK"]}, "status is not a string but of type list"),
        ({"detail.resource_id": 7}, "resource_id is not a string but of type int"),
        ({"detail.check-item-detail": "x"}, "check-item-detail is not an object but 'x'"),
    ],
)
def test_an_odd_item_is_generic_with_the_reason(mapped: Mapped, changes: dict[str, Any], reason: str) -> None:
    event = mapped("trusted-advisor", changes)
    assert event.fingerprint.startswith("generic:")
    assert event.unmapped == (f"taken as generic: {reason}",)
