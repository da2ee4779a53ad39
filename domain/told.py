"""What a message tells: of an alert, or of a task, as it was when the decision to tell it was taken; or a report.

It holds no names of people: these stand in the users' own streams only.
"""

from collections.abc import Mapping
from enum import StrEnum

from domain.monitoring_rules import TaskChange
from domain.reports import Figures
from domain.sources.mapping import MappedEvent
from domain.tasks import Priority, Status
from domain.value import Value


class AlertNews(StrEnum):
    """What a message says of an alert: what happened to it, or that it is still open after it was snoozed."""

    OPENED = "opened"
    RECURRED = "recurred"
    SEVERITY_RAISED = "severity_raised"
    RESOLVED = "resolved"
    STILL_OPEN = "still_open"


class AlertTold(Value):
    """An alert, as far as a message shows it.

    Attributes:
        event: the monitoring event that it is told by; where that has expired, what the alert still shows of it.
        event_id: that monitoring event's; None if none is known any more.
        published_at: seconds since the epoch, by its source.
        severity: the alert's, 0 to 5, which a rule may have set.
        previous_severity: before it was raised.
        count: how often the problem occurred, since ever.
        openings: how often the alert opened.
        opened_at: seconds since the epoch, as is `resolved_at`.
        account_name: what the monitoring config calls the account.
        timezone: of the IANA database, for times that Slack cannot show in the reader's own.
    """

    alert_id: str
    transition: AlertNews
    event: MappedEvent
    event_id: str | None = None
    published_at: int
    severity: int
    previous_severity: int | None = None
    count: int
    openings: int
    opened_at: int
    resolved_at: int | None = None
    resolved_by_person: bool = False
    account_name: str | None = None
    timezone: str = "UTC"


class TaskTold(Value):
    """A task, as far as a message shows it.

    Attributes:
        due_date: seconds since the epoch.
        alert_id: of the alert that it was made from; `event_id` likewise of the monitoring event.
        comment: what was commented.
        account_name: what the monitoring config calls the account that the task is about.
        timezone: as in `AlertTold`.
    """

    task_id: str
    change: TaskChange
    title: str
    status: Status
    priority: Priority
    due_date: int | None = None
    alert_id: str | None = None
    event_id: str | None = None
    comment: str | None = None
    account_name: str | None = None
    timezone: str = "UTC"


class ReportTold(Value):
    """A daily report, as a message shows it.

    Attributes:
        day: the UTC date on which its 24 hours end.
        starts_at: of its 24 hours, in seconds since the epoch, as is `ends_at`.
        account_names: what the monitoring config calls accounts, by id.
        timezone: as in `AlertTold`.
    """

    day: str
    starts_at: int
    ends_at: int
    figures: Figures
    account_names: Mapping[str, str] = {}
    timezone: str = "UTC"
