"""The notifier: the Kinesis data stream to decisions in the outbox.

It only decides. What is to be told at once goes to the delivery queue when the decision is kept: a crash in between
brings the batch back, the decision is found and queued again; the sender sees to it that it is told once. What was
decided before is not decided again, so that neither a repeat nor a replay tells anybody anything, whatever the
monitoring config says by then.
"""

import base64
import json
import time
from collections.abc import Iterable, Iterator, Mapping
from datetime import UTC, datetime
from functools import cache, lru_cache
from itertools import groupby
from math import ceil
from typing import Any

from aws_lambda_powertools import Logger

from domain.alerts import ALERTS
from domain.commit import Commit
from domain.monitoring_config import CONFIG_ID, MONITORING_CONFIG, MonitoringConfig, defaults
from domain.notifications import Decision, Happening, Outcome, decide
from domain.reports import REPORTS
from domain.tasks import TASKS
from domain.told import AlertTold
from infra import clients, history, metrics, outbox
from infra.aws_faults import INFRASTRUCTURE
from infra.commits import from_item
from infra.delivery_queue import enqueue
from infra.event_store import DynamoDBEventStore, EventStore
from infra.heartbeats import hear
from infra.outbox import Notification, NotificationId, Status
from infra.settings import CONFIG_CACHE_SECONDS, number, setting
from infra.usage import report
from projections import facts, report_notices

_STATUS = {Outcome.SEND: Status.DECIDED, Outcome.HOLD: Status.HELD, Outcome.SUPPRESS: Status.SUPPRESSED}
_TOLD = {ALERTS.category, TASKS.category, REPORTS.category}
_DAY = 86_400

logger = Logger()


def handler(event: dict[str, Any], context: object) -> str | None:  # noqa: ARG001
    """Lambda entry point, fed by the Kinesis data stream; an operator may name a commit instead, as `redrive`."""
    if "redrive" in event:
        problem = _decide_again(event["redrive"]["stream"], event["redrive"]["commit"])
        report()
        return problem
    commits = list(_commits(event))
    decisions = sum(len(_decide(commit)) for commit in commits if commit.stream.partition("#")[0] in _TOLD)
    hear("notifier", commits)
    report()
    logger.info("decided", extra={"records": len(event["Records"]), "decisions": decisions})
    return None


def _decide_again(stream: str, commit_id: str) -> str | None:
    """Decide on what could not be read before. Returns why it still cannot be."""
    commit = next((commit for commit in _store().load_back(stream) if commit.id == commit_id), None)
    if commit is None:
        return "it is not in the ledger"
    for row in _decide(commit):
        if row.is_undecided:
            return row.error
    for row in outbox.decided(commit_id):
        if row.is_undecided:  # no decision has its place
            row.status, row.error, row.reason = Status.SUPPRESSED, None, "it could be read later, and was decided then"
            outbox.keep([row])
    return None


def _decide(commit: Commit) -> list[Notification]:
    """Decide on what happened in a commit. Returns the decisions that stand.

    Raises:
        Exception: a fault of the infrastructure, or the config cannot be read: the batch is delivered again.
    """
    config = _config(int(time.monotonic() // CONFIG_CACHE_SECONDS))  # without it nothing can be decided, and all waits
    try:
        rows = _rows(commit, config)
    except INFRASTRUCTURE:
        raise
    except Exception as error:  # it must neither hold up the others nor vanish: it shows as failed
        logger.exception("not decided", extra={"stream": commit.stream})
        rows = [_undecided(commit, error)]
    kept = _kept(commit, rows)
    # One that was tried has reached the queue, which brings it back when Slack wants it and not before.
    enqueue([row.id for row in kept if row.status == Status.DECIDED and not row.attempts])
    return kept


def _rows(commit: Commit, config: MonitoringConfig) -> list[Notification]:
    if report_notices.is_report(commit.stream):
        return [report_notices.row(commit, config, _expiry(commit))]
    now = datetime.fromtimestamp(time.time(), UTC)
    return [
        _row(commit, place, happening, decision)
        for place, happening in facts.happenings(_store(), commit, config)
        for decision in decide(happening, config, now)
    ]


def _kept(commit: Commit, rows: Iterable[Notification]) -> list[Notification]:
    """The rows that stand: those of events that were decided before, and new ones for the others."""
    rows = list(rows)
    if not rows:
        return []
    before = outbox.decided(commit.id)
    stand = [row for row in before if not row.is_undecided]
    if stand and rows[0].is_undecided:  # whoever decided could read it
        return stand
    known = {row.key.place for row in stand}
    for place, of_event in groupby(rows, key=lambda row: row.key.place):
        group = list(of_event)
        if place not in known and outbox.keep(group):
            stand += group
            if group[0].is_undecided and not before:
                metrics.notification_failed()
    return stand


def _row(commit: Commit, place: int, happening: Happening, decision: Decision) -> Notification:
    told, status = happening.told, _STATUS[decision.outcome]
    about, title = (told.transition, told.event.title) if isinstance(told, AlertTold) else (told.change, told.title)
    due_at = ceil(decision.until.timestamp()) if decision.until else None
    attributes: dict[str, Any] = {"due_at": due_at} if due_at else {}
    if decision.wanted_at:
        attributes["wanted_at"] = int(decision.wanted_at.timestamp())
    if status is not Status.SUPPRESSED:
        attributes["told"] = told.model_dump_json(exclude_none=True)
    if decision.terms:
        attributes["terms"] = decision.terms.model_dump_json(exclude_none=True)
    return outbox.new(
        NotificationId(commit.id, place, decision.channel),
        status,
        stream=commit.stream,
        about=about,
        title=title,
        severity=told.severity if isinstance(told, AlertTold) else happening.facts.severity,
        event_id=told.event_id,
        rule=decision.rule,
        reason=decision.reason,
        group=decision.group,
        rate=decision.rate_per_minute,
        ttl=max(_expiry(commit), (due_at or 0) + _DAY),
        **attributes,
    )


def _undecided(commit: Commit, error: Exception) -> Notification:
    return outbox.new(
        NotificationId(commit.id, 0, "default"),
        Status.FAILED,
        stream=commit.stream,
        title=f"What happened to {commit.stream} cannot be read",
        reason="it cannot be read",
        error=f"{type(error).__name__}: {error}"[:500],
        ttl=_expiry(commit),
    )


def _expiry(commit: Commit) -> int:
    return int(commit.at.timestamp()) + number("EVENT_RETENTION_DAYS", 90) * _DAY


@cache
def _store() -> EventStore:
    return DynamoDBEventStore(clients.dynamodb(), setting("EVENTS_TABLE"))


@lru_cache(maxsize=1)
def _config(_period: int) -> MonitoringConfig:
    """The monitoring config, read once in each period."""
    return history.load(_store(), MONITORING_CONFIG, MONITORING_CONFIG.stream(CONFIG_ID)).state or defaults()


def _commits(event: Mapping[str, Any]) -> Iterator[Commit]:
    for record in event["Records"]:
        change = json.loads(base64.b64decode(record["kinesis"]["data"]))
        if change["eventName"] != "INSERT":
            continue
        try:
            commit = from_item(change["dynamodb"]["NewImage"])
            _ = NotificationId(commit.id, 0, "").pk  # raises for an id that is no UUIDv7
        except (KeyError, ValueError, OverflowError):  # somebody put an item by hand
            logger.exception("not a commit", extra={"keys": change["dynamodb"].get("Keys")})
        else:
            yield commit
