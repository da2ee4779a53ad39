"""Which accounts' logs are searched, and by whose credentials."""

import json
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from types import SimpleNamespace
from typing import Any

import pytest

from commands import log_query
from commands.execution import Order, execute, now
from commands.log_query import FAILED, Account, handler, watched
from domain.aws_configs import AwsConfig
from domain.monitoring_config import CONFIG_ID, MONITORING_CONFIG, ServiceConfig, defaults, replace
from infra import aws_accounts, clients, generations
from infra.event_store import DynamoDBEventStore
from tests.in_memory import deployed
from tests.in_memory.dynamodb import InMemoryDynamoDB

FUNCTION = "arn:aws:lambda:eu-central-1:999999999999:function:opsledger-prod-log-query"


@pytest.fixture
def db(monkeypatch: pytest.MonkeyPatch) -> Iterator[InMemoryDynamoDB]:
    with InMemoryDynamoDB(deployed.tables()).installed() as made:
        monkeypatch.setenv("EVENTS_TABLE", "events")
        monkeypatch.setenv("GUARDS_TABLE", "guards")
        clients.dynamodb.cache_clear()
        generations.forget()
        yield made
        clients.dynamodb.cache_clear()


def config(account: str, **more: Any) -> AwsConfig:
    at = datetime(2026, 3, 1, tzinfo=UTC)
    told = {
        "account_id": account,
        "account_name": "Shop",
        "region": "eu-west-1",
        "role_arn": f"arn:aws:iam::{account}:role/opsledger-monitoring",
        "external_id": f"external-{account}",
        "created_at": at,
        "updated_at": at,
    }
    return AwsConfig(**{**told, **more})


def listed(db: InMemoryDynamoDB, *configs: AwsConfig) -> None:
    """As the projector lists them."""
    for number, one in enumerate(configs):
        item: Any = {
            "pk": {"S": f"1|aws-config#{number}"},
            "sk": {"S": "config"},
            "version": {"N": "1"},
            "data": {"S": one.model_dump_json()},
            "gsi1pk": {"S": "1|aws-configs"},
            "gsi1sk": {"S": f"2026-03-01#{number}"},
        }
        db.fill("views", [item])


def test_without_any_config_the_own_account_is_searched(db: InMemoryDynamoDB) -> None:
    assert not db.items("views")
    assert watched(FUNCTION) == [Account("999999999999", "eu-central-1", None)]


def test_the_accounts_of_active_configs_are_searched_whatever_their_last_test_said(db: InMemoryDynamoDB) -> None:
    off, on = config("111122223333", is_active=False), config("444455556666")
    listed(db, off, on)
    assert watched(FUNCTION) == [Account("444455556666", "eu-west-1", on)]


def test_where_all_configs_are_off_nothing_is_searched(db: InMemoryDynamoDB) -> None:
    listed(db, config("111122223333", is_active=False))
    assert watched(FUNCTION) == []


def test_an_account_is_asked_with_the_credentials_of_its_role(monkeypatch: pytest.MonkeyPatch) -> None:
    made: list[dict[str, str]] = []

    def credentials(role_arn: str, external_id: str, session_name: str) -> dict[str, str]:
        return {"aws_access_key_id": f"{role_arn} {external_id} {session_name}"}

    monkeypatch.setattr(aws_accounts, "credentials", credentials)
    monkeypatch.setattr(clients, "logs", lambda **told: made.append(told))
    theirs = config("444455556666")
    log_query._connect(Account("444455556666", "eu-west-1", theirs))
    log_query._connect(Account("999999999999", "eu-central-1", None))
    key = f"{theirs.role_arn} external-444455556666 opsledger-log-query"
    assert made == [{"region": "eu-west-1", "aws_access_key_id": key}, {"region": "eu-central-1"}]


def test_where_no_log_group_is_configured_a_run_costs_one_read(
    db: InMemoryDynamoDB, capsys: pytest.CaptureFixture[str]
) -> None:
    handler({}, SimpleNamespace(invoked_function_arn=FUNCTION))
    assert db.used.calls == {"Query": 1}
    assert f'"{FAILED}":[0.0]' in capsys.readouterr().out


@pytest.fixture
def context(db: InMemoryDynamoDB) -> Any:  # noqa: ARG001
    """A run's, where there is a log group to search."""
    service = ServiceConfig(service_name="logs", log_groups=("/app/shop",))
    wanted = defaults().model_copy(update={"services": (service,)})
    order = Order(by="ada", at=now(), correlation_id="co", causation_id="ca")
    store = DynamoDBEventStore(clients.dynamodb(), "events")
    execute(store, MONITORING_CONFIG, CONFIG_ID, lambda config: replace(config, wanted), order)
    return SimpleNamespace(invoked_function_arn=FUNCTION, get_remaining_time_in_millis=lambda: 120_000)


def test_a_log_group_that_fails_is_measured_in_every_run_also_while_it_waits_for_its_next_try(
    context: Any,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    caplog: pytest.LogCaptureFixture,
) -> None:
    monkeypatch.setattr(clients, "logs", lambda **_: SimpleNamespace())  # whatever is asked of it fails
    for _ in range(2):
        handler({}, context)
        assert f'"{FAILED}":[1.0]' in capsys.readouterr().out
    runs = [vars(record) for record in caplog.records if record.message == "logs searched"]
    assert [run["failures"] for run in runs] == [1, 0]


def test_what_a_run_finds_is_put_on_the_bus_as_ours(context: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    entries: list[dict[str, str]] = []

    def put_events(**request: Any) -> dict[str, Any]:
        entries.extend(request["Entries"])
        return {"Entries": [{"EventId": "e"}]}

    at = datetime.now(UTC) - timedelta(seconds=300)
    row = [{"field": "@timestamp", "value": f"{at:%F %T}.000"}, {"field": "@message", "value": "ERROR boom"}]
    logs = SimpleNamespace(
        exceptions=SimpleNamespace(ResourceNotFoundException=KeyError),
        start_query=lambda **_: {"queryId": "q"},
        get_query_results=lambda **_: {"status": "Complete", "results": [row]},
    )
    monkeypatch.setattr(clients, "logs", lambda **_: logs)
    monkeypatch.setattr(clients, "events", lambda: SimpleNamespace(put_events=put_events))

    handler({}, context)
    handler({}, context)

    (entry,) = entries
    assert (entry["Source"], entry["DetailType"]) == ("monitoring.agent", "Log Error Found")
    detail = json.loads(entry["Detail"])
    assert (detail["account"], detail["log_group"], detail["message"]) == ("999999999999", "/app/shop", "ERROR boom")
