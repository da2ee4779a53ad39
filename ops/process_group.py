"""The processes that a child started and that share its process group: are there any left, and ending them."""

import contextlib
import os
import signal
from pathlib import Path

_PROC = Path("/proc")


def is_alive(group: int) -> bool:
    """Whether a process of the group still runs.

    One that has ended but whose exit code nobody took yet does not count: in a container nobody may ever take it.
    """
    try:
        os.killpg(group, 0)
    except (ProcessLookupError, PermissionError):
        return False
    if not (_PROC / "self" / "stat").exists():  # macOS, where orphans' exit codes are taken at once
        return True
    return any(_belongs_and_runs(process, group) for process in _PROC.glob("[0-9]*"))


def kill(group: int) -> None:
    """End what is left of the group. Only for a group that was never seen empty: its number is still its own."""
    with contextlib.suppress(ProcessLookupError, PermissionError):
        os.killpg(group, signal.SIGKILL)


def _belongs_and_runs(process: Path, group: int) -> bool:
    try:
        # "pid (name) state parent group …" (proc_pid_stat(5)); the name may hold blanks and brackets.
        state, _, its_group, *_ = (process / "stat").read_text().rpartition(")")[2].split()
    except (OSError, ValueError):
        return False
    return int(its_group) == group and state not in {"Z", "X"}
