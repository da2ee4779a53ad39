"""The read API: every route that answers GET, and changes nothing."""

from typing import Any, Literal

from typing_extensions import TypedDict

from domain.permissions import Permission
from infra.rest import Answer, Api, Request
from infra.usage import report
from queries import dashboard, monitoring_events, notifications, tasks, users, wiring

api = Api(wiring.tokens)


class Health(TypedDict):
    status: Literal["ok"]


def get_health(request: Request) -> Answer[Health]:  # noqa: ARG001 - nothing to ask
    """That the API answers."""
    return Answer({"status": "ok"})


api.route("GET", "/health", Permission.OPEN, get_health)
api.route("GET", "/events", Permission.READ_EVENTS, monitoring_events.list_events)
api.route("GET", "/events/<event_id>", Permission.READ_EVENTS, monitoring_events.get_event)
api.route("GET", "/tasks", Permission.READ_OWN_TASKS, tasks.list_tasks)
api.route("GET", "/tasks/<task_id>", Permission.READ_OWN_TASKS, tasks.get_task)
api.route("GET", "/tasks/<task_id>/history", Permission.READ_OWN_TASKS, tasks.get_history)
api.route("GET", "/users/me", Permission.ANY_USER, users.get_me)
api.route("GET", "/dashboard/overview", Permission.ANY_USER, dashboard.get_overview)
api.route("GET", "/notifications", Permission.ANY_USER, notifications.list_notifications)


def handler(event: dict[str, Any], context: object) -> dict[str, Any]:
    """Lambda entry point behind API Gateway."""
    try:
        return api(event, context)
    finally:
        report()
