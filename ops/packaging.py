"""The artifact: one zip with everything that every function needs, the same for AWS and for the local stack.

It is built in two layers. The dependencies come from requirements/runtime.txt, exactly and by hash, for the machine
that the functions run on; they are kept in `.local/build` and rebuilt only when that file or the target changes. The
project's own packages are added on top, which takes well under a second. Everything ships with byte-code, so that a
cold start compiles nothing.

The local stack runs functions on this machine's Python. On Linux with Python 3.13 it runs literally the zip that goes
to AWS; elsewhere (macOS, another Python) a second variant is built whose compiled packages fit this machine.
"""

import json
import platform
import shutil
import sys
import tempfile
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from infra.documents import DOCUMENT, PACKAGED, PAGE
from ops import api_page, bytecode, dependencies, paths
from ops.archive import append_tree, content_hash
from ops.errors import OpsError

PACKAGES = ("domain", "commands", "projections", "queries", "infra", "templates")
"""What is deployed. `ops` imports everything and is imported by nothing, so it stays here."""

SHIPPED_SUFFIXES = {".py", ".j2", ".json"}

LAMBDA_PYTHON = "3.13"
"""The runtime that infra/template.yaml names."""

KEPT = 4
"""Artifacts that stay in the build folder: another command may just be uploading one."""

_ARCHITECTURES = {"x86_64": "x86_64", "amd64": "x86_64", "arm64": "arm64", "aarch64": "arm64"}


def machine_architecture() -> str:
    """This machine's processor in AWS Lambda's words: `x86_64` or `arm64`.

    Raises:
        OpsError: another kind of processor.
    """
    machine = platform.machine().lower()
    if machine not in _ARCHITECTURES:
        raise OpsError(f"functions cannot be packaged for this machine's processor ({machine})", "Use x86_64 or arm64")
    return _ARCHITECTURES[machine]


@dataclass(frozen=True)
class Target:
    """What the artifact runs on.

    Attributes:
        architecture: `x86_64` or `arm64`.
        python: `3.13`, say.
        native: take compiled packages for this very machine instead of Amazon Linux.
    """

    architecture: str
    python: str = LAMBDA_PYTHON
    native: bool = False

    @classmethod
    def aws(cls, architecture: str = "") -> "Target":
        """AWS Lambda, by default with this machine's kind of processor."""
        return cls(architecture or machine_architecture())

    @classmethod
    def local(cls, *, system: str = sys.platform, python: str = bytecode.THIS_PYTHON) -> "Target":
        """The local stack, whose functions run on the Python that this program runs on."""
        same = system == "linux" and python == LAMBDA_PYTHON
        return cls(machine_architecture(), python, native=not same)

    def __str__(self) -> str:
        return f"python{self.python}-{self.architecture}{f'-{sys.platform}' if self.native else ''}"


@dataclass(frozen=True)
class Artifact:
    """A built zip. Equal content has an equal name, so an unchanged artifact is never sent twice.

    Attributes:
        size: bytes, compressed; AWS Lambda takes 50 MB at most by direct upload, and any size up to the next from S3.
        unpacked: bytes; AWS Lambda takes 250 MB at most.
    """

    path: Path
    target: Target
    sha256: str
    size: int
    unpacked: int

    @property
    def key(self) -> str:
        """Its key in the artifact bucket."""
        return f"opsledger/{self.sha256}.zip"


def build(target: Target, *, project: Path = paths.PROJECT, build_folder: Path = paths.BUILD) -> Artifact:
    """Build the artifact, or the part of it that changed.

    Raises:
        OpsError: the dependencies cannot be had.
    """
    build_folder.mkdir(parents=True, exist_ok=True)
    libraries = dependencies.archive(
        requirements=project / "requirements" / "runtime.txt",
        cache=build_folder,
        label=str(target),
        python=target.python,
        platform=None if target.native else dependencies.AMAZON_LINUX[target.architecture],
    )
    with _scratch(build_folder) as scratch:
        code = scratch / "code"
        for package in PACKAGES:
            _copy_package(project / package, code / package)
        _add_documents(project / "docs" / DOCUMENT, code / PACKAGED.parent.name / PACKAGED.name)
        bytecode.compile_tree(code, python=target.python)
        draft = scratch / "artifact.zip"
        shutil.copyfile(libraries, draft)
        unpacked = append_tree(draft, code)
        sha256 = content_hash(draft)
        final = build_folder / f"opsledger-{sha256[:16]}-{target}.zip"
        draft.replace(final)
    _remove_older(build_folder, target)
    return Artifact(final, target, sha256, final.stat().st_size, unpacked)


def _copy_package(source: Path, destination: Path) -> None:
    for file in _shipped(source):
        copy = destination / file.relative_to(source)
        copy.parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(file, copy)


def _add_documents(document: Path, folder: Path) -> None:
    """The API's document, without its indentation, and the page made from it: functions only read them."""
    folder.mkdir()
    content = json.loads(document.read_text(encoding="utf-8"))
    (folder / DOCUMENT).write_text(json.dumps(content, ensure_ascii=False, separators=(",", ":")), encoding="utf-8")
    (folder / PAGE).write_text(api_page.render(content), encoding="utf-8")


def _shipped(package: Path) -> Iterable[Path]:
    return (
        file
        for file in sorted(package.rglob("*"))
        if file.is_file() and file.suffix in SHIPPED_SUFFIXES and "__pycache__" not in file.parts
    )


@contextmanager
def _scratch(build_folder: Path) -> Iterator[Path]:
    """A folder beside the results, so that a finished file is moved into place in one step."""
    folder = Path(tempfile.mkdtemp(prefix="making-", dir=build_folder))
    try:
        yield folder
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def _remove_older(build_folder: Path, target: Target) -> None:
    built = sorted(build_folder.glob(f"opsledger-*-{target}.zip"), key=lambda file: file.stat().st_mtime_ns)
    for file in built[:-KEPT]:
        file.unlink(missing_ok=True)
