#!/bin/sh
# Makes the two environments that everything else runs in, inside the project folder:
#
#   .venv            the command line, the linters and the tests (requirements/dev.txt)
#   .local/emulator  the local AWS emulator and nothing else (requirements/emulator.txt): functions run on its
#                    interpreter and must not find a package there that they would lack on AWS
#
# A second run compares one stamp and costs a tenth of a second. Interpreters are tried by running them, because a
# version manager's shim can exist and fail. OPSLEDGER_PYTHON=/path/to/python decides it by hand.
set -eu

root=$(CDPATH='' cd -- "$(dirname -- "$0")/.." && pwd -P)
cd "$root"
log=.local/bootstrap.log
stamp=.local/bootstrap.stamp
versions='3.13 3.12 3.11 3.14'
uv_requirement='uv>=0.9,<1'

say() { printf '%s\n' "$*" >&2; }

fail() {
    say "error: $1"
    shift
    for line in "$@"; do say "  $line"; done
    exit 1
}

# runs CANDIDATE VERSION — true when the candidate runs, is CPython of that version, finished and with what uv needs.
runs() {
    "$1" -I -c "
import ssl, sys, venv, zlib
want = tuple(map(int, '$2'.split('.')))
sys.exit(sys.version_info[:2] != want or sys.implementation.name != 'cpython' or sys.version_info[3] != 'final')
" </dev/null >/dev/null 2>&1
}

# candidates VERSION — where an interpreter of that version may be, best first; most of them will not exist.
candidates() {
    printf '%s\n' "python$1" python3 python
    for found in \
        "${PYENV_ROOT:-$HOME/.pyenv}/versions/$1"*/bin/python \
        "${MISE_DATA_DIR:-$HOME/.local/share/mise}/installs/python/$1"*/bin/python \
        "${ASDF_DATA_DIR:-$HOME/.asdf}/installs/python/$1"*/bin/python \
        "$HOME/.local/share/uv/python/cpython-$1"*/bin/python3 \
        "$root/.local/python/cpython-$1"*/bin/python3 \
        "/opt/homebrew/opt/python@$1/bin/python$1" \
        "/usr/local/opt/python@$1/bin/python$1" \
        "/home/linuxbrew/.linuxbrew/opt/python@$1/bin/python$1" \
        "/Library/Frameworks/Python.framework/Versions/$1/bin/python$1" \
        "/opt/python/$1"*/bin/python3 \
        "/usr/local/bin/python$1" "/usr/bin/python$1" /usr/local/bin/python3 /usr/bin/python3; do
        if [ -x "$found" ]; then printf '%s\n' "$found"; fi
    done
}

# find_python VERSION… — prints the real path of the first interpreter that runs.
find_python() {
    for version in "$@"; do
        list=$(candidates "$version")
        saved=$IFS
        IFS='
'
        for candidate in $list; do
            if runs "$candidate" "$version"; then
                IFS=$saved
                "$candidate" -I -c 'import sys; print(sys.executable)'
                return 0
            fi
        done
        IFS=$saved
    done
    return 1
}

# find_uv — prints a uv that runs: the one on PATH, or one installed by pip into .local/uv.
find_uv() {
    for candidate in uv "$root/.local/uv/bin/uv"; do
        if "$candidate" --version </dev/null >/dev/null 2>&1; then
            command -v "$candidate"
            return 0
        fi
    done
    # Any Python that still gets a uv will do here: uv makes environments of other versions.
    # shellcheck disable=SC2086
    if ! installer=${python:-$(find_python $versions 3.10 3.9)}; then
        fail "there is neither a usable Python nor uv on this machine." \
            "Install Python 3.13 (https://www.python.org/downloads/) or uv (https://docs.astral.sh/uv/), then run this again."
    fi
    rm -rf .local/uv
    say "Installing uv into .local/uv …"
    if "$installer" -m venv .local/uv >>"$log" 2>&1; then
        set -- .local/uv/bin/python -m pip install
    else
        # Debian and Ubuntu ship a Python whose venv has no pip; a pip of its own may be there all the same.
        rm -rf .local/uv
        if ! "$installer" -m pip --version >>"$log" 2>&1; then
            fail "$installer can neither make an environment with pip (ensurepip is missing) nor run pip." \
                "Debian, Ubuntu: sudo apt install python3-venv    anywhere: install uv (https://docs.astral.sh/uv/)"
        fi
        set -- "$installer" -m pip install --target .local/uv
    fi
    if ! "$@" --quiet --disable-pip-version-check "$uv_requirement" >>"$log" 2>&1; then
        rm -rf .local/uv
        no_packages "uv"
    fi
    printf '%s\n' "$root/.local/uv/bin/uv"
}

