"""Byte-code for the artifact, made by an interpreter of the version that will run it."""

import subprocess
import sys
from pathlib import Path

from ops import paths

THIS_PYTHON = f"{sys.version_info.major}.{sys.version_info.minor}"


def compile_tree(folder: Path, *, python: str) -> bool:
    """Compile every module below `folder` in place.

    `unchecked-hash`: the zip has no times worth comparing, and nobody changes a deployed file.

    Args:
        folder: its path is stripped from the byte-code, so that equal sources give equal byte-code anywhere.
        python: the version that will run it; without one at hand nothing is compiled.

    Returns:
        Whether it was compiled. Without, functions only start slower.
    """
    interpreter = _interpreter(python)
    if interpreter is None:
        return False
    command = [interpreter, "-I", "-m", "compileall", "-q", "-s", str(folder), "--invalidation-mode", "unchecked-hash"]
    # A template file of a library may not be valid Python; what cannot be compiled is left as it is.
    subprocess.run([*command, str(folder)], check=False, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    return True


def _interpreter(python: str) -> str | None:
    if python == THIS_PYTHON:
        return sys.executable
    found = subprocess.run(
        ["/bin/sh", str(paths.PROJECT / "ops" / "bootstrap.sh"), "--find-python", python],
        capture_output=True,
        text=True,
        check=False,
    )
    return found.stdout.strip() if found.returncode == 0 else None
