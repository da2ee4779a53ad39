"""Reactions: the one place where an event leads to a command. Fed by the Kinesis data stream.

The stream repeats and reorders; each reaction is carried out once, by the id of the commit that it answers. What the
reactions are stands in a module for each subject.
"""

import base64
import json
import time
from collections.abc import Iterator, Mapping
from functools import cache, lru_cache
from typing import Any

from aws_lambda_powertools import Logger

from commands import alert_reactions, erasure_reactions, session_reactions
from domain.alerts import ALERTS
from domain.commit import Commit
from domain.monitoring_config import CONFIG_ID, MONITORING_CONFIG, MonitoringConfig, ResolvedAlertPolicy, defaults
from domain.tasks import TASKS
from domain.users import USERS
from infra import clients, history
from infra.commits import from_item
from infra.event_store import DynamoDBEventStore, EventStore
from infra.guards import TokenGuards
from infra.heartbeats import hear
from infra.personal_data import DataKeyErasure
from infra.settings import CONFIG_CACHE_SECONDS, setting
from infra.usage import report

logger = Logger()


def handler(event: dict[str, Any], context: object) -> None:  # noqa: ARG001
    """Lambda entry point, fed by the Kinesis data stream."""
    commits = list(_commits(event))
    reactions = sum(map(_react, commits))
    hear("reactions", commits)
    report()
    logger.info("reacted", extra={"records": len(event["Records"]), "reactions": reactions})


def _react(commit: Commit) -> int:
    """React to a commit. Returns how many things this concerned.

    Raises:
        Exception: a fault of the infrastructure, so that the batch is delivered again.
    """
    match commit.stream.partition("#")[0]:
        case USERS.category:
            ended = session_reactions.end_sessions(_store(), _guards(), commit)
            return ended + erasure_reactions.erase_deleted(_keys, commit)
        case TASKS.category:
            return alert_reactions.link(_store(), commit, _policy)
        case ALERTS.category:
            return alert_reactions.tell_tasks(_store(), commit, _policy)
    return 0


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


@cache
def _keys() -> DataKeyErasure:
    return DataKeyErasure(clients.dynamodb(), setting("KEYS_TABLE"))


def _policy() -> ResolvedAlertPolicy:
    return _config(int(time.monotonic() // CONFIG_CACHE_SECONDS)).global_settings.resolved_alert_policy


@lru_cache(maxsize=1)
def _config(_period: int) -> MonitoringConfig:
    """The monitoring config, read once in each period."""
    return history.load(_store(), MONITORING_CONFIG, MONITORING_CONFIG.stream(CONFIG_ID)).state or defaults()
