"""Streams compared with their rows: each with a fresh fold of its commits up to the version that its row shows.

Many are read together first. Rows move while they are read, so one that differs is looked at alone, and judged by a
moment in which it stood still: its row has the same version before and after all else was read.
"""

import zlib
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from collections.abc import Set as AbstractSet
from typing import Any, NamedTuple

from domain.commit import Commit, check_chain
from infra import generations, marks, stored
from infra.aws_faults import INFRASTRUCTURE
from infra.commits import NotACommitError
from infra.event_store import EventStore
from infra.stored import Stored
from infra.views import Key, Row, unpack
from projections.differences import Difference, named
from projections.projection import Folded, Projection

LAG_SECONDS = 60.0
"""A stream that is not shown to its end counts as lagging, and not as different, while its last commit is younger."""

ATTEMPTS = 5
"""Looks at a stream that keeps moving, until nothing is said of it."""


class Look(NamedTuple):
    """What was seen of a stream.

    Attributes:
        rows: that were compared.
        keys: of the rows that it explains; none if nobody can say.
        raised: the numbers that it raises to these at least.
        lagging: it moved a moment ago, and is not shown to its end.
        moving: it moved each time.
        row, version: where its row stands, and the version that it shows; 0 for none.
    """

    differences: tuple[Difference, ...] = ()
    rows: int = 0
    keys: tuple[Key, ...] = ()
    raised: tuple[tuple[Key, int], ...] = ()
    lagging: bool = False
    moving: bool = False
    row: Key | None = None
    version: int = 0


class _Expected(NamedTuple):
    projection: Projection
    commits: Sequence[Commit]
    key: Key


class Examination:
    """Looks at streams, and changes nothing.

    Args:
        projections: by category. Of a stream that none of them is for, the hash chain is checked.
        live: the generation of each.
        clock: gives seconds since the epoch.
    """

    def __init__(
        self,
        store: EventStore,
        projections: Mapping[str, Projection],
        live: Mapping[str, int],
        clock: Callable[[], float],
    ) -> None:
        self._store = store
        self._projections = projections
        self._live = live
        self._clock = clock

    def together(self, streams: Mapping[str, Sequence[Commit]]) -> dict[str, Look]:
        """A first look at streams whose commits were read already. What differs may merely have moved: look `alone`."""
        return self._look(streams, set())

    def alone(self, stream: str, others: AbstractSet[Key] = frozenset()) -> Look:
        """A stream as it is in one moment.

        Args:
            others: keys of rows that it has to explain, too.
        """
        seen = 0
        for _ in range(ATTEMPTS):
            try:
                commits = list(self._store.load(stream))
            except NotACommitError:
                return Look((not_a_commit(stream),))
            if not commits:
                return self._of_nothing(stream, others)
            look = self._look({stream: commits}, others)[stream]
            if look.row is None:
                return look
            # A version that the stream does not have, it may have since it was read: see whether it has then.
            known = look.version <= max(seen, commits[-1].last_version)
            seen = self._version(look.row)
            if known and look.version == seen:
                return look
        return Look(moving=True)

    def expired(self, at: float | None) -> bool:
        """Whether what expires at that time (seconds since the epoch; None: never) is not to be counted on."""
        return at is not None and at <= self._clock()

    def there(self, keys: Iterable[Key]) -> dict[Key, Stored]:
        """The items that exist among `keys`, in the live generations."""
        return stored.all_by_key(self._live, keys)

    def differing(self, expected: Row, actual: Stored | None) -> list[str]:
        """The names of the attributes that are not as expected, sorted; all of them if there is no such row."""
        projection = generations.projection_of(expected.pk)
        with generations.chosen({projection: self._live[projection]}):
            wanted = _plain(stored.content(expected))
        found = _plain(actual.content) if actual else {}
        return sorted(name for name in {*wanted, *found} if wanted.get(name) != found.get(name))

    # ---- what is there

    def _look(self, streams: Mapping[str, Sequence[Commit]], others: AbstractSet[Key]) -> dict[str, Look]:
        looks = {stream: Look(tuple(_chain_fault(stream, commits))) for stream, commits in streams.items()}
        expected = {}
        for stream, commits in streams.items():
            projection = self._projections.get(stream.partition("#")[0])
            if projection is None or self.expired(commits[0].expires_at):
                continue
            try:
                expected[stream] = _Expected(projection, commits, projection.key(commits[0]))
            except Exception as error:  # noqa: BLE001 - whatever an event does to a projection is a finding, no crash
                looks[stream] = _also(looks[stream], _unreadable(stream, error))
        rows = self.there(one.key for one in expected.values())
        folded = {}
        for stream, one in expected.items():
            look, upto = self._of_row(stream, one, rows.get(one.key))
            looks[stream] = _also(look, *looks[stream].differences)
            if upto:
                folded[stream] = upto
        beside = [key for upto in folded.values() for key in _beside(upto)]
        there = self.there([*beside, *others])
        for stream, upto in folded.items():
            looks[stream] = self._compared(stream, looks[stream], upto, {**there, **rows})
        for stream in expected if others else ():
            keys = set(looks[stream].keys)
            if keys:
                found = [there[key] for key in sorted(others - keys) if key in there]
                looks[stream] = _also(looks[stream], *self._unexplained(stream, found))
        return looks

    def _of_row(self, stream: str, one: _Expected, row: Stored | None) -> tuple[Look, Folded | None]:
        """What there is to say before anything is compared; the fold up to the version that the row shows."""
        last, version = one.commits[-1], row.version if row else 0
        found: list[Difference] = []
        look = Look(row=one.key, version=version)
        if version > last.last_version:
            told = f"it shows version {version}, and the stream ends with {last.last_version}"
            return _also(_at_end(look, stream, one), Difference("row too new", stream, told, stream, one.key)), None
        if row and version not in {commit.last_version for commit in one.commits}:
            differs = Difference("row", named(one.key), "differs in version", stream, one.key)
            return _also(_at_end(look, stream, one), differs), None
        lagging = False
        if version < last.last_version:
            shown = f"shown up to version {version} of {last.last_version}"
            if self._is_parked(one.projection.category, stream):
                found.append(Difference("parked", stream, f"{shown}; `opsledger parked` tells why", stream))
            elif self._clock() - last.at.timestamp() < LAG_SECONDS:
                lagging = True
            elif version:
                found.append(Difference("behind", stream, shown, stream))
        look = _also(look._replace(lagging=lagging), *found)
        if row is None and (lagging or found):
            return _at_end(look, stream, one), None
        try:
            return look, fold(one.projection, stream, one.commits, version or last.last_version)
        except INFRASTRUCTURE:
            raise
        except Exception as error:  # noqa: BLE001 - as above
            return _also(look, _unreadable(stream, error)), None

    def _compared(self, stream: str, look: Look, folded: Folded, there: Mapping[Key, Stored]) -> Look:
        expected = (folded.row, *folded.added)
        look = look._replace(keys=tuple(row.key for row in expected), raised=folded.raised)
        if self.expired(folded.row.ttl):
            return look
        compared = [row for row in expected if not self.expired(row.ttl)]
        found = []
        for row in compared:
            names = self.differing(row, there.get(row.key))
            if names and row.key not in there:
                found.append(Difference("missing row", named(row.key), "there is none", stream, row.key))
            elif names:
                found.append(Difference("row", named(row.key), f"differs in {', '.join(names)}", stream, row.key))
        for key, number in folded.raised:
            if key not in there or there[key].number < number:
                found.append(Difference("register", named(key), "it is too low", stream, key))
        if look.lagging:  # of what is about to be written anew, nothing is said: the person's key may be gone already
            return look
        return _also(look._replace(rows=len(compared)), *found)

    def _of_nothing(self, stream: str, others: AbstractSet[Key]) -> Look:
        return Look(tuple(self._unexplained(stream, self.there(others).values())))

    def _unexplained(self, stream: str, found: Iterable[Stored]) -> Iterator[Difference]:
        for item in found:
            if not self.expired(item.ttl):
                yield Difference("unexplained row", named(item.key), "no event explains it", stream, item.key)

    def _version(self, key: Key) -> int:
        row = self.there([key]).get(key)
        return row.version if row else 0

    def _is_parked(self, projection: str, stream: str) -> bool:
        return marks.find_parked(self._live[projection], stream) is not None


