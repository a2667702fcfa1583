"""Right sentences made wrong on purpose, for what is to learn to correct them.

As Cao et al. 2020, "Factual Error Correction for Abstractive Summarization Models" (arXiv 2010.08712), who swap an
entity, number or date of a reference for another one of its source. Here a wanted form of a term becomes the unwanted
one again, and a number or name that was copied becomes one of another sentence.
"""

from __future__ import annotations

from random import Random
from typing import Dict, Optional, Sequence, Tuple

from fairseq_rome.text.slots import SlotKind
from fairseq_rome.text.words import Segments, mentions, pattern

# Words of the stock that are drawn until one fits.
_TRIED = 20


def unwanted_again(reference: str, pairs: Sequence[Tuple[str, str]]) -> Optional[str]:
    """A reference with the unwanted form in each place of a wanted one; None where it holds none.

    Args:
        reference: the reference.
        pairs: each unwanted form with the wanted one.
    """
    back: Dict[str, str] = {}
    for old, new in pairs:
        back.setdefault(new, old)
    found = pattern(tuple(back))
    if not found.search(reference):
        return None
    return found.sub(lambda match: back[" ".join(match.group().split())], reference)


def swapped(source: str, reference: str, kind: SlotKind, stock: Sequence[str], draw: Random) -> Optional[str]:
    """A reference with another number or name in the place of one that its source holds; None where it holds none.

    Args:
        source: the source.
        reference: its reference.
        kind: what is swapped.
        stock: numbers or names of other sentences.
        draw: chooses.
    """
    held = {match.group() for match in kind.copies(source)}
    places = [match for match in kind.copies(reference) if match.group() in held]
    # What the source says elsewhere would be no fault that can be seen.
    others = (one for one in draw.sample(stock, min(len(stock), _TRIED)) if one not in source + reference)
    other = next(others, None)
    if not places or other is None:
        return None
    place = draw.choice(places)
    return reference[: place.start()] + other + reference[place.end() :]


def without_trigger(source: str, triggers: Segments, instead: str) -> str:
    """A source with another word, or none, in each place of a trigger."""
    for match in reversed(list(mentions(source, triggers))):
        source = source[: match.start()] + instead + source[match.end() :]
    return " ".join(source.split())
