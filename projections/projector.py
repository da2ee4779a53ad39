"""The projector: DynamoDB Streams to rows and counters.

A stream record is a *hint* that a stream moved. The row's version says what is already in it: an older or equal
commit is dropped, the next one applied, and for a gap the missing commits are read from the events table. So
duplicates, holes and any order end in the same row.

A stream whose event cannot be applied is parked, visibly, and holds up no other. A fault of the infrastructure
raises, so that the batch is delivered again.
"""

import random
import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from collections.abc import Set as AbstractSet
from contextlib import contextmanager
from dataclasses import replace
from functools import cache, partial
from itertools import groupby
from operator import attrgetter
from typing import Any

from aws_lambda_powertools import Logger

from domain.commit import Commit
from infra import changes, clients, counters, generations, marks, views
from infra.aws_faults import INFRASTRUCTURE
from infra.changes import MAX_TRANSACTION_ITEMS, Change
from infra.commits import NotACommitError, from_item
from infra.event_store import DynamoDBEventStore, EventStore
from infra.generations import Bearings, Generations
from infra.heartbeats import hear
from infra.personal_data import DynamoDBDataKeys, PersonalData
from infra.settings import setting
from infra.usage import report
from infra.views import EVENT_DAYS, Key, Row
from projections import due_days
from projections.alerts import AlertProjection
from projections.aws_configs import AwsConfigProjection
from projections.monitoring_config import MonitoringConfigProjection
from projections.monitoring_events import MonitoringEventProjection
from projections.projection import Projection
from projections.redrive import Redriven, redrive, report_parked
from projections.sessions import SessionProjection
from projections.tasks import TaskProjection
from projections.users import UserProjection

MAX_PASSES = 5

MAX_STEP_EVENTS = 50
"""Events of one stream that are applied at once, in all generations together. Each may add a row, pointers and
counters move beside them, and a transaction takes 100 items; a stream that lags further behind, such as one that was
parked, is brought up in several steps. So is one whose events move more counters than fit, such as an alert's of a
month."""

_MAX_STANDING = 10_000

_FAR = 10**15
"""Beyond the end of any stream."""

logger = Logger()


class OutrunTooOftenError(RuntimeError):
    """Others kept moving the same rows; the batch is to be delivered again."""


