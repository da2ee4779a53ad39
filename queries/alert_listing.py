"""Which alerts a list shows, and where they are read: the pointers of a state and of severities, in order of time.

State and severity are keys, so that what a list costs does not grow with the alerts of others. The other filters are
tried on pointers, before the alerts are fetched, within a budget.
"""

import json
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime
from functools import cached_property
from heapq import merge
from typing import Annotated, Any, Literal

from pydantic import Field

from domain.alerts import Alert, AlertState, is_snoozed
from infra import counts
from infra.alert_keys import SHARDS, alert_key, alert_place, alerts_partition
from infra.alert_rows import content_of
from infra.counters import COUNTED_SOURCE
from infra.request import QueryFlag, QueryNumber
from infra.views import Row
from queries.paging import Listing, Page
from queries.read_your_write import MinVersion, laid_over
from queries.search import Candidate, rows_between

_ROWS_OF_SEARCH = 100
"""Pointers that a search takes from a partition at once. Fewer would be more calls, more would be read for nothing."""

_Text = Annotated[str, Field(min_length=1, max_length=300)]


class AlertListing(Listing, MinVersion):
    """Which alerts: those that every given filter takes."""

    state: Annotated[Literal["open", "resolved"], Field(description="alerts of this state")] = "open"
    severity: Annotated[QueryNumber, Field(ge=0, le=5, description="exactly this severity")] | None = None
    min_severity: Annotated[QueryNumber, Field(ge=0, le=5, description="this severity or above")] | None = None
    source: Annotated[_Text, Field(description="exactly this source, such as `aws.guardduty`")] | None = None
    account: Annotated[_Text, Field(description="exactly this affected account")] | None = None
    acknowledged: (
        Annotated[QueryFlag, Field(description="whether somebody acknowledged it since it last opened")] | None
    ) = None
    snoozed: Annotated[QueryFlag, Field(description="whether it is snoozed until some time to come")] | None = None

    @property
    def wanted_state(self) -> AlertState:
        return AlertState(self.state)

    @property
    def severities(self) -> list[int]:
        """Those that an alert may have for the filters to take it."""
        return [severity for severity in range(self.min_severity or 0, 6) if self.severity in {None, severity}]

    @property
    def searches(self) -> bool:
        """Whether alerts of its state and severities may be left out."""
        return any(value is not None for value in (self.source, self.account, self.acknowledged, self.snoozed))


@dataclass(frozen=True)
class AlertSearch:
    """One page of alerts.

    Attributes:
        at: now, which says what is snoozed.
    """

    query: AlertListing
    wanted: Page[Any]
    at: datetime

    def takes(self, alert: Alert) -> bool:
        """Whether the list shows an alert."""
        query = self.query
        return (
            alert.openings > 0
            and alert.state is query.wanted_state
            and alert.severity in query.severities
            and query.source in {None, alert.face.source}
            and query.account in {None, alert.face.account}
            and query.acknowledged in {None, alert.acknowledged_at is not None}
            and query.snoozed in {None, is_snoozed(alert, self.at)}
        )

    def taken(self, candidate: Candidate, row: Row) -> tuple[str, Alert, int] | None:
        """A candidate's id, alert and version if the list shows it there. Its pointer may be older than its row."""
        alert_id, alert = alert_of(row)
        if not self.takes(alert) or alert_place(alert_id, alert) != candidate.place:
            return None
        return alert_id, alert, int(row.version)

    def candidates(self, own: Row | None) -> Iterator[Candidate]:
        """All alerts that the list may show, in its order, from where the page begins.

        Args:
            own: a row that is to be seen as it is, whatever a pointer says of it.
        """
        parts = [
            alerts_partition(self.query.wanted_state, severity, shard)
            for severity in self._present_severities
            for shard in range(SHARDS)
        ]
        listed = merge(*(self._read(part, len(parts)) for part in parts), key=_place, reverse=not self.wanted.ascending)
        return laid_over(listed, self._own(own), lambda one: one.key, _place, ascending=self.wanted.ascending)

    @cached_property
    def _present_severities(self) -> list[int]:
        """Of open alerts the counters tell which severities there are: one call, which spares four for each other."""
        query = self.query
        if query.wanted_state is not AlertState.OPEN or len(query.severities) < 2:
            return query.severities
        source = query.source and query.source[:COUNTED_SOURCE]
        present = {count.severity for count in counts.open_alerts() if source in {None, count.source}}
        return [severity for severity in query.severities if str(severity) in present]

    def _own(self, row: Row | None) -> Candidate | None:
        place = alert_place(*alert_of(row)) if row else None
        if row is None or place is None or not self._is_ahead(place):
            return None
        return Candidate(place, row.key, row)

    def _is_ahead(self, place: str) -> bool:
        if self.wanted.position is None:
            return True
        (after,) = self.wanted.position
        return place > after if self.wanted.ascending else place < after

    def _read(self, pk: str, parts: int) -> Iterator[Candidate]:
        (after,) = self.wanted.position or (None,)
        low, high = (after, None) if self.wanted.ascending else (None, after)
        # One more than the page tells whether there is a next one, and the pointer at `after` is passed over. Each
        # partition is asked for twice its share: the one that holds more than that is asked again.
        share = 2 * (self.wanted.limit + 2) // parts + 1
        first = max(share, _ROWS_OF_SEARCH) if self.query.searches else share
        for row in rows_between(Row.query, Row.sk, pk, low, high, ascending=self.wanted.ascending, first=first):
            yield Candidate(row.sk, alert_key(row.sk.partition("#")[2]), fits=self._fits(json.loads(row.data)))

    def _fits(self, known: dict[str, Any]) -> bool:
        """Whether the filters take the alert of a pointer."""
        query = self.query
        snoozed = known["snoozed_until"] is not None and known["snoozed_until"] > self.at.timestamp()
        return (
            query.source in {None, known["source"]}
            and query.account in {None, known["account"]}
            and query.acknowledged in {None, known["acknowledged"]}
            and query.snoozed in {None, snoozed}
        )


def alert_of(row: Row) -> tuple[str, Alert]:
    """The id and the alert of an alert's row."""
    return row.pk.partition("#")[2], content_of(row).alert


def _place(candidate: Candidate) -> str:
    return candidate.place
