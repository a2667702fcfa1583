"""What a user should know of what a run has read, although the run goes on."""

from __future__ import annotations

from typing import Tuple

from fairseq_rome.cases.spelling import SOURCE, Spelling
from fairseq_rome.host.codec import TextCodec
from fairseq_rome.text.requests import EditFile


def notes_on(edit_file: EditFile, codec: TextCodec) -> Tuple[str, ...]:
    """What is to be known of the inputs of a run, a sentence each.

    Args:
        edit_file: the requests.
        codec: text to the model's tokens.
    """
    unknown = Spelling(edit_file, codec, SOURCE).sentence
    return (*edit_file.notes, *([unknown] if unknown else []))
