"""The deployed system as its tests see it: its API, its doors, and a Slack that is a local HTTP server."""

import json
import re
import threading
import time
import uuid
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from types import TracebackType
from typing import Any, NamedTuple, Self, TypeVar

import pytest
import urllib3

from domain.permissions import Role
from ops.local_stack import LocalStack

Seen = TypeVar("Seen")

MESSAGES = Path(__file__).parents[1] / "fixtures" / "aws"
POLL_SECONDS = 0.02

_TROUBLE = re.compile(r"AccessDenied|not authorized|Traceback|Task timed out")
_PROVOKED = {"message refused", "not sent", "stream parked"}
"""Errors that tests here provoke, by the function's message."""


def wait_for(look: Callable[[], Seen], until: Callable[[Seen], object] = bool, deadline: float = 20) -> Seen:
    """Look until it is as it should be, at most `deadline` seconds; fails with what was last seen."""
    end = time.monotonic() + deadline
    while not until(seen := look()):
        if time.monotonic() > end:
            shown = seen if isinstance(seen, str) else repr(seen)
            pytest.fail(f"not so within {deadline} s; last seen: {shown[:4000]}")
        time.sleep(POLL_SECONDS)
    return seen


@dataclass(frozen=True)
class Answer:
    status: int
    headers: Mapping[str, str]
    body: Any


class Api:
    """The REST API through the gateway, as one caller or as nobody."""

    def __init__(self, url: str, pool: urllib3.PoolManager, token: str | None = None) -> None:
        self.url = url
        self.pool = pool
        self.token = token

    def as_caller(self, token: str | None) -> "Api":
        return Api(self.url, self.pool, token)

    def log_in(self, email: str, password: str) -> "Api":
        answer = self.call("POST", "/auth/login", {"email": email, "password": password})
        assert answer.status == 200, answer
        return self.as_caller(answer.body["access_token"])

    def call(self, method: str, path: str, body: Any = None, **headers: str) -> Answer:
        """One request. A body that is bytes is sent as it is; `idempotency_key="k"` is the header `Idempotency-Key`."""
        sent = {name.replace("_", "-"): value for name, value in headers.items()}
        if self.token is not None:
            sent.setdefault("authorization", f"Bearer {self.token}")
        if body is not None:
            sent.setdefault("content-type", "application/json")
        content = body if body is None or isinstance(body, bytes) else json.dumps(body).encode()
        got = self.pool.request(method, self.url + path, body=content, headers=sent, retries=False, timeout=30)
        is_json = got.headers.get("content-type", "").startswith(("application/json", "application/problem+json"))
        return Answer(got.status, got.headers, json.loads(got.data) if is_json and got.data else got.data)

    def get(self, path: str) -> Any:
        """What a GET that must succeed answers."""
        answer = self.call("GET", path)
        assert answer.status == 200, answer
        return answer.body

    def all(self, path: str) -> list[dict[str, Any]]:
        """Every item of a list, page by page."""
        items: list[dict[str, Any]] = []
        joint = "&" if "?" in path else "?"
        page = self.get(path)
        while True:
            items += page["items"]
            if page["next"] is None:
                return items
            page = self.get(f"{path}{joint}cursor={page['next']}")

    def events(self, text: str) -> list[dict[str, Any]]:
        """The listed events that mention `text` anywhere."""
        return [event for event in self.all("/events?limit=200") if text in json.dumps(event)]

    def notifications(self, text: str) -> list[dict[str, Any]]:
        """The listed notifications whose title mentions `text`."""
        return [told for told in self.all("/notifications?limit=200") if text in told["title"]]


