"""The documentation, as Sphinx builds it: `bash scripts/docs.sh`. Each warning is an error there."""

from __future__ import annotations

import logging
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
sys.path[:0] = [str(ROOT), str(ROOT / "scripts" / "docs")]

from fairseq_rome import __version__  # noqa: E402

# Some of fairseq's modules want every log shown when they are imported. Only the first such call counts.
logging.basicConfig(level=logging.WARNING)

project = "fairseq_rome"
author = "The fairseq_rome authors"
release = __version__
extensions = ["myst_parser", "sphinx.ext.autodoc", "sphinx.ext.napoleon", "docs_pages"]
templates_path = ["_templates"]
highlight_language = "text"

# Every heading of a Markdown page can be linked to.
myst_heading_anchors = 4

napoleon_use_ivar = True
autodoc_member_order = "bysource"
autodoc_preserve_defaults = True
autodoc_typehints_format = "short"
add_module_names = False
python_use_unqualified_type_names = True
maximum_signature_line_length = 90
toc_object_entries_show_parents = "hide"

# Every reference into the package has to lead somewhere.
nitpicky = True
nitpick_ignore_regex = [
    ("py:.*", r"(?!fairseq_rome\.).*"),  # torch, fairseq and Python itself, whose sites are not asked
    ("py:.*", r"fairseq_rome\.(\w+\.)+[A-Z]"),  # type variables, which have no documentation
]

html_theme = "pydata_sphinx_theme"
html_title = "fairseq_rome"
html_static_path = ["_static"]
html_css_files = ["site.css"]
html_use_index = False
html_domain_indices = False
html_copy_source = False
html_show_sourcelink = False
html_sidebars = {"**": ["all_pages"]}
html_theme_options = {
    "navbar_center": [],
    "navbar_end": ["theme-switcher"],
    "search_bar_text": "Search",
    "secondary_sidebar_items": ["page-toc"],
    "show_toc_level": 2,
    "article_header_start": [],
    "footer_start": [],
    "footer_end": [],
}
