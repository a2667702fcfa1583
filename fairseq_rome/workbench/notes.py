"""What a user should know of what a run has read, although the run goes on."""

from __future__ import annotations

from typing import Tuple

from fairseq_rome.text.requests import EditFile


def notes_on(edit_file: EditFile) -> Tuple[str, ...]:
    """What is to be known of the inputs of a run, a sentence each.

    Args:
        edit_file: the requests.
    """
    return edit_file.notes
