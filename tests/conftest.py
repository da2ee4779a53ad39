"""What every ring of tests may use."""

import os
from pathlib import Path

import pytest


@pytest.fixture(scope="session")
def samples() -> Path:
    """The folder of published AWS messages, one JSON file each. They are read, never copied, and may be absent."""
    folder = Path(os.environ.get("OPSLEDGER_SAMPLES") or Path(__file__).parents[2] / "shared" / "samples")
    if not folder.is_dir():
        pytest.skip(f"no published samples at {folder}; OPSLEDGER_SAMPLES names another folder")
    return folder
