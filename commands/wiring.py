"""What the write API is made of in a deployed function, each made once and only when it is asked for."""

from functools import cache

from commands.history import WarmHistories
from infra import clients
from infra.event_store import DynamoDBEventStore, EventStore
from infra.guards import Guards
from infra.secrets import secret
from infra.settings import setting
from infra.tokens import Tokens


@cache
def store() -> EventStore:
    return DynamoDBEventStore(clients.dynamodb(), setting("EVENTS_TABLE"))


@cache
def warm() -> WarmHistories:
    return WarmHistories()


def guards() -> Guards:
    key = secret(setting("GUARD_KEY_SECRET_ARN"))["current"]
    return Guards(clients.dynamodb(), setting("GUARDS_TABLE"), key.encode())


@cache
def tokens() -> Tokens:
    return Tokens(lambda: secret(setting("TOKEN_SECRET_ARN"))["current"])
