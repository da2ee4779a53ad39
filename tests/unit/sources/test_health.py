"""AWS Health, as the field map says."""

from collections.abc import Callable
from typing import Any
from uuid import UUID

import pytest

from domain.sources.envelope import delivery_uuid, read
from domain.sources.mapping import MappedEvent, State

Mapped = Callable[..., MappedEvent]
Message = Callable[..., dict[str, Any]]


@pytest.mark.parametrize(
    ("changes", "severity"),
    [
        ({"detail.eventTypeCategory": "issue"}, 3),
        ({"detail.eventTypeCategory": "issue", "detail.eventScopeCode": "PUBLIC"}, 2),
        ({"detail.eventTypeCategory": "investigation"}, 2),
        ({"detail.eventTypeCategory": "scheduledChange"}, 2),
        ({"detail.eventTypeCategory": "plannedChange"}, 2),
        ({"detail.eventTypeCategory": "accountNotification"}, 1),
        ({"detail.eventTypeCategory": "somethingNew"}, 1),
        ({"detail.eventTypeCategory": ...}, 1),
        ({"detail.eventTypeCategory": "accountNotification", "detail.actionability": "ACTION_REQUIRED"}, 3),
        ({"detail.eventTypeCategory": "issue", "detail.actionability": "INFORMATIONAL"}, 1),
        ({"detail.eventTypeCategory": "issue", "detail.actionability": "ACTION_MAY_BE_REQUIRED"}, 3),
        ({"detail.eventTypeCode": "AWS_RISK_CREDENTIALS_EXPOSED", "detail.actionability": "INFORMATIONAL"}, 5),
        ({"detail-type": "AWS Health Abuse Event"}, 4),
        ({"detail-type": "AWS Health Abuse Event", "detail.eventTypeCode": "AWS_RISK_CREDENTIALS_EXPOSED"}, 5),
    ],
)
def test_category_scope_and_actionability_give_the_severity(
    mapped: Mapped, changes: dict[str, Any], severity: int
) -> None:
    assert mapped("health", changes).severity == severity


@pytest.mark.parametrize(
    ("changes", "severity"),
    [
        ({"time": "2026-03-19T13:59:59Z"}, 2),
        ({"time": "2026-03-19T14:00:00Z"}, 3),
        ({"time": "2026-03-26T15:00:00Z", "detail.statusCode": "open"}, 3),
        ({"time": "2026-03-26T15:00:00Z", "detail.statusCode": "closed"}, 2),
        ({"time": ..., "detail.lastUpdatedTime": "Wed, 25 Mar 2026 08:00:00 GMT"}, 3),
        ({"time": ..., "detail.lastUpdatedTime": ...}, 2),
        ({"time": "2026-03-26T15:00:00Z", "detail.startTime": "when it suits"}, 2),
    ],
)
def test_a_change_is_more_urgent_in_the_week_before_it_starts(
    mapped: Mapped, changes: dict[str, Any], severity: int
) -> None:
    assert mapped("health", changes).severity == severity


@pytest.mark.parametrize(
    ("status", "state"),
    [
        ("open", State.OPEN),
        ("upcoming", State.OPEN),
        ("closed", State.RESOLVED),
        ("resolved", State.RESOLVED),
        (..., State.OPEN),
    ],
)
def test_the_status_code_gives_the_state(mapped: Mapped, status: Any, state: State) -> None:
    assert mapped("health", {"detail.statusCode": status}).state is state


def test_the_status_code_decides_and_not_the_words_of_the_text(mapped: Mapped) -> None:
    described = [{"language": "en_US", "latestDescription": "[RESOLVED] All is well."}]
    assert mapped("health", {"detail.statusCode": "open", "detail.eventDescription": described}).state is State.OPEN


def test_one_event_is_one_problem_in_each_affected_account(mapped: Mapped) -> None:
    own = mapped("health")
    administrators_copy = mapped("health", {"account": "999988887777", "id": "another"})
    other_member = mapped("health", {"detail.affectedAccount": "444455556666"})
    assert own.fingerprint == administrators_copy.fingerprint
    assert own.fingerprint != other_member.fingerprint
    assert (administrators_copy.account, other_member.account) == ("111122223333", "444455556666")
    assert mapped("health", {"detail.affectedAccount": ...}).fingerprint == own.fingerprint


