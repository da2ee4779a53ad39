"""What the read API is made of in a deployed function, each made once and only when it is asked for."""

from functools import cache

from infra import clients
from infra.admission import Admission
from infra.event_store import DynamoDBEventStore, EventStore
from infra.guards import TokenGuards
from infra.secrets import secret
from infra.settings import setting
from infra.tokens import Tokens, deployed


@cache
def store() -> EventStore:
    return DynamoDBEventStore(clients.dynamodb(), setting("EVENTS_TABLE"))


@cache
def tokens() -> Tokens:
    return deployed(secret)


@cache
def callers() -> Admission:
    return Admission(tokens(), lambda: TokenGuards(clients.dynamodb(), setting("GUARDS_TABLE")))
