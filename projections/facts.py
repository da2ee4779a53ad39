"""What happened, as far as people may be told of it: the happenings in the commits of alerts and tasks.

A commit is told with the alert, or the task, as it was then, whenever and however often the stream brings it.
"""

from collections.abc import Callable, Iterator, Mapping
from datetime import datetime
from typing import NamedTuple, TypeVar

from aws_lambda_powertools import Logger

from domain.alerts import (
    ALERTS,
    Alert,
    AlertOpened,
    AlertRecurred,
    AlertReopened,
    AlertResolved,
    AlertSeverityChanged,
    AlertSnoozed,
    AlertState,
    AlertSurfaced,
    Ending,
    Seen,
)
from domain.commit import Commit
from domain.decider import Decider
from domain.event import DomainEvent, UnreadableEventError
from domain.judgement import matchable
from domain.monitoring_config import MonitoringConfig, service_of
from domain.monitoring_events import MONITORING_EVENTS, MonitoringEventRecorded, parse_event_id
from domain.monitoring_rules import Matchable, TaskChange
from domain.notifications import Happening
from domain.sources.mapping import MappedEvent, State
from domain.tasks import (
    TASKS,
    Task,
    TaskAssigned,
    TaskCommented,
    TaskCreated,
    TaskDeleted,
    TaskDetailsChanged,
    TaskStatusChanged,
)
from domain.told import AlertNews, AlertTold, TaskTold
from infra import history
from infra.commits import NotACommitError
from infra.event_store import EventStore

_NEWS: Mapping[type[DomainEvent], AlertNews] = {
    AlertOpened: AlertNews.OPENED,
    AlertReopened: AlertNews.OPENED,
    AlertSurfaced: AlertNews.OPENED,
    AlertRecurred: AlertNews.RECURRED,
    AlertSeverityChanged: AlertNews.SEVERITY_RAISED,
    AlertResolved: AlertNews.RESOLVED,
    AlertSnoozed: AlertNews.STILL_OPEN,
}

_CHANGES: Mapping[type[DomainEvent], TaskChange] = {
    TaskCreated: TaskChange.CREATED,
    TaskDetailsChanged: TaskChange.CHANGED,
    TaskStatusChanged: TaskChange.STATUS_CHANGED,
    TaskAssigned: TaskChange.ASSIGNED,
    TaskCommented: TaskChange.COMMENTED,
    TaskDeleted: TaskChange.DELETED,
}

Folded = TypeVar("Folded")

logger = Logger()


class Placed(NamedTuple):
    """A happening, and the place of its event in the commit."""

    place: int
    happening: Happening


def happenings(store: EventStore, commit: Commit, config: MonitoringConfig) -> Iterator[Placed]:
    """What people may be told of in a commit.

    Takes a query for the state before the commit, unless it begins its stream, and one for each monitoring event.

    Raises:
        UnreadableEventError: the commit, or what comes before it, cannot be read.
    """
    tell = _BY_CATEGORY.get(commit.stream.partition("#")[0])
    if tell and any(event.t in _TOLD for event in commit.stored_events()):
        yield from tell(store, commit, config)


def _of_alert(store: EventStore, commit: Commit, config: MonitoringConfig) -> Iterator[Placed]:
    alert = _before(store, commit, ALERTS)
    for place, recorded in enumerate(commit.recorded()):
        event = recorded.event
        alert = ALERTS.evolve(alert, recorded)
        news = _NEWS.get(type(event))
        if news is None or (isinstance(event, AlertSeverityChanged) and event.new < event.old):
            continue
        if news is AlertNews.RECURRED and alert.state is not AlertState.OPEN:
            continue  # it came late: what it tells of is over
        seen: Seen | None = getattr(event, "seen", None)
        ids = seen.ids if seen else alert.recent
        event_id = ids[-1] if ids else None
        mapped = _mapped(store, event_id) or _by_its_face(alert)
        told = AlertTold(
            alert_id=commit.stream.partition("#")[2],
            transition=news,
            event=mapped,
            event_id=event_id,
            published_at=seen.last if seen else alert.last_seen or _unix(alert.created_at),
            severity=alert.severity,
            previous_severity=event.old if isinstance(event, AlertSeverityChanged) else None,
            count=alert.count,
            openings=alert.openings,
            opened_at=_unix(alert.opened_at or recorded.at),
            resolved_at=_unix(recorded.at) if news is AlertNews.RESOLVED else None,
            resolved_by_person=news is AlertNews.RESOLVED and alert.ending is Ending.PERSON,
            account_name=_account_name(mapped.account, config),
            timezone=config.global_settings.timezone,
        )
        # Who was told of what it was at its worst is to learn of its end.
        severity = alert.worst if news is AlertNews.RESOLVED else alert.severity
        facts = matchable(mapped).model_copy(update={"severity": severity})
        snoozed_until = event.until if isinstance(event, AlertSnoozed) else None
        happening = Happening(told=told, facts=facts, at=recorded.at, alert=alert, snoozed_until=snoozed_until)
        yield Placed(place, happening)