class Projector:
    """Brings the views up to date with the streams that hints name.

    Args:
        clock: gives seconds since the epoch.
    """

    def __init__(
        self,
        store: EventStore,
        projections: Sequence[Projection],
        sleep: Callable[[float], None] = time.sleep,
        clock: Callable[[], float] = time.time,
    ) -> None:
        self._store = store
        self._by_category = {projection.category: projection for projection in projections}
        self._sleep = sleep
        self._clock = clock
        self._standing: set[tuple[int, Key]] = set()

    @property
    def projections(self) -> Mapping[str, Projection]:
        """By category."""
        return self._by_category

    def project(self, hints: Iterable[Commit]) -> int:
        """Apply commits, in any order, with duplicates and holes. Returns the number of streams that moved.

        Raises:
            OutrunTooOftenError: after MAX_PASSES passes some rows still moved under it.
        """
        known = (hint for hint in hints if self._projects(hint))
        in_order = sorted(known, key=lambda commit: (commit.stream, commit.version))
        return self._project({stream: list(commits) for stream, commits in groupby(in_order, attrgetter("stream"))})

    def catch_up(self, streams: Iterable[str], only: Mapping[str, int] | None = None) -> int:
        """Bring streams up to date from the store, whatever the projector was told of them.

        Args:
            only: move the rows of these generations, by projection, instead of those that are served.

        Returns:
            The number of streams that moved.

        Raises:
            OutrunTooOftenError: as `project`.
        """
        known = (stream for stream in streams if _category(stream) in self._by_category)
        hints = (self._hint(stream, only) for stream in known)
        return self._project({hint.stream: [hint] for hint in hints if hint and self._projects(hint)}, only)

    def _hint(self, stream: str, only: Mapping[str, int] | None) -> Commit | None:
        """A stream's newest commit; None if it has none, or none that can be read."""
        try:
            return next(iter(self._store.load_back(stream)), None)
        except NotACommitError:  # somebody put an item by hand; what comes before it can be applied
            pass
        kept = (only[_category(stream)],) if only else generations.bearings().generations.written(_category(stream))
        first = None
        for generation in kept:
            with _parking(generation, stream, 0, NotACommitError):
                first = next(iter(self._store.load(stream)), None)
        return first and replace(first, version=_FAR)  # so that all that follows the row is read from the store

    def _projects(self, hint: Commit) -> bool:
        """Whether a hint is for the views.

        One that has expired is not: its row may be gone, and with it that the commit is in the counters already.
        """
        expired = hint.expires_at is not None and hint.expires_at <= self._clock()
        return not expired and _category(hint.stream) in self._by_category

    def _project(self, streams: dict[str, list[Commit]], only: Mapping[str, int] | None = None) -> int:
        moved: set[str] = set()
        outrun = 0
        complete = not streams
        bearings: Bearings | None = None
        while not complete:
            bearings = bearings or generations.bearings()  # good for later steps too, until something is in the way
            if not only:
                self._note(streams, bearings.generations)
            units, complete = self._units(streams, bearings, only)
            try:
                changes.apply(units, partial(_steer_alike, bearings.generations))
                moved.update(unit[0].stream for unit in units)
                if not only:
                    self._remember(units)
            except changes.OutrunError as error:
                complete, bearings = False, None
                outrun += 1
                if outrun == MAX_PASSES:
                    raise OutrunTooOftenError(
                        f"rows of {len(streams)} streams kept moving; the batch will be delivered again"
                    ) from error
                self._sleep(random.uniform(0, 0.02 * 2**outrun))
            except changes.RefusedError as error:
                complete, bearings = False, None
                for change in next(unit for unit in units if unit[0].stream == error.stream):
                    _park(change.generation, error.stream, change.read_version, error)
                del streams[error.stream]
        return len(moved)

    def _remember(self, units: Iterable[Sequence[Change]]) -> None:
        """What says that a day has events stands until it expires: to have put it once, where it is served, is enough.

        Not in one that a rebuild is building: if that is given up, the next one begins under the same number.
        """
        if len(self._standing) > _MAX_STANDING:
            self._standing.clear()
        for change in (unit[0] for unit in units if len(unit) == 1):
            self._standing.update((change.generation, row.key) for row in change.added if row.pk == EVENT_DAYS)

    @staticmethod
    def _note(streams: Mapping[str, Sequence[Commit]], state: Generations) -> None:
        """Note what a rebuild has to catch up with: also streams that need nothing here any more."""
        touched = [(name, of[-1].last_version) for name, of in streams.items() if state.notes(_category(name))]
        if touched:
            marks.note(touched)

    def _units(
        self, streams: Mapping[str, Sequence[Commit]], bearings: Bearings, only: Mapping[str, int] | None
    ) -> tuple[list[Sequence[Change]], bool]:
        """The next step of each stream in each generation that is kept, and whether these are the last ones."""
        units: dict[str, list[Change]] = {}
        complete = True
        kept = {name: (only[name],) if only else bearings.generations.written(name) for name in self._by_category}
        most = MAX_STEP_EVENTS // max(map(len, kept.values()))  # a transaction holds the steps in all generations
        for place in (0, 1):
            chosen = {name: of[place] for name, of in kept.items() if len(of) > place}
            here = {stream: commits for stream, commits in streams.items() if _category(stream) in chosen}
            if not here:
                continue
            with generations.chosen(chosen):
                changes, last = self._changes(here, chosen, bearings.parked, most)
                for change in changes:
                    units.setdefault(change.stream, []).append(change)
                    for key, number in change.raised:
                        counters.raise_to(key, number)  # alone and first: whenever and however often, it ends the same
            complete = complete and last
        return list(units.values()), complete

    def _changes(
        self,
        streams: Mapping[str, Sequence[Commit]],
        chosen: Mapping[str, int],
        parked: AbstractSet[tuple[int, str]] | None,
        most: int,
    ) -> tuple[list[Change], bool]:
        """The next step of each stream in one generation, and whether these are the last ones."""
        keys = {}
        for stream, commits in streams.items():
            with _parking(chosen[_category(stream)], stream, commits[0].version - 1):
                keys[stream] = self._projection(stream).key(commits[0])
        if parked is None:
            places = [(chosen[_category(stream)], stream) for stream in keys]
            parked = {(one.generation, one.stream) for one in marks.parked_among(places)}
        rows = views.rows_by_key(keys.values())
        changes = []
        complete = True
        for stream, key in keys.items():
            generation, row = chosen[_category(stream)], rows.get(key)
            if row and not row.version:
                _park(generation, stream, 0, ValueError("its row was damaged: it has no version"))
                continue
            version = int(row.version) if row else 0
            step: list[Commit] = []
            with _parking(generation, stream, version, NotACommitError):
                step, more = _step(self._missing(stream, streams[stream], version), most)
            if step:
                with _parking(generation, stream, version):
                    room = MAX_TRANSACTION_ITEMS * most // MAX_STEP_EVENTS
                    change, whole = self._applicable(stream, row, step, room)
                    if row is None and self._expired(stream, change.row):  # it was there, and what it adds is counted
                        continue
                    unparks = (generation, stream) in parked
                    added = tuple(row for row in change.added if (generation, row.key) not in self._standing)
                    changes.append(change._replace(generation=generation, added=added, unparks=unparks))
                    complete = complete and whole and not more
        return changes, complete

    def _applicable(self, stream: str, row: Row | None, step: Sequence[Commit], room: int) -> tuple[Change, bool]:
        """The change by a step, or by as many of its commits as can be applied, and whether that is all of it.

        Args:
            room: items that the change may touch, unless it is that of a single commit.
        """
        for size in range(len(step), 1, -1):
            try:
                change = self._change(stream, row, step[:size])
            except INFRASTRUCTURE:
                raise
            except Exception:  # noqa: BLE001, S112 - told of when the commit at fault is the first
                continue
            if change.touched < room:  # one more may be a mark that goes
                return change, size == len(step)
        return self._change(stream, row, step[:1]), len(step) == 1

    def _missing(self, stream: str, commits: Sequence[Commit], version: int) -> Iterator[Commit]:
        """The commits that follow on `version`: from the hints while these leave no gap, else from the store."""
        for commit in commits:
            if commit.version > version + 1:
                yield from self._store.load(stream, after=version)
                return
            if commit.last_version > version:
                yield commit
                version = commit.last_version

    def _change(self, stream: str, row: Row | None, commits: Sequence[Commit]) -> Change:
        projection = self._projection(stream)
        events = [recorded for commit in commits for recorded in commit.recorded()]
        folded = projection.fold(row, stream, events)
        moves = dict(projection.contributions(folded.row))
        if row:
            for key, before in projection.contributions(row).items():
                moves[key] = moves.get(key, 0) - before
        moved = {key: by for key, by in moves.items() if by}
        version = int(row.version) if row else 0
        return Change(0, stream, version, folded.row, folded.added, moved, False, folded.removed, folded.raised)

    def _expired(self, stream: str, row: Row) -> bool:
        """Whether the row of a whole stream has expired, as that of its first events may.

        A session is refreshed, and lives on.
        """
        if not self._is_past(row):
            return False
        events = [recorded for commit in self._store.load(stream) for recorded in commit.recorded()]
        return self._is_past(self._projection(stream).fold(None, stream, events).row)

    def _is_past(self, row: Row) -> bool:
        ttl: float | None = row.ttl  # PynamoDB's types leave out that it may be missing
        return ttl is not None and ttl <= self._clock()

    def _projection(self, stream: str) -> Projection:
        return self._by_category[_category(stream)]


