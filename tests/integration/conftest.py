"""AWS played by moto, with the tables of infra/template.yaml, and histories to project and to read."""

import base64
import itertools
import json
import os
import uuid
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from functools import cache
from pathlib import Path
from threading import Thread
from types import SimpleNamespace
from typing import Any

import boto3
import pytest
from botocore.client import BaseClient
from moto import mock_aws
from pynamodb.models import Model

from domain.commit import GENESIS, Commit, encode_events, sealed
from domain.event import DomainEvent, encode
from domain.monitoring_events import MonitoringEventRecorded
from domain.permissions import Role
from domain.sources.mapping import MappedEvent, State
from domain.tasks import Priority, Status, TaskCreated, TaskStatusChanged
from domain.users import UserRegistered
from infra import changes, clients, counters, counts, generations, outbox, secrets, views, webhooks
from infra.commits import to_item
from infra.counters import CounterRow
from infra.delivery_rate import RateCounter
from infra.event_store import DynamoDBEventStore, EventStore
from infra.marks import Mark
from infra.memory_event_store import MemoryEventStore
from infra.outbox import Notification
from infra.personal_data import DataKeys, DynamoDBDataKeys, MemoryDataKeys, PersonalData
from infra.tokens import Tokens
from infra.views import Key, Row
from ops import template
from projections import notifier, projector, sweeper
from queries import api, wiring
from tests.integration.dashboards import TODAY
from tests.integration.read_api import KEY, Api
from tests.integration.sending import Desk, Slack
from tests.integration.task_lists import happen

TEMPLATE = Path(__file__).parents[2] / "infra" / "template.yaml"
TABLES = {
    "EventsTable": "events",
    "ViewsTable": Row.Meta.table_name,
    "GuardsTable": "guards",
    "KeysTable": "keys",
    "OutboxTable": Notification.Meta.table_name,
}
CACHES = (
    *(clients.session, clients.dynamodb, clients.sqs, clients.secretsmanager, clients.kms),
    *(webhooks._pool, projector._projector, wiring.store, wiring.tokens, wiring.callers),
    *(notifier._store, notifier._config, sweeper._store),
)
MODELS: tuple[type[Model], ...] = (Row, CounterRow, Notification, RateCounter, Mark)
DAY = 86_400

# A client takes 50 ms to make, so those of these tests are made once; moto stands before all of them.
_client = cache(clients._client)
_views_connection = cache(views.connection.__wrapped__)
_outbox_connection = cache(outbox._connection.__wrapped__)
_connections: dict[type[Model], Any] = {}


@cache
def aws_client(service: str) -> Any:
    """A client to set the scene with, and to look at it. Only for tests that use `aws`."""
    make: Any = boto3.client  # its stubs know a service by its literal name only
    return make(service)


@cache
def _resources() -> dict[str, Any]:
    resources: dict[str, Any] = template.load(TEMPLATE)["Resources"]
    return resources


