"""A seal at the end of a file: it shows later that this program wrote the file and nobody has changed it since."""

from __future__ import annotations

import hashlib
import re

_SEAL = "<!-- written by fairseq_rome; SHA-256 of all above: {} -->\n"
_SEAL_LINE = re.compile(re.escape(_SEAL.encode()).replace(re.escape(b"{}"), rb"([0-9a-f]{64})") + rb"\Z")


def encoded(text: str) -> bytes:
    """Text as the bytes of its file: a file name on the command line may hold bytes that are no text."""
    return text.encode("utf-8", "backslashreplace")


def sealed(text: str) -> str:
    """A text in HTML or Markdown with a seal below it, which neither shows."""
    return text + _SEAL.format(hashlib.sha256(encoded(text)).hexdigest())


def is_sealed(data: bytes) -> bool:
    """Whether the content of a file has a seal that fits it."""
    found = _SEAL_LINE.search(data)
    return found is not None and hashlib.sha256(data[: found.start()]).hexdigest().encode() == found.group(1)
