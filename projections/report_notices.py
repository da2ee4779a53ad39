"""The notification of a daily report: its row in the outbox, and its message."""

from typing import Any

from domain import report_notice
from domain.commit import Commit
from domain.monitoring_config import MonitoringConfig
from domain.notifications import Outcome
from domain.reports import REPORTS, ReportMade
from domain.told import ReportTold
from infra import outbox
from infra.outbox import Notification, NotificationId, Status

ABOUT = "daily_report"


def is_report(stream: str) -> bool:
    return stream.startswith(f"{REPORTS.category}#")


def row(commit: Commit, config: MonitoringConfig, ttl: int) -> Notification:
    """What is decided on a report that was made.

    Args:
        ttl: when the row expires, in seconds since the epoch.

    Raises:
        UnreadableEventError: the commit cannot be read.
        TypeError: it is of something else.
    """
    event = next(commit.recorded()).event
    if not isinstance(event, ReportMade):
        raise TypeError(f"a report is made once and takes no {event.name}")
    told, decision = report_notice.told_of(event, config), report_notice.decide(config)
    sent = decision.outcome is Outcome.SEND
    attributes: dict[str, Any] = {}
    if sent:
        attributes = {"told": told.model_dump_json(exclude_none=True), "wanted_at": int(commit.at.timestamp())}
    return outbox.new(
        NotificationId(commit.id, 0, decision.channel),
        Status.DECIDED if sent else Status.SUPPRESSED,
        stream=commit.stream,
        about=ABOUT,
        title=f"Daily report of {told.day}",
        reason=decision.reason,
        rate=decision.rate_per_minute,
        ttl=ttl,
        **attributes,
    )


def message(told: str) -> dict[str, Any]:
    """The Slack message.

    Args:
        told: of the row.

    Raises:
        ValueError: it is no report that this code can read.
        RenderError: the template failed.
    """
    from infra.slack_report import render_report  # noqa: PLC0415 - its template is loaded by those who render only

    return render_report(ReportTold.model_validate_json(told))
