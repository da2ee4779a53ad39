"""Lists and changes of tasks while the number of open tasks grows.

The emulator sorts a whole partition for every query of it, which DynamoDB does not: there a query costs what it reads
("Query operations in DynamoDB", Developer Guide). So each work has a second row, without the time spent waiting for
DynamoDB; its calls and units say what DynamoDB would have to do.
"""

import os
from collections.abc import Callable, Mapping
from datetime import UTC, datetime, timedelta
from typing import NamedTuple

from benchmarks import local
from benchmarks.api_calls import Ask, Handlers, watched
from benchmarks.report import Row, row
from benchmarks.task_tables import ADMIN, FIRST, SPAN, FilledTables, make_tables
from domain.permissions import Role
from infra.tokens import Tokens

KEY = "k" * 32
BEFORE = 5
COUNTED = 3
OWN = ", without waiting"

Works = Mapping[str, Callable[[int], Ask]]


class Timed(NamedTuple):
    """Seconds of an execution: all of them, and those without waiting for DynamoDB."""

    whole: float
    own: float


def rows(size: int, samples: int) -> list[Row]:
    """Measured on an emulator of its own, with so many open tasks."""
    with local.emulator():
        os.environ |= {"STAGE": "local", "JWT_SECRET_KEY": KEY}
        make_tables()
        works = _works(FilledTables(size))
        handlers = Handlers()
        return [one for name, ask in works.items() for one in _measured(name, ask, handlers, size, samples)]


def _works(tables: FilledTables) -> Works:
    tokens = Tokens(lambda: KEY)
    admin = tokens.issue(ADMIN, Role.ADMIN, datetime.now(UTC))
    somebody = tokens.issue(tables.people[0], Role.USER, datetime.now(UTC))
    middle = int((FIRST + SPAN / 2).timestamp())

    def listed(token: str = admin, **query: str) -> Callable[[int], Ask]:
        return lambda _: Ask("GET", "/tasks", token, query=query)

    def changed(number: int) -> Ask:
        return Ask("PUT", f"/tasks/{tables.made[number]}/status", admin, {"status": "in_progress"})

    span = {"created_from": str(middle), "created_to": str(middle + int(timedelta(days=10).total_seconds()))}
    return {
        "list": listed(),
        "list status=open": listed(status="open"),
        "list priority=high": listed(priority="high"),
        "list assigned_user_id": listed(assigned_user_id=tables.people[1]),
        "list overdue": listed(overdue="true"),
        "list by due date": listed(sort="due_date"),
        "list event_id": listed(event_id=tables.event),
        "list created in ten days": listed(**span),
        "list one's own, as a user": listed(somebody),
        "get a task": lambda number: Ask("GET", f"/tasks/{tables.made[number]}", admin),
        "tasks-stats": lambda _: Ask("GET", "/dashboard/tasks-stats", admin),
        "change status": changed,
    }


def _measured(name: str, ask: Callable[[int], Ask], handlers: Handlers, size: int, samples: int) -> list[Row]:
    timed = [_timed(handlers, ask(number)) for number in range(samples + BEFORE)][BEFORE:]
    with watched() as watch:
        for number in range(samples + BEFORE, samples + BEFORE + COUNTED):
            handlers.call(ask(number))
    tasks = f"{size:,} open tasks"
    return [
        row(name, tasks, [one.whole for one in timed], watch.cost(COUNTED)),
        row(name, f"{tasks}{OWN}", [one.own for one in timed], None),
    ]


def _timed(handlers: Handlers, ask: Ask) -> Timed:
    with watched() as watch:
        seconds = handlers.call(ask).seconds
    return Timed(seconds, seconds - watch.waited)
