"""ops/bootstrap.sh, run with interpreters and a uv that are shell scripts, in a project folder of its own."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from ops import paths

FAILING_SHIM = '#!/bin/sh\necho "$0: command not found" >&2\nexit 127\n'


def interpreter(version: str, packages: Path | None = None) -> str:
    """A script that passes for CPython `version`, as far as bootstrap.sh asks."""
    return f"""#!/bin/sh
case "$3" in
    *"'{version}'"*) exit 0 ;;
    *want*) exit 1 ;;
    *sys.executable*) echo "$0" ;;
    *sysconfig*) echo "{packages}" ;;
    *version_info*) echo {version} ;;
esac
"""


@pytest.fixture
def project(tmp_path: Path) -> Path:
    root = tmp_path / "a project"
    (root / "ops").mkdir(parents=True)
    (root / "packages").mkdir()
    shutil.copy(paths.PROJECT / "ops" / "bootstrap.sh", root / "ops")
    shutil.copytree(paths.PROJECT / "requirements", root / "requirements")
    return root


def script(path: Path, text: str) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)
    path.chmod(0o755)
    return path


def bootstrap(project: Path, *arguments: str, **more: str) -> subprocess.CompletedProcess[str]:
    home = project.parent / "home"
    environment = {"PATH": f"{home}/bin:/usr/bin:/bin", "HOME": str(home), **more}
    command = ["/bin/sh", str(project / "ops" / "bootstrap.sh"), *arguments]
    return subprocess.run(command, env=environment, capture_output=True, text=True, check=False, timeout=60)


def test_a_shim_that_exists_and_fails_is_passed_over(project: Path, tmp_path: Path) -> None:
    script(tmp_path / "home/bin/python3.13", FAILING_SHIM)
    real = script(tmp_path / "home/.pyenv/versions/3.13.9/bin/python", interpreter("3.13"))
    assert bootstrap(project, "--find-python", "3.13").stdout.strip() == str(real)


def test_313_is_preferred_to_what_comes_first_on_the_path(project: Path, tmp_path: Path) -> None:
    script(tmp_path / "home/bin/python3", interpreter("3.12"))
    preferred = script(tmp_path / "home/.pyenv/versions/3.13.9/bin/python", interpreter("3.13"))
    assert bootstrap(project, "--find-python").stdout.strip() == str(preferred)


def test_an_interpreter_that_runs_as_another_version_is_not_taken_by_its_name(project: Path, tmp_path: Path) -> None:
    script(tmp_path / "home/bin/python3.99", interpreter("3.6"))
    answer = bootstrap(project, "--find-python", "3.99")
    assert answer.returncode == 1
    assert "no Python 3.99 runs on this machine" in answer.stderr


def test_this_very_interpreter_passes(project: Path, tmp_path: Path) -> None:
    version = f"{sys.version_info.major}.{sys.version_info.minor}"
    script(tmp_path / f"home/bin/python{version}", f'#!/bin/sh\nexec "{sys.executable}" "$@"\n')
    found = bootstrap(project, "--find-python", version).stdout.strip()
    assert Path(found).samefile(sys.executable)


def uv(project: Path, *, sync: str = "exit 0") -> str:
    """A uv that makes environments of scripts, and notes its calls."""
    environment_python = interpreter("3.13", project / "packages").replace("$", "\\$")
    return f"""#!/bin/sh
echo "$*" >> "{project}/calls"
case "$1" in
    --version) exit 0 ;;
    venv)
        for folder; do :; done
        mkdir -p "$folder/bin"
        cat > "$folder/bin/python" <<END
{environment_python}
END
        chmod +x "$folder/bin/python" ;;
    pip) {sync} ;;
esac
"""


@pytest.fixture
def python(tmp_path: Path) -> Path:
    return script(tmp_path / "home/bin/python3.13", interpreter("3.13"))


@pytest.mark.usefixtures("python")
def test_both_environments_and_the_command_are_made_once(project: Path, tmp_path: Path) -> None:
    script(tmp_path / "home/bin/uv", uv(project))
    first = bootstrap(project)
    assert first.returncode == 0, first.stderr
    assert os.access(project / ".venv/bin/opsledger", os.X_OK)
    assert (project / "packages/opsledger.pth").read_text().strip() == str(project)
    assert not list(project.rglob("incomplete"))
    calls = (project / "calls").read_text()
    assert calls.count("pip sync") == 2
    assert bootstrap(project).stderr == ""
    assert (project / "calls").read_text() == calls


@pytest.mark.usefixtures("python")
def test_changed_requirements_are_installed(project: Path, tmp_path: Path) -> None:
    script(tmp_path / "home/bin/uv", uv(project))
    bootstrap(project)
    with (project / "requirements/dev.txt").open("a") as file:
        file.write("# newer\n")
    bootstrap(project)
    assert (project / "calls").read_text().count("pip sync") == 4


@pytest.mark.usefixtures("python")
def test_without_network_it_says_so_and_leaves_nothing_half_made(project: Path, tmp_path: Path) -> None:
    failure = 'echo "error: Failed to fetch: https://index.example/simple: dns error" >&2; exit 2'
    script(tmp_path / "home/bin/uv", uv(project, sync=failure))
    answer = bootstrap(project)
    assert answer.returncode == 1
    assert "could not be reached" in answer.stderr
    assert "HTTPS_PROXY" in answer.stderr
    assert "index.example" not in answer.stderr
    assert not (project / ".venv").exists()
    assert not (project / ".local/bootstrap.stamp").exists()


@pytest.mark.usefixtures("python")
def test_an_environment_that_a_killed_run_left_is_made_anew(project: Path, tmp_path: Path) -> None:
    script(tmp_path / "home/bin/uv", uv(project))
    script(project / ".venv/bin/python", interpreter("3.13", project / "packages"))
    (project / ".venv/incomplete").touch()
    (project / ".venv/half-written").touch()
    assert bootstrap(project).returncode == 0
    assert not (project / ".venv/half-written").exists()


def test_an_interpreter_named_by_hand_must_work(project: Path, tmp_path: Path) -> None:
    shim = script(tmp_path / "home/bin/broken", FAILING_SHIM)
    answer = bootstrap(project, OPSLEDGER_PYTHON=str(shim))
    assert answer.returncode == 1
    assert "is not a working Python" in answer.stderr
