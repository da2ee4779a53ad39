"""The local AWS emulator (MiniStack) as a child process: start it, stop it, know whether it runs.

Everything it keeps lies in one folder: `state/` and `s3/` (its data), `tmp/` (wiped at each start), `emulator.log`,
`process.json`. Several may run at once, each with its own folder and port. It listens on 127.0.0.1 only.
"""

import contextlib
import http
import http.client
import os
import shutil
import signal
import subprocess
import time
from collections.abc import Callable
from pathlib import Path

from ops import emulator_state, paths, ports, process_group
from ops.errors import OpsError
from ops.process_lock import LockedError, ProcessLock, RunningProcess

ACCOUNT = "000000000000"
REGION = "us-east-1"
DEFAULT_PORT = 4566

ENFORCE_IAM = True
"""Whether the emulator evaluates IAM policies, so that a function is refused what its role does not allow."""

START_SECONDS = 30.0
"""It takes half a second with an empty state; a large one is read before the port opens."""

STOP_SECONDS = 60.0
"""How long saving may take before the process is killed; what it had not saved is lost then."""

WORKERS_SECONDS = 5.0
"""How long functions may take to end when the emulator has."""

_POLL_SECONDS = 0.02
_LOG_LINES_SHOWN = 15


class Emulator:
    """One emulator, found by its folder.

    Args:
        folder: where its state lies; made when needed.
        enforce_iam: evaluate IAM policies (see `ENFORCE_IAM`).
    """

    def __init__(self, folder: Path, *, enforce_iam: bool = ENFORCE_IAM) -> None:
        self.folder = folder.resolve()
        self.enforce_iam = enforce_iam
        self.state = self.folder / "state"
        self.log = self.folder / "emulator.log"
        self._lock = ProcessLock(self.folder / "process.json")
        self._child: subprocess.Popen[bytes] | None = None

    @property
    def running(self) -> RunningProcess | None:
        """The process, when it is alive and answers."""
        process = self._lock.read() if self._lock.is_held() else None
        return process if process and _answers(process.port) else None

    @property
    def ended_unsaved(self) -> bool:
        """Whether the last process ended by itself (crash, power cut), which loses what it had not saved."""
        return self._lock.read() is not None and not self._lock.is_held()

    def start(self, port: int = 0) -> RunningProcess:
        """Start it and wait until it answers.

        Args:
            port: where it listens; 0 takes any free port.

        Raises:
            OpsError: it runs already, the port is in use, its state is broken, or it does not come up. Nothing is left
                running then, nor when the caller is interrupted.
        """
        if not paths.EMULATOR_PYTHON.exists():
            raise OpsError("the emulator is not installed", "Run `make up`, or `sh ops/bootstrap.sh`")
        chosen = port or ports.free_port()
        self.folder.mkdir(parents=True, exist_ok=True)
        try:
            with self._lock.held() as lock:
                if not ports.is_free(chosen):
                    raise _port_in_use(chosen)
                self._prepare_folder(chosen)
                child = self._spawn(chosen, lock)
        except LockedError as error:
            raise OpsError(f"an emulator already runs in {self.folder}", "`opsledger down` stops it") from error
        try:
            self._wait_until_it_answers(child, chosen)
        except BaseException:
            self.stop()
            raise
        return RunningProcess(pid=child.pid, port=chosen)

    def stop(self) -> bool:
        """Stop it, so that it saves its state, and wait until it and its function workers are gone.

        Returns:
            False when it was not running.

        Raises:
            OpsError: it did not end in time and was killed.
        """
        process = self._lock.read()
        if process is None or not self._lock.is_held():
            if process is not None:
                self._lock.clear()
            self._reap()
            return False
        with contextlib.suppress(ProcessLookupError):
            os.kill(process.pid, signal.SIGTERM)
        saved = _wait(lambda: not self._lock.is_held(), STOP_SECONDS)
        if not saved:
            with contextlib.suppress(ProcessLookupError):
                os.kill(process.pid, signal.SIGKILL)
            _wait(lambda: not self._lock.is_held(), STOP_SECONDS)
        self._reap()
        # The functions' workers end by themselves when the emulator is gone; one in the middle of something may not.
        if not _wait(lambda: not process_group.is_alive(process.pid), WORKERS_SECONDS):
            process_group.kill(process.pid)
        self._lock.clear()
        if not saved:
            raise OpsError(
                f"the emulator did not end within {STOP_SECONDS:.0f} s and was killed; its latest changes are lost",
                f"See {self.log}",
            )
        return True

    def wipe(self) -> None:
        """Delete everything it keeps. It must not be running."""
        if self._lock.is_held():
            raise OpsError("the emulator still runs", "Stop it first: `opsledger down`")
        shutil.rmtree(self.folder, ignore_errors=True)

    def _reap(self) -> None:
        """Take the exit code of the process, if it was this one that started it."""
        if self._child is not None:
            self._child.wait()
            self._child = None

    def _prepare_folder(self, port: int) -> None:
        emulator_state.check(self.state)
        emulator_state.forget_stream_positions(self.state)
        emulator_state.move_queues(self.state, port)
        for scratch in ("tmp", "home"):
            shutil.rmtree(self.folder / scratch, ignore_errors=True)
            (self.folder / scratch).mkdir()
        self.state.mkdir(exist_ok=True)

    def _spawn(self, port: int, lock: int) -> subprocess.Popen[bytes]:
        if self.log.exists():
            self.log.replace(self.log.with_suffix(".previous.log"))
        with self.log.open("wb") as log:
            child = subprocess.Popen(
                [str(paths.EMULATOR_PYTHON), "-I", "-m", "ministack"],
                cwd=self.folder,
                env=self._environment(port),
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
                start_new_session=True,
                pass_fds=(lock,),
            )
        self._child = child
        try:
            self._lock.write(RunningProcess(pid=child.pid, port=port))
        except BaseException:  # nobody could find it again
            child.kill()
            raise
        return child

    def _environment(self, port: int) -> dict[str, str]:
        """All that it, and each function, may see: nothing of the caller's environment or AWS credentials."""
        none = os.devnull
        return {
            "PATH": os.defpath,
            "HOME": str(self.folder / "home"),
            "LANG": "C.UTF-8",
            "TZ": "UTC",
            "PYTHONUNBUFFERED": "1",
            "TMPDIR": str(self.folder / "tmp"),
            "GATEWAY_PORT": str(port),
            "BIND_HOST": ports.HOST,
            "AUTH": str(self.enforce_iam).lower(),
            "PERSIST_STATE": "1",
            "STATE_DIR": str(self.state),
            "S3_PERSIST": "1",
            "S3_DATA_DIR": str(self.folder / "s3"),
            "MINISTACK_ACCOUNT_ID": ACCOUNT,
            "MINISTACK_REGION": REGION,
            # Listeners of services that are not used here; the first would bind every interface.
            "IOT_MTLS_ENABLED": "0",
            "SFTP_ENABLED": "0",
            # It looks for containers it left behind; there are none of ours, and others' are none of its business.
            "DOCKER_HOST": f"unix://{self.folder}/no-docker.sock",
            "AWS_ACCESS_KEY_ID": ACCOUNT,
            "AWS_SECRET_ACCESS_KEY": "local",
            "AWS_DEFAULT_REGION": REGION,
            "AWS_CONFIG_FILE": none,
            "AWS_SHARED_CREDENTIALS_FILE": none,
            "AWS_EC2_METADATA_DISABLED": "true",
        }

    def _wait_until_it_answers(self, child: subprocess.Popen[bytes], port: int) -> None:
        up = _wait(lambda: child.poll() is not None or _answers(port), START_SECONDS)
        if child.poll() is not None:
            raise OpsError(f"the emulator ended with code {child.returncode} at its start:\n{self._last_log_lines()}")
        if not up:
            raise OpsError(
                f"the emulator did not answer within {START_SECONDS:.0f} s:\n{self._last_log_lines()}",
                f"See {self.log}",
            )

    def _last_log_lines(self) -> str:
        lines = self.log.read_text(errors="replace").splitlines()[-_LOG_LINES_SHOWN:]
        return "\n".join(f"    {line}" for line in lines)


def _port_in_use(port: int) -> OpsError:
    by = ports.owner(port)
    return OpsError(
        f"port {port} is already in use{f' by {by}' if by else ''}",
        f"Choose another: `make up port={port + 4}` (`opsledger up --port {port + 4}`), or end what uses it",
    )


def _answers(port: int) -> bool:
    # Not urllib: it would ask the proxy of the environment, where there is one.
    connection = http.client.HTTPConnection(ports.HOST, port, timeout=2)
    try:
        connection.request("GET", "/_ministack/health")
        return connection.getresponse().status == http.HTTPStatus.OK
    except (OSError, http.client.HTTPException):
        return False
    finally:
        connection.close()


def _wait(condition: Callable[[], bool], seconds: float) -> bool:
    """Poll until the condition holds; False when it did not within that many seconds."""
    deadline = time.monotonic() + seconds
    while not condition():
        if time.monotonic() > deadline:
            return False
        time.sleep(_POLL_SECONDS)
    return True
