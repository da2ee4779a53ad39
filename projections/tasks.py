"""Tasks: a row for each with its comments beside it, counted by status and priority."""

from collections.abc import Sequence

from domain.commit import Commit, Recorded, timestamp
from domain.tasks import TASKS, Task
from infra.views import TASKS_COUNTER, CounterMoves, Key, Row
from projections.projection import Folded


class TaskProjection:
    """See the module."""

    category = TASKS.category

    def key(self, hint: Commit) -> Key:
        """See `Projection.key`."""
        return Key(hint.stream, "task")

    def fold(self, row: Row | None, stream: str, events: Sequence[Recorded]) -> Folded:
        """See `Projection.fold`."""
        # The row holds the task without its comments, so that those in the new state are exactly the new ones.
        task = Task.model_validate_json(row.data) if row else None
        for recorded in events:
            task = TASKS.evolve(task, recorded)
        assert task is not None  # noqa: S101 - there is at least one event
        task_id = stream.partition("#")[2]
        place = f"{timestamp(task.created_at)}#{task_id}"
        first_comment = task.comment_count - len(task.comments)
        added = [
            Row(stream, f"comment#{first_comment + n:06d}", version=0, data=comment.model_dump_json())
            for n, comment in enumerate(task.comments)
        ]
        if row is None:
            added.append(Row(f"creator#{task.created_by}", place, version=0, data=task_id))
        return Folded(
            Row(
                stream,
                "task",
                version=events[-1].version,
                data=task.model_copy(update={"comments": ()}).model_dump_json(),
                gsi1pk=f"tasks#{task.status}",
                gsi1sk=place,
                gsi2pk=task.assigned_user_id and f"assignee#{task.assigned_user_id}",
                gsi2sk=task.assigned_user_id and place,
            ),
            tuple(added),
        )

    def contributions(self, row: Row) -> CounterMoves:
        """See `Projection.contributions`."""
        task = Task.model_validate_json(row.data)
        return {Key(TASKS_COUNTER, f"{task.status}#{task.priority}"): 1}
