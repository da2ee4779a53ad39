"""What the read API is made of in a deployed function, each made once and only when it is asked for."""

from functools import cache

from infra import clients
from infra.event_store import DynamoDBEventStore, EventStore
from infra.secrets import secret
from infra.settings import setting
from infra.tokens import Tokens


@cache
def store() -> EventStore:
    return DynamoDBEventStore(clients.dynamodb(), setting("EVENTS_TABLE"))


@cache
def tokens() -> Tokens:
    return Tokens(lambda: secret(setting("TOKEN_SECRET_ARN"))["current"])
