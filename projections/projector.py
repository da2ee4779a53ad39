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
from contextlib import contextmanager
from functools import cache
from itertools import groupby
from typing import Any

from aws_lambda_powertools import Logger
from botocore.exceptions import BotoCoreError, ClientError

from domain.commit import Commit
from infra import clients, views
from infra.commits import NotACommitError, from_item
from infra.event_store import DynamoDBEventStore, EventStore
from infra.personal_data import DynamoDBDataKeys, PersonalData
from infra.settings import setting
from infra.usage import report
from infra.views import Change, Row
from projections.monitoring_events import MonitoringEventProjection
from projections.projection import Projection
from projections.tasks import TaskProjection
from projections.users import UserProjection

MAX_PASSES = 5

MAX_STEP_EVENTS = 50
"""Events of one stream that are applied at once. Each may add a row, and a transaction takes 100 items; a stream
that lags further behind, such as one that was parked, is brought up in several steps."""

logger = Logger()


class OutrunTooOftenError(RuntimeError):
    """Others kept moving the same rows; the batch is to be delivered again."""


class Projector:
    """Brings the views up to date with the streams that hints name."""

    def __init__(
        self,
        store: EventStore,
        projections: Sequence[Projection],
        sleep: Callable[[float], None] = time.sleep,
    ) -> None:
        self._store = store
        self._by_category = {projection.category: projection for projection in projections}
        self._sleep = sleep

    def project(self, hints: Iterable[Commit]) -> int:
        """Apply commits, in any order, with duplicates and holes. Returns the number of streams that moved.

        Raises:
            OutrunTooOftenError: after MAX_PASSES passes some rows still moved under it.
        """
        known = (hint for hint in hints if hint.stream.partition("#")[0] in self._by_category)
        in_order = sorted(known, key=lambda commit: (commit.stream, commit.version))
        streams = {stream: list(commits) for stream, commits in groupby(in_order, key=lambda commit: commit.stream)}
        moved: set[str] = set()
        outrun = 0
        while outrun < MAX_PASSES:
            changes, complete = self._changes(streams)
            try:
                views.apply(changes)
            except views.OutrunError:
                self._sleep(random.uniform(0, 0.02 * 2**outrun))
                outrun += 1
                continue
            moved.update(change.stream for change in changes)
            if complete:
                return len(moved)
        raise OutrunTooOftenError(f"rows of {len(streams)} streams kept moving; the batch will be delivered again")

    def _changes(self, streams: Mapping[str, Sequence[Commit]]) -> tuple[list[Change], bool]:
        """The next step of each stream, and whether these are the last ones."""
        keys = {}
        for stream, commits in streams.items():
            with _parking(stream, commits[0].version - 1):
                keys[stream] = self._projection(stream).key(commits[0])
        rows = views.rows_by_key(keys.values())
        parked = views.parked()
        changes = []
        complete = True
        for stream, key in keys.items():
            row = rows.get(key)
            version = int(row.version) if row else 0
            step: list[Commit] = []
            with _parking(stream, version, NotACommitError):
                step, more = _step(self._missing(stream, streams[stream], version))
            if step:
                with _parking(stream, version):
                    changes.append(self._change(stream, row, step, unparks=stream in parked))
                    complete = complete and not more
        return changes, complete

    def _missing(self, stream: str, commits: Sequence[Commit], version: int) -> Iterator[Commit]:
        """The commits that follow on `version`: from the hints while these leave no gap, else from the store."""
        for commit in commits:
            if commit.version > version + 1:
                yield from self._store.load(stream, after=version)
                return
            if commit.last_version > version:
                yield commit
                version = commit.last_version

    def _change(self, stream: str, row: Row | None, commits: Sequence[Commit], *, unparks: bool) -> Change:
        projection = self._projection(stream)
        events = [recorded for commit in commits for recorded in commit.recorded()]
        folded = projection.fold(row, stream, events)
        moves = dict(projection.contributions(folded.row))
        if row:
            for key, before in projection.contributions(row).items():
                moves[key] = moves.get(key, 0) - before
        moved = {key: by for key, by in moves.items() if by}
        return Change(stream, int(row.version) if row else 0, folded.row, folded.added, moved, unparks)

    def _projection(self, stream: str) -> Projection:
        return self._by_category[stream.partition("#")[0]]


def _step(commits: Iterable[Commit]) -> tuple[list[Commit], bool]:
    """As many commits as one step takes (one at least, if there is one), and whether there are more."""
    step: list[Commit] = []
    events = 0
    for commit in commits:
        events += commit.count
        if step and events > MAX_STEP_EVENTS:
            return step, True
        step.append(commit)
    return step, False


@contextmanager
def _parking(stream: str, version: int, faults: type[Exception] = Exception) -> Iterator[None]:
    """Park the stream if the code inside cannot go on from `version`: it must hold up no other.

    A fault of the infrastructure, such as a key that cannot be fetched just now, is no fault of the event.
    """
    try:
        yield
    except (BotoCoreError, ClientError):
        raise
    except faults as error:
        logger.exception("stream parked", extra={"stream": stream})
        views.park(stream, version, f"{type(error).__name__}: {error}")


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
    return (MonitoringEventProjection(), TaskProjection(), UserProjection(personal))


@cache
def _projector() -> Projector:
    client = clients.dynamodb()
    keys = DynamoDBDataKeys(client, setting("KEYS_TABLE"), clients.kms, setting("DATA_KEY_ARN"))
    return Projector(DynamoDBEventStore(client, setting("EVENTS_TABLE")), projections(PersonalData(keys)))


def handler(event: dict[str, Any], context: object) -> None:  # noqa: ARG001
    """Lambda entry point, fed by the events table's stream."""
    moved = _projector().project(hints_of(event))
    report()
    logger.info("projected", extra={"records": len(event["Records"]), "streams": moved})
