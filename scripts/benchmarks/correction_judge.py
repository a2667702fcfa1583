"""How a correction is judged: efficacy, generalisation, clean generalisation and locality, by beam search.

What the library takes for an ending or for a form of a word must not decide how it is judged. So the segments count as
the requests name them, with endings that are fixed here.
"""

from __future__ import annotations

import math
import os
from dataclasses import dataclass, replace
from typing import Any, Callable, Dict, List, Sequence, Tuple

from fairseq_rome import EditRequest
from fairseq_rome.text.cleanness import is_clean
from fairseq_rome.text.segments import Difference, correct, holds
from fairseq_rome.text.words import count, words

ENDINGS = {"de": ("s", "es", "e", "en", "n", "er"), "es": ("s", "es"), "fr": ("s", "x"), "pt": ("s", "es")}
_ARTICLES = {"der", "die", "das", "den", "dem", "des"}
_CONTRACTED = {
    "am": "an dem", "ans": "an das", "im": "in dem", "ins": "in das", "beim": "bei dem", "vom": "von dem",
    "zum": "zu dem", "zur": "zu der",
}  # fmt: skip
_AGREEMENT = {"", "e", "n", "r", "m", "s", "en", "er", "em", "es"}
FORMS = {"trigger": ("trigger",), "named": ("trigger", "unwanted", "wanted"), "contexts": (), "bare": ()}
"""How a request is given, with the fields that it names; with context sentences, but for `bare`."""


@dataclass(frozen=True)
class Correction:
    """One request of a file, with what only the judge may see.

    Args:
        record: the line of the file.
        language: of the target.
    """

    record: Dict[str, Any]
    language: str

    @property
    def id(self) -> str:
        """Its name."""
        return str(self.record["id"])

    @property
    def difference(self) -> Difference:
        """The point of it."""
        return Difference(self.record["unwanted"], self.record["wanted"])

    @property
    def endings(self) -> Sequence[str]:
        """Endings with which a segment counts; none for segments of one sentence."""
        return ENDINGS.get(self.language, ()) if self.record.get("probes") else ()

    @property
    def probes(self) -> List[str]:
        """Held-out sources."""
        return [probe["source"] for probe in self.record.get("probes", ())]

    def request(self, form: str, contexts: int, hidden: Sequence[str]) -> EditRequest:
        """What the edit is given.

        Args:
            form: one of `FORMS`.
            contexts: sentences at most.
            hidden: sources that must not be among them.
        """
        record, taken = self.record, set(hidden)
        given = tuple(source for source in record.get("contexts", ()) if source not in taken)[:contexts]
        named = {name: record.get(name) for name in FORMS[form]}
        return EditRequest(
            record["source"], record["target"], id=self.id, contexts=() if form == "bare" else given, **named
        )

    def shown_by_others(self, translate: Callable[[Sequence[str]], Dict[str, str]], most: int) -> List[Correction]:
        """The same change, shown by context sentences in place of the request's own: what the model says, corrected.

        Args:
            translate: what the model says of some sources, by source.
            most: corrections at most.
        """
        contexts = list(self.record.get("contexts", ())) if most > 0 else []
        said = translate(contexts)
        targets = {source: correct(said[source], self.difference, self.endings) for source in contexts}
        chosen = [(source, target) for source, target in targets.items() if target is not None][:most]
        return [
            replace(
                self,
                record={
                    **self.record, "id": f"{self.id}@{number}", "source": source, "target": target,
                    "contexts": [one for one in contexts if one != source],
                },
            )
            for number, (source, target) in enumerate(chosen, start=1)
        ]  # fmt: skip

    def shown(self, before: str, after: str, target: str = "") -> bool:
        """Whether an output shows the point of the correction."""
        wanted = target or correct(before, self.difference, self.endings)
        return wanted is not None and holds(after, wanted, self.difference, self.endings)

    def clean(self, before: str, after: str, is_word: Callable[[str], bool]) -> bool:
        """Whether it does, and is otherwise what it was."""
        return is_clean(before, after, self.difference, self.endings, is_word)

    def is_point(self, difference: Difference) -> bool:
        """Whether a change is the point of the correction, in one of its forms."""
        sides = (
            (difference.unwanted, self.difference.unwanted_forms), (difference.wanted, self.difference.wanted_forms)
        )  # fmt: skip
        return all(count(text, forms, self.endings) > 0 for text, forms in sides)

    def concerned(self, before: str) -> bool:
        """Whether an output shows what is wrong, so that the sentence counts."""
        return count(before, self.difference.unwanted_forms, self.endings) > 0


def otherwise_same(before: str, after: str, difference: Difference, endings: Sequence[str]) -> bool:
    """Whether nothing but the segment, endings and articles differs between two German outputs.

    This is stricter than `Correction.clean`, which lets one other word differ for each replacement.
    """
    expected = correct(before, difference, endings)
    if expected is None:
        return False
    old, new = (_without_contractions(text) for text in (expected, after))
    return len(old) == len(new) and all(map(_agree, old, new))


def _without_contractions(text: str) -> List[str]:
    return [part for word in words(text) for part in _CONTRACTED.get(word.lower(), word).split()]


def _agree(one: str, other: str) -> bool:
    """Whether two words are the same but for their endings, or are both articles."""
    if one == other or {one.lower(), other.lower()} <= _ARTICLES:
        return True
    stem = os.path.commonprefix([one.lower(), other.lower()])
    return len(stem) > 2 and {one[len(stem) :], other[len(stem) :]} <= _AGREEMENT


def interval(part: int, whole: int) -> Tuple[float, float]:
    """The 95% interval of a share (Wilson)."""
    if not whole:
        return 0.0, 1.0
    z, share = 1.96, part / whole
    middle = (share + z * z / (2 * whole)) / (1 + z * z / whole)
    half = z * math.sqrt(share * (1 - share) / whole + z * z / (4 * whole * whole)) / (1 + z * z / whole)
    return middle - half, middle + half
