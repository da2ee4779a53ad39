"""TCP ports on this machine's own address: is one free, who has it, and any free one."""

import contextlib
import shutil
import socket
import subprocess
from pathlib import Path

HOST = "127.0.0.1"
_LISTENING = "0A"


def is_free(port: int) -> bool:
    """Whether a server could listen on the port now."""
    with socket.socket() as probe:
        # As servers do: connections of a server that just ended (TIME_WAIT) do not count as "in use".
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((HOST, port))
        except OSError:
            return False
    return True


def free_port() -> int:
    """A port that nobody uses at this moment, chosen by the system."""
    with socket.socket() as probe:
        probe.bind((HOST, 0))
        port: int = probe.getsockname()[1]
    return port


def owner(port: int) -> str | None:
    """`program (pid n)` of the process that listens on the port, if this user may know it."""
    pid = _pid_from_proc(port) if Path("/proc/net/tcp").exists() else _pid_from_lsof(port)
    if pid is None:
        return None
    return f"{_program(pid)} (pid {pid})"


def _pid_from_proc(port: int) -> int | None:
    """On Linux: the socket's inode in /proc/net/tcp, then the process that holds it open."""
    inodes = set()
    for table in ("/proc/net/tcp", "/proc/net/tcp6"):
        with contextlib.suppress(OSError):
            for line in Path(table).read_text().splitlines()[1:]:
                fields = line.split()
                if fields[3] == _LISTENING and int(fields[1].rpartition(":")[2], 16) == port:
                    inodes.add(f"socket:[{fields[9]}]")
    for process in Path("/proc").glob("[0-9]*"):
        with contextlib.suppress(OSError):
            for descriptor in (process / "fd").iterdir():
                if str(descriptor.readlink()) in inodes:
                    return int(process.name)
    return None


def _pid_from_lsof(port: int) -> int | None:
    """On macOS and the BSDs."""
    lsof = shutil.which("lsof")
    if lsof is None:
        return None
    command = [lsof, "-nP", "-t", f"-iTCP:{port}", "-sTCP:LISTEN"]
    answer = subprocess.run(command, capture_output=True, text=True, check=False, timeout=5)
    pids = answer.stdout.split()
    return int(pids[0]) if pids else None


def _program(pid: int) -> str:
    ps = shutil.which("ps")
    if ps is None:
        with contextlib.suppress(OSError):
            return Path(f"/proc/{pid}/comm").read_text().strip()
        return "a process"
    answer = subprocess.run([ps, "-o", "comm=", "-p", str(pid)], capture_output=True, text=True, check=False, timeout=5)
    return answer.stdout.strip() or "a process"
