"""RDS, as the field map says."""

from collections.abc import Callable
from typing import Any

import pytest

from domain.sources.mapping import MappedEvent, State

Mapped = Callable[..., MappedEvent]

DATABASE = "arn:aws:rds:eu-central-1:111122223333:db:orders-prod"
PAGE = "https://console.aws.amazon.com/rds/home?region=eu-central-1#"


def event_of(mapped: Mapped, number: int, *categories: str) -> MappedEvent:
    changes = {"detail.EventID": f"RDS-EVENT-{number:04}", "detail.EventCategories": list(categories)}
    return mapped("rds", changes)


@pytest.mark.parametrize(
    ("categories", "severity", "state"),
    [
        (["failure"], 3, State.OPEN),
        (["low storage"], 3, State.OPEN),
        (["failover"], 3, State.OPEN),
        (["availability"], 2, State.OPEN),
        (["recovery"], 2, State.OPEN),
        (["security"], 2, State.OPEN),
        (["read replica"], 2, State.OPEN),
        (["deletion"], 2, State.OPEN),
        (["maintenance"], 1, State.EVENT),
        (["notification"], 1, State.EVENT),
        (["backup"], 0, State.EVENT),
        (["creation"], 0, State.EVENT),
        (["configuration change"], 0, State.EVENT),
        (["Failure "], 3, State.OPEN),
        (["maintenance", "failure"], 3, State.OPEN),
        ([], 0, State.EVENT),
    ],
)
def test_an_event_that_no_other_ends_is_a_problem_by_its_category(
    mapped: Mapped, categories: list[str], severity: int, state: State
) -> None:
    event = event_of(mapped, 9999, *categories)
    assert (event.severity, event.state) == (severity, state)


@pytest.mark.parametrize(
    ("opening", "resolving"),
    [
        ((13, "failover"), (15, "failover")),
        ((13, "failover"), (49, "failover")),
        ((50, "failover"), (51, "failover")),
        ((4, "availability"), (6, "availability")),
        ((87, "notification"), (88, "notification")),
        ((150, "notification"), (151, "notification")),
        ((52, "recovery"), (53, "recovery")),
        ((20, "recovery"), (21, "recovery")),
        ((361, "recovery"), (362, "recovery")),
        ((13, "failover"), (65, "failover")),
        ((69, "failover"), (71, "failover")),
        ((70, "failover"), (71, "failover")),
        ((72, "failover"), (71, "failover")),
        ((73, "failover"), (71, "failover")),
        ((45, "read replica"), (46, "read replica")),
        ((57, "read replica"), (46, "read replica")),
        ((62, "read replica"), (415, "read replica")),
        ((416, "read replica"), (415, "read replica")),
        ((359, "read replica"), (357, "read replica")),
        ((358, "read replica"), (357, "read replica")),
        ((7, "low storage"), (218, "configuration change")),
        ((221, "availability"), (17, "configuration change")),
        ((89, "low storage"), (17, "configuration change")),
        ((222, "availability"), (218, "configuration change")),
        ((418, "failure"), (420, "failure")),
        ((419, "availability"), (420, "failure")),
        ((165, "failure"), (166, "recovery")),
    ],
)
def test_of_a_pair_the_second_ends_what_the_first_began(
    mapped: Mapped, opening: tuple[int, str], resolving: tuple[int, str]
) -> None:
    began, ended = event_of(mapped, *opening), event_of(mapped, *resolving)
    assert (began.state, ended.state) == (State.OPEN, State.RESOLVED)
    assert began.fingerprint == ended.fingerprint


def test_different_problems_of_one_database_do_not_meet(mapped: Mapped) -> None:
    events = [
        event_of(mapped, 13, "failover"),
        event_of(mapped, 50, "failover"),
        event_of(mapped, 52, "recovery"),
        event_of(mapped, 4, "availability"),
        event_of(mapped, 87, "notification"),
        event_of(mapped, 7, "low storage"),
        event_of(mapped, 9999, "failure"),
        event_of(mapped, 9999, "notification"),
    ]
    assert len({event.fingerprint for event in events}) == len(events)
    other = mapped("rds", {"detail.SourceArn": f"{DATABASE}-2"})
    assert other.fingerprint != events[0].fingerprint


def test_a_failover_that_was_not_begun_is_no_problem(mapped: Mapped) -> None:
    event = event_of(mapped, 34, "failover")
    assert (event.state, event.severity) == (State.EVENT, 0)


def test_an_event_by_its_source_and_message(mapped: Mapped) -> None:
    event = mapped("rds")
    assert event.title == "orders-prod: Multi-AZ instance failover started."
    assert (event.text, event.resource) == ("Multi-AZ instance failover started.", DATABASE)
    assert (event.status, event.order) == ("RDS-EVENT-0013", 1773281647321)
    assert event.tags == {"team": "orders"}
    assert event.unmapped == ()
    assert mapped("rds", {"detail.Date": ...}).order == 1773281647000


def test_an_event_may_say_little(mapped: Mapped) -> None:
    event = mapped("rds", {"detail.Message": "", "detail.SourceIdentifier": ..., "detail.SourceArn": ...})
    assert (event.title, event.resource) == ("db:orders-prod: RDS-EVENT-0013", DATABASE)
    assert mapped("rds", {"detail.EventID": ..., "detail.Message": ...}).title == "orders-prod: failover"


@pytest.mark.parametrize(
    ("resource", "fragment"),
    [
        ("db:orders prod", "database:id=orders%20prod;is-cluster=false"),
        ("cluster:orders", "database:id=orders;is-cluster=true"),
        ("snapshot:rds:orders-2026", "events:"),
        ("db-proxy:orders", "events:"),
    ],
)
def test_the_link_leads_to_the_database_or_to_the_events(mapped: Mapped, resource: str, fragment: str) -> None:
    arn = f"arn:aws:rds:eu-central-1:111122223333:{resource}"
    assert mapped("rds", {"detail.SourceArn": arn}).console_url == PAGE + fragment


@pytest.mark.parametrize(
    "detail_type",
    [
        "RDS DB Instance Event",
        "RDS DB Cluster Event",
        "RDS DB Snapshot Event",
        "RDS DB Cluster Snapshot Event",
        "RDS DB Parameter Group Event",
        "RDS DB Security Group Event",
        "RDS DB Proxy Event",
        "RDS DB Shard Group Event",
        "RDS Blue Green Deployment Event",
        "RDS Custom Engine Version Event",
        "RDS Zero ETL Event",
    ],
)
def test_all_kinds_of_events_are_read_alike(mapped: Mapped, detail_type: str) -> None:
    event = mapped("rds", {"detail-type": detail_type})
    assert event.unmapped == ()
    assert event.fingerprint == f"rds:{DATABASE}|failover"


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({"detail.SourceArn": ..., "resources": []}, "SourceArn is missing"),
        ({"detail.SourceArn": 1}, "SourceArn is not a string but of type int"),
        ({"detail.EventCategories": ...}, "EventCategories is not a list of strings"),
        ({"detail.EventCategories": "failover"}, "EventCategories is not a list of strings"),
        ({"detail.EventCategories": [1]}, "EventCategories is not a list of strings"),
        ({"detail.Tags": []}, "Tags is not an object but of type list"),
        ({"detail.Message": {}}, "Message is not a string but of type dict"),
    ],
)
def test_an_odd_event_is_generic_with_the_reason(mapped: Mapped, changes: dict[str, Any], reason: str) -> None:
    event = mapped("rds", changes)
    assert event.fingerprint.startswith("generic:")
    assert event.unmapped == (f"taken as generic: {reason}",)
