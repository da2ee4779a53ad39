"""The read API: every route that answers GET, and changes nothing."""

from typing import Any

from domain.permissions import Permission
from infra.rest import Api
from infra.usage import report
from queries import (
    alerts,
    aws_configs,
    dashboard,
    dashboard_alerts,
    dashboard_events,
    dashboard_tasks,
    dashboard_users,
    documents,
    health,
    monitoring_config,
    monitoring_events,
    notifications,
    reports,
    tasks,
    users,
    wiring,
)

api = Api(wiring.callers)


api.route("GET", "/health", Permission.OPEN, health.get_health, recognises=True)
api.route("GET", "/openapi.json", Permission.OPEN, documents.get_document)
api.route("GET", "/docs", Permission.OPEN, documents.get_page)
api.route("GET", "/events", Permission.READ_EVENTS, monitoring_events.list_events)
api.route("GET", "/events/<event_id>", Permission.READ_EVENTS, monitoring_events.get_event)
api.route("GET", "/alerts", Permission.READ_EVENTS, alerts.list_alerts)
api.route("GET", "/alerts/<alert_id>", Permission.READ_EVENTS, alerts.get_alert)
api.route("GET", "/tasks", Permission.READ_OWN_TASKS, tasks.list_tasks)
api.route("GET", "/tasks/<task_id>", Permission.READ_OWN_TASKS, tasks.get_task)
api.route("GET", "/tasks/<task_id>/history", Permission.READ_OWN_TASKS, tasks.get_history)
api.route("GET", "/users", Permission.USERS, users.list_users)
api.route("GET", "/users/me", Permission.ANY_USER, users.get_me, before_password_change=True)
api.route("GET", "/users/<user_id>", Permission.OWN_PROFILE, users.get_user)
api.route("GET", "/dashboard/overview", Permission.ANY_USER, dashboard.get_overview)
api.route("GET", "/dashboard/events-stats", Permission.ANY_USER, dashboard_events.get_events_stats)
api.route("GET", "/dashboard/alerts-stats", Permission.ANY_USER, dashboard_alerts.get_alerts_stats)
api.route("GET", "/dashboard/tasks-stats", Permission.ANY_USER, dashboard_tasks.get_tasks_stats)
api.route("GET", "/dashboard/users-stats", Permission.USERS, dashboard_users.get_users_stats)
api.route("GET", "/notifications", Permission.ANY_USER, notifications.list_notifications)
api.route("GET", "/reports/daily/<day>", Permission.ANY_USER, reports.get_daily_report)
api.route("GET", "/config/aws", Permission.CONFIG, aws_configs.list_aws_configs)
api.route("GET", "/config/monitoring", Permission.CONFIG, monitoring_config.get_monitoring_config)


def handler(event: dict[str, Any], context: object) -> dict[str, Any]:
    """Lambda entry point behind API Gateway."""
    try:
        return api(event, context)
    finally:
        report()
