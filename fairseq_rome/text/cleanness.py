"""Whether a sentence that shows a change is otherwise what it was."""

from __future__ import annotations

from collections import Counter
from difflib import SequenceMatcher
from typing import Callable, List, Sequence

from fairseq_rome.text.segments import Difference, correct, holds, is_whole
from fairseq_rome.text.words import count, is_unspaced, pattern, words

# Other words that may differ for each place where the segment was replaced, such as an article that has to agree with
# it. More would take damage for agreement; none would take every agreement for damage.
OTHER_WORDS = 1
# Characters that make a word, on average, where no blanks stand between words.
_CHARACTERS_A_WORD = 2


def is_clean(
    before: str, after: str, difference: Difference, endings: Sequence[str], is_word: Callable[[str], bool]
) -> bool:
    """Whether an output shows a change, and is otherwise the old output.

    Against the old output with the segment replaced at most one other word differs for each replacement, and no word is
    new that is none. Where the segment was all that the output said, it is gone, and what came is neither the request's
    own sentence, which is that of another source, nor some words of it.

    Args:
        before: what the model said.
        after: what it says.
        difference: the unwanted and the wanted segment.
        endings: endings with which a segment still counts.
        is_word: whether a word of the target language is one; asked of words that the old output lacks.
    """
    if is_whole(before, difference, endings):
        gone = not count(after, difference.unwanted_forms, endings)
        return gone and not _is_part(after, difference.wanted) and all(map(is_word, filter(str.isalpha, words(after))))
    expected = correct(before, difference, endings)
    if expected is None or not holds(after, expected, difference, endings):
        return False
    places = max(count(before, difference.unwanted_forms, endings), 1)
    wanted = difference.wanted_forms
    plain = [without_endings(text, wanted, endings) for text in (expected, after)]
    if other_words(words(plain[0]), words(plain[1])) > OTHER_WORDS * places:
        return False
    known = {*words(before), *words(expected), *(word for form in wanted for word in words(form))}
    said = pattern([one for one in wanted if one.strip()], endings).findall(after) if any(wanted) else []
    new = [word for word in words(after) if word not in known and word not in said]
    return all(is_word(word) for word in new if word.isalpha() and not is_unspaced(word))


def _is_part(output: str, sentence: str) -> bool:
    """Whether an output is little but the sentence of another source, or nothing but some of its words.

    A word that a request names as wanted is such a sentence where it is all of an output, not where it is one of many.
    """
    said = {word for word in words(output) if word.isalnum()}
    alike = said.intersection(words(sentence))
    return alike == said or (count(output, sentence) > 0 and 2 * len(alike) > len(said))


def said_once(outputs: Sequence[str]) -> List[bool]:
    """Whether no other output is the same, by output.

    Where all that a model said was wrong, one output for several sources is no better, be it a sound sentence.
    """
    often = Counter(outputs)
    return [often[output] == 1 for output in outputs]


def without_endings(text: str, segments: Sequence[str], endings: Sequence[str]) -> str:
    """A text in which segments stand bare, each without the ending that it has."""
    for segment in filter(None, segments):
        text = pattern(segment, endings).sub(lambda found, bare=segment: bare, text)  # type: ignore[misc]
    return text


def other_words(expected: List[str], found: List[str]) -> int:
    """How many words differ, where one word for another counts once; without blanks, two characters count as one."""
    codes = SequenceMatcher(None, expected, found, autojunk=False).get_opcodes()
    changed = [(expected[i1:i2], found[j1:j2]) for kind, i1, i2, j1, j2 in codes if kind != "equal"]
    return sum(max(_size(old), _size(new)) for old, new in changed)


def _size(part: Sequence[str]) -> int:
    characters = sum(map(is_unspaced, part))
    return len(part) - characters + -(-characters // _CHARACTERS_A_WORD)
