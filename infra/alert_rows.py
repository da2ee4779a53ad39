"""What an alert's row holds. It is packed, so that a recurrence costs the two units of a row up to 1 KB."""

from collections.abc import Iterable, Mapping
from typing import NamedTuple

from domain.alerts import Alert
from domain.value import Value
from infra.alert_keys import alert_key
from infra.views import Row, pack, unpack


class DayCounts(NamedTuple):
    """What happened to an alert in a part of a day: how often, and the sums of the seconds since it had opened."""

    opened: int = 0
    resolved: int = 0
    acknowledged: int = 0
    resolve_seconds: int = 0
    acknowledge_seconds: int = 0

    @classmethod
    def total(cls, counts: Iterable["DayCounts"]) -> "DayCounts":
        """Of several parts."""
        return cls(*map(sum, zip(*counts, strict=True)))


class AlertRow(Value):
    """A row's content.

    Attributes:
        alert: without what only the write side asks for: which occurrences were counted, and which are waiting.
        events: the ids of the last monitoring events, by the time they were published at, newest first.
        days: by part of a UTC day (`domain.report_days`), oldest first; none of the parts in which nothing happened.
        earlier: the sum of the parts before these.
        occurred: how often the problem occurred in each of the newest parts in which it did, oldest first.
    """

    alert: Alert
    events: tuple[str, ...] = ()
    days: Mapping[str, DayCounts] = {}
    earlier: DayCounts = DayCounts()
    occurred: Mapping[str, int] = {}


def alert_row(alert_id: str, content: AlertRow, version: int) -> Row:
    text = content.model_dump_json(exclude_defaults=True)
    return Row(*alert_key(alert_id), version=version, data="", detail=pack(text))


def content_of(row: Row) -> AlertRow:
    return AlertRow.model_validate_json(unpack(row.detail))
