"""Bodies that the API's document shows as examples, by route."""

from typing import Any

BODIES: dict[str, dict[str, Any]] = {
    "POST /auth/login": {"email": "ada@example.com", "password": "correct horse battery"},
    "POST /auth/refresh": {"refresh_token": "the one that came with the last access token"},
    "POST /users": {
        "email": "grace@example.com",
        "full_name": "Grace Hopper",
        "role": "user",
        "password": "correct horse battery",
    },
    "PUT /users/<user_id>": {"full_name": "Grace Murray Hopper"},
    "PUT /users/<user_id>/password": {
        "old_password": "correct horse battery",
        "new_password": "a better horse and battery",
    },
    "POST /events/<event_id>/create-task": {"priority": "high"},
    "POST /alerts/<alert_id>/snooze": {"until": 4_102_444_800},
    "POST /alerts/<alert_id>/create-task": {"priority": "high"},
    "POST /tasks": {
        "title": "Disk full on db-1",
        "description": "The data volume of db-1 is at 96 percent.",
        "priority": "high",
    },
    "PUT /tasks/<task_id>": {"priority": "critical", "due_date": 4_102_444_800},
    "PUT /tasks/<task_id>/status": {"status": "in_progress"},
    "POST /tasks/<task_id>/comments": {"comment": "Cleaned up old logs; 71 percent now."},
    "POST /config/aws": {
        "account_id": "123456789012",
        "account_name": "production",
        "region": "eu-central-1",
        "role_arn": "arn:aws:iam::123456789012:role/opsledger-reader",
    },
    "PUT /config/aws/<config_id>": {"is_active": True},
    "PUT /config/monitoring": {
        "services": [{"service_name": "guardduty", "thresholds": {"min_severity": 3}}],
        "notification_rules": [
            {"name": "serious", "match": {"min_severity": 3}, "transitions": ["opened", "resolved"]}
        ],
        "channels": [{"name": "default"}],
        "global_settings": {"timezone": "Europe/Berlin"},
    },
}
