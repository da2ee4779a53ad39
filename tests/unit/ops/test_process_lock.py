import subprocess
import sys
from pathlib import Path

import pytest

from ops.process_lock import LockedError, ProcessLock, RunningProcess


def test_the_lock_lives_exactly_as_long_as_the_child(tmp_path: Path) -> None:
    lock = ProcessLock(tmp_path / "process.json")
    assert not lock.is_held()
    with lock.held() as descriptor:
        child = subprocess.Popen([sys.executable, "-I", "-c", "input()"], stdin=subprocess.PIPE, pass_fds=(descriptor,))
    lock.write(RunningProcess(child.pid, 4570))
    assert lock.is_held()
    assert lock.read() == RunningProcess(child.pid, 4570)
    with pytest.raises(LockedError), lock.held():
        pass
    child.communicate(b"\n")
    assert not lock.is_held()
    assert lock.read() == RunningProcess(child.pid, 4570), "it did not end in good order, and that can be seen"


@pytest.mark.parametrize("content", ["", "{", "[]", '{"pid": "x", "port": 1}', '{"pid": 1}'])
def test_a_file_that_names_no_process_is_no_process(tmp_path: Path, content: str) -> None:
    lock = ProcessLock(tmp_path / "process.json")
    lock.path.write_text(content)
    assert lock.read() is None
    assert not lock.is_held()


def test_a_process_stopped_in_good_order_leaves_no_name(tmp_path: Path) -> None:
    lock = ProcessLock(tmp_path / "process.json")
    lock.write(RunningProcess(1, 2))
    lock.clear()
    assert lock.read() is None
