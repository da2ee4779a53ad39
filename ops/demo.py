"""What becomes of a handful of AWS events, shown on the running local stack."""

import json
import time
import uuid
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from rich.console import Console, Group
from rich.panel import Panel
from rich.table import Table
from rich.text import Text

from domain.monitoring_events import event_id
from domain.sources.envelope import delivery_uuid, read
from infra.slack_preview import preview
from ops import paths, queues
from ops.api_client import ApiClient
from ops.aws import SessionConfig
from ops.errors import OpsError
from ops.stack import Status

EVENTS = ("alarm", "guardduty", "health", "stack-failed", "log-error")
PATIENCE_SECONDS = 30.0


def run(status: Status, *, console: Console) -> None:
    """Send the events and show what they turn into.

    Raises:
        OpsError: something does not arrive, or the API refuses.
    """
    api = ApiClient(status.api_url)
    api.log_in(status.admin_email, Path(status.admin_password_file))
    sqs = SessionConfig.local(status.port or 0).client("sqs")

    console.rule("[bold]What AWS reports")
    sent = _hand_over(api, lambda body: queues.send(sqs, status.ingest_queue_url, [body]), console)

    console.rule("[bold]GET /events")
    console.print(_events(api.call("GET", "/events", query={"limit": len(EVENTS)})["items"]))

    console.rule("[bold]A task made from the alarm, worked to its end")
    task_id = _work(api, sent[0])
    task = _eventually(lambda: _closed(api, task_id), "the closed task")
    console.print(_task(task))
    console.print(_history(api.call("GET", f"/tasks/{task_id}/history")["items"]))

    console.rule("[bold]Slack messages")
    for notification in _notifications(api, sent):
        message = Text(preview(notification["message"])) if notification["message"] else Text("(none)")
        state = Text(f"{notification['status']}: {notification['reason']}", style="dim")
        console.print(Panel(Group(message, "", state), title=f"channel {notification['channel']}", title_align="left"))

    console.rule("[bold]GET /dashboard/overview")
    console.print_json(json.dumps(api.call("GET", "/dashboard/overview")))


def _hand_over(api: ApiClient, send: Callable[[str], list[queues.Failure]], console: Console) -> list[str]:
    """Send one event after the other, each until it can be read. Returns their ids."""
    table = Table("source", "event", "from hand-over to readable row")
    ids: list[str] = []
    with console.status("sending …"):
        for envelope in _envelopes():
            wanted = _id(envelope)
            begin = time.perf_counter()
            failures = send(json.dumps(envelope))
            if failures:
                raise OpsError(f"the ingest queue refused an event: {failures[0].reason}")
            event = _eventually(lambda wanted=wanted: _found(api, wanted), "the event")  # type: ignore[misc]
            took = time.perf_counter() - begin
            note = "  (functions may have started for it)" if not ids else ""
            table.add_row(event["source"], Text(event["title"]), f"{took * 1000:,.0f} ms{note}")
            ids.append(wanted)
    console.print(table)
    return ids


def _envelopes() -> Iterator[dict[str, Any]]:
    """The envelopes that the tests read, as if they happened now."""
    for name in EVENTS:
        envelope = json.loads((paths.PROJECT / "tests" / "fixtures" / "aws" / f"{name}.json").read_text("utf-8"))
        if "communicationId" in envelope["detail"]:  # what tells one notice of Health from another
            envelope["detail"]["communicationId"] = str(uuid.uuid4())
        yield {**envelope, "id": str(uuid.uuid4()), "time": datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")}


def _id(envelope: dict[str, Any]) -> str:
    parsed = read(envelope)
    published_at = int(parsed.time.timestamp()) if parsed.time else 0
    return event_id(published_at, str(delivery_uuid(parsed)))


def _work(api: ApiClient, source_event: str) -> str:
    task_id: str = api.call("POST", f"/events/{source_event}/create-task", {"priority": "high"})["id"]
    api.call("PUT", f"/tasks/{task_id}/status", {"status": "in_progress"})
    api.call("POST", f"/tasks/{task_id}/comments", {"comment": "A bad deployment; rolled back at once."})
    api.call("PUT", f"/tasks/{task_id}/status", {"status": "closed"})
    return task_id


def _found(api: ApiClient, wanted: str) -> Any:
    status, answer = api.try_call("GET", f"/events/{wanted}")
    return answer if status == 200 else None


def _closed(api: ApiClient, task_id: str) -> Any:
    status, answer = api.try_call("GET", f"/tasks/{task_id}")
    return answer if status == 200 and answer["status"] == "closed" else None


def _notifications(api: ApiClient, event_ids: list[str]) -> list[dict[str, Any]]:
    """What was decided about the events, once that is settled, in their order."""

    def settled() -> list[dict[str, Any]] | None:
        items = api.call("GET", "/notifications", query={"limit": 50})["items"]
        alerts = [item for item in items if item["task_id"] is None and item["status"] not in {"decided", "sending"}]
        known = {item["event_id"]: item for item in alerts}
        return [known[wanted] for wanted in event_ids] if known.keys() >= set(event_ids) else None

    found: list[dict[str, Any]] = _eventually(settled, "the notifications")
    return found


def _eventually(look: Callable[[], Any], what: str) -> Any:
    """What `look` finds, looking again and again until it does."""
    deadline = time.monotonic() + PATIENCE_SECONDS
    while time.monotonic() < deadline:
        found = look()
        if found:
            return found
        time.sleep(0.005)
    raise OpsError(f"{what} did not appear within {PATIENCE_SECONDS:.0f} s", "`make logs` shows what the functions say")


def _events(items: list[dict[str, Any]]) -> Table:
    table = Table("id", "source", "severity", "state", "title")
    for item in items:
        table.add_row(item["id"], item["source"], str(item["severity"]), item["state"], Text(item["title"]))
    return table


def _task(task: dict[str, Any]) -> Table:
    table = Table(show_header=False)
    for name in ("id", "title", "status", "priority", "event_id"):
        table.add_row(name, Text(str(task[name])))
    for comment in task["comments"]:
        table.add_row("comment", Text(f"{comment['user_name']}: {comment['comment']}"))
    return table


def _history(items: list[dict[str, Any]]) -> Table:
    table = Table("version", "at (UTC)", "actor", "event", "what")
    for step in items:
        at = datetime.fromtimestamp(step["at"], UTC).strftime("%H:%M:%S")
        what = {key: value for key, value in step["changes"].items() if key in {"title", "old", "new", "comment"}}
        said = ", ".join(f"{key} {value}" for key, value in what.items())
        table.add_row(str(step["version"]), at, step["actor"]["name"], step["type"], Text(said))
    return table
