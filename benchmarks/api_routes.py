"""What is asked of each route, and the deployed system that it is asked of."""

import itertools
import json
import os
import time
import uuid
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from benchmarks import local
from benchmarks.alarms import alarm
from benchmarks.api_calls import Api, Ask, Gateway
from domain.alerts import alert_id
from domain.sources.envelope import parse
from domain.sources.registry import map_envelope
from ops.local_stack import LocalStack

EVENTS = TASKS = 60
ALERTS = 30
PATIENCE_SECONDS = 60.0
REPORT_PATIENCE_SECONDS = 150.0
PASSWORD = "correct horse battery"  # noqa: S105 - of people who live as long as this benchmark

TASK = {"title": "The disk of db-1 is nearly full", "description": "93 % used. Find what grows before the backup."}


class World:
    """A deployed stack with some events, tasks and people, and an admin who is logged in.

    Attributes:
        gateway: its API.
        token: the admin's.
    """

    def __init__(self, stack: LocalStack) -> None:
        status = stack.status()
        self.gateway = Gateway(status.api_url)
        self._admin = {"email": status.admin_email, "password": Path(status.admin_password_file).read_text().strip()}
        self.token = self.login(self.gateway)["access_token"]
        self._sqs, self._queue = stack.config.client("sqs"), status.ingest_queue_url
        self._alarms = itertools.count()
        self._send_events()
        self.events = self._listed("/events", EVENTS)
        self.tasks = [self.made("POST", "/tasks", TASK) for _ in range(TASKS)]
        for task in self.tasks[:5]:
            self.made("POST", f"/tasks/{task}/comments", {"comment": "Looking at it."})
        self.user = self.user_made()
        self._listed("/tasks", TASKS)
        self._listed("/users", 2)
        self.config = self.made("POST", "/config/aws", aws_config(0))
        self.alerts = [self.alert_made() for _ in range(ALERTS)]
        self.unconfigured: list[str] = []
        self.report_day = self._report_day(stack)
        self.monitoring = self.gateway.call(self.asked("GET", "/config/monitoring")).body

    def asked(self, method: str, path: str, body: Any = None, **query: str) -> Ask:
        """A request by the admin."""
        return Ask(method, path, self.token, body, query)

    def made(self, method: str, path: str, body: Any) -> str:
        """The id of what a request makes."""
        return str(self.gateway.call(self.asked(method, path, body)).body["id"])

    def user_made(self) -> str:
        return self.made("POST", "/users", new_user())

    def alert_made(self) -> str:
        """The id of a new alert that is open, and that its row shows."""
        message = alarm(next(self._alarms))
        self._sqs.send_message(QueueUrl=self._queue, MessageBody=message)
        found = alert_id(map_envelope(parse(message), received_at=datetime.now(UTC)).fingerprint)
        self._until(f"/alerts/{found}")
        return found

    def _report_day(self, stack: LocalStack) -> str:
        """The day of the newest report. One is made once the projector has heard a heartbeat, within a minute."""
        today = datetime.now(UTC).date()
        days = [str(today - timedelta(days=back)) for back in range(3)]
        end = time.monotonic() + REPORT_PATIENCE_SECONDS
        while True:
            stack.config.client("lambda").invoke(FunctionName=f"{stack.config.stack_name}-reports", Payload=b"{}")
            try:
                return self._until(*(f"/reports/daily/{day}" for day in days), seconds=2)[-len(days[0]) :]
            except RuntimeError:
                if time.monotonic() > end:
                    raise

    def _until(self, *paths: str, seconds: float = PATIENCE_SECONDS) -> str:
        """The first path that is there."""
        end = time.monotonic() + seconds
        while time.monotonic() < end:
            for path in paths:
                with suppress(RuntimeError):
                    self.gateway.call(self.asked("GET", path))
                    return path
            time.sleep(0.02)
        raise RuntimeError(f"none of {paths} is there after {seconds} s")

    def login(self, api: Api) -> Any:
        return api.call(Ask("POST", "/auth/login", body=self._admin)).body

    def _send_events(self) -> None:
        for _ in range(EVENTS):
            self._sqs.send_message(QueueUrl=self._queue, MessageBody=json.dumps(_envelope()))

    def _listed(self, path: str, count: int) -> list[str]:
        """The ids of a list, once it has so many."""
        end = time.monotonic() + PATIENCE_SECONDS
        while len(items := self.gateway.call(self.asked("GET", path, limit="200")).body["items"]) < count:
            if time.monotonic() > end:
                raise RuntimeError(f"{path} shows {len(items)} of {count} after {PATIENCE_SECONDS} s")
            time.sleep(0.1)
        return [item["id"] for item in items]


