"""The task `untranslated`: source words that are copied through."""

from __future__ import annotations

import re
from collections import Counter
from dataclasses import dataclass
from typing import AbstractSet, List, Optional, Sequence, Tuple

from fairseq_rome.text.checkers.checker import Observation
from fairseq_rome.text.languages.data_files import fold
from fairseq_rome.text.languages.profile import profile_of
from fairseq_rome.text.languages.shared_tables import shared_words

_QUOTED = re.compile('["“„«][^"“”„«»]*["“”»]')
_ABBREVIATED = re.compile(r"(?:\w\.)+$")
_CHUNK = re.compile(r"\S+")
_SPECIAL = re.compile(r"[\d@./_&]|^\W+$")
_EDGES = ".,;:!?()[]{}…\"'“”„‘’‚«»¿¡-–"
# A source word is rightly copied if this share of the training pairs that have it copy it. A larger share takes more
# copied names for faults.
_COPIED = 0.02
# Training pairs with a word in the target and not in the source that show that the target language has the word.
_OWN = 3
# Copied words that make a fault where nothing is known of the target language, because one may be a cognate.
_UNKNOWN_LANGUAGE = 2


@dataclass(frozen=True)
class _Word:
    text: str
    opens: bool

    @property
    def form(self) -> str:
        return fold(self.text)

    @property
    def capital(self) -> bool:
        return self.text[0].isupper()

    @property
    def plain(self) -> bool:
        """More than one letter and no capital within: no number, address, acronym or brand."""
        return (
            len(self.text) > 1 and not _SPECIAL.search(self.text) and self.text[1:] == self.text[1:].lower()
        )


def _words(text: str) -> List[_Word]:
    found: List[_Word] = []
    opens = True
    for match in _CHUNK.finditer(text):
        word = match.group().strip(_EDGES)
        if word:
            found.append(_Word(word, opens))
            opens = False
        ends = match.group().rstrip('"”“»')[-1:] in tuple(".!?:") and not _ABBREVIATED.match(match.group())
        opens = opens or ends
    return found


class UntranslatedChecker:
    """The output holds words of the source that are words of the source language alone.

    A copied word is right if the training side copies it in one of fifty sentences that have it, or says it where the
    source doesn't have it. A word that the training side doesn't know is judged by its form: function words of the
    source language are wrong, and so is another word without a capital, unless the two languages share it. Capitalised
    words are right unless the training side translates them. Numbers, units, single letters, acronyms, addresses and
    words in quotation marks are right. Prepositions and articles within a copied name belong to it (Bank of America).
    Two wrong words are needed for a fault if there are no training pairs and the profile of the target language has
    no function words.

    Args:
        source_lang: code of the source language.
        target_lang: code of the target language.
        training: source and target texts of the training side.
    """

    name = "untranslated"

    def __init__(self, source_lang: str, target_lang: str, training: Sequence[Tuple[str, str]] = ()) -> None:
        self._source, self._target = profile_of(source_lang), profile_of(target_lang)
        self._shared = shared_words(self._source.code, self._target.code)
        self._least = 1 if training or self._target.function_words else _UNKNOWN_LANGUAGE
        self._known: Counter[str] = Counter()
        self._copied: Counter[str] = Counter()
        self._own: Counter[str] = Counter()
        for source, target in training:
            ours, theirs = ({word.form for word in _words(text)} for text in (source, target))
            self._known.update(ours)
            self._copied.update(ours & theirs)
            self._own.update(theirs - ours)

    def check(self, observations: Sequence[Observation]) -> List[Optional[str]]:
        """For each observation the words that are copied, or None."""
        return [self._fault(seen) for seen in observations]

    def _fault(self, seen: Observation) -> Optional[str]:
        source, output = _words(seen.source), _words(_QUOTED.sub(" ", seen.output))
        wrong = list(dict.fromkeys(word.text for word in output if self._wrong(word, source, output)))
        if wrong and [word.form for word in source] == [word.form for word in output]:
            return "leaves the source as it is"
        return f"copies {', '.join(map(repr, wrong))}" if len(wrong) >= self._least else None

    def _wrong(self, word: _Word, source: Sequence[_Word], output: Sequence[_Word]) -> bool:
        form = word.form
        places = [at for at, other in enumerate(source) if other.form == form]
        ours = form in self._target.function_words or form in self._target.units
        if not places or ours or not word.plain or self._trained(form):
            return False
        if any(self._in_name(at, source, output) for at in places):
            return False
        if form in self._source.function_words:
            return form not in self._shared
        if self._known[form]:
            return not any(self._name(at, source) for at in places)
        # The word's form decides, and a capital may mark a name.
        written_alike = any(source[at].text == word.text for at in places)
        return written_alike and not word.capital and form not in self._shared

    def _trained(self, form: str) -> bool:
        """Whether the training side copies a word, or says it where the source does not have it."""
        return self._copied[form] > _COPIED * self._known[form] or self._own[form] >= _OWN

    def _name(self, at: int, source: Sequence[_Word]) -> bool:
        """Whether a source word is a name by its capital."""
        return source[at].capital and not source[at].opens and not self._source.nouns_capitalised

    def _in_name(self, at: int, source: Sequence[_Word], output: Sequence[_Word]) -> bool:
        """Whether a source word stands within a name of several words that the output has too."""
        run = _name_around(at, source, self._source.title_words)
        first = run[:1]
        if first and first[0].opens and first[0].form in self._source.function_words:
            # The House is an article and a noun, The Lord of the Rings is a title.
            title = not self._source.nouns_capitalised and not all(word.capital for word in run)
            if source[at] is first[0] and not title:
                return False
            if not _holds(output, run):
                run = run[1:]
        return len(run) > 1 and _holds(output, run)


def _name_around(at: int, source: Sequence[_Word], inner: AbstractSet[str]) -> Sequence[_Word]:
    """The capitalised words around a word, with the small words that names have between them."""
    start, stop = at, at + 1
    while start > 0 and not source[start].opens and _joins(source[start - 1], inner):
        start -= 1
    while stop < len(source) and not source[stop].opens and _joins(source[stop], inner):
        stop += 1
    while start < at and not source[start].capital:
        start += 1
    while stop > at + 1 and not source[stop - 1].capital:
        stop -= 1
    run = source[start:stop]
    return run if run[0].capital and run[-1].capital and _joins(source[at], inner) else ()


def _joins(word: _Word, inner: AbstractSet[str]) -> bool:
    return word.capital or word.form in inner


def _holds(text: Sequence[_Word], run: Sequence[_Word]) -> bool:
    wanted = [word.text for word in run]
    return any(
        [word.text for word in text[at : at + len(run)]] == wanted for at in range(len(text) - len(run) + 1)
    )
