"""A rebuild as a person at a terminal sees it: how far it is, how fast, and for how long yet."""

import time
from collections.abc import Callable, Mapping
from types import TracebackType
from typing import TYPE_CHECKING, Self

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, ProgressColumn, Task, TextColumn, TimeRemainingColumn
from rich.text import Text

if TYPE_CHECKING:
    from rich.progress import TaskID

    from projections.comparison import Comparison

PHASES: Mapping[str, str] = {
    "waiting": "until every process knows (seconds)",
    "bulk": "reading the ledger (commits)",
    "catch-up": "what came meanwhile (streams)",
    "comparison": "comparing (rows)",
    "removal": "removing (rows)",
}


class RateColumn(ProgressColumn):
    def render(self, task: Task) -> Text:
        """See rich's `ProgressColumn`."""
        speed = task.finished_speed or task.speed
        return Text(f"{speed:,.0f}/s" if speed else "")


class ShownRebuild:
    """Watches a rebuild (`projections.rebuild.Watcher`) and shows it.

    Args:
        commits: in the ledger, about.
        accepts: asks whether the new generation may go live.

    Attributes:
        seconds: that each phase took, as far as it was watched.
    """

    def __init__(self, console: Console, commits: int, accepts: Callable[["Comparison"], bool]) -> None:
        self._bars = Progress(
            TextColumn("{task.description}"),
            BarColumn(),
            MofNCompleteColumn(),
            RateColumn(),
            TimeRemainingColumn(),
            console=console,
        )
        self._commits = commits
        self._accepts = accepts
        self._phase = ""
        self._began = 0.0
        self._bar: TaskID | None = None
        self.seconds: dict[str, float] = {}

    def __enter__(self) -> Self:
        self._bars.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._bars.stop()

    def reached(self, phase: str, done: int, total: int | None) -> None:
        """See `projections.rebuild.Watcher`."""
        now = time.monotonic()
        if phase != self._phase:
            self._end()
            self._phase, self._began = phase, now
            self._bar = self._bars.add_task(PHASES[phase], total=None)
        self.seconds[phase] = now - self._began
        expected = self._commits if phase == "bulk" else total
        if self._bar is not None:
            self._bars.update(self._bar, completed=done, total=max(expected, done) if expected else None)

    def accepts(self, compared: "Comparison") -> bool:
        """See `projections.rebuild.Watcher`."""
        self._end()
        self._phase = ""
        self._bars.stop()
        try:
            return self._accepts(compared)
        finally:
            self._bars.start()

    def _end(self) -> None:
        """What was counted on beforehand was near enough: the phase is over."""
        if self._bar is not None:
            (task,) = (task for task in self._bars.tasks if task.id == self._bar)
            self._bars.update(self._bar, total=task.completed)
            self._bars.stop_task(self._bar)
            self._bar = None
