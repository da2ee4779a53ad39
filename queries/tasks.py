"""Tasks: one with its comments, lists, and the history of a task from its events."""

from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from itertools import islice
from typing import Any, NamedTuple

from typing_extensions import TypedDict

from domain.errors import NotFoundError
from domain.permissions import Caller, Permission, owns
from domain.task_shape import PersonShown, TaskShown, TaskWithComments, shown, shown_changes, shown_with_comments
from domain.tasks import TASKS, Comment, Task
from infra.rest import Answer, ListOf, Request
from infra.views import Key, Row, rows_by_key
from queries import wiring
from queries.paging import Listing, SearchedListOf, page
from queries.read_your_write import MinVersion, await_listed_row, await_row
from queries.search import search
from queries.task_listing import TaskListing, TaskSearch, task_of
from queries.users import names


class HistoryListing(Listing, MinVersion):
    """What the history of a task takes."""


class Step(TypedDict):
    """One domain event of a task: what it is called, and what it says. Times are Unix seconds."""

    version: int
    type: str
    at: int
    actor: PersonShown
    changes: dict[str, Any]


class _Place(NamedTuple):
    """Where a page of a history ended: the version of its last step, and the one at which that step's commit begins."""

    version: int
    commit: int


def get_task(request: Request, task_id: str, query: MinVersion) -> Answer[TaskWithComments]:
    """A task with its comments."""
    await_row(query, _key(task_id), _seen_by(request.caller))
    rows = {row.sk: row for row in Row.query(TASKS.stream(task_id), consistent_read=True)}
    row = rows.pop("task", None)
    task = _visible(request, row)
    if task.is_deleted:
        raise NotFoundError("There is no such task.")
    comments = [Comment.model_validate_json(rows[sk].data) for sk in sorted(rows)]
    known = names({task.assigned_user_id, *(comment.user_id for comment in comments)})
    body = shown_with_comments(task_id, task, comments, known)
    return Answer(body, int(row.version) if row else None, TASKS.stream(task_id))


def list_tasks(request: Request, query: TaskListing) -> Answer[SearchedListOf[TaskShown]]:
    """Tasks that the filters take, the newest first: all of them for an admin, one's own for a user.

    A search that has read many rows without filling its page ends early: `stopped_after` says after how many, and
    `next` goes on from there.
    """
    caller = request.caller
    wanted = page(query, f"tasks of {caller.user_id}", 1, ascending=query.by_due_date)
    own = await_listed_row(query, TASKS.category, "task", _seen_by(caller))
    everybodys = caller.may(Permission.READ_ALL_TASKS)
    tasks = TaskSearch(query, wanted, None if everybodys else caller.user_id, datetime.now(UTC))
    after = wanted.position[0] if wanted.position else None
    found = search(tasks.candidates(own), tasks.taken, wanted.limit, after)
    known = names({task.assigned_user_id for _, task in found.items})
    items = [shown(task_id, task, known) for task_id, task in found.items]
    return Answer(wanted.searched(items, (found.last,) if found.last else None, found.stopped_after))


def get_history(request: Request, task_id: str, query: HistoryListing) -> Answer[ListOf[Step]]:
    """What happened to a task, who did it and when, oldest first, from the event store; also of a deleted task."""
    key = _key(task_id)
    _visible(request, await_row(query, key, _seen_by(request.caller)) or rows_by_key([key]).get(key))
    wanted = page(query, f"history of {task_id}", 2, ascending=True)
    place = _Place(*map(_number, wanted.position)) if wanted.position else None
    found = list(islice(_steps(key.pk, place, ascending=wanted.ascending), wanted.limit + 1))
    listed, more = found[: wanted.limit], len(found) > wanted.limit
    items = [step for _, step in listed]
    known = names({step["actor"]["id"] for step in items})
    for step in items:
        step["actor"]["name"] = known.get(step["actor"]["id"])
    return Answer(wanted.answer(items, tuple(map(str, listed[-1][0])) if more else None))


def check_visible(request: Request, task_id: str) -> None:
    """Raises NotFoundError for a task that is not the caller's to see."""
    key = _key(task_id)
    _visible(request, rows_by_key([key]).get(key))


def _steps(stream: str, place: _Place | None, *, ascending: bool) -> Iterator[tuple[_Place, Step]]:
    """The steps beyond a place, or all, each with its own; read from there, and as far as they are taken."""
    store = wiring.store()
    if ascending:
        commits = store.load(stream, place.commit - 1 if place else 0)
    else:
        commits = store.load_back(stream, place.commit if place else None)
    for commit in commits:
        recorded = list(commit.recorded())
        for each in recorded if ascending else reversed(recorded):
            if place is None or (each.version > place.version if ascending else each.version < place.version):
                step: Step = {
                    "version": each.version,
                    "type": each.event.name,
                    "at": int(each.at.timestamp()),
                    "actor": {"id": each.by, "name": None},
                    "changes": shown_changes(each.event),
                }
                yield _Place(each.version, commit.version), step


def _key(task_id: str) -> Key:
    return Key(TASKS.stream(task_id), "task")


def _visible(request: Request, row: Row | None) -> Task:
    """The task of a row, if the caller may see it; that another's task exists is not told."""
    task = task_of(row)[1] if row else None
    if task is None or not _may_see(request.caller, task):
        raise NotFoundError("There is no such task.")
    return task


def _seen_by(caller: Caller) -> Callable[[Row], bool]:
    return lambda row: _may_see(caller, task_of(row)[1])


def _may_see(caller: Caller, task: Task) -> bool:
    return caller.may(Permission.READ_ALL_TASKS) or owns(caller, task)


def _number(text: str) -> int:
    return int(text) if text.isascii() and text.isdigit() and len(text) < 12 else 0
