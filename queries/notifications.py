"""Notifications: what people were told of, or not, and why."""

from collections.abc import Iterator
from typing import Annotated

from pydantic import Field, model_validator

from domain.alerts import ALERTS
from domain.notification_shape import NotificationShown, Status
from domain.permissions import Permission
from domain.tasks import TASKS
from infra import outbox, outbox_listing
from infra.outbox import Notification
from infra.rest import Answer, Request, size_in_answer
from infra.settings import MAX_ID_LENGTH, MAX_PAGE_BYTES, MAX_PAGE_ROWS, number
from queries.paging import Listing, Page, SearchedListOf, page
from queries.tasks import check_visible

PAGE = 100
"""Rows that one call reads."""

MAX_MONTHS = 24
"""Months that a page looks through for its first item, at four calls each."""

_Id = Annotated[str, Field(min_length=1, max_length=MAX_ID_LENGTH)]


class NotificationListing(Listing):
    """Notifications, newest first."""

    alert_id: Annotated[_Id | None, Field(description="what was decided on this alert; a moment behind")] = None
    task_id: Annotated[_Id | None, Field(description="likewise on this task")] = None
    status: Status | None = None

    @model_validator(mode="after")
    def _about_one(self) -> "NotificationListing":
        if self.alert_id is not None and self.task_id is not None:
            raise ValueError("alert_id and task_id exclude each other")
        return self


def list_notifications(
    request: Request,
    query: NotificationListing,
) -> Answer[SearchedListOf[NotificationShown]]:
    """What people were told of, or not, and why; newest first.

    Those who may not see all tasks see what is about tasks only by the `task_id` of one that is theirs, and not the
    messages of groups, which may tell of others' tasks.
    """
    sees_all = request.caller.may(Permission.READ_ALL_TASKS)
    if query.task_id is not None and not sees_all:
        check_visible(request, query.task_id)
    wanted: Page[NotificationShown] = page(query, "notifications", 1)
    position = wanted.position[0] if wanted.position else None
    rows, beyond = _rows(query, position, ascending=wanted.ascending)
    items: list[NotificationShown] = []
    read, size, last = 0, 0, ""
    for row in rows:
        if len(items) == wanted.limit or size > MAX_PAGE_BYTES:
            return Answer(wanted.searched(items, (last,)))
        if read == MAX_PAGE_ROWS:
            return Answer(wanted.searched(items, (last,), read))
        read, last = read + 1, row.sk
        if query.status in (None, row.status) and (sees_all or query.task_id is not None or not _is_of_task(row)):
            shown = outbox.shown(row)
            items.append(shown if sees_all or not row.members else {**shown, "message": None})
            size += size_in_answer(items[-1])
    return Answer(wanted.searched(items, (beyond,), read) if beyond else wanted.searched(items, None))


def _rows(
    query: NotificationListing, position: str | None, *, ascending: bool
) -> tuple[Iterator[Notification], str | None]:
    """The rows that a page looks through, and the position behind them all if that is not the end of the list."""
    stream = _stream(query)
    if stream:
        return outbox_listing.of_stream(stream, position, ascending=ascending, page=_ahead(query)), None
    months = outbox_listing.months(number("EVENT_RETENTION_DAYS", 90))
    if ascending:
        months.reverse()
    ahead = [month for month in months if not outbox_listing.is_behind(month, position, ascending=ascending)]
    now, later = ahead[:MAX_MONTHS], ahead[MAX_MONTHS:]
    beyond = outbox_listing.start_of(later[0] if ascending else now[-1]) if later else None
    return outbox_listing.in_order(now, position, ascending=ascending, page=_ahead(query)), beyond


def _is_of_task(row: Notification) -> bool:
    return bool(row.stream.startswith(f"{TASKS.category}#"))


def _ahead(query: NotificationListing) -> int:
    """Rows that one call reads: what the page needs, and whether there is more; what a filter passes over, in bulk."""
    return PAGE if query.status else min(query.limit + 1, PAGE)


def _stream(query: NotificationListing) -> str | None:
    if query.alert_id is not None:
        return ALERTS.stream(query.alert_id)
    return TASKS.stream(query.task_id) if query.task_id is not None else None
