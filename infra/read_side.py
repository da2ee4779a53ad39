"""How the read side is: how far behind its consumers are, which streams are parked, whether a rebuild is under way."""

import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Literal, NamedTuple

from infra import heartbeats, marks
from infra.generations import POINTER, Generations, Phase
from infra.marks import Mark, Parked
from infra.settings import MAX_LAG_SECONDS

Status = Literal["ok", "degraded"]

ABANDONED_SECONDS = 600.0
"""For so long may an interrupted rebuild wait for somebody to go on with it."""


class ReadSide(NamedTuple):
    """What is known of it.

    Attributes:
        lag: seconds by consumer; None for one that never heard a heartbeat.
        parked: the parked streams, of the live generation of their projection.
        rebuild: its phase; None while there is none.
        abandoned: whether nobody has carried it out for ABANDONED_SECONDS.
    """

    lag: Mapping[str, float | None]
    parked: Sequence[Parked]
    rebuild: Phase | None
    abandoned: bool = False

    @property
    def status(self) -> Status:
        """Degraded when somebody has to look.

        That is when a consumer is too far behind, or alone has heard nothing yet, when streams are parked, or when a
        rebuild was interrupted and nobody goes on with it: its rows hold what is erased meanwhile.
        """
        lags = self.lag.values()
        late = any(lag > MAX_LAG_SECONDS for lag in lags if lag is not None)
        deaf = None in lags and any(lag is not None for lag in lags)
        return "degraded" if late or deaf or self.parked or self.abandoned else "ok"


def look(marks_of: Callable[[str], Iterable[Mark]] = marks.of_partition) -> ReadSide:
    """How the read side is now. Two queries, strongly consistent.

    Args:
        marks_of: gives the marks of a partition.
    """
    heard = {lag.consumer: lag.seconds for lag in heartbeats.lags(marks_of)}
    noted = list(marks_of(marks.STATE))
    pointers = [Generations.model_validate_json(mark.data) for mark in noted if (mark.pk, mark.sk) == POINTER]
    generations = pointers[0] if pointers else Generations()
    parked = [one for one in map(marks.as_parked, noted) if one and one.generation == _live(generations, one.stream)]
    lag = {consumer: heard.get(consumer) for consumer in heartbeats.CONSUMERS}
    abandoned = generations.phase is not None and generations.owned_until + ABANDONED_SECONDS < time.time()
    return ReadSide(lag, parked, generations.phase, abandoned)


def _live(generations: Generations, stream: str) -> int:
    return generations.live_of(stream.partition("#")[0])
