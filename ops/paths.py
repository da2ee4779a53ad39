"""Where things lie: the project, its template, and `.local/`, which holds everything made on this machine."""

from pathlib import Path

PROJECT = Path(__file__).resolve().parent.parent
TEMPLATE = PROJECT / "infra" / "template.yaml"
LOCAL = PROJECT / ".local"
BUILD = LOCAL / "build"

EMULATOR_PYTHON = LOCAL / "emulator" / "bin" / "python"
"""The interpreter that runs the emulator, and with it every function of the local stack."""

DEV = LOCAL / "dev"
"""State of the stack that `make up` runs: data, logs, the first admin's password."""
