"""Rebuild: all rows and counters of some projections anew from the events, beside the live ones, and one swap.

1. Bulk: a consistent parallel scan folds every stream and writes each row once, in partitions that nobody reads. The
   projector serves the live generation meanwhile, and notes the streams that it is told of.
2. Catch-up: the noted streams are projected into the new generation, transactionally.
3. Both: the projector moves both generations' rows in one transaction; what is left of the notes is caught up with.
4. The two are compared. One write of the pointer makes the new one live; who still reads the old one for a moment
   reads the same. Then the old rows are deleted.

What has been reached stands in the pointer and beside it, so that a rebuild that was killed goes on from there.
Decisions and the outbox are no views: nobody is told anything twice.
"""

import time
from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from collections.abc import Set as AbstractSet
from concurrent.futures import FIRST_EXCEPTION, Executor, Future, wait
from functools import partial
from typing import NamedTuple, Protocol

from infra import generations, marks, stored
from infra.counters import unsharded
from infra.generations import Generations, Phase
from infra.marks import Mark
from infra.patience import patiently
from infra.replay import Segment
from infra.views import Key
from projections.bulk import write_counters
from projections.comparison import Comparison, compare
from projections.lease import POLL_SECONDS, Lease, RebuildError
from projections.progress import Progress, forget_progress, progress
from projections.projector import OutrunTooOftenError, Projector

SETTLE_SECONDS = 16.0
"""After the pointer moved, until everybody acts by it: the second that it may be kept, and the longest that one call
to DynamoDB takes with its retries (`infra.views`: two attempts of at most 7 seconds)."""

NOTES_TOGETHER = 100
MAX_NOTES = 1_000_000
"""After so many, what is left is caught up with while the projector keeps both generations."""


class Watcher(Protocol):
    """Is told how far a rebuild is, and asked whether the new generation may go live."""

    def reached(self, phase: str, done: int, total: int | None) -> None:
        """`done` of about `total` things in this phase (see the module); None: nobody knows how many there are.

        Phases are `waiting` (seconds), `bulk` (commits that were read), `catch-up` (streams), `comparison` (rows) and
        `removal` (rows).
        """

    def accepts(self, compared: Comparison) -> bool:
        """Whether to swap, now that both generations are compared."""


class Outcome(NamedTuple):
    """What a rebuild did.

    Attributes:
        swapped: whether the new generation is live.
        segments: what was built; empty if only the end was left to do.
        compared: how the two generations differed before the swap.
    """

    swapped: bool
    segments: Mapping[int, Progress]
    compared: Comparison | None


