import os
import shutil
import zipfile
from pathlib import Path

from ops import archive, dependencies


def tree(folder: Path) -> Path:
    for name in ("b/two.py", "a.py", "b/one.py"):
        file = folder / name
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(f"# {name}\n" * 50)
    return folder


def test_equal_content_gives_an_equal_archive_whatever_the_times_and_modes(tmp_path: Path) -> None:
    first = tree(tmp_path / "first")
    second = shutil.copytree(first, tmp_path / "second")
    for file in second.rglob("*.py"):
        file.chmod(0o600)
        os.utime(file, (1_000_000_000, 1_000_000_000))
    archive.write_tree(tmp_path / "1.zip", first)
    archive.write_tree(tmp_path / "2.zip", second)
    assert archive.content_hash(tmp_path / "1.zip") == archive.content_hash(tmp_path / "2.zip")


def test_other_content_gives_another_hash(tmp_path: Path) -> None:
    folder = tree(tmp_path / "tree")
    archive.write_tree(tmp_path / "1.zip", folder)
    (folder / "a.py").write_text("changed")
    archive.write_tree(tmp_path / "2.zip", folder)
    assert archive.content_hash(tmp_path / "1.zip") != archive.content_hash(tmp_path / "2.zip")


def test_names_are_sorted_and_files_readable_by_everyone(tmp_path: Path) -> None:
    unpacked = archive.write_tree(tmp_path / "1.zip", tree(tmp_path / "tree"))
    with zipfile.ZipFile(tmp_path / "1.zip") as made:
        assert made.namelist() == ["a.py", "b/one.py", "b/two.py"]
        assert {entry.external_attr >> 16 for entry in made.infolist()} == {0o100644}
        assert unpacked == sum(entry.file_size for entry in made.infolist())


def test_code_is_added_on_top_of_the_libraries(tmp_path: Path) -> None:
    libraries, code = tree(tmp_path / "libraries"), tmp_path / "code"
    code.mkdir()
    (code / "main.py").write_text("x = 1")
    archive.write_tree(tmp_path / "1.zip", libraries)
    archive.append_tree(tmp_path / "1.zip", code)
    with zipfile.ZipFile(tmp_path / "1.zip") as made:
        assert made.namelist() == ["a.py", "b/one.py", "b/two.py", "main.py"]
        assert made.testzip() is None


def test_pruning_keeps_the_version_and_the_services_that_functions_call(tmp_path: Path) -> None:
    keep = [
        "lib/core.py",
        "lib-1.0.dist-info/METADATA",
        "botocore/data/sqs/service.json",
        "botocore/data/endpoints.json",
    ]
    drop = [
        "bin/tool",
        "lib/tests/test_core.py",
        "lib/core.pyi",
        "lib-1.0.dist-info/RECORD",
        "lib-1.0.dist-info/licenses/LICENSE",
        "botocore/data/ec2/service.json",
        "boto3/data/ec2/resources.json",
    ]
    for name in [*keep, *drop]:
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text('{"partitions": []}')  # as the table of endpoints is
    dependencies.prune(tmp_path)
    left = sorted(str(file.relative_to(tmp_path)) for file in tmp_path.rglob("*") if file.is_file())
    assert left == sorted(keep)
