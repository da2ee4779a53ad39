"""Tasks: one with its comments, lists, and the history of a task from its events."""

from collections.abc import Iterator
from heapq import merge
from itertools import islice
from typing import Any

from typing_extensions import TypedDict

from domain.errors import NotFoundError
from domain.permissions import Permission, owns
from domain.task_shape import PersonShown, TaskShown, TaskWithComments, shown, shown_with_comments
from domain.tasks import TASKS, Comment, Status, Task
from infra.rest import Answer, ListOf, Request
from infra.views import Key, Row, rows_by_key
from queries import wiring
from queries.paging import Listing, Page, page
from queries.users import names


class Step(TypedDict):
    """One domain event of a task: what it is called, and what it says. Its time is in Unix seconds."""

    version: int
    type: str
    at: int
    actor: PersonShown
    changes: dict[str, Any]


def get_task(request: Request, task_id: str) -> Answer[TaskWithComments]:
    """A task with its comments."""
    rows = {row.sk: row for row in Row.query(TASKS.stream(task_id), consistent_read=True)}
    row = rows.pop("task", None)
    task = _visible(request, row)
    comments = [Comment.model_validate_json(rows[sk].data) for sk in sorted(rows)]
    known = names({task.assigned_user_id, *(comment.user_id for comment in comments)})
    body = shown_with_comments(task_id, task, comments, known)
    return Answer(body, int(row.version) if row else None)


def list_tasks(request: Request, query: Listing) -> Answer[ListOf[TaskShown]]:
    """Tasks, newest first: all of them for an admin, one's own for a user."""
    caller = request.caller
    if caller.may(Permission.READ_ALL_TASKS):
        wanted = page(query, "tasks", 1)
        found = merge(*(_of_status(status, wanted) for status in Status), key=_place, reverse=not wanted.ascending)
        rows = list(islice(found, wanted.limit + 1))
    else:
        wanted = page(query, f"tasks of {caller.user_id}", 1)
        rows = _own(caller.user_id, wanted)
    more = len(rows) > wanted.limit
    tasks = {_id(row): Task.model_validate_json(row.data) for row in rows[: wanted.limit]}
    known = names({task.assigned_user_id for task in tasks.values()})
    items = [shown(task_id, task, known) for task_id, task in tasks.items()]
    return Answer(wanted.answer(items, (_place(rows[wanted.limit - 1]),) if more else None))


def get_history(request: Request, task_id: str, query: Listing) -> Answer[ListOf[Step]]:
    """What happened to a task, who did it and when, oldest first, from the event store."""
    key = Key(TASKS.stream(task_id), "task")
    _visible(request, rows_by_key([key]).get(key))
    wanted = page(query, f"history of {task_id}", 1, ascending=True)
    steps: list[Step] = [
        {
            "version": recorded.version,
            "type": recorded.event.name,
            "at": int(recorded.at.timestamp()),
            "actor": {"id": recorded.by, "name": None},
            "changes": recorded.event.model_dump(mode="json", exclude_none=True),
        }
        for commit in wiring.store().load(key.pk)
        for recorded in commit.recorded()
    ]
    if not wanted.ascending:
        steps.reverse()
    if wanted.position:
        place = _number(wanted.position[0])
        steps = [step for step in steps if (step["version"] > place) is wanted.ascending and step["version"] != place]
    items, more = steps[: wanted.limit], len(steps) > wanted.limit
    known = names({step["actor"]["id"] for step in items})
    for step in items:
        step["actor"]["name"] = known.get(step["actor"]["id"])
    return Answer(wanted.answer(items, (str(items[-1]["version"]),) if more else None))


def _visible(request: Request, row: Row | None) -> Task:
    """The task of a row, if the caller may see it; that another's task exists is not told."""
    task = Task.model_validate_json(row.data) if row else None
    if task is None or not (request.caller.may(Permission.READ_ALL_TASKS) or owns(request.caller, task)):
        raise NotFoundError("There is no such task.")
    return task


def _of_status(status: Status, wanted: Page[Any]) -> Iterator[Row]:
    return iter(Row.by_status.query(f"tasks#{status}", _beyond(Row.gsi1sk, wanted), **_reading(wanted)))


def _own(user_id: str, wanted: Page[Any]) -> list[Row]:
    """One more row than asked for, of tasks that are assigned to or were created by a person."""
    assigned = Row.by_person.query(f"assignee#{user_id}", _beyond(Row.gsi2sk, wanted), **_reading(wanted))
    rows = {_id(row): row for row in assigned}
    created = [row.data for row in Row.query(f"creator#{user_id}", _beyond(Row.sk, wanted), **_reading(wanted))]
    missing = rows_by_key(Key(TASKS.stream(task_id), "task") for task_id in created if task_id not in rows)
    rows |= {_id(row): row for row in missing.values()}
    return sorted(rows.values(), key=_place, reverse=not wanted.ascending)[: wanted.limit + 1]


def _beyond(sort_key: Any, wanted: Page[Any]) -> Any:
    if wanted.position is None:
        return None
    return sort_key > wanted.position[0] if wanted.ascending else sort_key < wanted.position[0]


def _reading(wanted: Page[Any]) -> dict[str, Any]:
    size = wanted.limit + 1
    return {"scan_index_forward": wanted.ascending, "limit": size, "page_size": size}


def _place(row: Row) -> str:
    return str(row.gsi1sk)


def _id(row: Row) -> str:
    return str(row.pk).partition("#")[2]


def _number(text: str) -> int:
    return int(text) if text.isascii() and text.isdigit() and len(text) < 12 else 0
