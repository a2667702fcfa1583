#!/usr/bin/env bash
# Lints, checks types and runs the tests, in .venv or in the virtual environment that FAIRSEQ_ROME_VENV names.
# Arguments go to pytest: bash scripts/test.sh -m "not slow" tests/test_requests.py
set -euo pipefail

source "$(dirname "${BASH_SOURCE[0]}")/environment.sh"
cd "$repository"
use_environment

ruff check .
mypy
OMP_NUM_THREADS=1 python -m pytest --cov=fairseq_rome --cov-report=term "$@"
