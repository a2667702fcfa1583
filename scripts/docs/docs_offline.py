"""Fails where a page of the built documentation needs an outside address to be read: docs_offline.py SITE.

A link that a reader may follow is no such need; a script, a style, a font, a picture or a frame is.
"""

from __future__ import annotations

import sys
from html.parser import HTMLParser
from pathlib import Path
from typing import Dict, List, Optional, Sequence, Tuple

_LOADED = {"script": "src", "img": "src", "iframe": "src", "source": "src", "video": "src", "link": "href"}
# What a page may name of itself without loading it.
_NOT_LOADED = ("canonical", "next", "prev", "alternate")


class _Needs(HTMLParser):
    """Collects the outside addresses that a page loads."""

    def __init__(self) -> None:
        super().__init__()
        self.addresses: List[str] = []

    def handle_starttag(self, tag: str, attrs: Sequence[Tuple[str, Optional[str]]]) -> None:
        """Note what a tag loads."""
        found: Dict[str, Optional[str]] = dict(attrs)
        address = found.get(_LOADED.get(tag, ""), "") or ""
        if address.startswith(("http:", "https:", "//")) and found.get("rel") not in _NOT_LOADED:
            self.addresses.append(address)


def needs(page: Path) -> List[str]:
    """The outside addresses that a page loads."""
    parser = _Needs()
    parser.feed(page.read_text(encoding="utf-8"))
    return parser.addresses


if __name__ == "__main__":
    site = Path(sys.argv[1])
    pages = sorted(site.rglob("*.html"))
    found = [f"{page.relative_to(site)}: loads {address}" for page in pages for address in needs(page)]
    if found or not pages:
        sys.exit("\n".join(found) or f"{site}: no pages, expected a built site")
