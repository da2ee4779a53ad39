"""Alerts: what is wrong, found by its fingerprint. What monitoring events do to one stands in `domain.correlation`."""

import uuid
from datetime import datetime, timedelta
from enum import StrEnum
from typing import Annotated, Any, TypeAlias

from pydantic import Field

from domain.commit import Recorded
from domain.decider import Context, Decider
from domain.errors import FieldFault, InvalidError, NotFoundError, StateConflictError
from domain.event import DomainEvent, event_type
from domain.tasks import UnixSeconds
from domain.value import Value

RECENT = 25
"""Of the monitoring events that were counted an alert's state remembers the last 25 to 50; its stream knows all."""

PROGRESS_RANK = 1
"""The rank of news that tell neither of a problem nor of its end; see `domain.correlation`."""

MAX_WAITING = 1_000
"""The most occurrences that the monitoring config can ask for before an alert opens."""

MAX_SNOOZE = timedelta(days=30)
"""Longer than this nobody means to be away; what is no problem belongs into the monitoring config."""

_NAMESPACE = uuid.UUID("0b8a5cb1-3b61-4b0e-8f0a-1d6d2a8f6c11")


class AlertState(StrEnum):
    """Whether there is a problem. An alert is unopened while nothing reached the thresholds of its service."""

    UNOPENED = "unopened"
    OPEN = "open"
    RESOLVED = "resolved"


class Ending(StrEnum):
    """Why an alert was resolved: its source said so, a person did, or the problem is too small now."""

    SOURCE = "source"
    PERSON = "person"
    MINOR = "minor"


Moment: TypeAlias = tuple[int, int]
"""The source's order, and the rank that decides between two of the same order."""


class Face(Value):
    """What an alert shows of the monitoring event that tells of the problem last. See `MappedEvent`."""

    source: str
    detail_type: str
    account: str | None = None
    region: str | None = None
    title: str
    resource: str | None = None
    console_url: str | None = None
    quiet: str | None = None
    tags: dict[str, str] | None = None


class Seen(Value):
    """The monitoring events that a domain event takes into account.

    Attributes:
        ids: of all of them, by their sources' order.
        count: how many of them count as occurrences.
        first: seconds since the epoch: when the first of them was published.
        last: likewise the last.
        order: the source's order of the newest; see `MappedEvent`.
        rank: decides between two of the same order.
        status: the newest one's word for the state.
    """

    ids: tuple[str, ...]
    count: int
    first: int
    last: int
    order: int
    rank: int
    status: str | None = None

    @property
    def moment(self) -> Moment:
        return self.order, self.rank


class Alert(Value):
    """An alert as its events tell it.

    Attributes:
        fingerprint: the same for every monitoring event about the same problem.
        order: the source's order of the newest monitoring event that tells whether there is a problem; what is older
            changes nothing but the count.
        rank: decides between two of the same order.
        status: the source's own word for the state, as the newest monitoring event has it.
        config: the version of the monitoring config that made the alert open.
        count: how often the problem occurred, since ever; each monitoring event that tells of it counts once.
        first_seen: seconds since the epoch, by the source; None before the first occurrence. Likewise `last_seen`.
        opened_at: when it last opened. Likewise the others: they are of the present or last time that it was open.
        openings: how often it opened.
        snoozed_at: when it was snoozed to `snoozed_until`, which tells two snoozes to the same time apart.
        recent: the ids of the monitoring events that were counted last.
        older: those before them.
        older_at: until when these were counted.
        forgotten_at: until when those were counted that are among neither any more.
        latest: order and rank of the newest news of any kind, whose status is shown.
        ended: order and rank of the newest news that the problem is over; what is not newer is past.
        worst: the highest severity of the present or last time that it was open.
        waiting: order, and time of publication, of the occurrences that have not made it open yet.
        judged: severity of the newest of these, and the version of the monitoring config that decided it.
        task_ids: of the tasks made from it.
    """

    fingerprint: str
    state: AlertState = AlertState.UNOPENED
    face: Face
    severity: int = 0
    status: str | None = None
    order: int
    rank: int
    config: int = 0
    count: int = 0
    first_seen: int | None = None
    last_seen: int | None = None
    openings: int = 0
    opened_at: datetime | None = None
    acknowledged_at: datetime | None = None
    acknowledged_by: str | None = None
    snoozed_at: datetime | None = None
    snoozed_until: datetime | None = None
    snoozed_by: str | None = None
    resolved_at: datetime | None = None
    resolved_by: str | None = None
    ending: Ending | None = None
    recent: tuple[str, ...] = ()
    older: tuple[str, ...] = ()
    older_at: datetime | None = None
    forgotten_at: datetime | None = None
    latest: Moment = (0, 0)
    ended: Moment | None = None
    worst: int = 0
    waiting: tuple[tuple[int, int], ...] = ()
    judged: tuple[int, int] | None = None
    task_ids: tuple[str, ...] = ()
    created_at: datetime
    updated_at: datetime

    def remembers(self, event_id: str) -> bool:
        """Whether that monitoring event was counted lately."""
        return event_id in self.recent or event_id in self.older


