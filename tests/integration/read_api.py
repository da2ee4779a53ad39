"""The read API, asked as API Gateway asks it, over rows that the projector wrote."""

import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, NamedTuple

from domain.permissions import Role
from infra.tokens import Tokens
from projections.projector import Projector, projections
from queries import api

if TYPE_CHECKING:
    from tests.integration.conftest import History

KEY = "k" * 32
"""Signs the tokens of these tests."""


class Answered(NamedTuple):
    status: int
    headers: Mapping[str, str]
    body: Any


class Api:
    """The read API with a history behind it; `get` asks it as an admin or a user."""

    def __init__(self, history: "History") -> None:
        self.history = history
        self._done = 0

    def project(self) -> None:
        """Bring the views up to date with the history."""
        Projector(self.history.store, projections(self.history.people)).project(self.history.commits[self._done :])
        self._done = len(self.history.commits)

    @staticmethod
    def get(path: str, caller: str | None = "admin", **query: str) -> Answered:
        headers = {}
        if caller is not None:
            role = Role.ADMIN if caller == "admin" else Role.USER
            headers["authorization"] = f"Bearer {Tokens(lambda: KEY).issue(caller, role, datetime.now(UTC))}"
        return ask(path, headers, query)

    def walk(self, path: str, caller: str = "admin", **query: str) -> list[list[dict[str, Any]]]:
        """Every page of a list, to its end."""
        pages: list[list[dict[str, Any]]] = []
        cursor: dict[str, str] = {}
        while True:
            answered = self.get(path, caller, **query, **cursor)
            assert answered.status == 200, answered.body
            assert {"items", "next"} <= set(answered.body) <= {"items", "next", "stopped_after"}
            pages.append(answered.body["items"])
            assert len(pages) < 500, "the list does not end"
            if answered.body["next"] is None:
                return pages
            cursor = {"cursor": answered.body["next"]}


def ask(path: str, headers: Mapping[str, str], query: Mapping[str, str] | None = None) -> Answered:
    event = {
        "resource": "/{proxy+}",
        "path": path,
        "httpMethod": "GET",
        "headers": dict(headers),
        "queryStringParameters": dict(query) if query else None,
        "multiValueQueryStringParameters": None,
        "requestContext": {"requestId": "r", "stage": "test", "path": path, "httpMethod": "GET"},
        "body": None,
        "isBase64Encoded": False,
    }
    answer = api.handler(event, None)
    shown = {name: values[0] for name, values in answer["multiValueHeaders"].items()}
    return Answered(answer["statusCode"], shown, json.loads(answer["body"]))


def ids(pages: Iterable[Iterable[Mapping[str, Any]]]) -> list[str]:
    return [item["id"] for page in pages for item in page]


def directions(*limits: int) -> Iterator[tuple[str, dict[str, str]]]:
    """Each limit in both directions: the direction, and the query that asks for both."""
    for direction in ("desc", "asc"):
        for limit in limits:
            yield direction, {"limit": str(limit), "direction": direction}


def turned(newest_first: Sequence[Any], direction: str) -> list[Any]:
    return list(newest_first if direction == "desc" else reversed(newest_first))