def test_the_region_is_that_of_the_event(mapped: Mapped) -> None:
    assert mapped("health", {"region": "us-east-1"}).region == "eu-central-1"
    assert mapped("health", {"detail.eventRegion": ...}).region == "eu-central-1"


def test_messages_are_ordered_by_their_last_update(mapped: Mapped) -> None:
    assert mapped("health").order == 1773142121000
    assert mapped("health", {"detail.lastUpdatedTime": "Sat, 10 Mar 2026 11:28:42 GMT"}).order == 1773142122000
    assert mapped("health", {"detail.lastUpdatedTime": ...}).order == 1773142200000


@pytest.mark.parametrize(
    ("entities", "resource"),
    [
        ([{"entityValue": "i-1"}, {"entityValue": "i-2"}], "i-1"),
        ([{"entityValue": "i-1", "status": "UNIMPAIRED"}, {"entityValue": "i-2", "status": "IMPAIRED"}], "i-2"),
        ([{"entityValue": "i-1", "statusCode": "RESOLVED"}, {"entityValue": "i-2", "statusCode": "PENDING"}], "i-2"),
        ([{"entityValue": "i-1", "status": "RESOLVED"}], "i-1"),
        ([{"tags": {"stage": "prod"}}], "i-0b2c3d4e5f6071829"),
        ([], "i-0b2c3d4e5f6071829"),
    ],
)
def test_the_resource_is_the_first_entity_that_is_not_well(mapped: Mapped, entities: Any, resource: str) -> None:
    assert mapped("health", {"detail.affectedEntities": entities}).resource == resource


def test_without_entities_and_resources_the_service_is_the_resource(mapped: Mapped) -> None:
    assert mapped("health", {"detail.affectedEntities": ..., "resources": []}).resource == "EC2"


def test_title_and_text(mapped: Mapped) -> None:
    event = mapped("health")
    assert event.title == "EC2 AWS_EC2_PERSISTENT_INSTANCE_RETIREMENT_SCHEDULED"
    assert event.text is not None
    assert "\n\nStop and start them" in event.text
    german = {"language": "de_DE", "latestDescription": "Alles gut."}
    english = {"language": "en_US", "latestDescription": "All well."}
    issue = {"detail.eventTypeCategory": "issue"}
    assert mapped("health", {**issue, "detail.eventDescription": [german, english]}).text == "All well."
    assert mapped("health", {**issue, "detail.eventDescription": [german]}).text == "Alles gut."
    assert mapped("health", {**issue, "detail.eventDescription": []}).text is None


@pytest.mark.parametrize("category", ["scheduledChange", "plannedChange"])
@pytest.mark.parametrize(
    ("start", "end", "told"),
    [
        ("Sat, 4 Apr 2026 14:00:00 GMT", "2026-04-04T16:30:00Z", "2026-04-04 14:00 UTC. Ends 2026-04-04 16:30 UTC"),
        ("Sat, 4 Apr 2026 14:00:00 GMT", "Sat, 4 Apr 2026 14:00:00 GMT", "2026-04-04 14:00 UTC"),
        ("2026-04-04T16:00:00+02:00", ..., "2026-04-04 14:00 UTC"),
        ("2026-04-04T14:00Z", "", "2026-04-04T14:00Z"),
        ("when it\n suits", 7, "when it suits"),
        ("x" * 5000, None, "x" * 200),
    ],
)
def test_the_text_of_a_change_begins_with_its_times(
    mapped: Mapped, category: str, start: str, end: Any, told: str
) -> None:
    times = {"detail.startTime": start, "detail.endTime": end}
    event = mapped("health", {"detail.eventTypeCategory": category, **times})
    assert (event.text or "").startswith(f"Starts {told}.\n\nOne or more of your instances")
    assert event.unmapped == ()


def test_a_change_without_times_tells_none(mapped: Mapped) -> None:
    event = mapped("health", {"detail.startTime": ..., "detail.endTime": ...})
    assert (event.text or "").startswith("One or more of your instances")
    only_end = mapped("health", {"detail.startTime": ...})
    assert (only_end.text or "").startswith("Ends 2026-03-26 14:00 UTC.\n\nOne")


