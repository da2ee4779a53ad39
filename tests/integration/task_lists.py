"""Tasks of all sorts, and what a list of them is to show, told from their commits."""

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime, timedelta
from random import Random
from typing import TYPE_CHECKING, Any

from domain.decider import fold
from domain.tasks import TASKS, Priority, Status, Task, TaskDeleted, TaskDetailsChanged, TaskStatusChanged

if TYPE_CHECKING:
    from domain.commit import Commit
    from domain.event import DomainEvent
    from tests.integration.conftest import History

PEOPLE = ("ann", "bob", "cat")
EVENTS = ("1772355600-a", "1772355600-b")
PAST = timedelta(days=1)
FUTURE = timedelta(days=36_500)
Query = Mapping[str, str]

STARTED = TaskStatusChanged(old=Status.OPEN, new=Status.IN_PROGRESS)
CLOSED = TaskStatusChanged(old=Status.IN_PROGRESS, new=Status.CLOSED)


def details(**fields: Any) -> TaskDetailsChanged:
    told = {"title": "Another", "description": "Another description", "priority": Priority.LOW}
    return TaskDetailsChanged(**{**told, **fields})


def folded(history: "History") -> dict[str, Task]:
    """Every task that there is, from its commits."""
    streams: dict[str, list[Commit]] = {}
    for commit in history.commits:
        if commit.stream.startswith("task#"):
            streams.setdefault(commit.stream, []).append(commit)
    tasks = {stream.partition("#")[2]: fold(TASKS, commits) for stream, commits in streams.items()}
    return {task_id: task for task_id, task in tasks.items() if task and not task.is_deleted}


def expected(history: "History", caller: str, query: Query) -> list[str]:
    """What a list is to show, in order, told from the commits and without any index."""
    now = datetime.now(UTC)
    by_due = query.get("sort", "due_date" if query.get("overdue") == "true" else "created_at") == "due_date"

    def shown(task: Task) -> bool:
        overdue = task.status is not Status.CLOSED and task.due_date is not None and task.due_date < now
        return all(
            (
                caller == "admin" or caller in (task.created_by, task.assigned_user_id),
                query.get("status", task.status) == task.status,
                query.get("priority", task.priority) == task.priority,
                query.get("assigned_user_id", task.assigned_user_id) == task.assigned_user_id,
                query.get("event_id", task.event_id) == task.event_id,
                query.get("overdue", str(overdue).lower()) == str(overdue).lower(),
                task.created_at.timestamp() >= int(query.get("created_from", 0)),
                task.created_at.timestamp() < int(query.get("created_to", 10**10)),
                query.get("text", "").lower() in task.title.lower(),
                task.due_date is not None or not by_due,
            )
        )

    def place(task_id: str, task: Task) -> tuple[datetime, str]:
        at = task.due_date if by_due else task.created_at
        assert at
        return at, task_id

    found = sorted(place(task_id, task) for task_id, task in folded(history).items() if shown(task))
    ascending = query.get("direction", "asc" if by_due else "desc") == "asc"
    return [task_id for _, task_id in (found if ascending else found[::-1])]


def happen(history: "History", number: int) -> None:
    """A task with a bit of everything, the same for the same number."""
    chance = Random(number)
    due = chance.choice([None, history.now - PAST, history.now + FUTURE])
    history.task(
        f"{number:03}",
        by=chance.choice(PEOPLE),
        assigned_user_id=chance.choice([None, *PEOPLE]),
        title=f"{chance.choice(['Disk', 'disk', 'CPU'])} of db-{chance.randrange(5)} is full",
        priority=chance.choice(list(Priority)),
        event_id=chance.choice([None, None, *EVENTS]),
        due_date=due,
    )
    steps: Sequence[Sequence[DomainEvent]] = ((), (STARTED,), (STARTED, CLOSED), (STARTED, CLOSED, TaskDeleted()))
    for step in steps[number % 7 % 4]:
        history.append(f"task#{number:03}", step)
