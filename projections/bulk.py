"""The bulk of a rebuild: every stream of a segment folded into rows of the generation being built.

Nobody else writes in that generation yet, so rows are put without condition, each once, and counters are summed in
memory. Rows and sums are saved together, now and then: a rebuild that was killed goes on from there. A process that
lost the lease must not put another row, for others may read them by then; so it looks before each call.
"""

import time
from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import suppress
from functools import partial
from itertools import islice
from typing import TYPE_CHECKING

from aws_lambda_powertools import Logger
from botocore.exceptions import BotoCoreError, ClientError
from pynamodb.exceptions import PynamoDBException

from infra import counters, marks, views
from infra.commits import Item, from_item
from infra.counters import CounterRow, sharded
from infra.generations import chosen
from infra.patience import patiently, write
from infra.replay import Segment, position, stored_streams
from infra.views import Key, Row
from projections.progress import Progress, Saving, Sums, progress, sums
from projections.projection import Projection

if TYPE_CHECKING:
    from mypy_boto3_dynamodb import DynamoDBClient

ROWS_TOGETHER = 500
STREAMS_TOGETHER = 100
CHECKPOINT_SECONDS = 2.0

logger = Logger()


class SegmentBuild:
    """Folds one segment.

    Args:
        generations: those being built, by projection.
        hold_lease: called before each write; raises if the rebuild may be somebody else's by now.
    """

    def __init__(
        self,
        projections: Iterable[Projection],
        generations: Mapping[str, int],
        segment: Segment,
        hold_lease: Callable[[], None],
    ) -> None:
        self._by_category = {projection.category: projection for projection in projections}
        self._generations = generations
        self._segment = segment
        self._hold_lease = hold_lease
        self._saving = Saving(segment, hold_lease)
        self._sums: Counter[Key] = Counter()
        self._rows: dict[Key, Row] = {}
        self._shared: set[Key] = set()

    def run(self, client: "DynamoDBClient", table: str) -> Progress:
        """Fold what is left of the segment."""
        begun = progress(self._segment.of).get(self._segment.number)
        known = begun or self._save(Progress())
        if known.done:
            return known
        if begun:
            self._sums = _counted(sums(self._segment))
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
        rows = patiently(lambda: views.rows_by_key(keys.values()))
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
            self._note(stream, position(items[-1])[1])
            return False
        for row in (folded.row, *folded.added):
            self._put(row)
        if len(upto) < len(events):
            self._note(stream, events[-1].version)
        for key, number in folded.raised:
            patiently(partial(counters.raise_to, key, number), self._hold_lease)
        for key, by in moves.items():
            self._sums[key] += by
        return True

    def _note(self, stream: str, version: int) -> None:
        patiently(lambda: marks.note([(stream, version)]), self._hold_lease)

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
            write(Row.Meta.table_name, ({"PutRequest": {"Item": row.serialize()}} for row in rows), self._hold_lease)
        self._rows.clear()
        return written

    def _save(self, reached: Progress) -> Progress:
        summed: dict[str, dict[str, int]] = {}
        for key, n in self._sums.items():
            summed.setdefault(key.pk, {})[key.sk] = n
        self._saving.save(reached, summed)
        return reached


def write_counters(
    segments: Iterable[Segment],
    generations: Mapping[str, int],
    least: Mapping[Key, int],
    hold_lease: Callable[[], None] = lambda: None,
) -> int:
    """The counters of the generation being built, from what its segments summed. Returns how many there are.

    Args:
        least: what counters must at least be whose rows may have expired.
        hold_lease: as `SegmentBuild`'s.
    """
    total: Counter[Key] = Counter()
    for segment in segments:
        total.update(_counted(sums(segment)))
    total |= Counter(least)  # the greater of the two
    with chosen(generations):
        rows = (CounterRow(*sharded(key, 0), n=n).serialize() for key, n in total.items())
        return write(CounterRow.Meta.table_name, ({"PutRequest": {"Item": row}} for row in rows), hold_lease)


def _counted(summed: Sums) -> Counter[Key]:
    return Counter({Key(pk, sk): n for pk, of_partition in summed.items() for sk, n in of_partition.items()})


def _expired(item: Item) -> bool:
    return "ttl" in item and float(item["ttl"]["N"]) <= time.time()


def _events(items: Iterable[Item]) -> int:
    return sum(int(item.get("n", {}).get("N", 0)) for item in items)
