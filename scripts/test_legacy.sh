#!/usr/bin/env bash
# Runs the end-to-end tests on Python 3.8, fairseq 0.12.2, torch 1.12.1 and numpy 1.23, in .venv-legacy. Python 3.8 is
# PYTHON38, python3.8 on PATH, or one of pyenv's. Arguments go to pytest.
set -euo pipefail

source "$(dirname "${BASH_SOURCE[0]}")/environment.sh"
cd "$repository"

if [ -n "${PYTHON38:-}" ]; then
    candidates=("$PYTHON38")
else
    candidates=(python3.8)
    command -v pyenv >/dev/null && candidates+=("$(pyenv root)"/versions/3.8*/bin/python)
fi
make_environment .venv-legacy 3.8 "${candidates[@]}"
install_once .venv-legacy install_legacy

OMP_NUM_THREADS=1 .venv-legacy/bin/python -m pytest tests/cli/test_cli_edit.py tests/cli/test_cli_eval.py \
    tests/cli/test_cli_locate.py tests/cli/test_cli_patch.py tests/patch/test_load_time.py tests/patch/test_patch_stack.py \
    tests/host/test_checkpoint.py tests/host/test_sites.py tests/host/test_multilingual.py "$@"
