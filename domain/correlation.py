"""What monitoring events do to the alert of their fingerprint.

The source's own order decides, never the order in which they arrive: what is older than the newest that is known
changes nothing but the count. So the alert ends the same however they are shuffled, repeated, split or batched. Whether
people are told of it (`quiet`) is the exception, for what was told cannot be taken back: it stays loud once it was, and
one that is open becomes so by any occurrence since its last end that is.
"""

from collections.abc import Iterable, Sequence
from datetime import datetime, timedelta
from typing import NamedTuple

from domain.alerts import (
    ALERTS,
    PROGRESS_RANK,
    Alert,
    AlertNoticed,
    AlertOpened,
    AlertProgressed,
    AlertRecurred,
    AlertReopened,
    AlertResolved,
    AlertSeverityChanged,
    AlertState,
    AlertSurfaced,
    Ending,
    Face,
    Moment,
    Seen,
)
from domain.commit import Recorded
from domain.decider import Context
from domain.event import DomainEvent
from domain.judgement import Judgement, Verdict
from domain.monitoring_config import Thresholds
from domain.sources.mapping import MappedEvent

CLOCK_MARGIN = timedelta(minutes=1)
"""By how much the clocks of two processes may differ."""

# Of two monitoring events of the same moment the one that tells of a problem counts as the newer: an alert that is open
# in vain is a smaller evil than one that is not.
_RANKS = {Verdict.OVER: 0, Verdict.PROGRESS: PROGRESS_RANK, Verdict.MINOR: 2, Verdict.PROBLEM: 3}


class Occurrence(NamedTuple):
    """A monitoring event as its alert sees it.

    Attributes:
        id: the monitoring event's.
        published_at: seconds since the epoch.
        recorded_at: when it was appended to its own stream.
    """

    id: str
    mapped: MappedEvent
    judged: Judgement
    published_at: int
    recorded_at: datetime

    @property
    def rank(self) -> int:
        return _RANKS[self.judged.verdict]

    @property
    def moment(self) -> Moment:
        return self.mapped.order, self.rank


def doubtful(alert: Alert | None, occurrences: Iterable[Occurrence]) -> list[Occurrence]:
    """Those of which the state does not tell whether they were counted already; the alert's stream does.

    A monitoring event is counted after it was recorded, so one that was recorded after the last one that the state
    forgot is either remembered or new.
    """
    if alert is None or alert.forgotten_at is None:
        return []
    until = alert.forgotten_at + CLOCK_MARGIN
    return [
        one
        for one in occurrences
        if one.judged.verdict is Verdict.PROBLEM and not alert.remembers(one.id) and one.recorded_at <= until
    ]


def correlate(
    alert: Alert | None, occurrences: Sequence[Occurrence], thresholds: Thresholds, context: Context
) -> list[DomainEvent]:
    """What happens to an alert by monitoring events of its fingerprint, in whatever order they are given.

    Args:
        occurrences: those that an alert takes (`judgement.TAKEN`) and that were not counted yet, except for such as
            the state remembers.
        thresholds: of the service.
    """
    events: list[DomainEvent] = []
    of_each = {one.id: one for one in occurrences}.values()
    for one in sorted(of_each, key=lambda one: (one.mapped.order, one.rank, one.judged.severity, one.id)):
        for event in _decide(alert, one, thresholds):
            alert = ALERTS.evolve(alert, Recorded(event, 0, context.at, context.by))
            merged = _merged(events[-1], event) if events else None
            if merged:
                events[-1] = merged
            else:
                events.append(event)
    return events


def _decide(alert: Alert | None, one: Occurrence, thresholds: Thresholds) -> Iterable[DomainEvent]:
    if alert is None or alert.state is not AlertState.OPEN:
        return _while_not_open(alert, one, thresholds)
    verdict = one.judged.verdict
    if verdict is Verdict.PROGRESS:
        return (AlertProgressed(seen=_seen(one)),) if one.moment > alert.latest else ()
    newest = _is_newest(alert, one)
    if verdict is not Verdict.PROBLEM:
        ending = Ending.SOURCE if verdict is Verdict.OVER else Ending.MINOR
        return (AlertResolved(ending=ending, seen=_seen(one)),) if newest else ()
    if alert.remembers(one.id):
        return ()
    return _recurrence(alert, one, newest=newest)


