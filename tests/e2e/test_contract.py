"""The deployed API against the document that it serves.

Schemathesis makes requests from it, good and bad, and checks every answer: no 5xx, no status, header, media type or
field that the document does not have, bad data refused, no route open that is not said to be.

The requests are the same in every run. Ids of things that exist are mixed into the paths, or there would be nothing but
404s to look at.
"""

import itertools
import json
from collections import Counter
from collections.abc import Iterator, Mapping
from typing import Any, TypeAlias

import pytest
import schemathesis
import schemathesis.openapi
from hypothesis import HealthCheck, settings
from schemathesis.config import SchemathesisConfig

from domain.alerts import alert_id
from domain.permissions import Role
from ops import openapi
from tests.e2e.system import Api, Person, Slack, System, alarm, unique, wait_for

CONFIG: dict[str, Any] = {
    "generation": {"deterministic": True, "database": "none"},
    "phases": {
        "coverage": {
            "generate-duplicate-query-parameters": True,
            # Not TRACE and QUERY: API Gateway does not know them at all, and answers 404 itself.
            "unexpected-methods": ["GET", "PUT", "POST", "DELETE", "PATCH"],
        }
    },
    "checks": {
        # A projection may not have got there yet: a read that names a version waits, and then says so.
        "not_a_server_error": {"expected-statuses": ["2xx", "4xx", "503"]},
        # Some rules no schema can tell (a date in the future, bytes of a password): refused as 422, each named.
        "positive_data_acceptance": {"expected-statuses": ["2xx", "401", "403", "404", "409", "412", "422", "429"]},
        "negative_data_rejection": {
            "expected-statuses": ["400", "401", "403", "404", "406", "409", "412", "413", "415", "422", "429"]
        },
    },
}
WITHOUT_COVERAGE = {**CONFIG, "phases": {"coverage": {"enabled": False}}}
"""Without every border of every value, one by one: for one caller of two that is enough."""

Case: TypeAlias = "schemathesis.Case[Any]"
SENT: Counter[str] = Counter()

_sent = itertools.count(1)


def document(config: dict[str, Any]) -> schemathesis.BaseSchema:
    return schemathesis.openapi.from_path(openapi.FILE, config=SchemathesisConfig.from_dict(config))


def send(case: Case, api: Api, known: Mapping[str, str], who: str) -> None:
    """Send a case and check the answer. Three of four good cases are about what exists, in whatever version it is.

    Each comes from another address, for logins are slowed by address and by account: the rest of the tests log in too.
    """
    number = next(_sent)
    if case.meta and case.meta.generation.mode.is_positive:
        if number % 4:
            for name in case.path_parameters:
                case.path_parameters[name] = known.get(case.operation.label, known[name])
        if "If-Match" in case.headers:  # a version that is made up is a 412 and nothing else
            case.headers["If-Match"] = "*" if number % 4 else '"1"'
    address = f"10.{number >> 16 & 255}.{number >> 8 & 255}.{number & 255}"
    answer = case.call(base_url=api.url, headers={"Authorization": f"Bearer {api.token}", "X-Forwarded-For": address})
    SENT[f"{who} {answer.status_code}"] += 1
    case.validate_response(answer, headers={"Authorization": f"Bearer {api.token}"})


@pytest.fixture(scope="module")
def known(system: System, admin: Api, slack: Slack) -> dict[str, str]:
    """Ids of what exists, by the parameter that names it; for what removes it, by operation."""
    tasks = [created(admin, "/tasks", {"title": unique("task"), "description": "To be changed."}) for _ in range(2)]
    config = {
        "account_id": "111122223333",
        "account_name": "watched",
        "region": "eu-west-1",
        "role_arn": "arn:aws:iam::111122223333:role/opsledger-reader",
    }
    people = [system.register(unique("Person")).id for _ in range(2)]
    name = unique("contract")
    slack.answers[name] = [404]
    system.hand_in(alarm(name))
    (event,) = wait_for(lambda: admin.events(name))
    (told,) = wait_for(lambda: admin.notifications(name), lambda found: [one["status"] for one in found] == ["failed"])
    return {
        "task_id": tasks[0],
        "DELETE /tasks/{task_id}": tasks[1],
        "user_id": people[0],
        "DELETE /users/{user_id}": people[1],
        "event_id": event["id"],
        "alert_id": alert_id(event["fingerprint"]),
        "config_id": created(admin, "/config/aws", config),
        "notification_id": told["id"],
        "day": "2026-01-01",
    }


