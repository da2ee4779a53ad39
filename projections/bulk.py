"""The bulk of a rebuild: every stream of a segment folded into rows of the generation being built.

Nobody else writes in that generation yet, so rows are put without condition, each once, and counters are summed in
memory. Rows and sums are saved together, now and then: a rebuild that was killed goes on from there.
"""

import time
import zlib
from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import TYPE_CHECKING

from aws_lambda_powertools import Logger
from botocore.exceptions import BotoCoreError, ClientError
from pynamodb.exceptions import PynamoDBException

from domain.commit import Commit
from domain.value import Value
from infra import marks, views
from infra.generations import chosen
from infra.marks import Mark
from infra.replay import Segment, replay
from infra.views import CounterRow, Key, Row, sharded
from projections.projection import Projection

if TYPE_CHECKING:
    from mypy_boto3_dynamodb import DynamoDBClient

ROWS_TOGETHER = 500
CHECKPOINT_SECONDS = 2.0

logger = Logger()


class Progress(Value):
    """How far a segment is.

    Attributes:
        after: the last stream that is in, and where its last commit begins.
        sums: of the counters so far, by partition and sort key.
        streams: read so far, of any projection; `rows`: written; `parked`: streams that could not be folded.
    """

    after: tuple[str, int] | None = None
    sums: Mapping[str, Mapping[str, int]] = {}
    streams: int = 0
    events: int = 0
    rows: int = 0
    parked: int = 0
    done: bool = False


_PARTITION = "rebuild"


def progress(of: int) -> dict[int, Progress]:
    """How far the segments of a rebuild are that have begun, by their number."""
    marks = Mark.query(_PARTITION, Mark.sk.startswith(f"{of:06d}#"), consistent_read=True)
    return {int(mark.sk.partition("#")[2]): _unpacked(mark.data) for mark in marks}


def forget_progress() -> None:
    """Before a rebuild, and after it."""
    with Mark.batch_write() as batch:
        for mark in Mark.query(_PARTITION, consistent_read=True):
            batch.delete(mark)


class SegmentBuild:
    """Folds one segment.

    Args:
        generations: those being built, by projection.
        keep_lease: called now and then; raises if the rebuild is somebody else's by now.
    """

    def __init__(
        self,
        projections: Iterable[Projection],
        generations: Mapping[str, int],
        segment: Segment,
        keep_lease: Callable[[], None],
    ) -> None:
        self._by_category = {projection.category: projection for projection in projections}
        self._generations = generations
        self._segment = segment
        self._keep_lease = keep_lease
        self._sums: Counter[Key] = Counter()
        self._rows: dict[Key, Row] = {}
        self._shared: set[Key] = set()

    def run(self, client: "DynamoDBClient", table: str) -> Progress:
        """Fold what is left of the segment."""
        known = progress(self._segment.of).get(self._segment.number, Progress())
        if known.done:
            return known
        for pk, sums in known.sums.items():
            self._sums.update({Key(pk, sk): n for sk, n in sums.items()})
        saved = time.monotonic()
        streams, events, written, parked = known.streams, known.events, known.rows, known.parked
        after = known.after
        with chosen(self._generations):
            for stream, commits in replay(client, table, self._segment, consistent=True, after=after):
                after = (stream, commits[-1].version)
                streams += 1
                projection = self._by_category.get(stream.partition("#")[0])
                if projection and not _expired(commits):
                    events += commits[-1].last_version
                    parked += not self._fold(projection, stream, commits)
                if len(self._rows) >= ROWS_TOGETHER:
                    written += self._write()
                    if time.monotonic() - saved > CHECKPOINT_SECONDS:
                        self._save(Progress(after=after, streams=streams, events=events, rows=written, parked=parked))
                        saved = time.monotonic()
            written += self._write()
        return self._save(Progress(after=after, streams=streams, events=events, rows=written, parked=parked, done=True))

    def _fold(self, projection: Projection, stream: str, commits: Sequence[Commit]) -> bool:
        """Whether the stream could be folded; else it is parked in the generation being built."""
        try:
            folded = projection.fold(None, stream, [event for commit in commits for event in commit.recorded()])
            moves = projection.contributions(folded.row)
        except (BotoCoreError, ClientError, PynamoDBException):
            raise
        except Exception as error:  # as the projector does: it must hold up no other
            logger.exception("stream parked", extra={"stream": stream})
            generation = self._generations[projection.category]
            marks.park(generation, stream, 0, f"{type(error).__name__}: {error}")
            return False
        for row in (folded.row, *folded.added):
            self._put(row)
        for key, number in folded.raised:
            views.raise_to(key, number)
        for key, by in moves.items():
            self._sums[key] += by
        return True

    def _put(self, row: Row) -> None:
        """Rows that many streams put alike, such as that a day has events, are put once, not once for each."""
        if row.version == 0:
            if row.key in self._shared:
                return
            if len(self._shared) >= 100 * ROWS_TOGETHER:
                self._shared.clear()
            self._shared.add(row.key)
        self._rows[row.key] = row

    def _write(self) -> int:
        written = len(self._rows)
        with Row.batch_write() as batch:
            for row in self._rows.values():
                batch.save(row)
        self._rows.clear()
        return written

    def _save(self, reached: Progress) -> Progress:
        self._keep_lease()
        sums: dict[str, dict[str, int]] = {}
        for key, n in self._sums.items():
            sums.setdefault(key.pk, {})[key.sk] = n
        reached = reached.model_copy(update={"sums": sums})
        sk = f"{self._segment.of:06d}#{self._segment.number}"
        Mark(_PARTITION, sk, version=reached.streams, data=_packed(reached)).save()
        return reached


def write_counters(reached: Iterable[Progress], generations: Mapping[str, int], least: Mapping[Key, int]) -> int:
    """The counters of the generation being built, from what its segments summed. Returns how many there are.

    Args:
        least: what counters must at least be whose rows may have expired.
    """
    sums: Counter[Key] = Counter()
    for segment in reached:
        for pk, of_partition in segment.sums.items():
            sums.update({Key(pk, sk): n for sk, n in of_partition.items()})
    sums |= Counter(least)  # the greater of the two
    with chosen(generations), CounterRow.batch_write() as batch:
        for key, n in sums.items():
            batch.save(CounterRow(*sharded(key, 0), n=n))
    return len(sums)


def _expired(commits: Sequence[Commit]) -> bool:
    expires_at = commits[0].expires_at
    return expires_at is not None and expires_at <= time.time()


def _packed(reached: Progress) -> str:
    return zlib.compress(reached.model_dump_json().encode()).hex()


def _unpacked(data: str) -> Progress:
    return Progress.model_validate_json(zlib.decompress(bytes.fromhex(data)))
