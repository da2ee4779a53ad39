"""AWS configs and the monitoring config as the read API shows them, from rows that the projector wrote."""

import json
from collections.abc import Iterator, Mapping, Sequence
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from domain.aws_configs import (
    AWS_CONFIGS,
    AwsConfigChanged,
    AwsConfigDisabled,
    AwsConfigRegistered,
    ConnectionTested,
    config_id,
)
from domain.commit import Commit, Recorded
from domain.event import DomainEvent
from domain.monitoring_config import (
    GlobalSettings,
    GlobalSettingsChanged,
    MonitoringConfig,
    ServiceRemoved,
    defaults,
    replace,
)
from domain.monitoring_config_shape import shown
from domain.permissions import Caller, Role
from infra.views import Row
from projections.aws_configs import AwsConfigProjection
from projections.monitoring_config import MonitoringConfigProjection
from projections.projector import Projector, projections
from queries import api, read_your_write, wiring
from tests.integration.read_api import Answered

if TYPE_CHECKING:
    from tests.integration.conftest import Calls, History

DEFAULTS = defaults()
MAIN = "monitoring-config#main"
TESTED = ConnectionTested(ok=True, account="111122223333")
REFUSED = ConnectionTested(ok=False, fault="No.")


class Tokens:
    """Tokens that say who calls: `admin` or `user`."""

    @staticmethod
    def caller(token: str) -> Caller:
        return Caller(user_id="ann", role=Role(token))


def get(path: str, query: Mapping[str, str] | None = None, role: str = "admin") -> Answered:
    event = {
        "resource": "/{proxy+}",
        "path": path,
        "httpMethod": "GET",
        "headers": {"authorization": f"Bearer {role}"},
        "queryStringParameters": dict(query) if query else None,
        "multiValueQueryStringParameters": None,
        "requestContext": {"requestId": "r", "stage": "test", "path": path, "httpMethod": "GET"},
        "body": None,
        "isBase64Encoded": False,
    }
    answer = api.handler(event, None)
    headers = {name: values[0] for name, values in answer["multiValueHeaders"].items()}
    return Answered(answer["statusCode"], headers, json.loads(answer["body"]))


@pytest.fixture(autouse=True)
def _asked(aws: None, history: "History", monkeypatch: pytest.MonkeyPatch) -> None:  # noqa: ARG001
    monkeypatch.setattr(wiring, "store", lambda: history.store)
    monkeypatch.setattr(api.api, "_callers", Tokens)


def project(history: "History", commits: Sequence[Commit] | None = None) -> None:
    hints = history.commits if commits is None else commits
    Projector(history.store, projections(history.people)).project(hints)


def register(history: "History", account: str, *more: DomainEvent, region: str = "eu-central-1") -> str:
    role = f"arn:aws:iam::{account}:role/opsledger"
    registered = AwsConfigRegistered(
        account_id=account, account_name=f"Account {account[-1]}", region=region, role_arn=role, external_id="e-1"
    )
    name = config_id(account, region)
    history.append(AWS_CONFIGS.stream(name), registered, *more)
    return name


def walked(**query: str) -> list[str]:
    """The accounts of every page, to the list's end."""
    found: list[str] = []
    cursor: dict[str, str] = {}
    while True:
        answered = get("/config/aws", {**query, **cursor})
        assert answered.status == 200, answered.body
        found += [item["account_name"][-1] for item in answered.body["items"]]
        if answered.body["next"] is None:
            return found
        assert len(answered.body["items"]) == int(query.get("limit", "50"))
        cursor = {"cursor": answered.body["next"]}


@pytest.fixture
def several(history: "History") -> dict[str, str]:
    """Five configs, by the last digit of their accounts, in the order in which they were registered."""
    moved = AwsConfigChanged(account_name="Account 4", role_arn="arn:aws:iam::000000000004:role/opsledger-2")
    happened: dict[str, tuple[DomainEvent, ...]] = {
        "1": (),
        "2": (TESTED,),
        "3": (REFUSED,),
        "4": (TESTED, moved),
        "5": (TESTED, AwsConfigDisabled()),
    }
    ids = {name: register(history, f"{int(name):012d}", *events) for name, events in happened.items()}
    project(history)
    return ids


# ---- AWS configs


