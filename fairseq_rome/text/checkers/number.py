"""The task `number`: numbers, units and currencies."""

from __future__ import annotations

from dataclasses import replace
from typing import Dict, List, Optional, Sequence, Tuple

from fairseq_rome.text.checkers.checker import Observation
from fairseq_rome.text.checkers.quantities import Quantity, read_quantities
from fairseq_rome.text.languages.profile import profile_of
from fairseq_rome.text.languages.shared_tables import units

# Texts write numbers below this as words, so that one side may have digits and the other has none.
_SPELT_OUT = 13


class NumberChecker:
    """The numbers of the source with their units are the numbers of the output, however each language writes them.

    Digits with the separators of either language, words, ordinals, fractions, decades and times of day are read
    as values: 1,000 is 1.000, half past nine is halb zehn, 3 pm is 15 Uhr, five bucks are 5 $. Every sure number
    needs a match on the other side, in any order. An unsure number needs none, but can be the match of a sure one:
    articles and `one`, the first part of a German compound (Dreirad, zweistöckig), a German number word that is a
    noun (die Elf), names of months, Roman numerals, digits of a name (MP3), and vague words such as both, a pair,
    half, noon, single. A dozen is twelve and twice is two. A currency without a number is a fault where the other
    side names another currency.

    If one of the two languages has no number words in its profile, only digits count on both sides, and small
    numbers are unsure.
    """

    name = "number"

    def __init__(self, source_lang: str, target_lang: str) -> None:
        source, target = profile_of(source_lang), profile_of(target_lang)
        self._spelt = source.spells and target.spells
        self._source = source if self._spelt else source.digits_only
        self._target = target if self._spelt else target.digits_only
        # Two models say the same for most sentences, so that most pairs come twice.
        self._known: Dict[Tuple[str, str], Optional[str]] = {}

    def check(self, observations: Sequence[Observation]) -> List[Optional[str]]:
        """For each observation what is missing or extra, or None."""
        pairs = [(observation.source, observation.output) for observation in observations]
        for pair in pairs:
            if pair not in self._known:
                self._known[pair] = self._fault(*pair)
        return [self._known[pair] for pair in pairs]

    def _fault(self, source_text: str, output_text: str) -> Optional[str]:
        source = read_quantities(source_text, self._source)
        output = read_quantities(output_text, self._target)
        if not self._spelt:
            source, output = _small_unsure(source), _small_unsure(output)
        left = _unmatched(source, output, not self._spelt)
        missing, extra = ([quantity for quantity in side if quantity.sure] for side in left)
        if not missing and not extra:
            missing, extra = _other_currency(*left)
        if not missing and not extra:
            return None
        return f"source has {_show(missing)}, output has {_show(extra)}"


def _small_unsure(quantities: Sequence[Quantity]) -> List[Quantity]:
    return [replace(one, sure=one.sure and abs(one.value) >= _SPELT_OUT) for one in quantities]


def _show(quantities: Sequence[Quantity]) -> str:
    return " and ".join(map(str, quantities)) or "nothing for it"


def _unmatched(
    source: Sequence[Quantity], output: Sequence[Quantity], any_unit: bool
) -> Tuple[List[Quantity], List[Quantity]]:
    """What stays of both sides after each quantity is matched with at most one of the other side, sure ones first."""
    left, right = list(source), list(output)
    for sure, exact in ((2, True), (2, False), (1, False), (0, False)):
        for one in tuple(left):
            for other in right:
                alike = (
                    (one.value, one.unit) == (other.value, other.unit)
                    if exact
                    else one.agrees(other, any_unit)
                )
                if alike and one.sure + other.sure == sure:
                    left.remove(one)
                    right.remove(other)
                    break
    return left, right


def _other_currency(
    source: Sequence[Quantity], output: Sequence[Quantity]
) -> Tuple[List[Quantity], List[Quantity]]:
    """Two currencies without a number, one on each side, that are not the same."""
    ours, theirs = ([one for one in side if one.unit in units().bare] for side in (source, output))
    return (ours[:1], theirs[:1]) if ours and theirs else ([], [])
