"""The write API: every route that changes something, and logging in."""

from typing import Any

from commands import alerts, aws_configs, monitoring_config, notifications, sessions, tasks, user_routes, wiring
from domain.permissions import Permission
from infra.rest import Api
from infra.usage import report

api = Api(wiring.callers)

api.route("POST", "/auth/login", Permission.OPEN, sessions.login)
api.route("POST", "/auth/refresh", Permission.OPEN, sessions.refresh)
api.route("POST", "/auth/logout", Permission.ANY_USER, sessions.logout, 204, before_password_change=True)
api.route(
    "POST",
    "/events/<event_id>/create-task",
    Permission.CREATE_OWN_TASKS,
    tasks.create_task_from_event,
    201,
    body_optional=True,
)
api.route("POST", "/alerts/<alert_id>/acknowledge", Permission.ANY_USER, alerts.acknowledge_alert)
api.route("POST", "/alerts/<alert_id>/snooze", Permission.ANY_USER, alerts.snooze_alert)
api.route("POST", "/alerts/<alert_id>/resolve", Permission.ANY_USER, alerts.resolve_alert)
api.route(
    "POST",
    "/alerts/<alert_id>/create-task",
    Permission.CREATE_OWN_TASKS,
    alerts.create_task_from_alert,
    201,
    body_optional=True,
)
api.route("POST", "/tasks", Permission.CREATE_OWN_TASKS, tasks.create_task, 201)
api.route("PUT", "/tasks/<task_id>", Permission.UPDATE_OWN_TASKS, tasks.change_task)
api.route("PUT", "/tasks/<task_id>/status", Permission.UPDATE_OWN_TASKS, tasks.change_task_status)
api.route("POST", "/tasks/<task_id>/comments", Permission.UPDATE_OWN_TASKS, tasks.comment_on_task, 201)
api.route("DELETE", "/tasks/<task_id>", Permission.DELETE_TASKS, tasks.delete_task, 204)
api.route("POST", "/users", Permission.USERS, user_routes.register_user, 201)
api.route("PUT", "/users/<user_id>", Permission.OWN_PROFILE, user_routes.change_user)
api.route(
    "PUT",
    "/users/<user_id>/password",
    Permission.OWN_PROFILE,
    user_routes.change_password,
    204,
    before_password_change=True,
)
api.route("DELETE", "/users/<user_id>", Permission.USERS, user_routes.delete_user, 204)
api.route("POST", "/config/aws", Permission.CONFIG, aws_configs.register_aws_config, 201)
api.route("PUT", "/config/aws/<config_id>", Permission.CONFIG, aws_configs.change_aws_config)
api.route("POST", "/config/aws/<config_id>/test", Permission.CONFIG, aws_configs.test_connection)
api.route("PUT", "/config/monitoring", Permission.CONFIG, monitoring_config.put_monitoring_config)
api.route(
    "POST",
    "/notifications/<notification_id>/redrive",
    Permission.REDRIVE,
    notifications.redrive_notification,
)


def handler(event: dict[str, Any], context: object) -> dict[str, Any]:
    """Lambda entry point behind API Gateway."""
    try:
        return api(event, context)
    finally:
        report()
