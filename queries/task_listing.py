"""Which tasks a list shows, and where they are read: the partitions that its filters ask for, merged in its order.

An index knows status, priority, assignee, event, alert, due date and time of creation, so that what a list costs does
not grow with the tasks that it does not show. Text, and rare combinations, are searched for within a budget.
"""

import json
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from heapq import merge
from typing import Annotated, Any, Literal, NamedTuple

from pydantic import Field, ValidationInfo, field_validator

from domain.commit import timestamp
from domain.tasks import TASKS, Priority, Status, Task, is_overdue
from infra.request import QueryFlag
from infra.task_keys import (
    DUE_CLOSED,
    DUE_OPEN,
    assignee_partition,
    creator_partition,
    origin_partition,
    task_place,
    tasks_partition,
)
from infra.views import Key, Row
from queries.paging import Listing, Page, QuerySeconds
from queries.read_your_write import MinVersion, laid_over
from queries.search import Candidate, rows_between

_Id = Annotated[str, Field(pattern=r"^[0-9A-Za-z_-]{1,64}$")]
"""Ids become part of keys, so nothing else gets in."""


class TaskListing(Listing, MinVersion):
    """Which tasks: those that every given filter takes."""

    status: Annotated[Status, Field(description="only tasks of this status")] | None = None
    priority: Annotated[Priority, Field(description="only tasks of this priority")] | None = None
    assigned_user_id: Annotated[_Id, Field(description="only tasks that this user has")] | None = None
    event_id: Annotated[_Id, Field(description="only tasks made from this monitoring event")] | None = None
    alert_id: Annotated[_Id, Field(description="only tasks made from this alert")] | None = None
    overdue: (
        Annotated[QueryFlag, Field(description="whether the task is not closed and its due date has passed")] | None
    ) = None
    created_from: Annotated[QuerySeconds, Field(description="created at this time or later; Unix seconds")] | None = (
        None
    )
    created_to: Annotated[QuerySeconds, Field(description="created before this time; Unix seconds")] | None = None
    text: (
        Annotated[str, Field(min_length=1, max_length=200, description="in the title, in upper or lower case")] | None
    ) = None
    sort: (
        Annotated[
            Literal["created_at", "due_date"],
            Field(
                description="`due_date` lists only tasks that have one, the earliest first; it is the default when "
                "overdue tasks are asked for. Else the default is `created_at`, the newest first"
            ),
        ]
        | None
    ) = None

    @field_validator("created_to")
    @classmethod
    def _after_its_beginning(cls, end: int | None, info: ValidationInfo) -> int | None:
        beginning = info.data.get("created_from")
        if end is not None and beginning is not None and end <= beginning:
            raise ValueError("must be later than created_from")
        return end

    @property
    def by_due_date(self) -> bool:
        return self.sort == "due_date" or (self.sort is None and self.overdue is True)

    @property
    def statuses(self) -> list[Status]:
        """Those that a task may have for the filters to take it."""
        return [
            status
            for status in Status
            if self.status in (None, status) and not (self.overdue and status is Status.CLOSED)
        ]

    @property
    def priorities(self) -> list[Priority]:
        return [priority for priority in Priority if self.priority in (None, priority)]


class _Part(NamedTuple):
    """What is read of one partition: sort keys, both included, or all. Without an index, its rows are pointers."""

    pk: str
    low: str | None
    high: str | None
    found_by: Literal["by_status", "by_person"] | None = None


