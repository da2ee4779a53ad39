"""The whole system on this machine: emulator, deployed template, first admin.

For the command line there is one, in `.local/dev`; tests make their own:

    with LocalStack(tmp_path / "stack") as stack:
        stack.deploy()
        stack.status().api_url
"""

from collections.abc import Mapping
from pathlib import Path
from types import TracebackType
from typing import Self

import rich.console

from ops import admin, deployment, emulator_gaps, paths, stack
from ops.aws import LOCAL_STAGE, SessionConfig
from ops.emulator import DEFAULT_PORT, ENFORCE_IAM, REGION, Emulator
from ops.errors import OpsError

_QUIET = rich.console.Console(quiet=True)


class LocalStack:
    """One local stack.

    Args:
        folder: everything it keeps; may be new.
        port: where it is started; 0 takes any free port, None the one it had last (4566 at first). When it runs
            already, 0 and None are content with the port it has.
        enforce_iam: refuse a function what its role does not allow.
    """

    def __init__(self, folder: Path, port: int | None = 0, *, enforce_iam: bool = ENFORCE_IAM) -> None:
        self.folder = folder
        self._port = port
        self._port_file = folder / "port"
        self._started = False
        self.emulator = Emulator(folder, enforce_iam=enforce_iam)

    @classmethod
    def dev(cls, port: int | None = None) -> "LocalStack":
        """The one that `opsledger up` runs."""
        return cls(paths.DEV, port)

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()

    @property
    def config(self) -> SessionConfig:
        """How to talk to it.

        Raises:
            OpsError: it does not run.
        """
        process = self.emulator.running
        if process is None:
            raise OpsError("the local stack is not running", "Start it with `make up` (`opsledger up`)")
        return SessionConfig.local(process.port)

    def start(self) -> bool:
        """Start the emulator.

        Returns:
            False when it ran already.

        Raises:
            OpsError: it runs on another port than the one asked for, or cannot be started.
        """
        process = self.emulator.running
        if process is None:
            started = self.emulator.start(self._last_port() if self._port is None else self._port)
            self._port_file.write_text(f"{started.port}\n")
            self._started = True
            return True
        if self._port not in {None, 0, process.port}:
            raise OpsError(
                f"the local stack already runs on port {process.port}",
                "Use it there, or `opsledger down` first to move it",
            )
        return False

    def _last_port(self) -> int:
        try:
            return int(self._port_file.read_text())
        except (OSError, ValueError):
            return DEFAULT_PORT

    def stop(self) -> bool:
        """Stop it; its data stays. False when it was not running."""
        return self.emulator.stop()

    def deploy(
        self, *, console: rich.console.Console = _QUIET, overrides: Mapping[str, str] | None = None
    ) -> dict[str, str]:
        """Deploy the template and the code as they are now, and make sure that there is an admin.

        Returns:
            The stack's outputs.
        """
        outputs = deployment.deploy(self.config, console=console, overrides=overrides)
        admin.ensure_admin(self.config, folder=self.folder)
        if self._started:
            emulator_gaps.catch_up(self.config, outputs["EventsTable"], f"{self.config.stack_name}-projector")
            self._started = False
        return outputs

    def status(self) -> stack.Status:
        """What is known of it, running or not."""
        process = self.emulator.running
        if process is None:
            stopped = SessionConfig(LOCAL_STAGE)
            return stack.Status(
                stage=LOCAL_STAGE, running=False, deployed=False, region=REGION, stack_name=stopped.stack_name
            )
        config = SessionConfig.local(process.port)
        credentials = admin.known_admin(self.folder)
        return stack.describe(
            config,
            stack.outputs(config),
            pid=process.pid,
            admin_email=credentials.email if credentials else "",
            admin_password_file=credentials.password_file if credentials else None,
            log_file=self.emulator.log,
        )
