"""Zip files that depend on nothing but their content: sorted, with one fixed time and fixed modes."""

import hashlib
import zipfile
from pathlib import Path

_EPOCH = (1980, 1, 1, 0, 0, 0)  # the earliest time that a zip can hold
_READABLE = 0o100644 << 16  # functions run as another user, who must be able to read the files


def write_tree(archive: Path, folder: Path) -> int:
    """Make `archive` of all files below `folder`.

    Returns:
        Bytes before compression.
    """
    with zipfile.ZipFile(archive, "w") as target:
        _add(target, folder)
        return sum(entry.file_size for entry in target.infolist())


def append_tree(archive: Path, folder: Path) -> int:
    """Add all files below `folder` to an archive that is there; what it holds is not compressed again.

    Returns:
        Bytes before compression, of the whole archive.
    """
    with zipfile.ZipFile(archive, "a") as target:
        _add(target, folder)
        return sum(entry.file_size for entry in target.infolist())


def content_hash(archive: Path) -> str:
    """SHA-256 of the file, in hexadecimal."""
    with archive.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _add(target: zipfile.ZipFile, folder: Path) -> None:
    names = {file.relative_to(folder).as_posix(): file for file in folder.rglob("*") if file.is_file()}
    for name in sorted(names):
        entry = zipfile.ZipInfo(name, _EPOCH)
        entry.create_system = 3  # Unix, whatever builds it: only then do the modes count
        entry.external_attr = _READABLE
        target.writestr(entry, names[name].read_bytes(), zipfile.ZIP_DEFLATED)
