"""Log errors that we find ourselves."""

from collections.abc import Callable
from typing import Any

import pytest

from domain.sources.mapping import MappedEvent, State
from domain.sources.monitoring_agent import normalised

Mapped = Callable[..., MappedEvent]


def test_an_error_line_opens_a_problem_of_its_log_group(mapped: Mapped) -> None:
    event = mapped("log-error")
    assert (event.state, event.severity, event.order) == (State.OPEN, 3, 1773155021207)
    assert event.title.startswith("invoice-render: [ERROR] 2026-03-10T15:03:41.207Z")
    assert event.resource == "/aws/lambda/invoice-render"
    assert event.text is not None
    assert event.text.endswith("Found 17 times.")
    assert event.console_url == (
        "https://console.aws.amazon.com/cloudwatch/home?region=eu-central-1"
        "#logsV2:log-groups/log-group/$252Faws$252Flambda$252Finvoice-render"
    )
    assert event.unmapped == ()


@pytest.mark.parametrize(
    ("given", "severity"), [(0, 0), (5, 5), (6, 3), (-1, 3), ("4", 3), (True, 3), (4.0, 3), (None, 3), (..., 3)]
)
def test_the_severity_is_taken_when_it_is_one(mapped: Mapped, given: Any, severity: int) -> None:
    assert mapped("log-error", {"detail.severity": given}).severity == severity


def test_another_occurrence_is_the_same_problem(mapped: Mapped) -> None:
    again = (
        "[ERROR] 2026-03-11T01:20:00.001Z 0c9d21aa-58a1-4f0e-9a43-7b1f7a0c9d21 TimeoutError: no answer from"
        " tax-service after 3001 ms (invoice 48999)"
    )
    other = again.replace("tax-service", "mail-service")
    first = mapped("log-error").fingerprint
    assert mapped("log-error", {"detail.message": again, "detail.log_stream": "another"}).fingerprint == first
    assert mapped("log-error", {"detail.message": other}).fingerprint != first
    assert mapped("log-error", {"detail.log_group": "/aws/lambda/other"}).fingerprint != first
    assert mapped("log-error", {"account": "444455556666"}).fingerprint != first
    assert mapped("log-error", {"region": "eu-west-1"}).fingerprint != first


@pytest.mark.parametrize(
    ("message", "expected"),
    [
        ("took 12.5 ms\n  at step 3", "took # ms at step #"),
        ("request 6F0F3B0E-58A1-4F0E-9A43-7B1F7A0C9D21 failed", "request # failed"),
        ("object a1b2c3d4e5f6 and 12345678 and 1234567", "object # and # and #"),
        ("at 0x7ffee4 in 10.0.0.17", "at # in #"),
        ("2026-03-10 15:03:41,207 and 2026-03-10T15:03:41+0100", "# and #"),
        ("the facade is decadent", "the facade is decadent"),
    ],
)
def test_what_varies_is_left_out_of_the_comparison(message: str, expected: str) -> None:
    assert normalised(message) == expected


@pytest.mark.parametrize("timestamp", [..., None, -5, 1e300])
def test_without_a_usable_timestamp_the_envelopes_time_orders(mapped: Mapped, timestamp: Any) -> None:
    assert mapped("log-error", {"detail.timestamp": timestamp}).order == 1773155109000


def test_a_bare_line_needs_no_more_than_group_and_message(mapped: Mapped) -> None:
    event = mapped("log-error", {"detail": {"log_group": "app", "message": "\n\n  out of memory\nstack"}})
    assert (event.title, event.text) == ("out of memory", "\n\n  out of memory\nstack")
    assert event.resources == ("app",)
    assert mapped("log-error", {"detail": {"log_group": "app", "message": "\n"}}).title == "app"


def test_a_message_without_its_group_is_generic_but_still_says_what_it_can(mapped: Mapped) -> None:
    event = mapped("log-error", {"detail.log_group": ..., "detail.severity": 4})
    assert event.fingerprint.startswith("generic:")
    assert event.severity == 4
    assert event.text is not None
    assert "TimeoutError" in event.text
    assert event.unmapped == ("taken as generic: log_group is missing",)