@pytest.fixture(scope="module", autouse=True)
def as_it_was(system: System, admin: Api) -> Iterator[None]:
    """Cases replace the monitoring config and register AWS configs; other tests, and the functions, go by these."""
    before = admin.get("/config/monitoring")
    yield
    assert admin.call("PUT", "/config/monitoring", before).status == 200
    for config in admin.all("/config/aws?limit=200"):
        if config["is_active"]:
            stopped = admin.call("PUT", f"/config/aws/{config['id']}", {"is_active": False})
            assert stopped.status == 200, stopped
    wait_for(lambda: told_of_an_alarm(system, admin), lambda status: status != "suppressed", deadline=40)


def told_of_an_alarm(system: System, admin: Api) -> str:
    """What becomes of the news of an alarm by the config that the functions have in hand."""
    name = unique("afterwards")
    system.hand_in(alarm(name))
    (told,) = wait_for(lambda: admin.notifications(name))
    return str(told["status"])


def created(admin: Api, path: str, body: dict[str, Any]) -> str:
    answer = admin.call("POST", path, body)
    assert answer.status == 201, answer
    return str(answer.body["id"])


@pytest.fixture(scope="module")
def temporary_admin(system: System) -> Person:
    """Not the admin that other tests are: a case may hit upon what ends its own session."""
    return system.register(unique("Temporary Admin"), Role.ADMIN)


@pytest.fixture(scope="module")
def leaver(system: System) -> Person:
    """Somebody who logs out."""
    return system.register(unique("Leaver"))


# Logging out would end the session that the other cases need; it has a test of its own.
as_admin = document(CONFIG).exclude(operation_id="logout")
as_user = document(WITHOUT_COVERAGE).exclude(operation_id="logout")
logging_out = document(CONFIG).include(operation_id="logout")

thoroughly = settings(
    max_examples=16, derandomize=True, deadline=None, database=None, suppress_health_check=list(HealthCheck)
)
briefly = settings(thoroughly, max_examples=8)


@as_admin.parametrize()
@thoroughly
def test_to_an_admin_every_route_keeps_what_the_document_promises(
    case: Case, temporary_admin: Person, known: Mapping[str, str]
) -> None:
    send(case, temporary_admin.api, known, "admin")


@as_user.parametrize()
@briefly
def test_to_a_user_every_route_keeps_what_the_document_promises(
    case: Case, person: Person, known: Mapping[str, str]
) -> None:
    send(case, person.api, known, "user")


@logging_out.parametrize()
@briefly
def test_logging_out_keeps_what_the_document_promises(case: Case, leaver: Person) -> None:
    send(case, leaver.api, {}, "leaver")


def test_the_document_that_was_tested_is_the_one_that_is_served(system: System) -> None:
    assert system.api.get("/openapi.json") == json.loads(openapi.FILE.read_text(encoding="utf-8"))


def test_thousands_of_cases_were_sent_and_not_all_were_refused(measured: list[str]) -> None:
    measured.append(f"Schemathesis: {SENT.total():,} cases: {json.dumps(dict(sorted(SENT.items())))}")
    assert SENT.total() >= 2_000
    for status in (200, 201, 204, 401, 404, 405, 409, 422):
        assert SENT[f"admin {status}"], status
    assert SENT["user 403"]