def test_a_config_shows_all_that_happened_to_it(history: "History", several: dict[str, str]) -> None:
    (first,) = (item for item in get("/config/aws").body["items"] if item["id"] == several["2"])
    at = int(history.commits[1].at.timestamp())
    assert first == {
        "id": several["2"],
        "account_id": "000000000002",
        "account_name": "Account 2",
        "region": "eu-central-1",
        "role_arn": "arn:aws:iam::000000000002:role/opsledger",
        "external_id": "e-1",
        "status": "active",
        "is_active": True,
        "deployed_at": at,
        "last_sync": at,
        "last_error": None,
        "created_at": at,
        "updated_at": at,
    }


@pytest.mark.usefixtures("several")
@pytest.mark.parametrize("limit", ["1", "2", "5", "50"])
@pytest.mark.parametrize(
    ("query", "found"),
    [
        ({}, "54321"),
        ({"direction": "asc"}, "12345"),
        ({"is_active": "true"}, "4321"),
        ({"is_active": "false"}, "5"),
        ({"status": "pending"}, "1"),
        ({"status": "active"}, "2"),
        ({"status": "failed"}, "3"),
        ({"status": "deploying"}, "4"),
        ({"status": "disabled"}, "5"),
        ({"status": "disabled", "is_active": "true"}, ""),
    ],
)
def test_lists_are_filtered_and_in_order_whatever_the_page(limit: str, query: dict[str, str], found: str) -> None:
    assert walked(limit=limit, **query) == list(found)


@pytest.mark.usefixtures("several")
def test_a_cursor_of_other_filters_is_refused() -> None:
    cursor = get("/config/aws", {"limit": "1"}).body["next"]
    answered = get("/config/aws", {"limit": "1", "is_active": "true", "cursor": cursor})
    assert (answered.status, answered.body["errors"][0]["field"]) == (422, "cursor")


@pytest.mark.parametrize("query", [{"status": "gone"}, {"is_active": "1"}, {"account": "1"}])
def test_a_filter_that_is_none_is_refused_by_name(query: dict[str, str]) -> None:
    answered = get("/config/aws", query)
    assert answered.status == 422
    assert [fault["field"] for fault in answered.body["errors"]] == list(query)


@pytest.mark.usefixtures("several")
def test_a_list_is_one_query(calls: "Calls") -> None:
    get("/config/aws")
    assert calls.operations == ["Query"]


