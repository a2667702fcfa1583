#!/usr/bin/env bash
# Lints, checks types and runs the tests, in .venv or in the virtual environment that FAIRSEQ_ROME_VENV names.
# Arguments go to pytest: bash scripts/test.sh -m "not slow" tests/text/test_requests.py
# Which lines no test runs is told on request, for it doubles the time: bash scripts/test.sh --cov=fairseq_rome
set -euo pipefail

source "$(dirname "${BASH_SOURCE[0]}")/environment.sh"
cd "$repository"
use_environment

ruff check .
mypy
# Two processes of one thread each; a file stays in one of them, for what its tests share is made once.
OMP_NUM_THREADS=1 python -m pytest -n 2 --dist loadfile "$@"