class History:
    """Commits as the write side appends them, in a store.

    Args:
        store: by default one in memory, with the people's keys in memory too.

    Attributes:
        people: seals what is personal.
        commits: all of them, in the order in which they were made.
        now: when the next one is made; each takes a second.
    """

    def __init__(self, store: EventStore | None = None, keys: DataKeys | None = None) -> None:
        self.store = store or MemoryEventStore()
        self.people = PersonalData(keys or MemoryDataKeys())
        self.commits: list[Commit] = []
        self.now = datetime(2026, 3, 1, 12, 0, tzinfo=UTC)
        self._last: dict[str, Commit] = {}

    def append(self, stream: str, *events: DomainEvent, by: str = "ann") -> Commit:
        """One commit at the end of a stream."""
        expires_at = next((event.expires_at for event in events if isinstance(event, MonitoringEventRecorded)), None)
        encoded = encode_events([encode(event) for event in events])
        return self.append_encoded(stream, encoded, len(events), by=by, expires_at=expires_at)

    def append_encoded(
        self, stream: str, encoded: str, count: int = 1, *, by: str = "ann", expires_at: int | None = None
    ) -> Commit:
        """One commit of whatever text, also one that no code can read."""
        before = self._last.get(stream)
        commit = sealed(
            before.hash if before else GENESIS,
            stream=stream,
            version=before.last_version + 1 if before else 1,
            count=count,
            id=_uuid7(self.now),
            at=self.now,
            by=by,
            correlation_id="test",
            causation_id="test",
            command=None,
            encoded=encoded,
            expires_at=expires_at,
        )
        self.store.append(commit)
        self.commits.append(commit)
        self._last[stream] = commit
        self.now += timedelta(seconds=1)
        return commit

    def task(self, task_id: str, *more: DomainEvent, by: str = "ann", **fields: Any) -> Commit:
        """A new task, and what else happens to it in the same commit."""
        told = {"title": f"Task {task_id}", "description": "Something has to be done.", "priority": Priority.HIGH}
        return self.append(f"task#{task_id}", TaskCreated(**{**told, **fields}), *more, by=by)

    def user(self, user_id: str, full_name: str, role: Role = Role.USER) -> Commit:
        registered = UserRegistered(
            email=self.people.seal(user_id, "email", f"{user_id}@example.com"),
            full_name=self.people.seal(user_id, "full_name", full_name),
            role=role,
            password_hash="$2b$12$hash",
        )
        return self.append(f"user#{user_id}", registered, by="system:admin")

    def event(self, published_at: datetime | None = None, detail: Any = None, **facts: Any) -> Commit:
        """A monitoring event; its uuid is new. `facts` are those of MappedEvent."""
        at = int((published_at or self.now).timestamp())
        recorded = MonitoringEventRecorded(
            mapped=mapped(**facts),
            published_at=at,
            expires_at=int(self.now.timestamp()) + 36_500 * DAY,  # not while these tests are run
            raw={"detail": {"n": len(self.commits)} if detail is None else detail},
        )
        return self.append(f"event#{uuid.uuid4()}", recorded, by="system:ingest")

    @staticmethod
    def image(commit: Commit) -> dict[str, Any]:
        """A commit's item as stream records carry it: binary as base64 text."""
        item = to_item(commit)
        return {**item, "h": {"B": base64.b64encode(commit.hash).decode()}}


def _uuid7(at: datetime) -> str:
    """A UUIDv7 of a given time: 48 bits of milliseconds, then the version, then chance (RFC 9562, section 5.7)."""
    chance = uuid.uuid4().int & ((1 << 76) - 1)
    return str(uuid.UUID(int=(round(at.timestamp() * 1000) << 80) | (7 << 76) | chance))


def mapped(**facts: Any) -> MappedEvent:
    told = {
        "source": "aws.cloudwatch",
        "detail_type": "CloudWatch Alarm State Change",
        "account": "123456789012",
        "region": "eu-central-1",
        "title": "CPU is high",
        "severity": 3,
        "state": State.OPEN,
        "fingerprint": "f",
        "order": 1,
    }
    return MappedEvent(**{**told, **facts})


class Calls(list[tuple[str, dict[str, Any]]]):
    """AWS calls made so far, each its operation and its request; `refuse` makes those of an operation fail."""

    def __init__(self) -> None:
        super().__init__()
        self.refuse: dict[str, Exception] = {}

    @property
    def operations(self) -> list[str]:
        return [operation for operation, _ in self]


@pytest.fixture(scope="session")
def new_history() -> type[History]:
    """For tests that need many histories, such as one for each example of Hypothesis."""
    return History


@pytest.fixture
def history() -> History:
    return History()


