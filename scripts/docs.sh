#!/usr/bin/env bash
# Builds the documentation of docs/ into build/site. A broken link, anchor, reference or include fails, and so does a page
# that would ask an outside address for a script, a style, a font or a picture.
set -euo pipefail

source "$(dirname "${BASH_SOURCE[0]}")/environment.sh"
cd "$repository"
use_environment

rm -rf build/site
# Every page is read anew, because a page that is not read gives no warning.
python -m sphinx --quiet --fresh-env --fail-on-warning --keep-going -d build/doctrees docs build/site
python scripts/docs/docs_offline.py build/site
echo "built build/site/index.html"
