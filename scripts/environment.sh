# Sourced by the scripts beside it: virtual environments that are made once, and completed when requirements change.

repository="$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)"

fail() {
    echo "$*" >&2
    exit 2
}

# find_python VERSION CANDIDATE...: prints the first candidate that runs and is Python VERSION.
find_python() {
    local version="$1" candidate
    shift
    for candidate in "$@"; do
        if [ "$("$candidate" -c 'import sys; print("%d.%d" % sys.version_info[:2])' 2>/dev/null)" = "$version" ]; then
            echo "$candidate"
            return
        fi
    done
    return 1
}

# make_environment FOLDER VERSION CANDIDATE...: a virtual environment, made anew where an earlier try was cut short.
make_environment() {
    local folder="$1" python
    shift
    "$folder/bin/python" -m pip --version >/dev/null 2>&1 && return
    python="$(find_python "$@")" || fail "Python $1 is wanted and none of these is it: ${*:2}"
    "$python" -m venv --clear "$folder"
}

# install_once FOLDER FUNCTION: runs FUNCTION FOLDER unless it ran to its end before, for the same requirements.
install_once() {
    local stamp="$1/fairseq_rome.stamp" wanted
    wanted="$(cd "$repository" && { pwd; cat setup.py pyproject.toml scripts/environment.sh; } | cksum)"
    [ "$(cat "$stamp" 2>/dev/null)" = "$wanted" ] && return
    echo "installing into $1 (some minutes the first time)"
    "$2" "$1"
    echo "$wanted" >"$stamp"
}

# pip_install FOLDER ARGUMENT...
pip_install() {
    "$1/bin/python" -m pip install --quiet --disable-pip-version-check "${@:2}"
}

# has_module FOLDER NAME
has_module() {
    "$1/bin/python" -c 'import importlib.util, sys; sys.exit(importlib.util.find_spec(sys.argv[1]) is None)' "$2"
}

install_all() {
    pip_install "$1" torch==2.13.0 # before the rest, which is content with any torch
    pip_install "$1" --editable "$repository[fairseq,test,lint,docs]"
}

install_missing() { # the user's own environment: torch and fairseq stay as they are
    has_module "$1" torch || pip_install "$1" torch==2.13.0
    local extras=test,lint,docs
    has_module "$1" fairseq || extras="fairseq,$extras"
    pip_install "$1" --editable "$repository[$extras]"
}

install_legacy() {
    pip_install "$1" "pip<24.1" # newer ones refuse the metadata of the omegaconf that fairseq 0.12.2 wants
    # torchaudio is held because fairseq takes any, and the newest would bring a newer torch.
    pip_install "$1" torch==1.12.1 torchaudio==0.12.1 "numpy==1.23.*" fairseq==0.12.2 --editable "$repository[test]"
}

# use_environment: puts .venv, or the virtual environment that FAIRSEQ_ROME_VENV names, first on PATH.
use_environment() {
    local folder="$repository/.venv"
    if [ -n "${FAIRSEQ_ROME_VENV:-}" ]; then
        folder="$(cd "$FAIRSEQ_ROME_VENV" && pwd)" || fail "FAIRSEQ_ROME_VENV: no folder $FAIRSEQ_ROME_VENV"
        [ -x "$folder/bin/python" ] || fail "FAIRSEQ_ROME_VENV: $folder is no virtual environment"
        install_once "$folder" install_missing
    else
        make_environment "$folder" 3.11 python3.11 python3 python
        install_once "$folder" install_all
    fi
    export PATH="$folder/bin:$PATH"
}
