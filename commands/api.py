"""The write API: every route that changes something, and logging in."""

from typing import Any

from commands import sessions, tasks, wiring
from domain.permissions import Permission
from infra.rest import Api
from infra.usage import report

api = Api(wiring.tokens)

api.route("POST", "/auth/login", Permission.OPEN, sessions.login)
api.route(
    "POST",
    "/events/<event_id>/create-task",
    Permission.CREATE_OWN_TASKS,
    tasks.create_task_from_event,
    201,
    body_optional=True,
)
api.route("POST", "/tasks", Permission.CREATE_OWN_TASKS, tasks.create_task, 201)
api.route("PUT", "/tasks/<task_id>", Permission.UPDATE_OWN_TASKS, tasks.change_task)
api.route("PUT", "/tasks/<task_id>/status", Permission.UPDATE_OWN_TASKS, tasks.change_task_status)
api.route("POST", "/tasks/<task_id>/comments", Permission.UPDATE_OWN_TASKS, tasks.comment_on_task, 201)


def handler(event: dict[str, Any], context: object) -> dict[str, Any]:
    """Lambda entry point behind API Gateway."""
    try:
        return api(event, context)
    finally:
        report()
