"""Every aggregate of the domain. Importing this registers every event type, so that any stream can be read."""

from collections.abc import Mapping
from typing import Any

from domain.decider import Decider
from domain.monitoring_events import MONITORING_EVENTS
from domain.tasks import TASKS
from domain.users import USERS

DECIDERS: Mapping[str, Decider[Any]] = {decider.category: decider for decider in (MONITORING_EVENTS, TASKS, USERS)}
