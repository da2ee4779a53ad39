"""The alert routes of the write API: parse, decide, answer."""

from collections.abc import Callable, Sequence

from commands import wiring
from commands.execution import execute
from commands.orders import order_of
from commands.tasks import create_by
from domain.alert_shape import AlertShown, shown
from domain.alerts import ALERTS, Alert, SnoozeAlert, acknowledge, existing, resolve, snooze
from domain.decider import Context
from domain.event import DomainEvent
from domain.task_shape import TaskWithComments
from domain.tasks import CreateTaskFromEvent, EventDetails, create, from_event
from infra import history
from infra.rest import Answer, Request


def acknowledge_alert(request: Request, alert_id: str) -> Answer[AlertShown]:
    """Say that somebody looks after an open alert. The first who says so is kept, until it opens again."""
    return _change(request, alert_id, lambda alert, _context: acknowledge(alert))


def snooze_alert(request: Request, alert_id: str, body: SnoozeAlert) -> Answer[AlertShown]:
    """Tell nobody of an open alert until a time, at most 30 days ahead. Once more changes the time."""
    return _change(request, alert_id, lambda alert, context: snooze(alert, body, context))


def resolve_alert(request: Request, alert_id: str) -> Answer[AlertShown]:
    """Say that the problem is over. If it occurs again, the alert opens again."""
    return _change(request, alert_id, lambda alert, _context: resolve(alert))


def create_task_from_alert(request: Request, alert_id: str, body: CreateTaskFromEvent) -> Answer[TaskWithComments]:
    """Create a task about an alert. What is left out is taken from what the alert shows.

    The task learns when the alert is resolved: it gets a comment or is closed, as the monitoring config says.
    """

    def decide(context: Context) -> Sequence[DomainEvent]:
        alert = existing(history.load(wiring.store(), ALERTS, ALERTS.stream(alert_id)).state)
        details = _details(alert)
        complete = from_event(body, details, _text(alert))
        return create(complete, context, alert_id=alert_id, event_details=details)

    return create_by(request, body.assigned_user_id, decide)


def _change(
    request: Request, alert_id: str, decide: Callable[[Alert | None, Context], Sequence[DomainEvent]]
) -> Answer[AlertShown]:
    """Carry out a command. Answers the alert as GET shows it, but for names: these are joined by the read side only."""
    order = order_of(request)
    outcome = execute(
        wiring.store(), ALERTS, alert_id, lambda alert: decide(alert, order.context), order, warm=wiring.warm()
    )
    body = shown(alert_id, existing(outcome.state), outcome.version)
    return Answer(body, outcome.version, ALERTS.stream(alert_id))


def _details(alert: Alert) -> EventDetails:
    face = alert.face
    return EventDetails(
        source=face.source,
        detail_type=face.detail_type,
        title=face.title,
        severity=alert.severity,
        account=face.account,
        region=face.region,
        resource=face.resource,
        console_url=face.console_url,
        published_at=alert.last_seen or int(alert.created_at.timestamp()),
    )


def _text(alert: Alert) -> str:
    """What the description says: the title, which may be cut where it stands alone, and where to look."""
    return "\n\n".join(filter(None, (alert.face.title, alert.face.console_url)))
