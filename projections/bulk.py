"""The bulk of a rebuild: every stream of a segment folded into rows of the generation being built.

Nobody else writes in that generation yet, so rows are put without condition, each once, and counters are summed in
memory. Rows and sums are saved together, now and then: a rebuild that was killed goes on from there.
"""

import time
import zlib
from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import suppress
from itertools import islice
from typing import TYPE_CHECKING

from aws_lambda_powertools import Logger
from botocore.exceptions import BotoCoreError, ClientError
from pynamodb.exceptions import PynamoDBException

from domain.value import Value
from infra import marks, views
from infra.commits import Item, from_item
from infra.generations import chosen
from infra.marks import Mark
from infra.replay import Segment, position, stored_streams
from infra.views import CounterRow, Key, Row, sharded
from projections.projection import Projection

if TYPE_CHECKING:
    from mypy_boto3_dynamodb import DynamoDBClient

ROWS_TOGETHER = 500
STREAMS_TOGETHER = 100
CHECKPOINT_SECONDS = 2.0

logger = Logger()


class Progress(Value):
    """How far a segment is.

    Attributes:
        after: the last stream that is in, and where its last commit begins.
        sums: of the counters so far, by partition and sort key.
        streams, items: read so far, of any projection.
        events: of the projections that are rebuilt; `rows`: written.
        left: streams that could not be folded, and are left to the catch-up.
    """

    after: tuple[str, int] | None = None
    sums: Mapping[str, Mapping[str, int]] = {}
    streams: int = 0
    items: int = 0
    events: int = 0
    rows: int = 0
    left: int = 0
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
        begun = progress(self._segment.of).get(self._segment.number)
        known = begun or self._save(Progress())
        if known.done:
            return known
        for pk, sums in known.sums.items():
            self._sums.update({Key(pk, sk): n for sk, n in sums.items()})
        saved = time.monotonic()
        streams, stored, events, written, left = known.streams, known.items, known.events, known.rows, known.left
        after = known.after

        def reached(*, done: bool) -> Progress:
            return Progress(
                after=after, streams=streams, items=stored, events=events, rows=written, left=left, done=done
            )

        resumed = begun is not None
        with chosen(self._generations):
            found = stored_streams(client, table, self._segment, consistent=True, after=after)
            while some := list(islice(found, STREAMS_TOGETHER)):
                there = self._versions(some) if resumed else {}
                for stream, items in some:
                    after = position(items[-1])
                    streams += 1
                    stored += len(items)
                    projection = self._by_category.get(stream.partition("#")[0])
                    if projection and not _expired(items[0]):
                        events += _events(items)
                        left += not self._fold(projection, stream, items, there.get(stream))
                if len(self._rows) >= ROWS_TOGETHER:
                    written += self._write()
                    if time.monotonic() - saved > CHECKPOINT_SECONDS:
                        self._save(reached(done=False))
                        saved = time.monotonic()
            written += self._write()
        return self._save(reached(done=True))

    def _versions(self, found: Sequence[tuple[str, Sequence[Item]]]) -> Mapping[str, int]:
        """The versions of the rows that were written already, after what was reached was last saved, by stream."""
        keys: dict[str, Key] = {}
        for stream, items in found:
            projection = self._by_category.get(stream.partition("#")[0])
            if projection:
                with suppress(Exception):  # then there is no row
                    keys[stream] = projection.key(from_item(items[0]))
        rows = views.rows_by_key(keys.values())
        return {stream: int(rows[key].version) for stream, key in keys.items() if key in rows}

    def _fold(self, projection: Projection, stream: str, items: Sequence[Item], version: int | None) -> bool:
        """Whether the stream could be folded; else it is left to the catch-up, which goes as far as it can.

        Args:
            version: of the row that is there already. To that version it is folded once more, and no further: what
                came since would leave rows beside it that are to go. That is left to the catch-up too.
        """
        try:
            events = [event for item in items for event in from_item(item).recorded()]
            upto = [event for event in events if version is None or event.version <= version]
            folded = projection.fold(None, stream, upto)
            moves = projection.contributions(folded.row)
        except (BotoCoreError, ClientError, PynamoDBException):
            raise
        except Exception as error:  # it must hold up no other; the catch-up parks it
            logger.warning("stream left to the catch-up", exc_info=error, extra={"stream": stream})
            marks.note([(stream, position(items[-1])[1])])
            return False
        for row in (folded.row, *folded.added):
            self._put(row)
        if len(upto) < len(events):
            marks.note([(stream, events[-1].version)])
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
        first = [row for row in self._rows.values() if row.version]
        beside = [row for row in self._rows.values() if not row.version]
        for rows in (first, beside):  # so that there is nothing beside a row that is not there, wherever this ends
            with Row.batch_write() as batch:
                for row in rows:
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


def _expired(item: Item) -> bool:
    return "ttl" in item and float(item["ttl"]["N"]) <= time.time()


def _events(items: Iterable[Item]) -> int:
    return sum(int(item.get("n", {}).get("N", 0)) for item in items)


def _packed(reached: Progress) -> str:
    return zlib.compress(reached.model_dump_json().encode()).hex()


def _unpacked(data: str) -> Progress:
    return Progress.model_validate_json(zlib.decompress(bytes.fromhex(data)))