@dataclass(frozen=True)
class TaskSearch:
    """One page of tasks.

    Attributes:
        user_id: whose own tasks alone are listed: created by them or assigned to them. None for everybody's.
        at: now, which says what is overdue.
    """

    query: TaskListing
    wanted: Page[Any]
    user_id: str | None
    at: datetime

    def takes(self, task: Task) -> bool:
        """Whether the list shows a task."""
        query = self.query
        created = task.created_at.timestamp()
        return (
            not task.is_deleted
            and (self.user_id is None or self.user_id in {task.created_by, task.assigned_user_id})
            and query.status in {None, task.status}
            and query.priority in {None, task.priority}
            and query.assigned_user_id in {None, task.assigned_user_id}
            and query.event_id in {None, task.event_id}
            and query.alert_id in {None, task.alert_id}
            and query.overdue in {None, is_overdue(task, self.at)}
            and (query.created_from is None or query.created_from <= created)
            and (query.created_to is None or created < query.created_to)
            and (query.text is None or query.text.casefold() in task.title.casefold())
        )

    def place(self, task_id: str, task: Task) -> str | None:
        """Where the list has it; None if its order has no place for it."""
        at = task.due_date if self.query.by_due_date else task.created_at
        return task_place(at, task_id) if at else None

    def taken(self, candidate: Candidate, row: Row) -> tuple[str, Task] | None:
        """A candidate's id and task if the list shows it there.

        An index that lags behind, or an old pointer, may have it in a place that it has left.
        """
        task_id, task = task_of(row)
        return (task_id, task) if self.takes(task) and self.place(task_id, task) == candidate.place else None

    def candidates(self, own: Row | None) -> Iterator[Candidate]:
        """All rows that the list may show, in its order, from where the page begins.

        Args:
            own: a row that is to be seen as it is, whatever an index says of it.
        """
        parts = self._due_parts() if self.query.by_due_date else self._created_parts()
        listed = merge(*(self._read(part, len(parts)) for part in parts), key=_place, reverse=not self.wanted.ascending)
        return laid_over(listed, self._own(own), _key, _place, ascending=self.wanted.ascending)

    def _own(self, row: Row | None) -> Candidate | None:
        place = self.place(*task_of(row)) if row else None
        if row is None or place is None or not self._is_ahead(place):
            return None
        return Candidate(place, row.key, row)

    def _is_ahead(self, place: str) -> bool:
        if self.wanted.position is None:
            return True
        (after,) = self.wanted.position
        return place > after if self.wanted.ascending else place < after

    def _due_parts(self) -> list[_Part]:
        now = timestamp(self.at)
        due = _Part(DUE_OPEN, now if self.query.overdue is False else None, now if self.query.overdue else None)
        parts = []
        if set(self.query.statuses) - {Status.CLOSED}:
            parts.append(due)
        if Status.CLOSED in self.query.statuses:
            parts.append(_Part(DUE_CLOSED, None, None))
        return parts

    def _created_parts(self) -> list[_Part]:
        query = self.query
        low, high = _bound(query.created_from), _bound(query.created_to)
        pointers = None
        origin = query.event_id or query.alert_id
        if origin:
            pointers = _Part(origin_partition(origin), low, high)
        elif self.user_id and query.assigned_user_id != self.user_id:
            pointers = _Part(creator_partition(self.user_id), low, high)
        if pointers and (origin or query.assigned_user_id):
            return [pointers]
        if assignee := query.assigned_user_id or self.user_id:
            rows = [_Part(assignee_partition(assignee, status), low, high, "by_person") for status in query.statuses]
        else:
            rows = [
                _Part(tasks_partition(status, priority), low, high, "by_status")
                for status in query.statuses
                for priority in query.priorities
            ]
        return [*rows, pointers] if pointers else rows

    def _read(self, part: _Part, parts: int) -> Iterator[Candidate]:
        low, high = part.low, part.high
        if self.wanted.position is not None:
            (after,) = self.wanted.position
            if self.wanted.ascending:
                low = after if low is None else max(low, after)
            else:
                high = after if high is None else min(high, after)
        # One more than the page tells whether there is a next one, and the row at `after` is passed over. Of several
        # partitions each is asked for twice its share: the one that holds more than that is asked again.
        needed = self.wanted.limit + (1 if self.wanted.position is None else 2)
        first = needed if parts == 1 else 2 * needed // parts + 1
        query, sort_key = self._query(part)
        rows = rows_between(query, sort_key, part.pk, low, high, ascending=self.wanted.ascending, first=first)
        for row in rows:
            yield Candidate(getattr(row, sort_key.attr_name), row.key, row) if part.found_by else self._pointed(row)

    @staticmethod
    def _query(part: _Part) -> tuple[Callable[..., Any], Any]:
        if part.found_by == "by_status":
            return Row.by_status.query, Row.gsi1sk
        if part.found_by == "by_person":
            return Row.by_person.query, Row.gsi2sk
        return Row.query, Row.sk

    def _pointed(self, row: Row) -> Candidate:
        known = json.loads(row.data)
        query = self.query
        fits = not known or (
            (self.user_id is None or self.user_id in {known["created_by"], known["assigned_user_id"]})
            and query.assigned_user_id in {None, known["assigned_user_id"]}
            and query.event_id in {None, known["event_id"]}
            and query.alert_id in {None, known.get("alert_id")}  # those that were put before alerts had tasks lack it
        )
        return Candidate(row.sk, Key(TASKS.stream(row.sk.partition("#")[2]), "task"), fits=fits)


def task_of(row: Row) -> tuple[str, Task]:
    """The id and the task of a task's row."""
    return row.pk.partition("#")[2], Task.model_validate_json(row.data)


def _bound(seconds: int | None) -> str | None:
    """A sort key before those of the tasks of that second, and after those before it."""
    return None if seconds is None else timestamp(datetime.fromtimestamp(seconds, UTC))


def _place(candidate: Candidate) -> str:
    return candidate.place


def _key(candidate: Candidate) -> Key:
    return candidate.key
