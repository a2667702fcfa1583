"""Whether a model's dictionaries can spell what an edit file says."""

from __future__ import annotations

from fairseq_rome.errors import EditError
from fairseq_rome.host.codec import TextCodec
from fairseq_rome.text.requests import EditFile


def check_spelling(edit_file: EditFile, codec: TextCodec) -> None:
    """Refuse text that the dictionaries can't spell.

    Args:
        edit_file: the requests.
        codec: text to tokens.

    Raises:
        EditError: naming the line and the symbols.
    """
    source, target = codec.adapter.source_dictionary, codec.adapter.target_dictionary
    for request in edit_file.requests:
        for text, dictionary, side in (
            (request.source, source, "source"),
            (request.target, target, "target"),
        ):
            unknown = codec.unknown(text, dictionary)
            if unknown:
                raise EditError(
                    f"{request.origin}: {', '.join(map(repr, unknown))} not in the {side} dictionary, "
                    f"expected text that the model's {len(dictionary)} symbols can spell"
                )
