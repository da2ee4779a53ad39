"""Notifications: what people were told of, or not, and why."""

from collections.abc import Iterator
from datetime import UTC, datetime

from infra import outbox
from infra.outbox import NotificationShown
from infra.rest import Answer, ListOf, Request
from infra.settings import number
from queries.paging import Listing, Page, page


def list_notifications(request: Request, query: Listing) -> Answer[ListOf[NotificationShown]]:  # noqa: ARG001 - all see all
    """What people were told of, or not, and why; newest first."""
    wanted: Page[NotificationShown] = page(query, "notifications", 1)
    position = wanted.position[0] if wanted.position else None
    months = list(_months())
    if wanted.ascending:
        months.reverse()
    rows = outbox.in_order(months, wanted.limit + 1, position, ascending=wanted.ascending)
    items = [outbox.shown(row) for row in rows[: wanted.limit]]
    more = len(rows) > wanted.limit
    return Answer(wanted.answer(items, (rows[wanted.limit - 1].sk,) if more else None))


def _months() -> Iterator[str]:
    """The months that may hold notifications, newest first."""
    day = datetime.now(UTC).date().replace(day=15)
    for _ in range(number("EVENT_RETENTION_DAYS", 90) // 30 + 2):
        yield f"{day:%Y-%m}"
        month = day.month - 1 or 12
        day = day.replace(year=day.year - (day.month == 1), month=month)