@contextmanager
def deployed(folder: Path) -> Iterator[World]:
    """A stack of its own, with this process's environment as its API functions have it."""
    with LocalStack(folder / "stack") as stack:
        stack.deploy()
        local.use(str(stack.config.endpoint_url))
        functions = stack.config.client("lambda")
        for name in ("read-api", "write-api"):
            found = functions.get_function_configuration(FunctionName=f"{stack.config.stack_name}-{name}")
            os.environ |= {**found["Environment"]["Variables"], "LOG_LEVEL": "WARNING"}
        yield World(stack)


def new_user() -> dict[str, str]:
    return {"email": f"{uuid.uuid4()}@example.com", "full_name": "Ann Example", "password": PASSWORD}


def aws_config(number: int) -> dict[str, str]:
    account = f"{number + 1:012d}"
    role = f"arn:aws:iam::{account}:role/opsledger"
    return {"account_id": account, "account_name": "Bench", "region": "us-east-1", "role_arn": role}


def _envelope() -> dict[str, Any]:
    at = datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
    told = {"version": "0", "id": str(uuid.uuid4()), "account": "123456789012", "region": "us-east-1", "time": at}
    return {**told, "source": "monitoring.bench", "detail-type": "Disk", "resources": ["db-1"], "detail": {"used": 93}}


Maker = Callable[[World, Api, int], Ask]
"""Makes the request of an execution; what it needs is made through the API that will answer it."""


def _get(path: str) -> Maker:
    return lambda world, _api, _number: world.asked("GET", path.format(**_ids(world)))


def _ids(world: World) -> dict[str, str]:
    first = {"event": world.events[0], "task": world.tasks[0], "alert": world.alerts[0]}
    return {**first, "user": world.user, "config": world.config, "day": world.report_day}


def _write(method: str, path: str, body: Callable[[World, int], Any]) -> Maker:
    return lambda world, _api, number: world.asked(method, path.format(**_ids(world)), body(world, number))


def _refresh(world: World, api: Api, _: int) -> Ask:
    return Ask("POST", "/auth/refresh", body={"refresh_token": world.login(api)["refresh_token"]})


def _logout(world: World, api: Api, _: int) -> Ask:
    return Ask("POST", "/auth/logout", world.login(api)["access_token"])


def _status(world: World, _api: Api, _number: int) -> Ask:
    task = world.made("POST", "/tasks", TASK)
    return world.asked("PUT", f"/tasks/{task}/status", {"status": "in_progress"})


def _of_new_alert(command: str) -> Maker:
    return lambda world, _api, _number: world.asked("POST", f"/alerts/{world.alert_made()}/{command}")


def _redrive(world: World, _api: Api, number: int) -> Ask:
    """Of one that could not be sent, as there is no webhook, and that cannot be sent again: each once in 200 times."""
    if not world.unconfigured:
        shown = world.gateway.call(world.asked("GET", "/notifications", limit="200", status="unconfigured")).body
        world.unconfigured = [one["id"] for one in shown["items"]]
    return world.asked("POST", f"/notifications/{world.unconfigured[number % len(world.unconfigured)]}/redrive")


def _monitoring(world: World, number: int) -> Any:
    channels = [{**world.monitoring["channels"][0], "rate_per_minute": 1 + number % 50}]
    return {**world.monitoring, "channels": channels}


SLOW = {"POST /auth/login", "POST /auth/refresh", "POST /auth/logout"} | {
    f"{method} /users{path}"
    for method, path in (("POST", ""), ("PUT", "/<user_id>/password"), ("DELETE", "/<user_id>"))
}
"""They, or what comes before them, compute a password's hash: 0.2 s."""

