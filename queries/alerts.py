"""Alerts: one with the monitoring events about it, and lists of those that are open or resolved."""

from collections.abc import Iterable, Iterator
from datetime import UTC, datetime
from typing import Annotated

from pydantic import Field
from typing_extensions import TypedDict

from domain.alert_shape import AlertShown, shown
from domain.alerts import ALERTS, Alert, Ending, existing
from domain.errors import NotFoundError
from domain.judgement import Verdict
from domain.monitoring_events import parse_event_id
from domain.sources.mapping import State
from infra.alert_keys import alert_key
from infra.alert_rows import content_of
from infra.rest import Answer, Request
from infra.views import Key, event_key, event_sort_key, rows_by_key, shown_event, utc_day
from queries.alert_listing import AlertListing, AlertSearch
from queries.monitoring_events import is_expired
from queries.paging import SearchedListOf, page
from queries.read_your_write import MinVersion, await_listed_row, await_row
from queries.search import search
from queries.users import names


class AlertEventShown(TypedDict):
    """A monitoring event about an alert, in short."""

    id: str
    title: str
    severity: int
    state: Annotated[State, Field(description="what it says about the problem")]
    status: Annotated[str | None, Field(description="the source's own word for the state, such as `ALARM`")]
    verdict: Annotated[Verdict | None, Field(description="what the monitoring config made of it")]
    published_at: Annotated[int, Field(description="the source's time")]


class AlertWithEvents(AlertShown):
    """An alert with the last monitoring events about it."""

    events: Annotated[
        list[AlertEventShown],
        Field(description="the last ten, the newest first by the source's order; expired ones are left out"),
    ]


def get_alert(request: Request, alert_id: str, query: MinVersion) -> Answer[AlertWithEvents]:  # noqa: ARG001 - any user
    """An alert with the last monitoring events about it."""
    key = alert_key(alert_id)
    row = await_row(query, key) or rows_by_key([key]).get(key)
    if row is None:
        raise NotFoundError("There is no such alert.")
    content = content_of(row)
    alert = existing(content.alert)
    body = shown(alert_id, alert, int(row.version), _names([alert]))
    return Answer({**body, "events": _events(content.events)}, int(row.version), ALERTS.stream(alert_id))


def list_alerts(request: Request, query: AlertListing) -> Answer[SearchedListOf[AlertShown]]:  # noqa: ARG001 - any user
    """Open alerts that the filters take, the last opened first; or resolved ones, the last resolved first.

    A search that has read many alerts without filling its page ends early: `stopped_after` says after how many, and
    `next` goes on from there.
    """
    wanted = page(query, "alerts", 1)
    own = await_listed_row(query, ALERTS.category, "alert")
    alerts = AlertSearch(query, wanted, datetime.now(UTC))
    after = wanted.position[0] if wanted.position else None
    found = search(alerts.candidates(own), alerts.taken, wanted.limit, after)
    known = _names(alert for _, alert, _ in found.items)
    items = [shown(alert_id, alert, version, known) for alert_id, alert, version in found.items]
    return Answer(wanted.searched(items, (found.last,) if found.last else None, found.stopped_after))


def _names(alerts: Iterable[Alert]) -> dict[str, str]:
    """The names of those whom alerts mention."""
    people: set[str | None] = set()
    for alert in alerts:
        people |= {alert.acknowledged_by, alert.snoozed_by}
        if alert.ending is Ending.PERSON:
            people.add(alert.resolved_by)
    return names(people)


def _events(ids: Iterable[str]) -> list[AlertEventShown]:
    """The monitoring events that are still there. One call."""
    rows = rows_by_key(_event_keys(ids)).values()
    there = [shown_event(row) for row in rows if not is_expired(row)]
    there.sort(key=lambda event: (event["order"], event["published_at"], event["id"]), reverse=True)
    return [
        {
            "id": event["id"],
            "title": event["title"],
            "severity": event["severity"],
            "state": event["state"],
            "status": event["status"],
            "verdict": event["verdict"],
            "published_at": event["published_at"],
        }
        for event in there
    ]


def _event_keys(ids: Iterable[str]) -> Iterator[Key]:
    for parsed in filter(None, map(parse_event_id, ids)):
        published_at, uuid = parsed
        yield event_key(utc_day(published_at), event_sort_key(published_at, uuid))
