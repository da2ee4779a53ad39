"""The daily report: made soon after 09:00 UTC, once, however often and by however many it is asked for.

Called every few minutes, it makes the last report that is due if nobody has. So it is made up for when this did not
run at 09:00, until the next one is due.
"""

from datetime import date, datetime, timedelta
from functools import cache
from typing import Any

from aws_lambda_powertools import Logger

from commands.execution import Order, execute, new_id, now
from domain import report_days
from domain.report_days import Window
from domain.reports import REPORTS, Report, make, report_id
from infra import clients, heartbeats, history, report_figures
from infra.event_store import DynamoDBEventStore, EventStore
from infra.settings import REPORT_SETTLE_SECONDS, setting
from infra.usage import report

ACTOR = "system:scheduler"

logger = Logger()


def handler(event: dict[str, Any], context: object) -> None:  # noqa: ARG001
    """Lambda entry point, called every five minutes."""
    outcome = make_due_report(_store(), now())
    report()
    logger.info("daily report", extra={"outcome": outcome})


def make_due_report(store: EventStore, at: datetime) -> str:
    """Make the last report whose time is over, unless it is there or the views have not caught up with its end.

    What is counted may be moments later in the views than in the ledger, so this waits until the projector has heard a
    heartbeat that was sent well after that end, and none is missing: a shard of its stream may be stuck, and nobody
    knows since when.

    Args:
        at: now, UTC.

    Returns:
        What came of it, for the log.
    """
    day = report_days.last_ended(at)
    window = report_days.window(day)
    if _report(store, day):
        return f"{day} is made"
    if not _have_caught_up(window):
        return f"{day} waits for the projector"
    previous = _report(store, day - timedelta(days=1))
    figures = report_figures.figures(window, previous.figures if previous else None)
    order = Order(by=ACTOR, at=at, correlation_id=new_id(), causation_id="schedule:daily-report")
    # Whoever is second finds it there, and nothing is left to do.
    execute(store, REPORTS, report_id(day), lambda made: make(made, window, figures), order, creates=True)
    return f"made {day}"


def _report(store: EventStore, day: date) -> Report | None:
    return history.load(store, REPORTS, REPORTS.stream(report_id(day))).state


def _have_caught_up(window: Window) -> bool:
    settled_at = window.ends_at.timestamp() + REPORT_SETTLE_SECONDS
    lags = (lag for lag in heartbeats.lags() if lag.consumer == "projector")
    return any(lag.heard_at >= settled_at and lag.missing_since is None for lag in lags)


@cache
def _store() -> EventStore:
    return DynamoDBEventStore(clients.dynamodb(), setting("EVENTS_TABLE"))