# ---- events


@event_type("alert.noticed", 1)
class AlertNoticed(DomainEvent):
    """Monitoring events of an alert that is not open and does not open by them. May be a stream's first event.

    Attributes:
        waiting: order, and time of publication, of the occurrences that wait for others to make it open; none when it
            says that the problem is over, and no older occurrence waits any more.
        judged: severity of the newest occurrence that waits, and the version of the monitoring config that decided it.
    """

    fingerprint: str
    seen: Seen
    face: Face
    waiting: tuple[tuple[int, int], ...] = ()
    judged: tuple[int, int] | None = None


@event_type("alert.opened", 1)
class AlertOpened(DomainEvent):
    """For the first time. May be a stream's first event."""

    fingerprint: str
    seen: Seen
    face: Face
    severity: int
    config: int


@event_type("alert.reopened", 1)
class AlertReopened(DomainEvent):
    seen: Seen
    face: Face
    severity: int
    config: int


@event_type("alert.recurred", 1)
class AlertRecurred(DomainEvent):
    """Occurrences, some of which may be late.

    Attributes:
        face: what the alert shows now; None if it is what it showed before.
    """

    seen: Seen
    face: Face | None = None


@event_type("alert.progressed", 1)
class AlertProgressed(DomainEvent):
    """The source says something about an open problem, such as that there is no data at present."""

    seen: Seen


@event_type("alert.severity-changed", 1)
class AlertSeverityChanged(DomainEvent):
    old: int
    new: int


@event_type("alert.surfaced", 1)
class AlertSurfaced(DomainEvent):
    """It was open, and nobody was to be told; now people are. At most once in an opening."""


@event_type("alert.resolved", 1)
class AlertResolved(DomainEvent):
    """The problem is over.

    Attributes:
        seen: the monitoring event that said so; None when a person did.
    """

    ending: Ending
    seen: Seen | None = None


@event_type("alert.acknowledged", 1)
class AlertAcknowledged(DomainEvent):
    """Somebody looks after it."""


@event_type("alert.snoozed", 1)
class AlertSnoozed(DomainEvent):
    """Nobody is to be told of it until then."""

    until: datetime


@event_type("alert.task-linked", 1)
class AlertTaskLinked(DomainEvent):
    """A task was made from it."""

    task_id: str


# ---- commands


class SnoozeAlert(Value):
    until: Annotated[UnixSeconds, Field(description="seconds since the epoch, at most 30 days from now")]


# ---- rules


def alert_id(fingerprint: str) -> str:
    """The id of the alert of a fingerprint: always the same, so that two who open it meet in one stream."""
    return str(uuid.uuid5(_NAMESPACE, fingerprint))


def acknowledge(alert: Alert | None) -> list[DomainEvent]:
    return [] if _opened(alert, "acknowledged").acknowledged_at else [AlertAcknowledged()]


def snooze(alert: Alert | None, command: SnoozeAlert, context: Context) -> list[DomainEvent]:
    alert = _opened(alert, "snoozed")
    until = datetime.fromtimestamp(command.until, context.at.tzinfo)
    if until <= context.at:
        raise InvalidError(FieldFault("until", "must be in the future"))
    if until - context.at > MAX_SNOOZE:
        raise InvalidError(FieldFault("until", f"must be within {MAX_SNOOZE.days} days"))
    return [] if until == alert.snoozed_until else [AlertSnoozed(until=until)]


def resolve(alert: Alert | None) -> list[DomainEvent]:
    return [] if existing(alert).state is AlertState.RESOLVED else [AlertResolved(ending=Ending.PERSON)]


def link_task(alert: Alert | None, task_id: str) -> list[DomainEvent]:
    return [] if task_id in existing(alert).task_ids else [AlertTaskLinked(task_id=task_id)]


def existing(alert: Alert | None) -> Alert:
    """Raises NotFoundError for a fingerprint of which no alert ever opened."""
    if alert is None or not alert.openings:
        raise NotFoundError("There is no such alert.")
    return alert


def is_snoozed(alert: Alert, at: datetime) -> bool:
    return alert.snoozed_until is not None and alert.snoozed_until > at


def _opened(alert: Alert | None, wanted: str) -> Alert:
    alert = existing(alert)
    if alert.state is not AlertState.OPEN:
        raise StateConflictError(f"An alert that is {alert.state} cannot be {wanted}.")
    return alert


