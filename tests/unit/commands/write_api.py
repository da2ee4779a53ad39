"""The write API, called as API Gateway calls it, by callers whose tokens say who they are."""

import json
from collections.abc import Mapping
from typing import Any, NamedTuple

from commands import api
from domain.permissions import Caller, Role


class Answered(NamedTuple):
    status: int
    body: Any
    headers: Mapping[str, str]

    @property
    def named(self) -> set[str]:
        """The fields that were refused."""
        return {fault["field"] for fault in self.body["errors"]}


class Tokens:
    """Tokens that say who calls: `role/user id`."""

    @staticmethod
    def caller(token: str) -> Caller:
        role, _, user_id = token.partition("/")
        return Caller(user_id=user_id, role=Role(role))


def called(method: str, path: str, body: Any = None, *, caller: str = "admin/root", **headers: str) -> Answered:
    """What the function answers. Headers are given by their names with `_` for `-`."""
    event = {
        "resource": "/{proxy+}",
        "path": path,
        "httpMethod": method,
        "headers": {
            "Authorization": f"Bearer {caller}",
            **{name.replace("_", "-"): value for name, value in headers.items()},
        },
        "multiValueHeaders": None,
        "queryStringParameters": None,
        "multiValueQueryStringParameters": None,
        "requestContext": {"path": path, "stage": "test", "httpMethod": method, "requestId": "r1"},
        "body": None if body is None else json.dumps(body),
        "isBase64Encoded": False,
    }
    answer = api.handler(event, object())
    shown = {name: values[0] for name, values in answer["multiValueHeaders"].items()}
    return Answered(answer["statusCode"], json.loads(answer["body"]) if answer["body"] else None, shown)
