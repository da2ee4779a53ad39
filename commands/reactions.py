"""Reactions: the one place where an event leads to a command. Fed by the Kinesis data stream.

A user who is deactivated, deleted or has another password loses their open sessions. The stream repeats and reorders;
each reaction is carried out once, by the id of the commit that it answers. Sessions are found in the views, where one
that has just begun may be missing: its next refresh finds out by itself.
"""

import base64
import json
from collections.abc import Iterator, Mapping, Sequence
from functools import cache
from typing import Any

from aws_lambda_powertools import Logger
from botocore.exceptions import BotoCoreError, ClientError

from commands.execution import Order, now
from commands.session_commands import carry_out
from domain.commit import CommandKey, Commit
from domain.event import DomainEvent
from domain.sessions import EndReason, Session, end_of_earlier, reason_to_end
from domain.users import USERS
from infra import clients
from infra.commits import from_item
from infra.event_store import ConflictError, DynamoDBEventStore, EventStore
from infra.guards import TokenGuards
from infra.heartbeats import hear
from infra.settings import setting
from infra.usage import report
from infra.views import Row, open_sessions

ACTOR = "system:reactions"

logger = Logger()


def handler(event: dict[str, Any], context: object) -> None:  # noqa: ARG001
    """Lambda entry point, fed by the Kinesis data stream."""
    commits = list(_commits(event))
    ended = sum(map(_react, commits))
    hear("reactions", commits)
    report()
    logger.info("reacted", extra={"records": len(event["Records"]), "sessions_ended": ended})


def _react(commit: Commit) -> int:
    """End the sessions that a commit ends. Returns how many these were.

    Raises:
        Exception: a fault of the infrastructure, so that the batch is delivered again.
    """
    ended = 0
    for version, reason in _reasons(commit):
        for session_id in _open_sessions(commit.stream.partition("#")[2]):
            try:
                _end(session_id, reason, commit, version)
                ended += 1
            except (BotoCoreError, ClientError, ConflictError):
                raise
            except Exception:  # one session that cannot be read must not hold up the others, nor the shard
                logger.exception("session not ended", extra={"session": session_id})
    return ended


def _end(session_id: str, reason: EndReason, cause: Commit, version: int) -> None:
    """End a session because of an event of its user, which stands at `version` of their stream.

    A session that began after that is left alone.
    """

    def decide(session: Session | None) -> Sequence[DomainEvent]:
        return end_of_earlier(session, reason, version)

    order = Order(
        by=ACTOR,
        at=now(),
        correlation_id=cause.correlation_id,
        causation_id=f"event:{cause.id}",
        command=CommandKey(f"{ACTOR} {cause.id}", str(version)),
    )
    carry_out(_store(), _guards(), session_id, decide, order)


def _reasons(commit: Commit) -> Iterator[tuple[int, EndReason]]:
    """Which events of a commit end sessions, and why."""
    if commit.stream.partition("#")[0] != USERS.category:
        return
    try:
        recorded = list(commit.recorded())
    except Exception:  # it must not hold up the others; the projector parks its stream, visibly
        logger.exception("not read", extra={"stream": commit.stream, "version": commit.version})
        return
    reasons = [(event.version, reason) for event in recorded if (reason := reason_to_end(event.event))]
    yield from reasons[:1]  # sessions end once


def _open_sessions(user_id: str) -> list[str]:
    rows = Row.by_person.query(open_sessions(user_id))
    present = now().timestamp()
    return [row.pk.partition("#")[2] for row in rows if json.loads(row.data)["expires_at"] > present]


def _commits(event: Mapping[str, Any]) -> Iterator[Commit]:
    for record in event["Records"]:
        try:
            change = json.loads(base64.b64decode(record["kinesis"]["data"]))
            commit = from_item(change["dynamodb"]["NewImage"]) if change["eventName"] == "INSERT" else None
        except (LookupError, TypeError, ValueError):  # somebody put an item by hand
            logger.exception("not a commit", extra={"record": record.get("eventID")})
        else:
            if commit:
                yield commit


@cache
def _store() -> EventStore:
    return DynamoDBEventStore(clients.dynamodb(), setting("EVENTS_TABLE"))


@cache
def _guards() -> TokenGuards:
    return TokenGuards(clients.dynamodb(), setting("GUARDS_TABLE"))