@dataclass
class Slack:
    """Stands for Slack's incoming webhooks: keeps what is posted, and answers 200 unless told otherwise."""

    posts: list[dict[str, Any]] = field(default_factory=list)
    answers: dict[str, list[int]] = field(default_factory=dict)
    """For messages that mention the text: the statuses to answer first, one after the other."""

    def __post_init__(self) -> None:
        self._lock = threading.Lock()
        self._server = ThreadingHTTPServer(("127.0.0.1", 0), self._handler())
        self._thread = threading.Thread(target=self._server.serve_forever, kwargs={"poll_interval": 0.05})

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._server.shutdown()
        self._thread.join()
        self._server.server_close()

    @property
    def webhook(self) -> str:
        return f"http://127.0.0.1:{self._server.server_port}/services/T0/B0/{'x' * 24}"

    def received(self, text: str) -> list[dict[str, Any]]:
        """The messages that mention `text`, refused ones too."""
        with self._lock:
            return [message for message in self.posts if text in json.dumps(message)]

    def _answer_to(self, message: dict[str, Any]) -> int:
        with self._lock:
            self.posts.append(message)
            mentioned = [statuses for text, statuses in self.answers.items() if text in json.dumps(message)]
            return next((statuses.pop(0) for statuses in mentioned if statuses), 200)

    def _handler(self) -> type[BaseHTTPRequestHandler]:
        slack = self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                message = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
                self.send_response(slack._answer_to(message))
                self.send_header("Content-Length", "2")
                self.end_headers()
                self.wfile.write(b"ok")

            def log_message(self, *_: object) -> None:
                """Nobody reads it."""

        return Handler


class System:
    """One deployed stack: doors in, and the API out."""

    def __init__(self, stack: LocalStack, pool: urllib3.PoolManager) -> None:
        self.stack = stack
        self.status = stack.status()
        self.api = Api(self.status.api_url, pool)  # as nobody

    def log_in(self) -> Api:
        """The API as the first admin."""
        return self.api.log_in(self.status.admin_email, Path(self.status.admin_password_file).read_text().strip())

    def secret(self, arn: str) -> str:
        """The current key in one of the stack's secrets."""
        found = self.client("secretsmanager").get_secret_value(SecretId=arn)["SecretString"]
        return str(json.loads(found)["current"])

    def register(self, name: str, role: Role = Role.USER) -> "Person":
        """Register somebody, as the first admin does."""
        email, password = f"{unique('person')}@example.com", unique("correct horse battery")
        body = {"email": email, "full_name": name, "role": role, "password": password}
        answer = self.log_in().call("POST", "/users", body)
        assert answer.status == 201, answer
        api = self.api.log_in(email, password)
        wait_for(lambda: api.call("GET", "/users/me").status, lambda status: status == 200)
        return Person(answer.body["id"], name, api)

    def client(self, service: str) -> Any:
        return self.stack.config.client(service)

    def hand_in(self, *messages: Any) -> None:
        """Put messages into the ingest queue, as EventBridge would; a text goes as it is."""
        bodies = [message if isinstance(message, str) else json.dumps(message) for message in messages]
        url = self.status.ingest_queue_url
        for start in range(0, len(bodies), 10):
            entries = [{"Id": str(n), "MessageBody": body} for n, body in enumerate(bodies[start : start + 10])]
            answer = self.client("sqs").send_message_batch(QueueUrl=url, Entries=entries)
            assert not answer.get("Failed"), answer

    def configure_webhook(self, url: str) -> None:
        secret = json.dumps({"default": url})
        self.client("secretsmanager").put_secret_value(SecretId=self.status.slack_secret, SecretString=secret)

    def lift_rate_limit(self) -> None:
        """Tests tell more in a minute than people are told."""
        admin = self.log_in()
        config = admin.get("/config/monitoring")
        channels = [{**channel, "rate_per_minute": 600} for channel in config["channels"]]
        assert admin.call("PUT", "/config/monitoring", {**config, "channels": channels}).status == 200

    def waiting(self, queue_url: str) -> int:
        """The messages in a queue, those that somebody holds included."""
        names = ["ApproximateNumberOfMessages", "ApproximateNumberOfMessagesNotVisible"]
        found = self.client("sqs").get_queue_attributes(QueueUrl=queue_url, AttributeNames=names)["Attributes"]
        return sum(int(found[name]) for name in names)

    def settle(self) -> None:
        """Wait until nothing is on its way in, and nothing on its way to Slack."""
        queues = (self.status.ingest_queue_url, self.status.delivery_queue_url)
        # A delivery that met a sender at work comes back after its lease, a minute later.
        wait_for(lambda: [self.waiting(url) for url in queues], lambda counts: not any(counts), deadline=100)

    def dead_letters(self) -> list[str]:
        """What the ingest gave up on, without taking it away."""
        received = self.client("sqs").receive_message(
            QueueUrl=self.status.ingest_dead_letter_queue_url, MaxNumberOfMessages=10, VisibilityTimeout=0
        )
        return [message["Body"] for message in received.get("Messages", [])]

    def logged(self, function: str = "") -> list[str]:
        """The lines of one function's log, or of all."""
        logs = self.client("logs")
        prefix = f"/aws/lambda/{self.status.stack_name}-{function}"
        pages = logs.get_paginator("describe_log_groups").paginate(logGroupNamePrefix=prefix)
        groups = [group["logGroupName"] for page in pages for group in page["logGroups"]]
        return [line for group in groups for line in self._lines(group)]

    def _lines(self, group: str) -> Iterator[str]:
        """All lines of a log group. The emulator's FilterLogEvents ends after 10,000, with no token to go on."""
        start = 0
        while True:
            events = self.client("logs").filter_log_events(logGroupName=group, startTime=start)["events"]
            if len(events) < 10_000:
                yield from (event["message"] for event in events)
                return
            end = events[-1]["timestamp"]
            assert end > start, "more lines in one millisecond than can be read"
            yield from (event["message"] for event in events if event["timestamp"] < end)
            start = end

    def complaints(self) -> list[str]:
        """What functions and emulator wrote of refusals, crashes and errors that no test here provokes."""
        lines = [*self.logged(), *self.stack.emulator.log.read_text(errors="replace").splitlines()]
        assert len(lines) > 10
        return [line for line in lines if _is_trouble(line)]


