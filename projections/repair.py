"""Repair: of what a verification found, the rows and counters put right, and looked at again.

A stream's row and the rows beside it are put as a fresh fold has them, in transactions conditioned on the version
that the row was read at, with the counters by the difference of what the two rows contribute. Counters that are wrong
then are corrected by the difference, so that both may go on moving meanwhile. The ledger itself is never touched.
"""

from collections import Counter, defaultdict
from collections.abc import Callable, Mapping, Sequence
from collections.abc import Set as AbstractSet

from domain.commit import Commit
from infra import changes, counters, generations, marks, stored
from infra.aws_faults import INFRASTRUCTURE
from infra.changes import Change, OutrunError, RefusedError
from infra.stored import Stored
from infra.views import Key
from projections.differences import Difference, Report
from projections.examination import fold
from projections.projection import Folded, Projection
from projections.recount import contributions
from projections.verification import Ledger, miscounted

ATTEMPTS = 8
PART = 30
"""Of the rows that are put beside a stream's row, of those that go and of the counters: so many of each are written in
one transaction, which takes 100 items."""


class RepairError(Exception):
    """Nothing can be repaired now. The message says why."""


class Repair:
    """Repairs what one verification found.

    Args:
        reached: is told the phase, and how much of it is done.
    """

    def __init__(self, ledger: Ledger, reached: Callable[[str, int], None] = lambda _phase, _done: None) -> None:
        self._ledger = ledger
        self._reached = reached
        self._examination = ledger.examination()

    def run(self, report: Report) -> None:
        """Repair what can be, and say in the report what is left. Streams with a broken hash chain stay as they are.

        Raises:
            RepairError: a rebuild is under way. It makes all rows and counters anew anyway.
        """
        self._check_generations()
        found = report.differences
        broken = {one.stream for one in found if one.kind == "chain"}
        left = [one for one in found if one.stream in broken or (one.kind == "unexplained row" and not one.stream)]
        by_stream: defaultdict[str, set[Key]] = defaultdict(set)
        for one in found:
            if one.stream and one.stream not in broken:
                by_stream[one.stream] |= {one.key} if one.kind == "unexplained row" and one.key else set()
        self._lower(report.registers)
        for done, (stream, others) in enumerate(by_stream.items(), 1):
            refused = False
            try:
                self._mend(stream, others)
            except RefusedError:  # it holds up no other
                refused = True
            there = self._examination.alone(stream, others).differences
            left += map(_refused, there) if refused else there
            self._reached("repair", done)
        left += self._correct()
        places = {(one.kind, one.where) for one in left}
        report.repaired = [one for one in found if (one.kind, one.where) not in places]
        report.differences = list(dict.fromkeys(left))

    def _check_generations(self) -> None:
        state, _ = generations.read()
        moved = any(state.live_of(name) != live for name, live in self._ledger.live.items())
        if state.phase or moved:
            raise RepairError("a rebuild is under way, or was just now: it makes all rows and counters anew")

    # ---- rows

    def _mend(self, stream: str, others: AbstractSet[Key]) -> None:
        """Put a stream's rows right.

        Args:
            others: keys of rows that are to go unless the stream explains them.

        Raises:
            RefusedError: DynamoDB refuses one of them.
        """
        for _ in range(ATTEMPTS):
            commits = list(self._ledger.store.load(stream))
            if not commits:
                for item in self._examination.there(others).values():
                    stored.discard(item)
                return
            step = self._step(stream, commits, others)
            if step is None:
                return
            for key, number in step.raised:
                counters.raise_to(key, number)
            try:
                self._put(step)
            except OutrunError:  # it moved: see what it is like now
                continue
            return

    def _step(self, stream: str, commits: Sequence[Commit], others: AbstractSet[Key]) -> Change | None:
        """From the row as it stands there to the one that should; None if nobody can say what that is."""
        projection = self._ledger.projections[stream.partition("#")[0]]
        generation = self._ledger.live[projection.category]
        key = _key(projection, commits)
        actual = self._actual(key) if key else None
        folded = _folded(projection, stream, commits, actual.version if actual else 0)
        if key is None or folded is None or self._examination.expired(folded.row.ttl):
            return None
        there = self._examination.there([*(row.key for row in folded.added), *others])
        missed = [row for row in folded.added if self._examination.differing(row, there.get(row.key))]
        explained = {key, *(row.key for row in folded.added)}
        moves = Counter(projection.contributions(folded.row))
        if actual:
            moves.subtract(contributions(projection, actual))
        whole = folded.row.version == commits[-1].last_version
        return Change(
            generation,
            stream,
            actual.version if actual else 0,
            folded.row,
            tuple(row for row in missed if not self._examination.expired(row.ttl)),
            {key: by for key, by in moves.items() if by},
            whole and marks.find_parked(generation, stream) is not None,
            tuple(key for key in others if key in there and key not in explained),
            folded.raised,
        )

    def _actual(self, key: Key) -> Stored | None:
        """The stream's row as it stands there."""
        actual = self._examination.there([key]).get(key)
        if actual and not actual.version:  # no transaction can be conditioned on it, and nobody could go on from it
            stored.discard(actual)
            return None
        return actual

    def _put(self, step: Change) -> None:
        """In as many transactions as it takes. If the row moves before the last, the recount finds what is missing."""
        added, removed, moves = step.added, step.removed, list(step.moves.items())
        for first in range(0, max(len(added), len(removed), len(moves), 1), PART):
            some = slice(first, first + PART)
            part = step._replace(added=added[some], removed=removed[some], moves=dict(moves[some]))
            changes.apply([[part]], self._is_valid)
            step = step._replace(read_version=int(step.row.version), unparks=False)

    def _is_valid(self) -> bool:
        self._check_generations()
        return True

    # ---- numbers

    def _lower(self, registers: Mapping[Key, int]) -> None:
        """Set registers to lower numbers, unless they moved meanwhile."""
        for key, item in self._examination.there(registers).items():
            if item.number > registers[key] and stored.discard(item) and registers[key]:
                counters.raise_to(key, registers[key])

    def _correct(self) -> list[Difference]:
        """Correct the counters that are wrong; what is left of them."""
        recount = self._ledger.recount(lambda read: self._reached("counters", read))
        wrong = recount.run()
        if wrong:
            self._check_generations()
            recount.correct(wrong)
            wrong = recount.run()
        return miscounted(wrong)


def _refused(left: Difference) -> Difference:
    return left._replace(detail=f"{left.detail}; DynamoDB refuses what should be there")


def _key(projection: Projection, commits: Sequence[Commit]) -> Key | None:
    """Where the row stands; None if that cannot be read from the stream's first commit."""
    try:
        return projection.key(commits[0])
    except Exception:  # noqa: BLE001 - the verification tells of it
        return None


def _folded(projection: Projection, stream: str, commits: Sequence[Commit], version: int) -> Folded | None:
    """To the stream's end; if its events cannot be applied so far, up to the version that is shown; or None."""
    for upto in (commits[-1].last_version, version):
        try:
            return fold(projection, stream, commits, upto)
        except INFRASTRUCTURE:
            raise
        except Exception:  # noqa: BLE001, S112 - the verification tells of it
            continue
    return None
