"""The libraries in the artifact: installed from the pinned requirements, cut down to what is used, zipped once."""

import hashlib
import json
import shutil
import subprocess
import tempfile
from pathlib import Path

from ops import bytecode, paths
from ops.archive import write_tree
from ops.errors import OpsError

AMAZON_LINUX = {"x86_64": "x86_64-manylinux_2_28", "arm64": "aarch64-manylinux_2_28"}
"""What AWS Lambda's Python 3.13 (Amazon Linux 2023, glibc 2.34) can load."""

AWS_SERVICES = {
    "cloudwatch",
    "dynamodb",
    "dynamodbstreams",
    "events",
    "kinesis",
    "kms",
    "logs",
    "s3",
    "secretsmanager",
    "sqs",
    "sts",
}
"""The services that functions may call; botocore's other 400 descriptions are most of its size."""

ENDPOINT_NAMES = AWS_SERVICES | {"monitoring", "streams.dynamodb"}
"""The same as endpoints.json calls them, where CloudWatch and DynamoDB Streams have other names."""

_UNUSED_FOLDERS = {"tests", "test", "examples"}
_UNUSED_SUFFIXES = {".pyi", ".pyx", ".pxd", ".c", ".h", ".md", ".rst"}


def archive(*, requirements: Path, cache: Path, label: str, python: str, platform: str | None) -> Path:
    """The zip of all libraries, from the cache or built now.

    Args:
        requirements: pinned, with hashes.
        cache: where built zips are kept.
        label: a word for the target in the file's name.
        python: `3.13`, say.
        platform: uv's name of the platform; None for this machine.

    Raises:
        OpsError: the packages cannot be had.
    """
    recipe = hashlib.sha256(requirements.read_bytes() + Path(__file__).read_bytes()).hexdigest()[:16]
    final = cache / f"dependencies-{recipe}-{label}.zip"
    if final.exists():
        return final
    scratch = Path(tempfile.mkdtemp(prefix="making-", dir=cache))
    try:
        tree = scratch / "tree"
        _install(requirements, tree, python=python, platform=platform)
        prune(tree)
        bytecode.compile_tree(tree, python=python)
        write_tree(scratch / "dependencies.zip", tree)
        for older in cache.glob(f"dependencies-*-{label}.zip"):
            older.unlink(missing_ok=True)
        (scratch / "dependencies.zip").replace(final)
    finally:
        shutil.rmtree(scratch, ignore_errors=True)
    return final


def prune(tree: Path) -> None:
    """Delete what no function uses: tests, stubs, scripts, other services' descriptions.

    Of a library's `*.dist-info` only METADATA stays, which `importlib.metadata.version` reads.
    """
    shutil.rmtree(tree / "bin", ignore_errors=True)
    for folder in [found for found in tree.rglob("*") if found.is_dir() and found.name in _UNUSED_FOLDERS]:
        shutil.rmtree(folder, ignore_errors=True)
    for file in [found for found in tree.rglob("*") if found.is_file()]:
        in_dist_info = any(part.endswith(".dist-info") for part in file.relative_to(tree).parts)
        if (in_dist_info and file.name != "METADATA") or (not in_dist_info and file.suffix in _UNUSED_SUFFIXES):
            file.unlink()
    for services in (tree / "botocore" / "data", tree / "boto3" / "data"):
        for folder in services.iterdir() if services.is_dir() else ():
            if folder.is_dir() and folder.name not in AWS_SERVICES:
                shutil.rmtree(folder)
    _prune_endpoints(tree / "botocore" / "data" / "endpoints.json")


def _prune_endpoints(file: Path) -> None:
    """Leave our services in botocore's table of endpoints: every process parses it whole before its first client."""
    if not file.exists():
        return
    table = json.loads(file.read_text())
    for partition in table["partitions"]:
        services = partition["services"].items()
        partition["services"] = {name: known for name, known in services if name in ENDPOINT_NAMES}
    file.unlink()  # never written in place: an installer may have linked it to its cache, and to other environments
    file.write_text(json.dumps(table, separators=(",", ":")))


def find_uv() -> str:
    """A uv that runs.

    Raises:
        OpsError: there is none.
    """
    for candidate in ("uv", str(paths.LOCAL / "uv" / "bin" / "uv")):
        found = shutil.which(candidate)
        if found and subprocess.run([found, "--version"], capture_output=True, check=False).returncode == 0:
            return found
    raise OpsError("uv is missing", "`sh ops/bootstrap.sh` installs it inside the project")


def _install(requirements: Path, tree: Path, *, python: str, platform: str | None) -> None:
    command = [find_uv(), "pip", "install", "--quiet", "--no-deps", "--require-hashes", "--only-binary", ":all:"]
    command += ["--link-mode", "copy"]  # what is cut down here must not be the cache's own files
    command += ["--target", str(tree), "--python-version", python, "-r", str(requirements)]
    if platform is not None:
        command += ["--python-platform", platform]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode != 0:
        log = paths.LOCAL / "package.log"
        log.write_text(done.stderr)
        raise OpsError(
            f"the libraries of {requirements.name} could not be installed for the artifact (see {log})",
            "Without network: connect and run the same command again; nothing half-made was kept",
        )