PACKAGED = {"GET /docs"}
"""Its page is made when the code is packaged, so that there is none in this process."""

MAKERS: Mapping[str, Maker] = {
    "GET /health": _get("/health"),
    "GET /openapi.json": _get("/openapi.json"),
    "GET /docs": _get("/docs"),
    "GET /events": _get("/events"),
    "GET /events/<event_id>": _get("/events/{event}"),
    "GET /alerts": _get("/alerts"),
    "GET /alerts/<alert_id>": _get("/alerts/{alert}"),
    "GET /tasks": _get("/tasks"),
    "GET /tasks/<task_id>": _get("/tasks/{task}"),
    "GET /tasks/<task_id>/history": _get("/tasks/{task}/history"),
    "GET /users": _get("/users"),
    "GET /users/me": _get("/users/me"),
    "GET /users/<user_id>": _get("/users/{user}"),
    "GET /dashboard/overview": _get("/dashboard/overview"),
    "GET /dashboard/events-stats": _get("/dashboard/events-stats"),
    "GET /dashboard/alerts-stats": _get("/dashboard/alerts-stats"),
    "GET /dashboard/tasks-stats": _get("/dashboard/tasks-stats"),
    "GET /dashboard/users-stats": _get("/dashboard/users-stats"),
    "GET /notifications": _get("/notifications"),
    "GET /reports/daily/<day>": _get("/reports/daily/{day}"),
    "GET /config/aws": _get("/config/aws"),
    "GET /config/monitoring": _get("/config/monitoring"),
    "POST /auth/login": lambda world, _api, _number: Ask("POST", "/auth/login", body=world._admin),  # noqa: SLF001
    "POST /auth/refresh": _refresh,
    "POST /auth/logout": _logout,
    "POST /tasks": _write("POST", "/tasks", lambda _world, _number: TASK),
    "POST /events/<event_id>/create-task": _write("POST", "/events/{event}/create-task", lambda _world, _number: {}),
    "POST /alerts/<alert_id>/acknowledge": _of_new_alert("acknowledge"),
    "POST /alerts/<alert_id>/resolve": _of_new_alert("resolve"),
    "POST /alerts/<alert_id>/snooze": _write(
        "POST", "/alerts/{alert}/snooze", lambda _world, number: {"until": int(time.time()) + 3600 + number}
    ),
    "POST /alerts/<alert_id>/create-task": _write("POST", "/alerts/{alert}/create-task", lambda _world, _number: {}),
    "POST /notifications/<notification_id>/redrive": _redrive,
    "PUT /tasks/<task_id>": _write("PUT", "/tasks/{task}", lambda _world, number: {"title": f"Disk full ({number})"}),
    "PUT /tasks/<task_id>/status": _status,
    "POST /tasks/<task_id>/comments": _write(
        "POST", "/tasks/{task}/comments", lambda _world, number: {"comment": f"Still looking ({number})."}
    ),
    "DELETE /tasks/<task_id>": lambda world, _api, _number: world.asked(
        "DELETE", f"/tasks/{world.made('POST', '/tasks', TASK)}"
    ),
    "POST /users": _write("POST", "/users", lambda _world, _number: new_user()),
    "PUT /users/<user_id>": _write("PUT", "/users/{user}", lambda _world, number: {"full_name": f"Ann {number}"}),
    "PUT /users/<user_id>/password": _write(
        "PUT", "/users/{user}/password", lambda _world, _number: {"new_password": PASSWORD}
    ),
    "DELETE /users/<user_id>": lambda world, _api, _number: world.asked("DELETE", f"/users/{world.user_made()}"),
    "POST /config/aws": _write("POST", "/config/aws", lambda _world, _number: aws_config(uuid.uuid4().int % 10**11)),
    "PUT /config/aws/<config_id>": _write(
        "PUT", "/config/aws/{config}", lambda _world, number: {"account_name": f"Bench {number}"}
    ),
    "POST /config/aws/<config_id>/test": _write("POST", "/config/aws/{config}/test", lambda _world, _number: None),
    "PUT /config/monitoring": _write("PUT", "/config/monitoring", _monitoring),
}
"""By route. One that is missing here is shown as not measured."""
