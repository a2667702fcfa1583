"""What an edit file holds, with the place of each part of it, so that a message can name the place."""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple, Tuple

from fairseq_rome.text.requests.lines import Place
from fairseq_rome.text.requests.request import EditFile, EditRequest


class Record(NamedTuple):
    """A request, its place, and the sources that its record wants kept."""

    request: EditRequest
    place: Place
    keep: Tuple[str, ...] = ()


class Sentence(NamedTuple):
    """A source that belongs to the whole file, and its place."""

    text: str
    place: Place


@dataclass(frozen=True)
class PlacedFile:
    """An edit file with the place of each part.

    Attributes:
        records: the requests.
        contexts: the pool of contexts of parallel text; it is also in `contexts` of each request.
        keep: sources whose translation must stay as it is, but for those of a record.
        probes: held-out sources for all requests.
        notes: how the file was read, where that is not certain to be meant; each a sentence that names the file.
    """

    records: Tuple[Record, ...] = ()
    contexts: Tuple[Sentence, ...] = ()
    keep: Tuple[Sentence, ...] = ()
    probes: Tuple[Sentence, ...] = ()
    notes: Tuple[str, ...] = ()

    def edit_file(self) -> EditFile:
        """The same without places; a source is kept once, however often it is named."""
        keep = [sentence.text for sentence in self.keep]
        keep += [text for record in self.records for text in record.keep]
        return EditFile(
            tuple(record.request for record in self.records),
            tuple(dict.fromkeys(keep)),
            tuple(sentence.text for sentence in self.probes),
            self.notes,
        )