@pytest.mark.parametrize(("backup", "copy"), [("true", True), (True, True), ("false", False), (..., False)])
def test_a_copy_from_the_backup_region_that_names_no_communication_is_an_event(
    mapped: Mapped,
    backup: Any,
    copy: bool,  # noqa: FBT001
) -> None:
    event = mapped("health", {"detail.backupEvent": backup, "detail.communicationId": ...})
    assert (event.state, event.quiet is not None) == (State.EVENT if copy else State.OPEN, copy)
    named = mapped("health", {"detail.backupEvent": backup})
    assert (named.state, named.quiet) == (State.OPEN, None)


def test_the_copies_of_a_notice_are_deliveries_of_it(message: Message) -> None:
    def identity(changes: dict[str, Any]) -> UUID:
        return delivery_uuid(read(message("health", changes)))

    own = identity({})
    backup = {"id": "other", "region": "us-west-2", "time": "2026-03-10T11:31:00Z", "detail.backupEvent": "true"}
    assert identity(backup) == own
    administrators = {"id": "other", "account": "999988887777", "detail.affectedAccount": "111122223333"}
    assert identity(administrators) == own
    assert identity({"detail.affectedAccount": "444455556666"}) != own
    assert identity({"detail.communicationId": "another"}) != own
    assert identity({"detail.lastUpdatedTime": "Tue, 10 Mar 2026 12:00:00 GMT"}) != own
    assert identity({"id": "other", "detail.communicationId": ...}) != identity({"detail.communicationId": ...})
    odd_ones: list[Any] = ["", 7, None, ["x"], {}]
    for odd in odd_ones:
        assert identity({"id": "other", "detail.communicationId": odd}) != own


def test_the_pages_of_a_notice_are_one_problem_each_with_its_own_entities(mapped: Mapped) -> None:
    pages = [
        mapped(
            "health",
            {
                "id": f"delivery-{page}",
                "detail.page": f"{page}",
                "detail.totalPages": "2",
                "detail.affectedEntities": [{"entityValue": f"i-{page}"}],
            },
        )
        for page in (1, 2)
    ]
    assert len({(page.fingerprint, page.order, page.title, page.state) for page in pages}) == 1
    assert [page.resources for page in pages] == [("i-1",), ("i-2",)]
    assert [(page.text or "").rsplit("\n", 1)[-1] for page in pages] == ["Page 1 of 2.", "Page 2 of 2."]
    assert [page.quiet for page in pages] == [None, None]
    assert mapped("health", {"detail.page": "1", "detail.totalPages": "1"}).text == mapped("health").text


def test_the_tags_are_those_of_the_entity_that_is_not_well(mapped: Mapped) -> None:
    entities = [
        {"entityValue": "i-1", "statusCode": "RESOLVED", "tags": {"env": "test"}},
        {"entityValue": "i-2", "statusCode": "PENDING", "lastupdatedTime": "soon", "tags": {"env": "prod"}},
    ]
    event = mapped("health", {"detail.affectedEntities": entities})
    assert (event.resource, event.tags) == ("i-2", {"env": "prod"})


def test_the_link_opens_the_event_log_whatever_the_region(mapped: Mapped) -> None:
    event = mapped("health", {"detail.eventArn": "arn:aws:health:global::event/IAM/X&Y", "region": ...})
    assert event.console_url == (
        "https://health.aws.amazon.com/health/home#/account/event-log"
        "?eventID=arn%3Aaws%3Ahealth%3Aglobal%3A%3Aevent%2FIAM%2FX%26Y"
    )


def test_a_thousand_entities_are_cut_to_the_first_hundred(mapped: Mapped) -> None:
    event = mapped("health", {"detail.affectedEntities": [{"entityValue": f"vol-{n}"} for n in range(1_000)]})
    assert len(event.resources) == 100
    assert event.resources[-1] == "vol-99"


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({"detail.eventArn": ...}, "eventArn is missing"),
        ({"detail.eventTypeCode": 5}, "eventTypeCode is not a string but of type int"),
        ({"detail.affectedEntities": ["i-1"]}, "affectedEntities is not a list of objects"),
        ({"detail.eventDescription": "text"}, "eventDescription is not a list of objects"),
    ],
)
def test_an_odd_notice_is_generic_with_the_reason(mapped: Mapped, changes: dict[str, Any], reason: str) -> None:
    event = mapped("health", changes)
    assert event.fingerprint.startswith("generic:")
    assert event.unmapped == (f"taken as generic: {reason}",)
