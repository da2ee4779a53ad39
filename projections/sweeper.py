"""The sweeper: every minute, what is due in the outbox, and what got lost on its way to Slack.

What was held is looked at again: it is told, alone or with the others of its group, or held longer, or nobody is told
any more. What is on its way and should have arrived is handed to the delivery queue once more. Each change happens only
while the row is as it was read, so that two runs at the same time do what one would. What a run leaves, or a fault of
the infrastructure, the next one finds.
"""

import json
import time
from collections.abc import Iterable, Iterator, Sequence
from datetime import UTC, datetime
from functools import cache
from itertools import groupby
from math import ceil
from typing import Any

from aws_lambda_powertools import Logger

from domain.alerts import ALERTS, Alert
from domain.notifications import Decision, Outcome, Terms, due
from domain.told import AlertTold
from infra import clients, history, metrics, outbox, outbox_listing
from infra.aws_faults import INFRASTRUCTURE
from infra.delivery_queue import enqueue
from infra.event_store import DynamoDBEventStore, EventStore
from infra.outbox import Move, Notification, Status
from infra.settings import (
    GROUPING_SECONDS,
    MAX_GROUP,
    QUEUED_AGAIN_SECONDS,
    SWEEP_GROUPED,
    SWEEP_ROWS,
    SWEEP_SECONDS,
    setting,
)
from infra.usage import report
from projections.messages import told_of

logger = Logger()


class SweepError(RuntimeError):
    """Some rows could not be looked at; the next run does."""


def handler(event: object, context: object) -> None:  # noqa: ARG001
    """Lambda entry point, invoked every minute.

    Raises:
        SweepError: a fault of the infrastructure held up some rows. The others are done.
    """
    now = int(time.time())
    ends_at = time.monotonic() + SWEEP_SECONDS
    sweep = _Sweep(now, ends_at + GROUPING_SECONDS)
    seen = queued = 0
    for found in outbox_listing.due(now, SWEEP_ROWS):
        rows = [row for row in found if _is_due(row, now)]
        held, lost = [row for row in rows if row.status == Status.HELD], [row for row in rows if _is_lost(row, now)]
        queued += sweep.tell(held) + sweep.bring_back(lost)  # a row that is let go looks like a lost one from then on
        seen += len(rows)
        if time.monotonic() >= ends_at:
            break
    queued += sweep.tell_groups()
    report()
    logger.info("swept", extra={"due": seen, "queued": queued, "held_up": len(sweep.held_up)})
    if sweep.held_up:
        raise SweepError(f"{len(sweep.held_up)} notifications could not be looked at, such as {sweep.held_up[0]}")


