"""What a corrected sentence changes, hunk by hunk: the source segment that each hangs on, and what it replaces.

A hunk may hold more than the one word that matters. Which of its words belongs to which word of the source is read off
the training side: segments that stand for one another stand in the same sentence pairs.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Dict, FrozenSet, Iterator, List, NamedTuple, Optional, Sequence, Tuple

from fairseq_rome.cases.association import Association
from fairseq_rome.cases.forms import akin, target_forms, trigger_forms
from fairseq_rome.host.corpus import Corpus
from fairseq_rome.text.hunks import Hunk, Unit, cut, hunks, segments, units
from fairseq_rome.text.languages.profile import profile_of
from fairseq_rome.text.tags import leading_tags, without_tags
from fairseq_rome.text.words import is_katakana

# Dice's coefficient from which two segments go together at all. Lower takes noise for a sign.
_GOES = 0.1
# From this coefficient on a single word is taken, although a longer segment, which is rarer, would go better.
_ALONE = 0.25
# Share of all sentences from which a word is one of grammar in a language that has no list of them.
_GRAMMAR = 0.05


@dataclass(frozen=True)
class Reading:
    """One hunk, as it was understood.

    Args:
        unwanted: text that is gone; empty where something is only inserted.
        wanted: text that has come; empty where something is only removed.
        trigger: the source segment that the unwanted text hangs on; empty where none was found.
        dice: how trigger and unwanted text go together over the training side, 0 to 1.
        wanted_dice: the same of the wanted text.
        usual: how often the training side has the wanted text for the trigger, for each time that it has the unwanted.
        agrees: whether both are forms of one word, which is agreement and no choice.
        carried: whether the change is carried to other sentences.
        within: the whole hunk as text, where these segments are a part of it; empty where they are all of it.
    """

    unwanted: str
    wanted: str
    trigger: str = ""
    dice: float = 0.0
    wanted_dice: float = 0.0
    usual: float = 0.0
    agrees: bool = False
    carried: bool = False
    within: str = ""

    @property
    def replacement(self) -> str:
        """What takes the place of what, as it is told."""
        return f"{self.unwanted or '(nothing)'} -> {self.wanted or '(nothing)'}"


class Sides:
    """What is known of the two languages of a model.

    Args:
        languages: codes of the source and of the target language.
        corpus: of the training side.
    """

    def __init__(self, languages: Tuple[str, str], corpus: Corpus) -> None:
        self.source, self.target = map(profile_of, languages)
        self.association = Association(corpus)
        self._forms: Dict[str, Tuple[str, ...]] = {}
        self._dice: Dict[Tuple[str, str], float] = {}

    def forms(self, trigger: str) -> Tuple[str, ...]:
        """A source segment in its forms."""
        if trigger not in self._forms:
            self._forms[trigger] = trigger_forms(trigger, self.association, self.source)
        return self._forms[trigger]

    def dice(self, trigger: str, target: str) -> float:
        """How a source and a target segment go together, each in its forms."""
        if (trigger, target) not in self._dice:
            forms = target_forms(target, self.association, self.target)
            self._dice[trigger, target] = self.association.dice(self.forms(trigger), forms)
        return self._dice[trigger, target]

    def grammar_in_source(self, word: str) -> bool:
        """Whether a source word is one of grammar."""
        if self.source.function_words or self.source.grammar_words:
            return self.source.is_grammar(word)
        return len(self.association.with_source(word)) >= _GRAMMAR * len(self.association)

    def grammar_in_target(self, word: str) -> bool:
        """Whether a target word is one of grammar."""
        if self.target.function_words or self.target.grammar_words:
            return self.target.is_grammar(word)
        return self.association.frequency(word) >= _GRAMMAR


def read_hunks(
    source: str, before: str, after: str, starts: FrozenSet[int], sides: Sides, triggers: Sequence[str] = ()
) -> List[Reading]:
    """How each hunk between an output and its correction is understood, from left to right.

    Args:
        source: the sentence.
        before: what the model says.
        after: what it should say.
        starts: where the subwords of `after` begin, in characters; where a script has no blanks they part the words.
        sides: the languages, and the training side.
        triggers: source segments that something may hang on; none for all of the sentence.
    """
    reader = _Reader(source, before, after, starts, sides, triggers)
    return [reader.read(part) for hunk in hunks(reader.old, reader.new) for part in reader.parted(hunk)]


class _Reader:
    """One sentence with its correction, in units."""

    def __init__(
        self, source: str, before: str, after: str, starts: FrozenSet[int], sides: Sides, triggers: Sequence[str]
    ) -> None:
        self.before, self.after, self.sides, self.starts = before, after, sides, starts
        self.old, self.new = units(before), units(after)
        text, tags = without_tags(source), leading_tags(source)
        parts = units(text)
        spans = [parts[one.start : one.stop] for one in segments(text, parts)]
        found = [cut(text, span) for span in spans if not self._grammar_around(span, source=True)]
        tagged = [" ".join([*tags, one]) for one in dict.fromkeys(found)]
        self.words = [one for one in tagged if sides.association.with_source(one)]
        self.triggers = list(triggers) or self.words

    def parted(self, hunk: Hunk) -> Iterator[Hunk]:
        """A hunk in parts: a word that only has another ending stands for itself, and parts what is around it."""
        for i in range(hunk.start, hunk.stop):
            for j in range(hunk.new_start, hunk.new_stop):
                if akin(self.old[i].text, self.new[j].text):
                    sides = Hunk(hunk.start, i, hunk.new_start, j), Hunk(i + 1, hunk.stop, j + 1, hunk.new_stop)
                    yield from self.parted(sides[0])
                    yield Hunk(i, i + 1, j, j + 1)
                    yield from self.parted(sides[1])
                    return
        if hunk.stop > hunk.start or hunk.new_stop > hunk.new_start:
            yield hunk

    def read(self, hunk: Hunk) -> Reading:
        """The best understanding of one hunk; without a trigger where nothing in it goes with the source."""
        whole = Reading(self._old(hunk.start, hunk.stop), self._new(hunk.new_start, hunk.new_stop))
        found = self._best(hunk)
        wanted = None if found is None else self._wanted(hunk, found.part, found.trigger)
        if found is None or wanted is None:
            return whole
        unwanted = self._old(found.part.start, found.part.stop)
        if unwanted == wanted:
            return whole
        association, forms = self.sides.association, self.sides.forms(found.trigger)
        usual = association.share(wanted, forms) / max(association.share(unwanted, forms), 1e-9)
        agrees = akin(unwanted, wanted) or unwanted.lower() == wanted.lower()
        return Reading(
            unwanted, wanted, found.trigger, found.dice, association.dice(forms, (wanted,)), usual, agrees,
            within="" if whole.unwanted in unwanted and whole.wanted in wanted else whole.replacement,
        )  # fmt: skip

    def _old(self, start: int, stop: int) -> str:
        return cut(self.before, self.old[start:stop])

    def _new(self, start: int, stop: int) -> str:
        return cut(self.after, self.new[start:stop])

    def _grammar_around(self, parts: Sequence[Unit], source: bool) -> bool:
        """Whether a segment begins or ends with a word of grammar; without blanks, whether it is nothing else."""
        grammar = self.sides.grammar_in_source if source else self.sides.grammar_in_target
        if parts[0].unspaced:
            return len(parts) == 1 and grammar(parts[0].text)
        return grammar(parts[0].text) or grammar(parts[-1].text)

    def _best(self, hunk: Hunk) -> Optional[_Found]:
        """The segment of a hunk and the source segment that go together best.

        A longer segment is rarer, so that it mostly goes better: it is taken only where no single word will do, but
        without blanks, where one character is no word.
        """
        found = [
            _Found(self.sides.dice(trigger, self._old(part.start, part.stop)), part, trigger)
            for part in self._changed(hunk)
            for trigger in self.triggers
        ]
        found = [one for one in found if one.dice >= _GOES]
        alone = [one for one in found if self._is_single(one) and one.dice >= _ALONE]
        return max(alone or found, key=lambda one: (one.dice, len(one.part)), default=None)

    def _is_single(self, found: _Found) -> bool:
        source = units(without_tags(found.trigger))
        return (len(source) == 1 or source[0].unspaced) and (
            len(found.part) == 1 or self.old[found.part.start].unspaced
        )

    def _changed(self, hunk: Hunk) -> Iterator[range]:
        """The segments of the old text that a hunk changes; without blanks they may reach out of it."""
        for part in segments(self.before, self.old):
            inside = hunk.start <= part.start and part.stop <= hunk.stop
            across = part.start < max(hunk.stop, hunk.start + 1) and hunk.start < part.stop
            reaches = across and self.old[part.start].unspaced
            if (inside or reaches) and not self._grammar_around(self.old[part.start : part.stop], source=False):
                yield part

    def _wanted(self, hunk: Hunk, part: range, trigger: str) -> Optional[str]:
        """The text that takes the place of a part of a hunk; None where nothing does."""
        before, behind = max(hunk.start - part.start, 0), max(part.stop - hunk.stop, 0)
        # What stands outside of the hunk is the same in both texts.
        start, stop = hunk.new_start - before, hunk.new_stop + behind
        if not (self._same(hunk.start, hunk.new_start, -before) and self._same(hunk.stop, hunk.new_stop, behind)):
            return None
        left, right = part.start <= hunk.start, part.stop >= hunk.stop
        pieces = list(self._pieces(start, stop))
        if not (left and right):
            pieces = self._chosen(pieces, part, trigger, left, right)
        chosen = [one for piece in pieces for one in piece]
        old = self.old[part.start : part.stop]
        return cut(self.after, chosen if self._has_grammar(old) else self._trimmed(chosen)) or None

    def _same(self, old: int, new: int, length: int) -> bool:
        """Whether so many units from a place on are the same in both texts; before it if there are less than none."""
        if length < 0:
            old, new, length = old + length, new + length, -length
        ours, theirs = self.old[old : old + length], self.new[max(new, 0) : new + length]
        return [one.text for one in ours] == [one.text for one in theirs]

    def _pieces(self, start: int, stop: int) -> Iterator[List[Unit]]:
        """Units of the new text: words with hyphens whole, a script without blanks as far as one subword holds it."""
        piece: List[Unit] = []
        for one in self.new[start:stop]:
            within = one.start not in self.starts or bool(piece and is_katakana(one.text + piece[-1].text))
            goes_on = piece and (one.unspaced and piece[-1].unspaced and within or _hyphened(piece[-1], one))
            if piece and not goes_on:
                yield piece
                piece = []
            piece.append(one)
        if piece:
            yield piece

    def _chosen(
        self, pieces: Sequence[List[Unit]], part: range, trigger: str, left: bool, right: bool
    ) -> List[List[Unit]]:
        """Neighbours that may stand for a trigger since no other source word gives them: from the end that it is at.

        Args:
            pieces: of the new text.
            part: the old segment.
            trigger: the source segment.
            left: the old segment stands at the beginning of what is gone.
            right: it stands at the end.
        """
        free = [self._is_free(piece, trigger) for piece in pieces]
        indices = [index for index, flag in enumerate(free) if flag]
        if not indices:
            return []
        if left or right:
            alike = [index for index in indices if self._is_alike(pieces[index], part)] or indices
            first = alike[0] if left else alike[-1]
        else:
            first = max(indices, key=lambda one: self._liking(pieces[one], part, trigger))
        start, stop = first, first + 1
        length = len(part)
        while pieces[first][0].unspaced and sum(map(len, pieces[start:stop])) < length:
            if not right and stop < len(pieces) and free[stop]:
                stop += 1
            elif not left and start > 0 and free[start - 1]:
                start -= 1
            else:
                break
        return list(pieces[start:stop])

    def _is_free(self, piece: Sequence[Unit], trigger: str) -> bool:
        """Whether no other word of the source than the trigger gives a piece of the new text."""
        text = cut(self.after, piece)
        if not piece[0].is_word or self.sides.grammar_in_target(text):
            return False
        ours, own = self.sides.dice(trigger, text), without_tags(trigger)
        others = [one for one in self.words if not set(own.split()) & set(without_tags(one).split())]
        others = [one for one in others if without_tags(one) not in own]
        return all(self.sides.dice(one, text) <= max(ours, _GOES) for one in others)

    def _is_alike(self, piece: Sequence[Unit], part: range) -> bool:
        """Whether a piece of the new text and the old segment begin with a capital or both with none."""
        return piece[0].text[:1].isupper() == self.old[part.start].text[:1].isupper()

    def _liking(self, piece: Sequence[Unit], part: range, trigger: str) -> Tuple[bool, float]:
        """How well a piece of the new text suits: written like the old segment, then going with the trigger."""
        return self._is_alike(piece, part), self.sides.dice(trigger, cut(self.after, piece))

    def _has_grammar(self, parts: Sequence[Unit]) -> bool:
        return any(not one.is_word or self.sides.grammar_in_target(one.text) for one in parts)

    def _trimmed(self, parts: Sequence[Unit]) -> List[Unit]:
        """Without articles and signs around."""
        kept = list(parts)
        spare = [not one.is_word or self.sides.grammar_in_target(one.text) for one in kept]
        while len(kept) > 1 and spare[0]:
            del kept[0], spare[0]
        while len(kept) > 1 and spare[-1]:
            del kept[-1], spare[-1]
        return kept


def _hyphened(left: Unit, right: Unit) -> bool:
    """Whether a hyphen joins two neighbours to one word."""
    return left.stop == right.start and "-" in (left.text, right.text)


class _Found(NamedTuple):
    """A segment of the old text with a source segment that it goes with."""

    dice: float
    part: range
    trigger: str