def _is_trouble(line: str) -> bool:
    """Whether it tells of trouble that no test provokes."""
    try:
        record = json.loads(line)
    except ValueError:
        return "[ERROR]" in line or _TROUBLE.search(line) is not None
    if isinstance(record, dict) and record.get("message") in _PROVOKED:
        return False
    is_error = isinstance(record, dict) and record.get("level") in {"WARNING", "ERROR", "CRITICAL"}
    return is_error or _TROUBLE.search(line) is not None


class Person(NamedTuple):
    """Somebody who may log in, and the API as they see it."""

    id: str
    name: str
    api: Api


def message(name: str, **changes: Any) -> dict[str, Any]:
    """A message as AWS sends it, new: with an id of its own, and of now."""
    found: dict[str, Any] = json.loads((MESSAGES / f"{name}.json").read_text())
    return {**found, "id": str(uuid.uuid4()), "time": f"{datetime.now(UTC):%Y-%m-%dT%H:%M:%SZ}", **changes}


def alarm(name: str, **changes: Any) -> dict[str, Any]:
    """An alarm of that name that goes off now."""
    new = message("alarm", **changes)
    new["resources"] = [f"arn:aws:cloudwatch:{new['region']}:{new['account']}:alarm:{name}"]
    new["detail"] = {**new["detail"], "alarmName": name}
    return new


def unique(word: str) -> str:
    """A name that nothing else in the system mentions."""
    return f"{word}-{uuid.uuid4().hex[:12]}"


def moved(before: Any, after: Any, path: str = "") -> dict[str, int]:
    """By how much each number in nested dictionaries moved; those that stood still are left out."""
    if not isinstance(before, dict) and not isinstance(after, dict):
        by = (after or 0) - (before or 0)
        return {path: by} if by else {}
    before, after = before or {}, after or {}
    moves: dict[str, int] = {}
    for key in {**before, **after}:
        moves |= moved(before.get(key), after.get(key), f"{path}/{key}" if path else key)
    return moves
