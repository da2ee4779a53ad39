"""Correlation: what monitoring events do to the alert of their fingerprint, all of a batch in one commit.

A crash between recording and correlating brings the message back, so a monitoring event may come here again: the
alert's state knows those that were counted last, and its stream knows all.
"""

from collections.abc import Iterable, Iterator, Sequence
from typing import NamedTuple

from commands.execution import Order, execute, now
from domain.alerts import ALERTS, Alert, alert_id
from domain.commit import Commit
from domain.correlation import CLOCK_MARGIN, Occurrence, correlate, doubtful
from domain.event import DomainEvent
from domain.monitoring_config import Thresholds
from infra import history
from infra.event_store import CommitTooLargeError, EventStore
from infra.history import History, WarmHistories


class Fresh(NamedTuple):
    """Monitoring events that this process has just recorded, and the alert as it was read before that.

    Nobody can have counted them in it yet, so that only what was appended to the alert since needs to be looked at.
    """

    ids: frozenset[str]
    before: History[Alert]


def read(store: EventStore, warm: WarmHistories, fingerprint: str) -> History[Alert]:
    """The alert of a fingerprint as it is, or was when this process last wrote to it. No call, or one."""
    stream = ALERTS.stream(alert_id(fingerprint))
    kept = warm.get(stream)
    if kept is None:
        kept = history.load(store, ALERTS, stream)
        warm.keep(stream, kept)
    return kept


def take(  # noqa: PLR0917 - what is taken, by what and into what
    store: EventStore,
    warm: WarmHistories,
    occurrences: Sequence[Occurrence],
    thresholds: Thresholds,
    actor: str,
    fresh: Fresh | None = None,
) -> None:
    """Let the alert of a fingerprint take monitoring events, each once. One commit, or none if nothing changes.

    Many changes of an alert with many tags may be too large for one commit: then these are several.

    Args:
        occurrences: of one fingerprint; at least one.

    Raises:
        CommitTooLargeError: what one of them does is too large.
        ConflictError: others kept writing to the alert.
        UnreadableEventError: the alert holds an event that this code cannot read.
    """
    fingerprint, cause = occurrences[0].mapped.fingerprint, occurrences[0].id
    identifier = alert_id(fingerprint)
    order = Order(by=actor, at=now(), correlation_id=cause, causation_id=f"event:{cause}")

    def decide(alert: Alert | None) -> Sequence[DomainEvent]:
        counted = _counted(store, ALERTS.stream(identifier), alert, occurrences, fresh)
        return correlate(alert, [one for one in occurrences if one.id not in counted], thresholds, order.context)

    try:
        execute(store, ALERTS, identifier, decide, order, warm=warm)
    except CommitTooLargeError:
        if len(occurrences) == 1:
            raise
        in_order = sorted(occurrences, key=lambda one: one.moment)
        middle = len(in_order) // 2
        for some in (in_order[:middle], in_order[middle:]):
            take(store, warm, some, thresholds, actor, fresh)


def _counted(
    store: EventStore, stream: str, alert: Alert | None, occurrences: Sequence[Occurrence], fresh: Fresh | None
) -> set[str]:
    """Which of them were counted already, as far as the state itself does not remember it."""
    if fresh is None:
        return _counted_since(store, stream, doubtful(alert, occurrences))
    found: set[str] = set()
    if alert is not fresh.before.state:
        found = {name for commit in store.load(stream, fresh.before.version) for name in _names(commit)} & fresh.ids
    others = [one for one in occurrences if one.id not in fresh.ids]
    return found | _counted_since(store, stream, doubtful(alert, others))


def _counted_since(store: EventStore, stream: str, occurrences: Iterable[Occurrence]) -> set[str]:
    """Which of them the stream tells of, read back to when the first of them was recorded."""
    wanted = {one.id: one.recorded_at for one in occurrences}
    if not wanted:
        return set()
    since = min(wanted.values()) - CLOCK_MARGIN
    found: set[str] = set()
    for commit in store.load_back(stream):
        if commit.at < since:
            break
        found.update(_names(commit))
    return found & wanted.keys()


def _names(commit: Commit) -> Iterator[str]:
    """The monitoring events that a commit counts."""
    for event in commit.stored_events():
        seen = event.d.get("seen")
        yield from seen["ids"] if seen and seen["count"] else ()