def _step(commits: Iterable[Commit], most: int) -> tuple[list[Commit], bool]:
    """Commits of at most so many events (one commit at least, if there is one), and whether there are more."""
    step: list[Commit] = []
    events = 0
    try:
        for commit in commits:
            events += commit.count
            if step and events > most:
                return step, True
            step.append(commit)
    except NotACommitError:
        if not step:
            raise
        return step, True  # what can be read goes first
    return step, False


def _category(stream: str) -> str:
    return stream.partition("#")[0]


def _steer_alike(planned: Generations) -> bool:
    """Whether what was planned is still what is to be done."""
    return generations.present().steers_as(planned)


@contextmanager
def _parking(generation: int, stream: str, version: int, faults: type[Exception] = Exception) -> Iterator[None]:
    """Park the stream if the code inside cannot go on from `version`: it must hold up no other.

    A fault of the infrastructure, such as a key that cannot be fetched just now, is no fault of the event.
    """
    try:
        yield
    except INFRASTRUCTURE:
        raise
    except faults as error:
        _park(generation, stream, version, error)


def _park(generation: int, stream: str, version: int, error: Exception) -> None:
    logger.error("stream parked", exc_info=error, extra={"stream": stream})
    marks.park(generation, stream, version, f"{type(error).__name__}: {error}")


def hints_of(event: Mapping[str, Any]) -> list[Commit]:
    """The commits in a batch of DynamoDB stream records; expiries are no commits."""
    hints = []
    for record in event["Records"]:
        if record["eventName"] != "INSERT":
            continue
        try:
            hints.append(from_item(record["dynamodb"].get("NewImage", {})))
        except NotACommitError:  # somebody put an item by hand; it must not block the shard
            logger.exception("not a commit", extra={"keys": record["dynamodb"].get("Keys")})
    return hints


def projections(personal: PersonalData) -> Sequence[Projection]:
    """Every projection."""
    return (
        MonitoringEventProjection(),
        TaskProjection(),
        AlertProjection(),
        UserProjection(personal),
        SessionProjection(),
        AwsConfigProjection(),
        MonitoringConfigProjection(),
    )


@cache
def _projector() -> Projector:
    client = clients.dynamodb()
    keys = DynamoDBDataKeys(client, setting("KEYS_TABLE"), clients.kms, setting("DATA_KEY_ARN"))
    return Projector(DynamoDBEventStore(client, setting("EVENTS_TABLE")), projections(PersonalData(keys)))


def handler(event: dict[str, Any], context: object) -> dict[str, Redriven] | None:  # noqa: ARG001
    """Lambda entry point, fed by the events table's stream; an operator may name streams instead, as `redrive`."""
    if "redrive" in event:
        store = DynamoDBEventStore(clients.dynamodb(), setting("EVENTS_TABLE"))
        redriven = redrive(_projector(), store, event["redrive"])
        report()
        return redriven
    hints = hints_of(event)
    moved = _projector().project(hints)
    if hear("projector", hints):
        report_parked()
        due_days.tidy(hints)
    report()
    logger.info("projected", extra={"records": len(event["Records"]), "streams": moved})
    return None
