"""A child process that can be found again, and never mistaken for another.

A process id in a file proves nothing: the process may be long gone and its number given to someone else's. So the
child inherits an open file that carries an advisory lock (`flock`), which the system drops at the child's end and not
before. Whoever finds the file locked knows that the process named in it is the one that was started.
"""

import fcntl
import json
import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path


@dataclass(frozen=True)
class RunningProcess:
    """What the file says: the process, and the port it was given."""

    pid: int
    port: int


class LockedError(Exception):
    """Another process holds the lock."""


class ProcessLock:
    """The lock file at `path`; the folder must exist when it is taken."""

    def __init__(self, path: Path) -> None:
        self.path = path

    @contextmanager
    def held(self) -> Iterator[int]:
        """Take the lock; yields the descriptor to pass on to the child.

        Raises:
            LockedError: a process started earlier still runs.
        """
        descriptor = os.open(self.path, os.O_RDWR | os.O_CREAT, 0o600)
        try:
            try:
                fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError as error:
                raise LockedError(str(self.path)) from error
            yield descriptor
        finally:
            os.close(descriptor)

    def is_held(self) -> bool:
        """Whether a process with this lock lives (or is just being started)."""
        try:
            with self.held():
                return False
        except FileNotFoundError:
            return False
        except LockedError:
            return True

    def write(self, process: RunningProcess) -> None:
        """Name the process. The file's own inode carries the lock, so it is rewritten in place, never replaced."""
        self.path.write_text(json.dumps(asdict(process)))

    def read(self) -> RunningProcess | None:
        """The process named last, dead or alive; None when no process was left named."""
        try:
            fields = json.loads(self.path.read_text())
            return RunningProcess(pid=int(fields["pid"]), port=int(fields["port"]))
        except (OSError, ValueError, KeyError, TypeError):
            return None

    def clear(self) -> None:
        """Note that the process was stopped in good order."""
        self.path.write_text("")