def test_a_list_shows_what_its_reader_wrote(
    history: "History", several: dict[str, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """The index lags: it still shows the row as it was, and not yet the one that is new."""
    before = list(Row.by_status.query("aws-configs"))
    history.append(f"aws-config#{several['2']}", AwsConfigDisabled())
    new = register(history, "000000000006")
    project(history)
    monkeypatch.setattr(type(Row.by_status), "query", lambda *_args, **_options: iter(reversed(before)))

    def statuses(stream_version: str) -> dict[str, str]:
        answered = get("/config/aws", {"min_version": stream_version})
        assert answered.status == 200, answered.body
        return {item["account_name"][-1]: item["status"] for item in answered.body["items"]}

    assert statuses(f"aws-config#{several['2']}@3")["2"] == "disabled"
    assert list(statuses(f"aws-config#{new}@1")) == ["6", "5", "4", "3", "2", "1"]


@pytest.mark.parametrize(("direction", "pages"), [("desc", ["54", "32", "1"]), ("asc", ["12", "34", "5"])])
def test_what_its_reader_wrote_is_on_its_own_page_only(
    several: dict[str, str], direction: str, pages: list[str]
) -> None:
    found = []
    query = {"limit": "2", "direction": direction, "min_version": f"aws-config#{several['3']}@2"}
    while True:
        body = get("/config/aws", query).body
        found.append("".join(item["account_name"][-1] for item in body["items"]))
        if body["next"] is None:
            break
        query["cursor"] = body["next"]
    assert found == pages


def test_what_is_not_projected_yet_is_waited_for(several: dict[str, str], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(read_your_write, "READ_YOUR_WRITE_SECONDS", 0.0)
    answered = get("/config/aws", {"min_version": f"aws-config#{several['1']}@9"})
    assert (answered.status, answered.headers["Retry-After"]) == (503, "1")
    assert get("/config/aws", {"min_version": "task#1@1"}).status == 422


# ---- the monitoring config


def replaced(history: "History", config: MonitoringConfig | None, by: str = "ann", **parts: Any) -> MonitoringConfig:
    """The config after a change as the write side appends it."""
    wanted = (config or DEFAULTS).model_copy(update=parts)
    events = replace(config, wanted)
    history.append(MAIN, *events, by=by)
    return wanted


def zone(name: str) -> GlobalSettings:
    return GlobalSettings(timezone=name)


@pytest.fixture
def three_changes(history: "History") -> list[Commit]:
    """Zones A, B (and one service less), C, each a second after the other: versions 1-2, 3-4 and 5."""
    history.user("ann", "Ann Example")
    first = replaced(history, None, global_settings=zone("Europe/Berlin"))
    second = replaced(history, first, global_settings=zone("Asia/Tokyo"), services=first.services[1:])
    replaced(history, second, by="bob", global_settings=zone("Africa/Cairo"))
    project(history)
    return history.commits[1:]


def test_a_fresh_deployment_has_the_defaults() -> None:
    answered = get("/config/monitoring")
    assert (answered.status, answered.headers["ETag"]) == (200, '"0"')
    assert answered.body == json.loads(json.dumps(shown(DEFAULTS, 0)))
    assert (answered.body["updated_at"], answered.body["updated_by"]) == (None, None)
    assert get("/config/monitoring", {"version": "0"}).body == answered.body


def test_the_config_as_it_is_now(three_changes: list[Commit]) -> None:
    answered = get("/config/monitoring")
    assert (answered.status, answered.headers["ETag"], answered.body["version"]) == (200, '"5"', 5)
    assert answered.body["global_settings"]["timezone"] == "Africa/Cairo"
    assert len(answered.body["services"]) == len(DEFAULTS.services) - 1
    assert answered.body["updated_at"] == int(three_changes[-1].at.timestamp())
    assert answered.body["updated_by"] == {"id": "bob", "name": None}


@pytest.mark.usefixtures("three_changes")
@pytest.mark.parametrize(
    ("version", "timezone", "services", "by"),
    [
        (0, "UTC", 14, None),
        (2, "Europe/Berlin", 14, "Ann Example"),
        (4, "Asia/Tokyo", 13, "Ann Example"),
        (5, "Africa/Cairo", 13, None),
    ],
)
def test_every_version_that_a_change_ended_with_can_be_read(
    version: int, timezone: str, services: int, by: str | None
) -> None:
    answered = get("/config/monitoring", {"version": str(version)})
    assert (answered.status, answered.headers["ETag"]) == (200, f'"{version}"')
    assert answered.body["version"] == version
    assert answered.body["global_settings"]["timezone"] == timezone
    assert len(answered.body["services"]) == services
    assert (answered.body["updated_by"] or {}).get("name") == by


def test_the_config_as_it_was_at_a_time(three_changes: list[Commit]) -> None:
    times = [int(commit.at.timestamp()) for commit in three_changes]
    asked = {
        time: get("/config/monitoring", {"as_of": str(time)}) for time in [times[0] - 1, *times, times[-1] + 10**6]
    }
    assert [answered.status for answered in asked.values()] == [404, 200, 200, 200, 200]
    found = [answered.body["version"] for answered in list(asked.values())[1:]]
    assert found == [2, 4, 5, 5]


def test_a_time_means_the_second_that_is_shown(history: "History") -> None:
    """`updated_at` has no milliseconds; asked for as it is shown, it must find its own change."""
    history.now = datetime(2026, 3, 1, 12, 0, 0, 900_000, tzinfo=UTC)
    replaced(history, None, global_settings=zone("Asia/Tokyo"))
    project(history)
    shown_at = get("/config/monitoring").body["updated_at"]
    assert get("/config/monitoring", {"as_of": str(shown_at)}).body["version"] == 2
    assert get("/config/monitoring", {"as_of": str(shown_at - 1)}).status == 404


@pytest.mark.usefixtures("three_changes")
@pytest.mark.parametrize(
    ("query", "status"),
    [
        ({"version": "1"}, 404),  # within a commit
        ({"version": "3"}, 404),
        ({"version": "6"}, 404),
        ({"version": "-1"}, 422),
        ({"version": "x"}, 422),
        ({"as_of": "1e3"}, 422),
        ({"as_of": "0"}, 404),
        ({"version": "1", "as_of": "1"}, 422),
        ({"version": "2", "min_version": f"{MAIN}@2"}, 422),
        ({"version": "2", "min_version": "none"}, 422),
        ({"as_of": "1", "min_version": f"{MAIN}@2"}, 422),
        ({"until": "1"}, 422),
    ],
)
def test_a_version_that_is_none_is_refused(query: dict[str, str], status: int) -> None:
    assert get("/config/monitoring", query).status == status


@pytest.mark.usefixtures("three_changes")
def test_the_config_of_now_costs_no_query_whatever_its_history(calls: "Calls") -> None:
    get("/config/monitoring")
    assert calls.operations == ["BatchGetItem", "BatchGetItem"]  # the row, and the name of who changed it


def test_an_older_config_costs_no_reading_of_all_that_came_after_it(
    history: "History", monkeypatch: pytest.MonkeyPatch
) -> None:
    config = replaced(history, None, global_settings=zone("Europe/Berlin"))
    for number in range(30):
        config = replaced(history, config, global_settings=zone(["Asia/Tokyo", "Africa/Cairo"][number % 2]))
    project(history)
    evolved: list[int] = []
    recorded = Commit.recorded

    def noted(commit: Commit) -> Iterator[Recorded]:
        evolved.append(commit.version)
        return recorded(commit)

    monkeypatch.setattr(Commit, "recorded", noted)
    assert get("/config/monitoring", {"version": "0"}).body["version"] == 0
    assert evolved == [1]
    evolved.clear()
    for query in ({"version": "3"}, {"as_of": str(int(history.commits[1].at.timestamp()))}):
        assert get("/config/monitoring", query).body["version"] == 3
    assert evolved == [1, 3, 1, 3]


@pytest.mark.usefixtures("three_changes")
def test_a_reader_sees_what_they_wrote(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(read_your_write, "READ_YOUR_WRITE_SECONDS", 0.0)
    assert get("/config/monitoring", {"min_version": f"{MAIN}@5"}).body["version"] == 5
    assert get("/config/monitoring", {"min_version": f"{MAIN}@6"}).status == 503


@pytest.mark.parametrize("path", ["/config/aws", "/config/monitoring"])
def test_only_admins_see_configuration(path: str) -> None:
    assert get(path, role="user").status == 403


# ---- projecting


def test_a_change_is_one_row_and_moves_no_counter(history: "History", calls: "Calls") -> None:
    register(history, "000000000001", TESTED)
    replaced(history, None, global_settings=zone("Asia/Tokyo"))
    project(history)
    (written,) = (request for operation, request in calls if operation == "TransactWriteItems")
    assert [list(item) for item in written["TransactItems"]] == [["Put"], ["Put"]]


STEPS: list[DomainEvent] = [TESTED, REFUSED, AwsConfigDisabled()]


@settings(max_examples=15, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.data())
def test_any_order_duplicates_and_holes_end_in_the_same_rows(
    aws: None,  # noqa: ARG001
    new_history: type["History"],
    data: st.DataObject,
) -> None:
    history = new_history()
    name = register(history, "000000000001")
    for event in data.draw(st.lists(st.sampled_from(STEPS), min_size=1, max_size=4)):
        history.append(f"aws-config#{name}", event)
    replaced(history, None, global_settings=zone("Asia/Tokyo"))
    history.append(MAIN, ServiceRemoved(service_name="ec2"), GlobalSettingsChanged(global_settings=zone("UTC")))
    last = {commit.stream: commit for commit in history.commits}
    some = st.lists(st.sampled_from(history.commits), max_size=6)
    hints = data.draw(st.permutations([*data.draw(some), *last.values()]))
    for stream in last:
        for row in Row.query(stream):
            row.delete()
    for place in range(0, len(hints), 2):
        project(history, hints[place : place + 2])

    for projection, stream in ((AwsConfigProjection(), f"aws-config#{name}"), (MonitoringConfigProjection(), MAIN)):
        events = [recorded for commit in history.store.load(stream) for recorded in commit.recorded()]
        fresh = projection.fold(None, stream, events).row
        (row,) = Row.query(stream)
        assert (row.version, json.loads(row.data)) == (fresh.version, json.loads(fresh.data))
        assert row.gsi1sk == fresh.gsi1sk
