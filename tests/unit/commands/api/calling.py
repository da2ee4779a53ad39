"""The write API as API Gateway calls it, with a store that breaks when it is told to."""

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

from commands import api, wiring
from commands.execution import Order
from domain.commit import Commit
from domain.permissions import Role
from infra.event_store import GuardWrite
from infra.memory_event_store import MemoryEventStore

KEY = "a key of tests that is long enough for HS256"
PASSWORD = "correct horse battery"
NOW = datetime.now(UTC).replace(microsecond=0)
TOMORROW = int((NOW + timedelta(days=1)).timestamp())
TASK = {"title": "Disk full", "description": "The disk of db-1 is full."}


class Store(MemoryEventStore):
    """Breaks, or is always too late, when it is told to."""

    def __init__(self) -> None:
        super().__init__()
        self.fault: Exception | None = None

    def append(self, commit: Commit, guards: Sequence[GuardWrite] = ()) -> None:
        if self.fault:
            raise self.fault
        super().append(commit, guards)

    @property
    def tasks(self) -> list[str]:
        return [stream for stream, commits in self.streams.items() if stream.startswith("task#") and commits]

    def commits(self, task_id: str) -> list[Commit]:
        return list(self.load(f"task#{task_id}"))


class Unthrottled:
    """Lets everybody try as often as they like."""

    def count(self, *attempt: object) -> None:
        """See `LoginThrottle.count`."""

    def give_back(self, *attempt: object) -> None:
        """See `LoginThrottle.give_back`."""


class Guards:
    """Who holds which address."""

    def __init__(self) -> None:
        self.owners: dict[str, str] = {}

    def owner_of_email(self, email: str) -> str | None:
        return self.owners.get(email)


@dataclass(frozen=True)
class Answered:
    status: int
    body: Any
    headers: Mapping[str, str]

    @property
    def faults(self) -> dict[str, str]:
        return {fault["field"]: fault["message"] for fault in self.body["errors"]}

    @property
    def named(self) -> set[str]:
        return set(self.faults)


Call = Callable[..., Answered]


def called(
    method: str, path: str, body: Any = None, *, token: str | None = None, headers: Mapping[str, str] | None = None
) -> Answered:
    """What the function answers to a request; text is sent as it is, anything else as JSON."""
    event = {
        "resource": "/{proxy+}",
        "path": path,
        "httpMethod": method,
        "headers": {**({"Authorization": f"Bearer {token}"} if token else {}), **(headers or {})} or None,
        "multiValueHeaders": None,
        "queryStringParameters": None,
        "multiValueQueryStringParameters": None,
        "pathParameters": {"proxy": path.removeprefix("/")},
        "stageVariables": None,
        "requestContext": {"path": path, "stage": "test", "httpMethod": method, "requestId": "r1"},
        "body": body if isinstance(body, str) or body is None else json.dumps(body),
        "isBase64Encoded": False,
    }
    return answered(api.handler(event, object()))


def answered(answer: dict[str, Any]) -> Answered:
    headers = {name: values[0] for name, values in answer["multiValueHeaders"].items()}
    return Answered(answer["statusCode"], json.loads(answer["body"]), headers)


def order(by: str = "system:test") -> Order:
    return Order(by=by, at=NOW, correlation_id="co", causation_id="ca")


def token(user_id: str, role: Role = Role.USER) -> str:
    return wiring.tokens().issue(user_id, role, datetime.now(UTC))
