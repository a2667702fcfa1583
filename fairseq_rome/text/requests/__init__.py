"""Edit requests: what should be translated differently, read from files that users write."""

from __future__ import annotations

from fairseq_rome.text.requests.named_hunks import NamedHunk
from fairseq_rome.text.requests.parallel_text import COMPANIONS
from fairseq_rome.text.requests.readers import read_edit_file
from fairseq_rome.text.requests.request import EditFile, EditRequest, Probe

__all__ = ["COMPANIONS", "EditFile", "EditRequest", "NamedHunk", "Probe", "read_edit_file"]
