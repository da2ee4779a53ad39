"""A cold start of the API's functions: `python -m benchmarks.cold_start [--json] [--quick]`.

The artifact is built and unpacked as Lambda does it, and a new interpreter imports a function from it. Beside it, one
imports boto3 as it is installed, with byte-code, and makes a client of DynamoDB. Importing only computes, so what is
compared is processor time, which other programs on the machine lengthen least. All take turns.
"""

import argparse
import importlib.util
import random
import shutil
import statistics
import subprocess
import sys
import tempfile
import zipfile
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path

from benchmarks.report import Row, not_run, row, show
from ops import bytecode, packaging

SAMPLES = 40
BOTO3 = "boto3 and a client"
INSTALLED = ("boto3", "botocore", "s3transfer", "jmespath", "urllib3", "dateutil", "six")
"""boto3 and all that it needs."""

_CLIENT = "from infra import clients; clients.dynamodb()"
WORKS: Mapping[str, str] = {
    "read function": "import queries.api",
    "read function and a client": f"import queries.api; {_CLIENT}",
    "write function": "import commands.api",
    "write function and a client": f"import commands.api; {_CLIENT}",
    "of it: botocore and a client": _CLIENT,
    "of it: pydantic": "import pydantic; pydantic.BaseModel",
    "of it: powertools": "from aws_lambda_powertools import Logger, event_handler",
    "of it: PynamoDB": "import pynamodb.models",
}
ENVIRONMENT = {
    "AWS_ACCESS_KEY_ID": "x",
    "AWS_SECRET_ACCESS_KEY": "x",
    "AWS_DEFAULT_REGION": "us-east-1",
    "AWS_CONFIG_FILE": "/dev/null",
    "AWS_SHARED_CREDENTIALS_FILE": "/dev/null",
}


def rows(samples: int) -> list[Row]:
    """The seconds of processor time of each, and the size of what is deployed."""
    with tempfile.TemporaryDirectory(prefix="opsledger-bench-") as scratch:
        artifact = packaging.build(packaging.Target.local())
        unpacked, installed = Path(scratch) / "artifact", Path(scratch) / "installed"
        with zipfile.ZipFile(artifact.path) as packed:
            packed.extractall(unpacked)
        _copy_installed(installed)
        works = {BOTO3: (installed, "import boto3; boto3.client('dynamodb')")}
        works |= {name: (unpacked, code) for name, code in WORKS.items()}
        seconds: dict[str, list[float]] = {name: [] for name in works}
        turn = list(works)
        for number in range(-1, samples):
            random.shuffle(turn)
            for name in turn:
                taken = _imported(*works[name])
                if number >= 0:
                    seconds[name].append(taken)
    compared = statistics.median(seconds[BOTO3])
    timed = [row("cold start", name, times, None) for name, times in seconds.items()]
    noted = [
        replace(one, per_s=None, note=f"{statistics.median(seconds[one.system]) / compared:.2f} x boto3")
        for one in timed
    ]
    size = f"{artifact.size / 1e6:.1f} MB zipped, {artifact.unpacked / 1e6:.1f} MB unpacked"
    return [*noted, *(not_run("size", name, size) for name in ("read function", "write function"))]


def _copy_installed(folder: Path) -> None:
    for name in INSTALLED:
        found = importlib.util.find_spec(name)
        source = Path(str(found and found.origin))
        if source.name == "__init__.py":
            shutil.copytree(source.parent, folder / name, ignore=shutil.ignore_patterns("__pycache__"))
        else:
            shutil.copy(source, folder)
    bytecode.compile_tree(folder, python=bytecode.THIS_PYTHON)


def _imported(folder: Path, code: str) -> float:
    """Seconds of processor time that a new interpreter takes for some code, its own start not counted."""
    timed = f"import sys, time; sys.path.insert(0, {str(folder)!r}); begun = time.process_time(); {code}"
    program = f"{timed}; print(time.process_time() - begun)"
    done = subprocess.run(  # noqa: S603 - its own code
        [sys.executable, "-S", "-E", "-B", "-c", program], capture_output=True, text=True, check=True, env=ENVIRONMENT
    )
    return float(done.stdout)


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.cold_start", description=__doc__)
    parser.add_argument("--json", action="store_true", help="print rows for a program")
    parser.add_argument("--quick", action="store_true", help="fewer executions: a try, no result")
    options = parser.parse_args()
    show("Cold start, processor time", rows(5 if options.quick else SAMPLES), as_json=options.json)


if __name__ == "__main__":
    main()