def _while_not_open(alert: Alert | None, one: Occurrence, thresholds: Thresholds) -> Iterable[DomainEvent]:
    verdict, past = one.judged.verdict, alert is not None and _is_past(alert, one)
    if verdict is Verdict.PROGRESS:
        return ()
    if verdict is not Verdict.PROBLEM:
        # Remembered, so that the problem that is over does not open an alert when news of it arrive late.
        return () if past else (AlertNoticed(fingerprint=one.mapped.fingerprint, seen=_seen(one), face=_face(one)),)
    if alert is not None and alert.remembers(one.id):
        return ()
    return (AlertRecurred(seen=_seen(one)),) if past else (_opening(alert, one, thresholds),)


def _is_newest(alert: Alert, one: Occurrence) -> bool:
    known = (alert.order, alert.rank)
    # Several sources tell of one finding at the same moment; the one that takes it most seriously is believed.
    graver = one.judged.verdict is Verdict.PROBLEM and one.judged.severity > alert.severity
    return one.moment > known or (one.moment == known and graver)


def _is_past(alert: Alert, one: Occurrence) -> bool:
    return alert.ended is not None and one.moment <= alert.ended


def _opening(alert: Alert | None, one: Occurrence, thresholds: Thresholds) -> DomainEvent:
    waiting = alert.waiting if alert else ()
    times = sorted([one.published_at, *(at for _, at in waiting)])
    first_of_enough = zip(times, times[thresholds.occurrences - 1 :], strict=False)
    face, judged = _face(one), (one.judged.severity, one.judged.config)
    if alert is not None and waiting and one.moment < (alert.order, alert.rank):  # what waits is newer
        face, judged = alert.face, alert.judged or judged
    fingerprint, seen = one.mapped.fingerprint, _seen(one)
    if not any(last - first < thresholds.seconds for first, last in first_of_enough):
        here = ((one.mapped.order, one.published_at),)
        return AlertNoticed(fingerprint=fingerprint, seen=seen, face=face, waiting=here, judged=judged)
    severity, config = judged
    if alert is None or not alert.openings:
        return AlertOpened(fingerprint=fingerprint, seen=seen, face=face, severity=severity, config=config)
    return AlertReopened(seen=seen, face=face, severity=severity, config=config)


def _recurrence(alert: Alert, one: Occurrence, *, newest: bool) -> Iterable[DomainEvent]:
    face = _face(one) if newest else alert.face
    # Who was told that it opened is to be told that it ends. Who would have been, had it not come late, likewise.
    if not alert.face.quiet or (not one.mapped.quiet and not _is_past(alert, one)):
        face = face.model_copy(update={"quiet": None})
    yield AlertRecurred(seen=_seen(one), face=None if face == alert.face else face)
    if newest and one.judged.severity != alert.severity:
        yield AlertSeverityChanged(old=alert.severity, new=one.judged.severity)
    if alert.face.quiet and not face.quiet:
        yield AlertSurfaced()


def _merged(before: DomainEvent, event: DomainEvent) -> DomainEvent | None:
    """Both as one, where that says the same."""
    if isinstance(before, AlertRecurred) and isinstance(event, AlertRecurred):
        return AlertRecurred(seen=_both(before.seen, event.seen), face=event.face or before.face)
    if isinstance(before, AlertNoticed) and isinstance(event, AlertNoticed) and before.waiting and event.waiting:
        return AlertNoticed(
            fingerprint=event.fingerprint,
            seen=_both(before.seen, event.seen),
            face=event.face,
            waiting=(*before.waiting, *event.waiting),
            judged=event.judged,
        )
    return None


def _both(before: Seen, after: Seen) -> Seen:
    newest = after if after.moment >= before.moment else before
    return Seen(
        ids=(*before.ids, *after.ids),
        count=before.count + after.count,
        first=min(before.first, after.first),
        last=max(before.last, after.last),
        order=newest.order,
        rank=newest.rank,
        status=newest.status,
    )


def _seen(one: Occurrence) -> Seen:
    return Seen(
        ids=(one.id,),
        count=int(one.judged.verdict is Verdict.PROBLEM),
        first=one.published_at,
        last=one.published_at,
        order=one.mapped.order,
        rank=one.rank,
        status=one.mapped.status,
    )


def _face(one: Occurrence) -> Face:
    mapped = one.mapped
    tags = dict(mapped.tags) if mapped.tags else None
    shown = {name: getattr(mapped, name) for name in Face.model_fields if name != "tags"}
    return Face(**shown, tags=tags)