class Rebuild:
    """One rebuild, begun or gone on with.

    Args:
        projector: for all projections.
        names: of the projections to rebuild, unless one that was interrupted is gone on with.
        build: builds one segment's bulk, in this process or another; see `bulk.SegmentBuild`.
        executor: runs the segments.
        settle: waits until everybody acts by the pointer as it is.
        pause: waits for so many seconds, in which the projector catches up.
    """

    def __init__(
        self,
        projector: Projector,
        names: Iterable[str],
        build: Callable[[Generations, Segment], Progress],
        executor: Executor,
        *,
        owner: str,
        watcher: Watcher,
        segments: int = 4,
        dry_run: bool = False,
        settle: Callable[["Watcher"], None] | None = None,
        pause: Callable[[float], None] = time.sleep,
    ) -> None:
        self._projector = projector
        self._names = tuple(names)
        self._build = build
        self._executor = executor
        self._lease = Lease(owner)
        self._watcher = watcher
        self._segments = segments
        self._dry_run = dry_run
        self._settle = partial(settle or wait_until_settled, watcher)
        self._pause = pause

    def run(self) -> Outcome:
        """Carry it out, from the beginning or from where it was interrupted.

        Raises:
            UnderWayError: another process carries one out.
            RebuildError: another process has gone on with this one, or an older release began it.
            OvertakenError: another process took one up at the same time.
            OutrunTooOftenError: streams kept moving. Go on with it later.
        """
        state = self._begin()
        compared, segments = None, dict[int, Progress]()
        if state.phase is Phase.BULK:
            self._bulk(state)
            state = self._enter(Phase.CATCH_UP)
        if state.phase is Phase.CATCH_UP:
            self._catch_up(state, wholly=False)
            state = self._enter(Phase.BOTH)
        if state.phase is Phase.BOTH:
            self._settle()
            self._catch_up(state, wholly=True)
            segments = progress(state.segments)
            compared = self._compare(state, sum(one.rows for one in segments.values()))
            if not state.dry_run and self._watcher.accepts(compared):
                state = self._swap()
        swapped = _is_live(state)
        self._end(state)
        return Outcome(swapped, segments, compared)

    def abort(self) -> bool:
        """Throw away what was built, unless it is live already: then the old rows are removed. Returns whether it was.

        Raises:
            UnderWayError: another process carries it out.
            RebuildError: there is none, or another process has gone on with this one.
        """
        if generations.read()[0].phase is None:
            raise RebuildError("No rebuild is under way, and none was interrupted.")
        state = self._lease.take()
        self._end(state)
        return _is_live(state)

    def release(self) -> None:
        """Let anybody go on with it at once; for a process that ends in good order before the rebuild does."""
        self._lease.release()

    # ---- phases

    def _begin(self) -> Generations:
        state = self._lease.take()
        if state.phase is None:
            forget_progress(self._lease.hold)
            marks.forget_notes(self._lease.hold)
            begun = {
                "other": {name: state.live_of(name) + 1 for name in self._names},
                "phase": Phase.BULK,
                "segments": self._segments,
                "dry_run": self._dry_run,
            }
            state = self._lease.move(lambda now_there: now_there.model_copy(update=begun))
        self._settle()  # from here on, whoever projects notes what it is told of; also if it was killed in this wait
        return state

    def _bulk(self, state: Generations) -> None:
        segments = [Segment(number, state.segments) for number in range(state.segments)]
        futures = [self._executor.submit(self._build, state, segment) for segment in segments]
        try:
            pending: AbstractSet[Future[Progress]] = set(futures)
            while pending:
                done, pending = wait(pending, POLL_SECONDS, FIRST_EXCEPTION)
                for future in done:
                    future.result()
                self._lease.hold()
                self._watcher.reached("bulk", sum(one.items for one in progress(state.segments).values()), None)
        finally:
            for future in futures:
                future.cancel()
        write_counters(segments, state.other, self._outliving(state), self._lease.hold)

    def _outliving(self, state: Generations) -> Mapping[Key, int]:
        """The live counters whose rows may have expired: of these the events tell a part only."""
        by_category = self._projector.projections
        found: Counter[Key] = Counter()
        for item in stored.scan({name: state.live_of(name) for name in state.other}, before=self._lease.hold):
            key = unsharded(item.key)
            if item.is_counter and by_category[item.projection].outlives(key, time.time()):
                found[key] += item.number
        return found

    def _catch_up(self, state: Generations, *, wholly: bool) -> None:
        """Project the noted streams into the new generation.

        Args:
            wholly: until none is left; nobody makes notes any more. Else until few are made meanwhile.
        """
        done = 0
        while (notes := marks.notes(NOTES_TOGETHER)) and (wholly or done < MAX_NOTES):
            caught_up = self._caught_up(notes, state)
            if not caught_up:
                raise OutrunTooOftenError(f"rows of {len(notes)} streams kept moving; go on with the rebuild later")
            patiently(partial(marks.strike, caught_up), self._lease.hold)
            done += len(caught_up)
            self._watcher.reached("catch-up", done, None)
            if len(notes) < NOTES_TOGETHER and not wholly:
                return

    def _caught_up(self, notes: Sequence[Mark], state: Generations) -> Sequence[Mark]:
        """Bring noted streams up to date. Returns those that are; the others kept moving, and are tried again later.

        The projector moves rows of the new generation too. The more streams are brought up at once, the longer that
        takes, and the likelier is it that one of them moves meanwhile: then fewer are.
        """
        try:
            streams = [note.sk for note in notes]
            patiently(partial(self._projector.catch_up, streams, only=state.other), self._lease.hold)
        except OutrunTooOftenError:
            middle = len(notes) // 2
            halves = (notes[:middle], notes[middle:]) if middle else ()
            return [note for half in halves for note in self._caught_up(half, state)]
        return notes

    def _compare(self, state: Generations, written: int) -> Comparison:
        compared = Comparison()
        for compared in compare(state, self._pause, self._lease.hold):
            self._watcher.reached("comparison", compared.rows, written)
        return compared

    def _swap(self) -> Generations:
        return self._lease.move(
            lambda state: state.model_copy(
                update={
                    "live": {**state.live, **state.other},
                    "other": {name: state.live_of(name) for name in state.other},
                    "phase": Phase.SWAPPED,
                }
            )
        )

    def _end(self, state: Generations) -> None:
        """Remove the generation that is not live, from whatever phase."""
        if state.phase is Phase.SWAPPED:
            self._settle()
        if state.phase is not Phase.REMOVING:
            self._enter(Phase.REMOVING)
            self._settle()
        for removed in stored.remove(state.other, self._lease.hold):
            self._watcher.reached("removal", removed, None)
        marks.forget_parked(state.other)
        forget_progress(self._lease.hold)
        marks.forget_notes(self._lease.hold)
        self._lease.end()

    def _enter(self, phase: Phase) -> Generations:
        return self._lease.move(lambda state: state.model_copy(update={"phase": phase}))


def _is_live(state: Generations) -> bool:
    """Whether what was built is; then the other generations are the old ones."""
    return all(other < state.live_of(name) for name, other in state.other.items())


def wait_until_settled(watcher: Watcher) -> None:
    """Wait until everybody acts by the pointer as it is now."""
    until = time.monotonic() + SETTLE_SECONDS
    while (left := until - time.monotonic()) > 0:
        watcher.reached("waiting", round(SETTLE_SECONDS - left), round(SETTLE_SECONDS))
        time.sleep(min(1.0, left))
