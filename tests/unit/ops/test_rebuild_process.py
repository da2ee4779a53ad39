"""The processes of a rebuild end when they are told to, and Ctrl-C is their parent's business."""

import os
import signal
from concurrent.futures.process import BrokenProcessPool
from multiprocessing import active_children

import pytest

from ops import rebuild_process


def test_processes_end_at_once_when_they_are_stopped() -> None:
    with rebuild_process.pool(2) as executor:
        endless = [executor.submit(signal.pause) for _ in range(2)]
        assert active_children()
        rebuild_process.stop()
        for one in endless:
            with pytest.raises(BrokenProcessPool):
                one.result(timeout=60)
    assert active_children() == []


def test_ctrl_c_does_not_reach_them() -> None:
    """The terminal sends it to every process of the group."""
    with rebuild_process.pool(1) as executor:
        pid = executor.submit(os.getpid).result(timeout=60)
        os.kill(pid, signal.SIGINT)
        assert executor.submit(os.getpid).result(timeout=60) == pid
