"""Edit requests: what should be translated differently, read from files that users write."""

from __future__ import annotations

from fairseq_rome.requests.model import EditFile, EditRequest, Probe
from fairseq_rome.requests.readers import COMPANIONS, read_edit_file

__all__ = ["COMPANIONS", "EditFile", "EditRequest", "Probe", "read_edit_file"]
