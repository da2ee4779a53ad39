"""A task that is made from an alert is linked to it; what happens to the alert afterwards, its tasks learn.

A link may come after the news that the task is to learn, so whoever makes the link looks back for them. The news may
come before the link, and then it is the link that finds them: between the two, none is missed.
"""

from collections.abc import Callable, Iterable
from datetime import datetime
from itertools import takewhile
from typing import TypeAlias

from commands.causation import ACTOR, holding_up_nobody, order_because_of
from commands.execution import execute
from domain.alert_news import News, tell
from domain.alerts import ALERTS, AlertReopened, AlertResolved, link_task
from domain.commit import Commit
from domain.correlation import CLOCK_MARGIN
from domain.event import decode
from domain.monitoring_config import ResolvedAlertPolicy
from domain.tasks import TASKS, TaskCreated
from infra import history
from infra.event_store import EventStore

Policy: TypeAlias = Callable[[], ResolvedAlertPolicy]
"""Reads what becomes of the tasks of a resolved alert; asked only when there is one."""

_NEWS = {AlertResolved.name, AlertReopened.name}


def link(store: EventStore, cause: Commit, policy: Policy) -> int:
    """Link a task to the alert that it was made from. Returns how many tasks these are.

    Raises:
        Exception: a fault of the infrastructure.
    """
    with holding_up_nobody("task not linked", stream=cause.stream):
        created = next((decode(event) for event in cause.stored_events() if event.t == TaskCreated.name), None)
        if isinstance(created, TaskCreated) and created.alert_id is not None:
            task_id = cause.stream.partition("#")[2]
            order = order_because_of(cause)
            execute(store, ALERTS, created.alert_id, lambda alert: link_task(alert, task_id), order)
            for news in _news_since(store, ALERTS.stream(created.alert_id), cause.at):
                _tell(store, news, [task_id], policy)
            return 1
    return 0


def tell_tasks(store: EventStore, cause: Commit, policy: Policy) -> int:
    """Tell an alert's tasks what a commit of the alert says. Returns how many tasks there are.

    Raises:
        Exception: a fault of the infrastructure.
    """
    with holding_up_nobody("tasks not told", stream=cause.stream, version=cause.version):
        return _tell(store, cause, None, policy) if _news(cause) else 0
    return 0


def _tell(store: EventStore, cause: Commit, task_ids: Iterable[str] | None, policy: Policy) -> int:
    """Tell these tasks, or all that are linked."""
    news, alert = _news(cause), history.load(store, ALERTS, cause.stream).state
    if news is None or alert is None:
        return 0
    told = 0
    for task_id in alert.task_ids if task_ids is None else task_ids:
        with holding_up_nobody("task not told", task=task_id):
            order = order_because_of(cause)
            execute(store, TASKS, task_id, lambda task: tell(task, news, alert, policy(), ACTOR), order)
            told += 1
    return told


def _news_since(store: EventStore, stream: str, at: datetime) -> list[Commit]:
    """The commits of an alert since a time that hold news for its tasks, oldest first."""
    since = takewhile(lambda commit: commit.at >= at - CLOCK_MARGIN, store.load_back(stream))
    return [commit for commit in since if _news(commit)][::-1]


def _news(commit: Commit) -> News | None:
    """The last of what a commit of an alert tells its tasks."""
    events = [decode(event) for event in commit.stored_events() if event.t in _NEWS]
    last = events[-1] if events else None
    return News(commit.id, commit.at, commit.by, last) if isinstance(last, AlertResolved | AlertReopened) else None