def fold(projection: Projection, stream: str, commits: Iterable[Commit], version: int) -> Folded:
    """A stream's row and the rows beside it from its commits up to a version.

    Raises:
        Exception: whatever an event does to the projection.
    """
    upto = (commit for commit in commits if commit.last_version <= version)
    return projection.fold(None, stream, [event for commit in upto for event in commit.recorded()])


def _at_end(look: Look, stream: str, one: _Expected) -> Look:
    """With what the stream explains at its end, where no version says up to where to fold it."""
    try:
        folded = fold(one.projection, stream, one.commits, one.commits[-1].last_version)
    except INFRASTRUCTURE:
        raise
    except Exception:  # noqa: BLE001 - it is told of where rows are compared
        return look
    return look._replace(keys=(one.key, *(row.key for row in folded.added)), raised=folded.raised)


def not_a_commit(stream: str) -> Difference:
    """Somebody put an item by hand."""
    return Difference("chain", stream, "an item of it is no commit", stream)


def _chain_fault(stream: str, commits: Sequence[Commit]) -> Iterator[Difference]:
    if fault := check_chain(commits):
        yield Difference("chain", stream, f"at version {fault.version}: {fault.fault}", stream)


def _unreadable(stream: str, error: Exception) -> Difference:
    # The error's own words may repeat what stands in the event.
    return Difference("unreadable", stream, f"its events cannot be applied ({type(error).__name__})", stream)


def _also(look: Look, *more: Difference) -> Look:
    return look._replace(differences=(*look.differences, *more))


def _beside(folded: Folded) -> list[Key]:
    return [*(row.key for row in folded.added), *(key for key, _ in folded.raised)]


def _plain(content: Mapping[str, Any]) -> dict[str, Any]:
    """Without compression, whose bytes may differ from one build of zlib to another."""
    return {name: _unpacked(value) for name, value in content.items()}


def _unpacked(value: Mapping[str, Any]) -> Any:
    if "B" not in value:
        return value
    try:
        return unpack(bytes(value["B"]))
    except (zlib.error, UnicodeDecodeError):
        return value
