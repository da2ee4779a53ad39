"""Commits on streams of tasks, one after the other, and what goes with them."""

import itertools
from datetime import UTC, datetime
from typing import Any

from commands.execution import Order
from domain.commit import GENESIS, CommandKey, Commit, encode_events, sealed
from domain.event import encode
from domain.tasks import Priority, TaskCommented, TaskCreated
from infra.event_store import GuardWrite
from infra.guards import Guards

AT = datetime(2026, 4, 1, 12, 0, 0, 123_000, tzinfo=UTC)
STREAM = "task#0192"
CREATED = TaskCreated(title="Disk full", description="The disk of db-1 is full.", priority=Priority.HIGH)

_ids = itertools.count()


def commit(previous: Commit | None = None, *comments: str, **changes: Any) -> Commit:
    """The commit that follows on `previous`, with these comments; or a stream's first one."""
    events = [TaskCommented(comment_id=str(next(_ids)), comment=text) for text in comments] if previous else [CREATED]
    content = {
        "stream": previous.stream if previous else STREAM,
        "version": previous.last_version + 1 if previous else 1,
        "count": len(events),
        "id": f"commit-{next(_ids)}",
        "at": AT,
        "by": "ada",
        "correlation_id": "co",
        "causation_id": "ca",
        "command": None,
        "encoded": encode_events([encode(event) for event in events]),
        "expires_at": None,
    }
    return sealed(previous.hash if previous else GENESIS, **{**content, **changes})


def order(by: str = "ada", command: CommandKey | None = None) -> Order:
    return Order(by=by, at=AT, correlation_id="co", causation_id="ca", command=command)


def take(email: str) -> GuardWrite:
    client: Any = None  # a guard's write is described without any call
    return Guards(client, "guards", b"key").take_email(email, "ada")