def evolve(alert: Alert | None, recorded: Recorded) -> Alert:
    event, at = recorded.event, recorded.at
    if alert is None:
        if not isinstance(event, AlertNoticed | AlertOpened):
            raise ValueError(f"{event.name} before alert.noticed or alert.opened")
        seen = event.seen
        new: dict[str, Any] = {"fingerprint": event.fingerprint, "order": seen.order, "rank": seen.rank}
        new["latest"] = seen.moment
        alert = Alert(**new, face=event.face, status=seen.status, created_at=at, updated_at=at)
    changes = {**_seen(alert, getattr(event, "seen", None), at), **_changes(alert, recorded)}
    return alert.model_copy(update={**changes, "updated_at": at})


ALERTS: Decider[Alert] = Decider("alert", evolve, Alert, schema=3)

_OF_ONE_OPENING = (
    "acknowledged_at",
    "acknowledged_by",
    "snoozed_at",
    "snoozed_until",
    "snoozed_by",
    "resolved_at",
    "resolved_by",
    "ending",
)


def _changes(alert: Alert, recorded: Recorded) -> dict[str, Any]:
    """What an event changes, but for what follows from the monitoring events that it takes into account."""
    event, at = recorded.event, recorded.at
    changes: dict[str, Any] = {}
    match event:
        case AlertOpened() | AlertReopened():
            changes = _opened_again(alert, event, at)
        case AlertNoticed():
            changes = _noticed(alert, event)
        case AlertRecurred():
            changes = {"face": event.face or alert.face}
        case AlertSeverityChanged():
            changes = {"severity": event.new, "worst": max(alert.worst, event.new)}
        case AlertResolved():
            changes = {"state": AlertState.RESOLVED, "resolved_at": at, "ending": event.ending}
            changes["resolved_by"] = recorded.by
            changes["ended"] = event.seen.moment if event.seen else (alert.order, alert.rank)
        case AlertProgressed() | AlertSurfaced():
            pass
        case _:
            changes = _by_people(alert, recorded)
    return changes


def _noticed(alert: Alert, event: AlertNoticed) -> dict[str, Any]:
    """What changes when an alert is not open and does not open."""
    moment = event.seen.moment
    if event.waiting:
        waiting = (*alert.waiting, *event.waiting)[-MAX_WAITING:]
        return {"face": event.face, "waiting": waiting, "judged": event.judged}
    # What is over still shows what it was.
    unknown = alert.state is AlertState.UNOPENED and moment >= (alert.order, alert.rank)
    return {
        "face": event.face if unknown else alert.face,
        "ended": max(alert.ended or moment, moment),
        "waiting": tuple(one for one in alert.waiting if one[0] >= moment[0]),  # of a tie the problem is the newer
    }


def _by_people(alert: Alert, recorded: Recorded) -> dict[str, Any]:
    match recorded.event:
        case AlertAcknowledged():
            return {"acknowledged_at": recorded.at, "acknowledged_by": recorded.by}
        case AlertSnoozed(until=until):
            return {"snoozed_at": recorded.at, "snoozed_until": until, "snoozed_by": recorded.by}
        case AlertTaskLinked(task_id=task_id):
            return {"task_ids": (*alert.task_ids, task_id)}
    raise ValueError(f"an alert does not know the event {recorded.event.name}")


def _opened_again(alert: Alert, event: AlertOpened | AlertReopened, at: datetime) -> dict[str, Any]:
    return {
        **dict.fromkeys(_OF_ONE_OPENING),
        "state": AlertState.OPEN,
        "face": event.face,
        "severity": event.severity,
        "worst": event.severity,
        "config": event.config,
        "openings": alert.openings + 1,
        "opened_at": at,
        "waiting": (),
        "judged": None,
    }


def _seen(alert: Alert, seen: Seen | None, at: datetime) -> dict[str, Any]:
    """What monitoring events change; those that count are remembered."""
    changes: dict[str, Any] = {}
    if seen is None:
        return changes
    if seen.count:
        changes |= _remembered(alert, seen.ids, at)
        changes["count"] = alert.count + seen.count
        changes["first_seen"] = seen.first if alert.first_seen is None else min(alert.first_seen, seen.first)
        changes["last_seen"] = seen.last if alert.last_seen is None else max(alert.last_seen, seen.last)
    if seen.moment >= alert.latest:
        changes |= {"latest": seen.moment, "status": seen.status}
    # News of how it goes on tell nothing of whether there is a problem: what is older may still do so.
    if seen.rank != PROGRESS_RANK and seen.moment >= (alert.order, alert.rank):
        changes |= {"order": seen.order, "rank": seen.rank}
    return changes


def _remembered(alert: Alert, ids: tuple[str, ...], at: datetime) -> dict[str, Any]:
    if len(alert.recent) + len(ids) <= RECENT:
        return {"recent": (*alert.recent, *ids)}
    if len(ids) <= RECENT:
        return {"recent": ids, "older": alert.recent, "older_at": at, "forgotten_at": alert.older_at}
    return {"recent": ids[-RECENT:], "older": (), "older_at": at, "forgotten_at": at}
