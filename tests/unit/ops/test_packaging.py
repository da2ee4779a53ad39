import shutil
import zipfile
from pathlib import Path

import pytest

from ops import archive, bytecode, dependencies, openapi, packaging
from ops.errors import OpsError


@pytest.fixture
def project(tmp_path: Path) -> Path:
    """A project with one module a package, and the files beside them that must not be shipped."""
    root = tmp_path / "project"
    for package in (*packaging.PACKAGES, "ops", "tests"):
        (root / package).mkdir(parents=True)
        (root / package / "__init__.py").write_text(f'"""{package}"""\n')
    (root / "infra" / "template.yaml").write_text("Resources: {}")
    (root / "templates" / "message.j2").write_text("{{ text }}")
    (root / "docs").mkdir()
    shutil.copyfile(openapi.FILE, root / "docs" / "openapi.json")
    return root


@pytest.fixture
def libraries(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The libraries' layer, without installing any."""
    (tmp_path / "libraries").mkdir()
    (tmp_path / "libraries" / "library.py").write_text("x = 1\n")
    archive.write_tree(tmp_path / "libraries.zip", tmp_path / "libraries")
    monkeypatch.setattr(dependencies, "archive", lambda **_: tmp_path / "libraries.zip")


def here() -> packaging.Target:
    return packaging.Target("x86_64", bytecode.THIS_PYTHON)


@pytest.mark.usefixtures("libraries")
def test_the_artifact_holds_the_deployed_packages_with_byte_code_and_nothing_else(
    project: Path, tmp_path: Path
) -> None:
    artifact = packaging.build(here(), project=project, build_folder=tmp_path / "build")
    with zipfile.ZipFile(artifact.path) as made:
        names = made.namelist()
    assert {name.split("/")[0] for name in names} == {*packaging.PACKAGES, "library.py"}
    assert "templates/message.j2" in names
    assert {"infra/packaged/openapi.json", "infra/packaged/api.html"} <= set(names)
    assert "infra/template.yaml" not in names
    assert any(name.startswith("domain/__pycache__/__init__.") for name in names)


@pytest.mark.usefixtures("libraries")
def test_the_same_code_in_another_place_is_the_same_artifact(project: Path, tmp_path: Path) -> None:
    first = packaging.build(here(), project=project, build_folder=tmp_path / "one")
    moved = shutil.copytree(project, tmp_path / "elsewhere" / "project")
    second = packaging.build(here(), project=moved, build_folder=tmp_path / "two")
    assert first.key == second.key
    assert first.path.name == second.path.name


@pytest.mark.usefixtures("libraries")
def test_changed_code_is_another_artifact_and_only_the_latest_are_kept(project: Path, tmp_path: Path) -> None:
    built = []
    for number in range(packaging.KEPT + 2):
        (project / "domain" / "new.py").write_text(f"x = {number}\n")
        built.append(packaging.build(here(), project=project, build_folder=tmp_path / "build").path)
    assert len(set(built)) == len(built)
    assert set((tmp_path / "build").iterdir()) == set(built[-packaging.KEPT :])


@pytest.mark.parametrize(("machine", "architecture"), [("x86_64", "x86_64"), ("aarch64", "arm64"), ("arm64", "arm64")])
def test_this_machines_architecture_is_told_in_awss_words(
    machine: str, architecture: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("platform.machine", lambda: machine)
    assert packaging.Target.aws().architecture == architecture


def test_another_kind_of_machine_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("platform.machine", lambda: "riscv64")
    with pytest.raises(OpsError, match="riscv64"):
        packaging.Target.aws()


def test_the_local_stack_runs_awss_artifact_where_it_can() -> None:
    assert packaging.Target.local(system="linux", python="3.13") == packaging.Target.aws()


@pytest.mark.parametrize(("system", "python"), [("linux", "3.12"), ("darwin", "3.13")])
def test_elsewhere_it_runs_a_variant_for_this_machine(system: str, python: str) -> None:
    target = packaging.Target.local(system=system, python=python)
    assert target.native
    assert target.python == python
