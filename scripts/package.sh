#!/usr/bin/env bash
# Builds the source distribution and from it the wheel, checks both, and does the quickstart's edit once with the wheel's
# code alone. What it makes is in build/package.
set -euo pipefail

source "$(dirname "${BASH_SOURCE[0]}")/environment.sh"
cd "$repository"
use_environment

out="$repository/build/package"
demo="$repository/scripts/demo"
rm -rf "$out"
mkdir -p "$out"
# With the setuptools of this environment: nothing more is downloaded.
python -m build --no-isolation --outdir "$out/dist" . >"$out/build.log" 2>&1 || { tail -n 15 "$out/build.log" >&2 && fail "no package was built"; }
python -m twine check --strict "$out"/dist/*
python -m pip install --quiet --disable-pip-version-check --no-deps --target "$out/site" "$out"/dist/*.whl

cd "$out"
export PYTHONPATH="$out/site" # before the editable install of the repository
python - <<CODE
import fairseq_rome
assert fairseq_rome.__file__.startswith("$out/site/"), fairseq_rome.__file__
CODE
OMP_NUM_THREADS=1 python -m fairseq_rome.cli.edit "$demo/data-bin" --path "$demo/model.pt" --edit-pref "$demo/term" \
    -s en -t de --bpe sentencepiece --sentencepiece-model "$demo/spm.model" --save-to edited.pt --report report
OMP_NUM_THREADS=1 python -m fairseq_rome.cli.requests check "$demo/fixes" -s en -t de