@pytest.fixture
def aws(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """An AWS account with the tables that the template defines, and nothing in them."""
    for name, value in {
        "AWS_ACCESS_KEY_ID": "test",
        "AWS_SECRET_ACCESS_KEY": "test",
        "AWS_DEFAULT_REGION": "eu-central-1",
        "AWS_REGION": "eu-central-1",
        "AWS_EC2_METADATA_DISABLED": "true",
        "EVENTS_TABLE": TABLES["EventsTable"],
        "GUARDS_TABLE": TABLES["GuardsTable"],
        "KEYS_TABLE": TABLES["KeysTable"],
    }.items():
        monkeypatch.setenv(name, value)
    for name in ("AWS_ENDPOINT_URL", "AWS_PROFILE", "AWS_SESSION_TOKEN"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setattr(clients, "_client", _client)
    monkeypatch.setattr(changes, "connection", _views_connection)
    monkeypatch.setattr(counters, "connection", _views_connection)
    monkeypatch.setattr(outbox, "_connection", _outbox_connection)
    for model in MODELS:
        monkeypatch.setattr(model, "_connection", _connections.get(model))
    _forget()
    with mock_aws():
        for logical_id, name in TABLES.items():
            defined = _resources()[logical_id]["Properties"]
            aws_client("dynamodb").create_table(
                TableName=name,
                **{
                    part: defined[part]
                    for part in ("BillingMode", "AttributeDefinitions", "KeySchema", "GlobalSecondaryIndexes")
                    if part in defined
                },
            )
        monkeypatch.setenv("DATA_KEY_ARN", aws_client("kms").create_key()["KeyMetadata"]["Arn"])
        yield
    _connections.update({model: model._connection for model in MODELS})
    _forget()


@pytest.fixture
def calls(aws: None, monkeypatch: pytest.MonkeyPatch) -> Calls:  # noqa: ARG001
    made = Calls()
    # However long a test takes: what a process was told of the generations does not grow old under it.
    monkeypatch.setattr(generations, "time", SimpleNamespace(monotonic=lambda: 0.0))
    call = BaseClient._make_api_call  # type: ignore[attr-defined]

    def noted(client: BaseClient, operation: str, request: dict[str, Any]) -> Any:
        made.append((operation, request))
        if operation in made.refuse:
            raise made.refuse[operation]
        return call(client, operation, request)

    monkeypatch.setattr(BaseClient, "_make_api_call", noted)
    return made


def _forget() -> None:
    """Drop what a process keeps of its AWS account."""
    for cached in CACHES:
        cached.cache_clear()
    secrets._cache.clear()
    generations.forget()


def table_items(table: str) -> list[dict[str, Any]]:
    """Every item of a table."""
    pages = aws_client("dynamodb").get_paginator("scan").paginate(TableName=table)
    return list(itertools.chain.from_iterable(page["Items"] for page in pages))


def empty_views() -> None:
    """Remove every item of the views table, as before the next example of Hypothesis."""
    for item in table_items(TABLES["ViewsTable"]):
        aws_client("dynamodb").delete_item(TableName="views", Key={"pk": item["pk"], "sk": item["sk"]})


@pytest.fixture
def view_items(aws: None) -> Any:  # noqa: ARG001
    """What stands in the views table, by key without generation, when it is called. Parts of counters are summed."""

    def items() -> dict[tuple[str, str], dict[str, Any]]:
        found: dict[tuple[str, str], dict[str, Any]] = {}
        for item in table_items(TABLES["ViewsTable"]):
            for name in {"pk", "gsi1pk", "gsi2pk"} & item.keys():
                item[name] = {"S": item[name]["S"].removeprefix("1|")}
            key = Key(item["pk"]["S"], item["sk"]["S"])
            if key.pk.startswith("counter#"):
                key = counters.unsharded(key)
                part_before = int(found[key]["n"]["N"]) if key in found else 0
                item |= {"pk": {"S": key.pk}, "sk": {"S": key.sk}, "n": {"N": str(int(item["n"]["N"]) + part_before)}}
            found[key] = item
        return found

    return items


@pytest.fixture
def outbox_items(aws: None) -> Any:  # noqa: ARG001
    """What stands in the outbox, when it is called."""
    return lambda: table_items(TABLES["OutboxTable"])


@pytest.fixture
def stored(aws: None, new_history: type[History]) -> History:  # noqa: ARG001
    """A history in the events table, with the people's keys in theirs."""
    client = clients.dynamodb()
    keys = DynamoDBDataKeys(client, "keys", clients.kms, os.environ["DATA_KEY_ARN"])
    return new_history(DynamoDBEventStore(client, "events"), keys)


class DeliveryQueue:
    """The queue between notifier and sender."""

    def __init__(self) -> None:
        self._client = aws_client("sqs")
        self.url: str = self._client.create_queue(QueueName="delivery")["QueueUrl"]

    def received(self) -> list[dict[str, Any]]:
        """The deliveries that are visible now, as Lambda hands them to the sender."""
        answer = self._client.receive_message(QueueUrl=self.url, MaxNumberOfMessages=10)
        return [
            {"messageId": message["MessageId"], "receiptHandle": message["ReceiptHandle"], "body": message["Body"]}
            for message in answer.get("Messages", [])
        ]


@pytest.fixture
def delivery_queue(aws: None, monkeypatch: pytest.MonkeyPatch) -> DeliveryQueue:  # noqa: ARG001
    queue = DeliveryQueue()
    monkeypatch.setenv("DELIVERY_QUEUE_URL", queue.url)
    return queue


@pytest.fixture
def slack_secret(aws: None, monkeypatch: pytest.MonkeyPatch) -> Callable[[str], None]:  # noqa: ARG001
    """Sets the secret with the webhooks by channel; it begins as `{}`, as the template makes it."""
    client = aws_client("secretsmanager")
    arn = client.create_secret(Name="slack", SecretString="{}")["ARN"]
    monkeypatch.setenv("SLACK_SECRET_ARN", arn)

    def change(text: str) -> None:
        client.put_secret_value(SecretId=arn, SecretString=text)
        secrets._cache.clear()

    return change


@pytest.fixture
def slack() -> Iterator[Slack]:
    server = Slack()
    thread = Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    yield server
    server.closing.set()
    server.shutdown()
    thread.join()
    server.server_close()


@pytest.fixture
def desk(
    *,
    history: History,
    delivery_queue: DeliveryQueue,
    calls: Calls,
    slack: Slack,
    slack_secret: Callable[[str], None],
    monkeypatch: pytest.MonkeyPatch,
) -> Desk:
    slack_secret(json.dumps({"default": slack.webhook}))
    monkeypatch.setenv("WEBHOOK_HOSTS", "hooks.slack.com")
    monkeypatch.setenv("ALLOW_LOOPBACK_WEBHOOKS", "yes")
    return Desk(history, delivery_queue, calls)


@pytest.fixture
def signed(monkeypatch: pytest.MonkeyPatch) -> None:
    """Tokens are signed with the key of these tests."""
    monkeypatch.setattr(api.api, "_callers", lambda: Tokens(lambda: KEY))


@pytest.fixture
def asked(aws: None, signed: None, history: "History", monkeypatch: pytest.MonkeyPatch) -> Api:  # noqa: ARG001
    monkeypatch.setattr(wiring, "store", lambda: history.store)
    return Api(history)


@pytest.fixture
def office(asked: Api) -> Api:
    """Twelve tasks of ann's and bob's, some for the other, in all states; people have names."""
    for person, name in {"ann": "Ann Example", "bob": "Bob Example", "admin": "The Admin"}.items():
        asked.history.user(person, name)
    for number in range(12):
        who = ("ann", "bob", "cat")[number % 3]
        assigned = (None, "ann", "bob", who)[number % 4]
        asked.history.task(f"{number:02}", by=who, assigned_user_id=assigned)
        if number % 2:
            started = TaskStatusChanged(old=Status.OPEN, new=Status.IN_PROGRESS)
            asked.history.append(f"task#{number:02}", started)
        if number % 10 == 1:
            asked.history.append(f"task#{number:02}", TaskStatusChanged(old=Status.IN_PROGRESS, new=Status.CLOSED))
    asked.project()
    return asked


@pytest.fixture
def today(monkeypatch: pytest.MonkeyPatch) -> datetime:
    """Counts are asked for on that day."""
    monkeypatch.setattr(counts, "now", lambda: TODAY)
    return TODAY


@pytest.fixture
def depot(asked: Api) -> Api:
    """60 tasks of three people with all sorts of statuses, priorities, due dates and origins."""
    for number in range(60):
        happen(asked.history, number)
    asked.project()
    return asked
