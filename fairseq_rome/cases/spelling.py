"""Whether a model's dictionaries can spell what an edit file says."""

from __future__ import annotations

from typing import Iterator, Tuple

from fairseq_rome.errors import EditError
from fairseq_rome.host.codec import TextCodec
from fairseq_rome.text.requests import EditFile, EditRequest


def misspelt(edit_file: EditFile, codec: TextCodec) -> Iterator[Tuple[EditRequest, str]]:
    """Requests with text that the dictionaries can't spell.

    Args:
        edit_file: the requests.
        codec: text to tokens.

    Yields:
        The request, and a sentence that names the symbols; two for one request where both of its sides have such text.
    """
    source, target = codec.adapter.source_dictionary, codec.adapter.target_dictionary
    for request in edit_file.requests:
        for text, dictionary, side in (
            (request.source, source, "source"),
            (request.target, target, "target"),
        ):
            unknown = codec.unknown(text, dictionary)
            if unknown:
                yield (
                    request,
                    f"{', '.join(map(repr, unknown))} not in the {side} dictionary, "
                    f"expected text that the model's {len(dictionary)} symbols can spell",
                )


def check_spelling(edit_file: EditFile, codec: TextCodec) -> None:
    """Refuse text that the dictionaries can't spell.

    Args:
        edit_file: the requests.
        codec: text to tokens.

    Raises:
        EditError: naming the line and the symbols.
    """
    for request, message in misspelt(edit_file, codec):
        raise EditError(f"{request.origin or f'request {request.id}'}: {message}")
