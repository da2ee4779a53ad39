"""The task routes of the write API: parse, authorise, decide, answer."""

from collections.abc import Callable, Mapping, Sequence

from commands import wiring
from commands.execution import Outcome, execute, new_id, now
from commands.orders import id_for, order_of
from commands.users import require_active
from domain.decider import Context, fold
from domain.errors import NotFoundError
from domain.event import DomainEvent
from domain.monitoring_events import MONITORING_EVENTS, MonitoringEvent, parse_event_id
from domain.permissions import check_create, check_update
from domain.task_shape import CommentShown, TaskWithComments, shown_comment, shown_with_comments
from domain.tasks import (
    TASKS,
    ChangeTask,
    ChangeTaskStatus,
    CommentOnTask,
    CreateTask,
    CreateTaskFromEvent,
    EventDetails,
    Task,
    change,
    change_status,
    comment,
    create,
    delete,
    existing,
    from_event,
)
from infra.rest import Answer, Request


def create_task(request: Request, body: CreateTask) -> Answer[TaskWithComments]:
    """Create a task. Those who may not create tasks for others may create their own."""
    return create_by(request, body.assigned_user_id, lambda context: create(body, context))


def create_task_from_event(request: Request, event_id: str, body: CreateTaskFromEvent) -> Answer[TaskWithComments]:
    """Create a task about a monitoring event. What is left out is taken from the event."""

    def decide(context: Context) -> Sequence[DomainEvent]:
        event = _monitoring_event(event_id)
        details = _details(event)
        complete = from_event(body, details, event.mapped.text)
        return create(complete, context, event_id=event_id, event_details=details)

    return create_by(request, body.assigned_user_id, decide)


def change_task(request: Request, task_id: str, body: ChangeTask) -> Answer[TaskWithComments]:
    """Change the fields that are sent; null clears `assigned_user_id` and `due_date`."""

    def decide(task: Task | None, context: Context) -> Sequence[DomainEvent]:
        if body.assigned_user_id not in (None, existing(task).assigned_user_id):
            require_active(wiring.store(), body.assigned_user_id, "assigned_user_id")
        return change(task, body, context)

    return _change(request, task_id, decide)


def change_task_status(request: Request, task_id: str, body: ChangeTaskStatus) -> Answer[TaskWithComments]:
    """Move a task along: open, in progress, closed, and back."""
    return _change(request, task_id, lambda task, _context: change_status(task, body))


def comment_on_task(request: Request, task_id: str, body: CommentOnTask) -> Answer[CommentShown]:
    """Comment on a task."""
    outcome = _carried_out(request, task_id, lambda task, _context: comment(task, body, new_id()))
    said = existing(outcome.state).comments[-1]
    return Answer(shown_comment(said), outcome.version, TASKS.stream(task_id))


def delete_task(request: Request, task_id: str) -> Answer[None]:
    """Delete a task. Its history stays readable to those who could see it."""
    outcome = _carried_out(request, task_id, lambda task, _context: delete(task))
    return Answer(None, outcome.version, TASKS.stream(task_id))


def create_by(
    request: Request, assignee: str | None, decide: Callable[[Context], Sequence[DomainEvent]]
) -> Answer[TaskWithComments]:
    """Create a task, once if the request has an `Idempotency-Key`.

    Args:
        decide: from when and by whom to the new task's events; not asked for a repeat.

    Raises:
        ForbiddenError: the caller may not create a task for that person.
        InvalidError: the assignee is no active user.
    """
    check_create(request.caller, assignee)
    order = order_of(request)
    task_id = id_for(order)

    def created(task: Task | None) -> Sequence[DomainEvent]:
        if task is not None:
            return []
        # Looked up here and not before, so that a repeat is answered even when these have changed since.
        if assignee not in (None, request.caller.user_id):
            require_active(wiring.store(), assignee, "assigned_user_id")
        return decide(order.context)

    outcome = execute(wiring.store(), TASKS, task_id, created, order, creates=True, warm=wiring.warm())
    return _whole(task_id, outcome, {"Location": f"/tasks/{task_id}"})


def _whole(task_id: str, outcome: Outcome[Task], headers: Mapping[str, str] | None = None) -> Answer[TaskWithComments]:
    """The task as GET shows it, but for people's names: these are joined by the read side only."""
    task = existing(outcome.state)
    shown = shown_with_comments(task_id, task, task.comments)
    return Answer(shown, outcome.version, TASKS.stream(task_id), headers or {})


def _change(
    request: Request, task_id: str, decide: Callable[[Task | None, Context], Sequence[DomainEvent]]
) -> Answer[TaskWithComments]:
    return _whole(task_id, _carried_out(request, task_id, decide))


def _carried_out(
    request: Request, task_id: str, decide: Callable[[Task | None, Context], Sequence[DomainEvent]]
) -> Outcome[Task]:
    order = order_of(request)

    def authorised(task: Task | None) -> Sequence[DomainEvent]:
        check_update(request.caller, existing(task))
        return decide(task, order.context)

    return execute(wiring.store(), TASKS, task_id, authorised, order, warm=wiring.warm())


def _details(event: MonitoringEvent) -> EventDetails:
    mapped = event.mapped
    return EventDetails(
        source=mapped.source,
        detail_type=mapped.detail_type,
        title=mapped.title,
        severity=mapped.severity,
        account=mapped.account,
        region=mapped.region,
        resource=mapped.resource,
        console_url=mapped.console_url,
        published_at=event.published_at,
    )


def _monitoring_event(event_id: str) -> MonitoringEvent:
    parsed = parse_event_id(event_id)
    commits = list(wiring.store().load(MONITORING_EVENTS.stream(parsed[1]))) if parsed else []
    event = fold(MONITORING_EVENTS, commits)
    if event is None or parsed is None or event.published_at != parsed[0] or event.expires_at <= now().timestamp():
        raise NotFoundError("There is no such event; it may have expired.")
    return event
