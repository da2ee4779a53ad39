"""The dashboard of tasks."""

from collections import Counter, defaultdict
from typing import Annotated

from pydantic import Field
from typing_extensions import TypedDict

from domain.task_shape import PersonShown
from domain.tasks import Priority, Status
from infra import counts
from infra.counts import Closed, Due, TaskCount, summed
from infra.rest import Answer, Request
from queries.users import names

DAYS_AHEAD = 7
DAYS_CLOSED = 30

Overdue = Annotated[int, Field(description="not closed, and due before now")]
DueSoon = Annotated[int, Field(description="not closed, and due from now until the end of the sixth UTC day after")]
MeanSeconds = Annotated[int | None, Field(description="from creation to close, in seconds; null without any")]


class AssignedTasks(TypedDict):
    """The tasks of one person, or of nobody."""

    assigned_user: Annotated[PersonShown | None, Field(description="null for tasks that are assigned to nobody")]
    total: int
    by_status: dict[str, int]
    overdue: Overdue
    due_soon: DueSoon


class ClosedOfDay(TypedDict):
    """Tasks that were closed on a UTC day, and still are."""

    total: int
    mean_seconds_to_close: MeanSeconds


class ClosedTasks(TypedDict):
    """Tasks that were closed on one of the last 30 UTC days, today included, and still are."""

    total: int
    mean_seconds_to_close: MeanSeconds
    by_day: Annotated[dict[str, ClosedOfDay], Field(description="oldest first, days without any included")]


class TasksStats(TypedDict):
    """All tasks that are there now; deleted ones count nowhere."""

    total: int
    by_status: dict[str, int]
    by_priority: dict[str, int]
    by_status_and_priority: dict[str, dict[str, int]]
    by_assignee: Annotated[list[AssignedTasks], Field(description="those with the most unclosed tasks first")]
    overdue: Overdue
    due_soon: DueSoon
    closed: ClosedTasks


def get_tasks_stats(request: Request) -> Answer[TasksStats]:  # noqa: ARG001 - the same for everybody
    """Tasks by status, priority and assignee, what is due, and how long closing took."""
    tasks, due = counts.tasks(), counts.due(DAYS_AHEAD)
    return Answer(
        {
            "total": sum(count.n for count in tasks),
            "by_status": summed(((count.status, count.n) for count in tasks), list(Status)),
            "by_priority": summed(((count.priority, count.n) for count in tasks), list(Priority)),
            "by_status_and_priority": {
                status: summed(((c.priority, c.n) for c in tasks if c.status == status), list(Priority))
                for status in Status
            },
            "by_assignee": _by_assignee(tasks, due),
            "overdue": due.overdue.total(),
            "due_soon": due.soon.total(),
            "closed": _closed(),
        }
    )


def _by_assignee(tasks: list[TaskCount], due: Due) -> list[AssignedTasks]:
    sums: defaultdict[str | None, Counter[str]] = defaultdict(Counter)
    for count in tasks:
        sums[count.assigned_user_id][count.status] += count.n
    known = names(sums)
    people: list[AssignedTasks] = [
        {
            "assigned_user": None if who is None else PersonShown(id=who, name=known.get(who)),
            "total": by_status.total(),
            "by_status": summed(by_status.items(), list(Status)),
            "overdue": due.overdue[who],
            "due_soon": due.soon[who],
        }
        for who, by_status in sums.items()
    ]
    return sorted(people, key=_unclosed, reverse=True)


def _unclosed(tasks: AssignedTasks) -> int:
    return tasks["total"] - tasks["by_status"][Status.CLOSED]


def _closed() -> ClosedTasks:
    days = counts.last_days(DAYS_CLOSED)
    found = counts.closed(days[0], days[-1])
    total = Closed(sum(day.n for day in found.values()), sum(day.seconds for day in found.values()))
    return {**_shown(total), "by_day": {day: _shown(found.get(day, Closed())) for day in days}}


def _shown(closed: Closed) -> ClosedOfDay:
    return {"total": closed.n, "mean_seconds_to_close": closed.mean_seconds}