# no_packages WHAT — explains, from the log, why packages could not be had. The log stays for the details.
no_packages() {
    if grep -qiE 'hash(es)? (mismatch|do not match)|do not match the hashes' "$log"; then
        fail "a downloaded package has not the content that requirements/ pins ($1; see $log)." \
            "The package index or a mirror altered it. Try another network; \`make lock\` renews the pins knowingly."
    elif grep -qiE 'no space left' "$log"; then
        fail "the disk is full ($1; see $log)." "Free about 1 GB and run this again."
    elif grep -qiE 'dns|connect|network|timed? ?out|resolve host|name resolution|fetch|offline|retr' "$log"; then
        fail "the package index could not be reached ($1; see $log)." \
            "Check the network. Behind a proxy set HTTPS_PROXY; for a mirror set UV_DEFAULT_INDEX (and PIP_INDEX_URL)." \
            "Nothing was left half-made: run the same command again."
    fi
    fail "$1 could not be installed; the reason stands at the end of $log." "Nothing was left half-made."
}

# environment FOLDER REQUIREMENTS — makes FOLDER hold exactly REQUIREMENTS. `incomplete` inside it marks one that a
# killed run left behind; uv downloads everything before it touches a folder, so a failing sync harms nothing.
environment() {
    folder=$1
    requirements=$2
    if [ -e "$folder/incomplete" ] || ! runs "$folder/bin/python" "$version"; then
        rm -rf "$folder"
        unfinished=$folder
        "$uv" venv --quiet --python "$python" "$folder" >>"$log" 2>&1 || fail "cannot make $folder (see $log)."
        : >"$folder/incomplete"
    fi
    say "Installing $requirements into $folder …"
    "$uv" pip sync --quiet --require-hashes --python "$folder/bin/python" "$requirements" >>"$log" 2>&1 ||
        no_packages "$requirements"
}

# command_line — puts the project on the environment's path and writes .venv/bin/opsledger. An editable install would
# do the same after fetching a build backend.
command_line() {
    packages=$(.venv/bin/python -I -c 'import sysconfig; print(sysconfig.get_path("purelib"))')
    printf '%s\n' "$root" >"$packages/opsledger.pth"
    # The project's path may hold spaces, which a `#!` line cannot.
    # shellcheck disable=SC2016
    printf '#!/bin/sh\nexec "%s/.venv/bin/python" -m ops "$@"\n' "$root" >.venv/bin/opsledger
    chmod +x .venv/bin/opsledger
}

wanted() { printf '%s\n' "$root" && cksum requirements/dev.txt requirements/emulator.txt ops/bootstrap.sh; }

if [ "${1:-}" = "--find-python" ]; then
    # shellcheck disable=SC2086
    find_python ${2:-$versions} || fail "no Python ${2:-3.11 or newer} runs on this machine."
    exit 0
fi

if [ -f "$stamp" ] && [ "$(cat "$stamp")" = "$(wanted)" ] &&
    .venv/bin/python -I -c '' 2>/dev/null && .local/emulator/bin/python -I -c '' 2>/dev/null &&
    [ -x .venv/bin/opsledger ]; then
    exit 0
fi

mkdir -p .local
rm -f "$stamp"
: >"$log"
unfinished=
trap 'status=$?; if [ $status -ne 0 ] && [ -n "$unfinished" ]; then rm -rf "$unfinished"; fi; exit $status' EXIT
trap 'exit 130' INT
trap 'exit 143' TERM HUP
# Interpreters are only downloaded below, after everything on the machine has been tried.
export UV_PYTHON_DOWNLOADS=never

if [ -n "${OPSLEDGER_PYTHON:-}" ]; then
    python=
    for version in $versions; do
        if runs "$OPSLEDGER_PYTHON" "$version"; then python=$OPSLEDGER_PYTHON && break; fi
    done
    [ -n "$python" ] || fail "OPSLEDGER_PYTHON=$OPSLEDGER_PYTHON is not a working Python 3.11, 3.12, 3.13 or 3.14."
else
    # shellcheck disable=SC2086
    python=$(find_python $versions) || python=
fi
uv=$(find_uv)
if [ -z "$python" ]; then
    say "No Python 3.11 or newer runs here: fetching 3.13 into .local/python …"
    UV_PYTHON_INSTALL_DIR=$root/.local/python UV_PYTHON_DOWNLOADS=manual \
        "$uv" python install --quiet --no-bin 3.13 >>"$log" 2>&1 ||
        fail "no Python 3.11 or newer runs on this machine, and uv could not fetch one (see $log)." \
            "Install Python 3.13: https://www.python.org/downloads/, \`brew install python@3.13\`, \`pyenv install 3.13\`" \
            "or your system's package, then run this again."
    python=$(find_python 3.13) || fail "the fetched Python does not run (see $log)."
fi
version=$("$python" -I -c 'import sys; print("%d.%d" % sys.version_info[:2])')
say "Using Python $version ($python)."

environment .venv requirements/dev.txt
command_line
rm -f .venv/incomplete
unfinished=
environment .local/emulator requirements/emulator.txt
rm -f .local/emulator/incomplete
unfinished=
wanted >"$stamp"
rm -f "$log"
