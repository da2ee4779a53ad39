"""Every aggregate of the domain. Importing this registers every event type, so that any stream can be read."""

from collections.abc import Mapping
from typing import Any

from domain.alerts import ALERTS
from domain.aws_configs import AWS_CONFIGS
from domain.decider import Decider
from domain.heartbeats import HEARTBEATS
from domain.monitoring_config import MONITORING_CONFIG
from domain.monitoring_events import MONITORING_EVENTS
from domain.reports import REPORTS
from domain.sessions import SESSIONS
from domain.tasks import TASKS
from domain.users import USERS

DECIDERS: Mapping[str, Decider[Any]] = {
    decider.category: decider
    for decider in (
        MONITORING_EVENTS,
        ALERTS,
        TASKS,
        USERS,
        SESSIONS,
        AWS_CONFIGS,
        MONITORING_CONFIG,
        REPORTS,
        HEARTBEATS,
    )
}