def _of_task(store: EventStore, commit: Commit, config: MonitoringConfig) -> Iterator[Placed]:
    task = _before(store, commit, TASKS)
    for place, recorded in enumerate(commit.recorded()):
        event = recorded.event
        task = TASKS.evolve(task, recorded)
        change = _CHANGES.get(type(event))
        if change is None:
            continue
        details = task.event_details
        told = TaskTold(
            task_id=commit.stream.partition("#")[2],
            change=change,
            title=task.title,
            status=task.status,
            priority=task.priority,
            due_date=_unix(task.due_date) if task.due_date else None,
            alert_id=task.alert_id,
            event_id=task.event_id,
            comment=event.comment if isinstance(event, TaskCommented) else None,
            account_name=_account_name(details.account, config) if details else None,
            timezone=config.global_settings.timezone,
        )
        yield Placed(place, Happening(told=told, facts=_facts_of(task), at=recorded.at))


_BY_CATEGORY: Mapping[str, Callable[[EventStore, Commit, MonitoringConfig], Iterator[Placed]]] = {
    ALERTS.category: _of_alert,
    TASKS.category: _of_task,
}
_TOLD = {event.name for event in (*_NEWS, *_CHANGES)}


def _before(store: EventStore, commit: Commit, decider: Decider[Folded]) -> Folded | None:
    """The state before a commit."""
    return history.load_until(store, decider, commit.stream, commit.version - 1) if commit.version > 1 else None


def _mapped(store: EventStore, event_id: str | None) -> MappedEvent | None:
    """The monitoring event; None once it has expired."""
    parsed = parse_event_id(event_id) if event_id else None
    if parsed is None:
        return None
    try:
        commit = next(store.load(MONITORING_EVENTS.stream(parsed[1])), None)
        event = next(commit.recorded()).event if commit else None
    except (ValueError, UnreadableEventError, NotACommitError):  # it only adds details
        logger.exception("monitoring event not read", extra={"event_id": event_id})
        return None
    return event.mapped if isinstance(event, MonitoringEventRecorded) else None


def _by_its_face(alert: Alert) -> MappedEvent:
    """What an alert still shows of a monitoring event that has expired."""
    return MappedEvent(
        **dict(alert.face),
        severity=alert.severity,
        state=State.OPEN if alert.state is AlertState.OPEN else State.RESOLVED,
        status=alert.status,
        fingerprint=alert.fingerprint,
        order=alert.order,
    )


def _facts_of(task: Task) -> Matchable:
    """What rules look at: of a task that was made by hand nothing is known but its text."""
    details = task.event_details
    text = f"{task.title}\n{task.description}"
    if details is None:
        return Matchable(text=text)
    return Matchable(
        source=details.source,
        service=service_of(details.source),
        detail_type=details.detail_type,
        account=details.account,
        region=details.region,
        resources=(details.resource,) if details.resource else (),
        text=f"{text}\n{details.title}",
        severity=details.severity,
    )


def _account_name(account: str | None, config: MonitoringConfig) -> str | None:
    return config.global_settings.account_names.get(account) if account else None


def _unix(at: datetime) -> int:
    return int(at.timestamp())
