"""The event store, its guards and the keys of people on the emulator: the contracts that moto keeps, with real races.

Their tables are their own: what is written to the deployed ones is projected, and what is odd would stop that.
"""

import zlib
from collections.abc import Iterator
from typing import Any

import pytest

from commands.execution import Order, new_id, now
from commands.users import Users
from domain.commit import check_chain
from domain.decider import fold
from domain.permissions import Role
from domain.users import USERS, ChangeUser, RegisterUser, User
from infra.commits import from_item
from infra.event_store import DynamoDBEventStore
from infra.guards import Guards
from infra.personal_data import ERASED, DynamoDBDataKeys, PersonalData
from infra.recorder import CommitRecorder
from ops.stack import outputs
from tests.contract import recorder
from tests.contract.aws import NewClient, tables
from tests.contract.dynamodb_event_store import DynamoDBContract
from tests.contract.guards import GuardsContract
from tests.contract.personal_data import DataKeysContract
from tests.e2e.system import System, unique, wait_for


@pytest.fixture(scope="module")
def new_client(system: System) -> NewClient:
    config = system.stack.config
    session = config.session()

    def new(service: str) -> Any:
        return session.client(service, endpoint_url=config.endpoint_url)  # type: ignore[call-overload]

    return new


class TestEventStore(DynamoDBContract):
    pass


class TestGuards(GuardsContract):
    pass


class TestDataKeys(DataKeysContract):
    pass


class TestRecorder(recorder.AggregateRecorderTestCase):
    @pytest.fixture(autouse=True)
    def _table(self, new_client: NewClient) -> Iterator[None]:
        self.client = new_client("dynamodb")
        with tables(self.client, "events"):
            yield

    def create_recorder(self) -> CommitRecorder:
        return CommitRecorder(DynamoDBEventStore(self.client, "events"))


# ---- the deployed tables and keys


class Deployed:
    """The write side over the deployed tables, as one more process."""

    def __init__(self, system: System) -> None:
        self.client = system.client("dynamodb")
        self.names = outputs(system.stack.config)
        guard_key = system.secret(system.status.guard_key_secret).encode()
        keys = DynamoDBDataKeys(
            self.client, self.names["KeysTable"], lambda: system.client("kms"), self.names["DataKeyArn"]
        )
        self.users = Users(
            DynamoDBEventStore(self.client, self.names["EventsTable"]),
            Guards(self.client, self.names["GuardsTable"], guard_key),
            PersonalData(keys),
        )

    def state(self, user_id: str) -> User:
        found = fold(USERS, self.users.store.load(USERS.stream(user_id)))
        assert found is not None
        return found

    def opened(self, user_id: str) -> tuple[str, str]:
        """E-mail address and name as they read now."""
        user = self.state(user_id)
        opened = self.users.personal.open
        return opened(user_id, "email", user.email), opened(user_id, "full_name", user.full_name)

    def items(self, table: str) -> list[dict[str, Any]]:
        pages = self.client.get_paginator("scan").paginate(TableName=self.names[table])
        return [item for page in pages for item in page["Items"]]

    def shown(self, user_id: str) -> str:
        """What the views hold that mentions a user."""
        return repr([item for item in self.items("ViewsTable") if user_id in repr(item)])

    def order(self) -> Order:
        return Order(by="system:setup", at=now(), correlation_id=new_id(), causation_id="setup")


def stream_images(system: System, table: str) -> list[dict[str, Any]]:
    """The new images of all records that a table's stream still holds."""
    client = system.client("dynamodbstreams")
    arn = system.client("dynamodb").describe_table(TableName=table)["Table"]["LatestStreamArn"]
    images = []
    for shard in client.describe_stream(StreamArn=arn)["StreamDescription"]["Shards"]:
        iterator = client.get_shard_iterator(StreamArn=arn, ShardId=shard["ShardId"], ShardIteratorType="TRIM_HORIZON")[
            "ShardIterator"
        ]
        while iterator:
            answer = client.get_records(ShardIterator=iterator)
            if not answer["Records"]:
                break
            images += [
                record["dynamodb"]["NewImage"] for record in answer["Records"] if "NewImage" in record["dynamodb"]
            ]
            iterator = answer.get("NextShardIterator")
    return images


def readable(item: dict[str, Any]) -> str:
    """All text in an item, the compressed snapshot's too."""
    snapshot = from_item(item).snapshot if "s" in item else None
    return repr(item) + (zlib.decompress(snapshot).decode() if snapshot else "")


def test_what_is_personal_is_stored_nowhere_and_ends_with_the_person(system: System) -> None:
    deployed = Deployed(system)
    name, email = unique("zuse"), f"{unique('konrad')}@example.com"
    command = RegisterUser(email=email, full_name=name, role=Role.USER)
    user_id = new_id()
    deployed.users.register(user_id, command, "$2b$12$hash", deployed.order())
    for number in range(26):  # past a snapshot
        deployed.users.change(user_id, ChangeUser(full_name=f"{name} {number}"), deployed.order())
    assert deployed.opened(user_id) == (email, f"{name} 25")
    assert Deployed(system).opened(user_id) == (email, f"{name} 25")  # another process

    wait_for(lambda: f"{name} 25" in deployed.shown(user_id))  # the views hold it, for they show it
    commits = [item for item in deployed.items("EventsTable") if user_id in item["pk"]["S"]]
    records = [image for image in stream_images(system, deployed.names["EventsTable"]) if user_id in image["pk"]["S"]]
    assert (len(commits), len(records)) == (27, 27)
    assert any("s" in item for item in commits)
    items = [
        *commits,
        *records,
        *(item for table in ("Guards", "Keys", "Outbox") for item in deployed.items(f"{table}Table")),
    ]
    text = "".join(readable(item) for item in items).lower()
    assert [personal for personal in (name, email, email.partition("@")[0]) if personal in text] == []

    deployed.users.delete(user_id, deployed.order())
    assert user_id not in {item["pk"]["S"] for item in deployed.items("KeysTable")}
    assert Deployed(system).opened(user_id) == (ERASED, ERASED)
    assert deployed.users.guards.owner_of_email(email) is None
    assert check_chain(deployed.users.store.load(USERS.stream(user_id))) is None
    assert deployed.state(user_id).is_deleted
    wait_for(lambda: name not in (shown := deployed.shown(user_id)) and email not in shown)


def test_whoever_is_deleted_is_erased_although_the_command_did_not_come_that_far(
    system: System, monkeypatch: pytest.MonkeyPatch
) -> None:
    deployed, user_id = Deployed(system), new_id()
    command = RegisterUser(email=f"{unique('grace')}@example.com", full_name="Grace", role=Role.USER)
    deployed.users.register(user_id, command, "$2b$12$hash", deployed.order())
    monkeypatch.setattr(deployed.users.personal, "erase", lambda _person: None)
    deployed.users.delete(user_id, deployed.order())
    wait_for(lambda: user_id not in {item["pk"]["S"] for item in deployed.items("KeysTable")})
