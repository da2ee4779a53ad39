"""Tasks: a row for each, with its comments and with pointers beside it.

They are counted by status, priority and assignee, by the day they are due, and by the part of the day in which they
were closed.
"""

import json
from collections.abc import Sequence

from domain.commit import Commit, Recorded
from domain.report_days import day_part
from domain.tasks import TASKS, Status, Task
from infra.counters import TASKS_CLOSED_COUNTER, TASKS_COUNTER, TASKS_DUE_COUNTER, CounterMoves
from infra.task_keys import assignee_partition, pointers, task_place, tasks_partition
from infra.views import Key, Row, utc_day
from projections.projection import Folded, Projection


class TaskProjection(Projection):
    """See the module."""

    category = TASKS.category

    def key(self, hint: Commit) -> Key:
        """See `Projection.key`."""
        return Key(hint.stream, "task")

    def fold(self, row: Row | None, stream: str, events: Sequence[Recorded]) -> Folded:
        """See `Projection.fold`."""
        # The row holds the task without its comments, so that those in the new state are exactly the new ones.
        before = Task.model_validate_json(row.data) if row else None
        task = before
        for recorded in events:
            task = TASKS.evolve(task, recorded)
        assert task is not None  # noqa: S101 - there is at least one event
        task_id = stream.partition("#")[2]
        first_comment = task.comment_count - len(task.comments)
        comments = [
            Row(stream, f"comment#{first_comment + n:06d}", version=0, data=comment.model_dump_json())
            for n, comment in enumerate(task.comments)
        ]
        task = task.model_copy(update={"comments": ()})
        there, wanted = (_pointers(task_id, before) if before else {}), _pointers(task_id, task)
        moved = [Row(*key, version=0, data=data) for key, data in wanted.items() if there.get(key) != data]
        return Folded(
            _row(task_id, task, events[-1].version),
            (*comments, *moved),
            tuple(key for key in there if key not in wanted),
        )

    def contributions(self, row: Row) -> CounterMoves:
        """See `Projection.contributions`."""
        task = Task.model_validate_json(row.data)
        if task.is_deleted:
            return {}
        assignee = task.assigned_user_id or ""
        counted = {Key(TASKS_COUNTER, f"{task.status}#{task.priority}#{assignee}"): 1}
        if task.due_date and task.status is not Status.CLOSED:
            counted[Key(TASKS_DUE_COUNTER, f"{utc_day(int(task.due_date.timestamp()))}#{assignee}")] = 1
        if task.closed_at:
            part = day_part(task.closed_at)
            taken = task.closed_at - task.created_at
            counted[Key(TASKS_CLOSED_COUNTER, f"{part}#count")] = 1
            counted[Key(TASKS_CLOSED_COUNTER, f"{part}#seconds")] = int(taken.total_seconds())
        return counted


def _row(task_id: str, task: Task, version: int) -> Row:
    row = Row(TASKS.stream(task_id), "task", version=version, data=task.model_dump_json())
    if not task.is_deleted:
        place = task_place(task.created_at, task_id)
        row.gsi1pk, row.gsi1sk = tasks_partition(task.status, task.priority), place
        if task.assigned_user_id:
            row.gsi2pk, row.gsi2sk = assignee_partition(task.assigned_user_id, task.status), place
    return row


def _pointers(task_id: str, task: Task) -> dict[Key, str]:
    """The data of the pointers to a task, by key."""
    found = pointers(task_id, task)
    return {Key(pointer.pk, pointer.sk): json.dumps(pointer.data, separators=(",", ":")) for pointer in found}