class _Sweep:
    """One run. What is to go into one message is gathered from all that it reads.

    Args:
        ends_at: by the monotonic clock; groups that were not let go by then stay as they are, for the next run.

    Attributes:
        held_up: the ids of rows that a fault of the infrastructure left as they are.
    """

    def __init__(self, now: int, ends_at: float) -> None:
        self.held_up: list[str] = []
        self._now = now
        self._ends_at = ends_at
        self._alerts: dict[str, Alert | None] = {}
        self._grouped: list[Notification] = []

    def tell(self, rows: Iterable[Notification]) -> int:
        """Let go what was held, if it is still to be told; groups wait. Returns how many deliveries that makes."""
        self._alerts.clear()  # they are read once for these rows, and may have changed when the next ones come
        ready = [row for row in rows if self._is_ready(row)]
        self._grouped += [row for row in ready if row.group]
        queued = sum(self._let_go([row]) for row in ready if not row.group)
        return queued + (self.tell_groups() if len(self._grouped) >= SWEEP_GROUPED else 0)

    def tell_groups(self) -> int:
        """Let go the groups that were gathered. Returns how many deliveries that makes."""
        queued = 0
        for together in _groups(self._grouped):
            if time.monotonic() >= self._ends_at:
                break
            queued += self._let_go(together)
        self._grouped = []
        return queued

    def bring_back(self, rows: Iterable[Notification]) -> int:
        """Queue what got lost. Returns how many notifications that are."""
        lost = list(rows)
        if not self._queued(lost):
            return 0
        for row in lost:  # a crash here queues it once more, which harms nothing
            actions = [Notification.due_at.set(self._now + QUEUED_AGAIN_SECONDS)]
            self._moved([Move(row, actions, Notification.due_at == row.due_at)])
        return len(lost)

    def _is_ready(self, row: Notification) -> bool:
        """Whether it is to be told now; what else becomes of it is done."""
        try:
            decision = self._judged(row)
        except INFRASTRUCTURE as error:
            self._hold_up([row], "not looked at", error)
            return False
        except Exception as error:  # it must hold up no other, nor come back for ever
            logger.exception("cannot be read", extra={"notification": row.id})
            fault = f"it cannot be read ({type(error).__name__})"
            failed = [Notification.status.set(Status.FAILED), Notification.error.set(fault), *outbox.not_due()]
            if self._moved([Move(row, failed, _unchanged(row))]):
                metrics.notification_failed()
            return False
        if decision is None:
            return True
        actions: list[Any] = [Notification.reason.set(decision.reason), Notification.error.remove()]
        if decision.outcome is Outcome.HOLD and decision.until is not None:
            actions.append(Notification.due_at.set(ceil(decision.until.timestamp())))
        else:
            actions += [Notification.status.set(Status.SUPPRESSED), *outbox.not_due()]
        self._moved([Move(row, actions, _unchanged(row))])
        return False

    def _judged(self, row: Notification) -> Decision | None:
        """What becomes of it instead of being told; see `due`.

        What was let go once, or at once, and waits for its channel has no terms any more: of that an alert is only told
        no more if it was snoozed meanwhile. One that leads a group is told with its members, whatever became of it.
        """
        if row.members or not (row.terms or row.stream.startswith(ALERTS.stream(""))):
            return None
        told = told_of(row)
        terms = Terms.model_validate_json(row.terms) if row.terms else Terms()
        if not isinstance(told, AlertTold):
            return due(told, terms, None, self._at)
        alert = self._alert(row.stream)
        then = alert
        if terms.open_at is not None and alert is not None and alert.openings != told.openings:
            then = history.load_at(_store(), ALERTS, row.stream, terms.open_at)
        return due(told, terms, alert, self._at, then)

    def _let_go(self, rows: Sequence[Notification]) -> int:
        """Let rows go in one message: the first leads, the others are told with it."""
        leader, *members = rows
        ready = [*outbox.on_its_way(leader.key), Notification.terms.remove(), Notification.group.remove()]
        if members:
            ready.append(Notification.members.set(json.dumps([row.id for row in members])))
        told = [
            Notification.status.set(Status.GROUPED),
            Notification.told_in.set(leader.id),
            Notification.reason.set(f"told in one message with {len(members)} others"),
            *outbox.not_due(),
        ]
        moves = [Move(leader, ready, _unchanged(leader)), *(Move(row, told, _unchanged(row)) for row in members)]
        return int(self._moved(moves) and self._queued([leader]))

    def _queued(self, rows: Sequence[Notification]) -> bool:
        try:
            enqueue([row.id for row in rows])
        except INFRASTRUCTURE as error:  # the rows are found when they do not arrive
            self._hold_up(rows, "not queued", error)
            return False
        return True

    def _moved(self, moves: Sequence[Move]) -> bool:
        """Whether the changes were made; another run may have been faster."""
        try:
            return outbox.moved_together(moves)
        except INFRASTRUCTURE as error:
            self._hold_up([move.row for move in moves], "not changed", error)
            return False

    def _hold_up(self, rows: Sequence[Notification], failure: str, error: Exception) -> None:
        ids = [row.id for row in rows]
        logger.error(failure, exc_info=error, extra={"notifications": ids[:10]})
        self.held_up += ids

    def _alert(self, stream: str) -> Alert | None:
        if stream not in self._alerts:
            self._alerts[stream] = history.load(_store(), ALERTS, stream).state
        return self._alerts[stream]

    @property
    def _at(self) -> datetime:
        return datetime.fromtimestamp(self._now, UTC)


def _groups(rows: Sequence[Notification]) -> Iterator[Sequence[Notification]]:
    """Those that go into one message each."""
    grouped = sorted(rows, key=lambda row: (row.group, row.sk))
    for _, of_group in groupby(grouped, key=lambda row: row.group):
        together = list(of_group)
        yield from (together[start : start + MAX_GROUP] for start in range(0, len(together), MAX_GROUP))


def _is_due(row: Notification, now: int) -> bool:
    """Whether it still is: the index is a moment behind."""
    due_at: float | None = row.due_at  # PynamoDB's types leave out that it may be missing
    return due_at is not None and due_at <= now


def _is_lost(row: Notification, now: int) -> bool:
    """Whether it is on its way and should have arrived; what a sender holds has not."""
    abandoned = row.status == Status.SENDING and (row.lease_until or 0) < now
    return row.status == Status.DECIDED or abandoned


def _unchanged(row: Notification) -> Any:
    return (Notification.status == row.status) & (Notification.due_at == row.due_at)


@cache
def _store() -> EventStore:
    return DynamoDBEventStore(clients.dynamodb(), setting("EVENTS_TABLE"))
