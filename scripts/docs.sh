#!/usr/bin/env bash
# Builds the documentation of docs/ into build/site. A broken link, anchor or reference fails, and so does a page that
# would ask an outside address for a script, a style, a font or a picture.
set -euo pipefail

source "$(dirname "${BASH_SOURCE[0]}")/environment.sh"
cd "$repository"
use_environment

# The theme gets fixes until May 2027 and says so at each build, which this keeps quiet.
# Not --quiet, with which mkdocs counts no warning, and strict mode lets everything pass.
NO_MKDOCS_2_WARNING=1 python -m mkdocs build --strict --clean
python scripts/docs/docs_offline.py build/site
echo "built build/site/index.html"
