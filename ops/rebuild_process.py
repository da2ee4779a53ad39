"""The processes in which the segments of a rebuild are built. Each has its own client, and ends with its parent."""

import os
import signal
from concurrent.futures import ProcessPoolExecutor
from multiprocessing import active_children, get_context, parent_process
from threading import Thread
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from infra.generations import Generations
    from infra.replay import Segment
    from projections.progress import Progress


def pool(processes: int) -> ProcessPoolExecutor:
    """Processes that know of the stage by the environment alone; see `ops.views_of_stage`."""
    # Started anew and not forked: a client must not cross a fork.
    return ProcessPoolExecutor(processes, mp_context=get_context("spawn"), initializer=_end_with_parent)


def stop() -> None:
    """End the processes at once. What they had reached a moment ago is saved."""
    for child in active_children():
        child.terminate()


def build(owner: str, state: "Generations", segment: "Segment") -> "Progress":
    """Build one segment.

    Args:
        owner: of the rebuild.

    Raises:
        RebuildError: somebody else has gone on with it.
    """
    from ops.views_of_stage import connected  # noqa: PLC0415 - after the environment was inherited
    from projections.bulk import SegmentBuild  # noqa: PLC0415
    from projections.lease import HelpersLease  # noqa: PLC0415

    stage = connected()
    projections = [stage.projector.projections[name] for name in state.other]
    hold_lease = HelpersLease(owner).hold
    return SegmentBuild(projections, state.other, segment, hold_lease).run(stage.client, stage.events_table)


def _end_with_parent() -> None:
    """Whatever ends the parent, nobody goes on writing what another process may have taken over."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # the parent deals with Ctrl-C
    Thread(target=_wait_for_parent, daemon=True).start()


def _wait_for_parent() -> None:
    parent = parent_process()
    if parent:
        parent.join()
    os._exit(1)
