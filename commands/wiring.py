"""What the write API is made of in a deployed function, each made once and only when it is asked for."""

from datetime import timedelta
from functools import cache

from commands.users import Users
from infra import clients
from infra.admission import Admission
from infra.event_store import DynamoDBEventStore, EventStore
from infra.guards import Guards, TokenGuards
from infra.history import WarmHistories
from infra.login_throttle import LoginThrottle
from infra.personal_data import DynamoDBDataKeys, PersonalData
from infra.secrets import secret
from infra.settings import number, setting
from infra.tokens import Tokens, deployed


@cache
def store() -> EventStore:
    return DynamoDBEventStore(clients.dynamodb(), setting("EVENTS_TABLE"))


@cache
def warm() -> WarmHistories:
    return WarmHistories()


def guard_key() -> bytes:
    """Keys what is filed, or remembered, of things that must not be found by guessing."""
    return secret(setting("GUARD_KEY_SECRET_ARN"))["current"].encode()


def guards() -> Guards:
    return Guards(clients.dynamodb(), setting("GUARDS_TABLE"), guard_key())


@cache
def personal_data() -> PersonalData:
    keys = DynamoDBDataKeys(clients.dynamodb(), setting("KEYS_TABLE"), clients.kms, setting("DATA_KEY_ARN"))
    return PersonalData(keys)


def users() -> Users:
    return Users(store(), guards(), personal_data())


@cache
def tokens() -> Tokens:
    return deployed(secret, timedelta(minutes=number("JWT_ACCESS_TOKEN_EXPIRE_MINUTES", 15)))


@cache
def callers() -> Admission:
    return Admission(tokens(), lambda: token_guards())  # noqa: PLW0108 - found when called, so that tests can put another


def token_guards() -> TokenGuards:
    return TokenGuards(clients.dynamodb(), setting("GUARDS_TABLE"))


def login_throttle() -> LoginThrottle:
    return LoginThrottle(clients.dynamodb(), setting("GUARDS_TABLE"), guard_key())
