"""Other forms of a word, such as its plural, as the training side shows them."""

from __future__ import annotations

import unicodedata
from collections import Counter
from typing import Dict, List, Optional, Sequence, Tuple

from fairseq_rome.cases.association import Association, word_check
from fairseq_rome.text.languages.profile import LanguageProfile
from fairseq_rome.text.words import is_unspaced, words

# A form of a word has its beginning, but for so many letters at its end; less takes other words for forms.
_OWN_LETTERS, _LEAST_COMMON = 3, 3
# Share of the sentences with a form that must hold the trigger too, or so much of the word's own share where that is
# small, and how many sentences at least. Lower takes in forms that other source words give as well.
_WITH_TRIGGER, _SEEN = 0.5, 2


def trigger_forms(trigger: str, association: Association, source: LanguageProfile) -> Tuple[str, ...]:
    """The trigger, with its plural or singular where the training side has it.

    Args:
        trigger: the source segment; its last word is inflected.
        association: of the training side.
        source: profile of the source language.
    """
    *first, last = trigger.split() or [trigger]
    inflected = [source.plural(last), *_singulars(last, source)]
    forms = [" ".join([*first, one]) for one in inflected if one and one != last]
    return (trigger, *(one for one in dict.fromkeys(forms) if association.with_source(one)))


def _singulars(word: str, profile: LanguageProfile) -> List[str]:
    """Words whose usual plural is the word."""
    shorter = [word[:-cut] for cut in (1, 2) if len(word) > cut + 2] + [word[:-3] + "y"] * word.endswith("ies")
    return [one for one in shorter if profile.plural(one) == word]


def target_forms(word: str, association: Association, target: LanguageProfile) -> Tuple[str, ...]:
    """A target word, with those that an ending or a plural makes out of it or it out of them, as the training side has.

    Args:
        word: a word; other segments have no forms.
        association: of the training side.
        target: profile of the target language.
    """
    if not word.isalpha() or is_unspaced(word):
        return (word,)
    bare = [word[: -len(ending)] for ending in target.endings if word.endswith(ending)]
    others = [*bare, target.plural(word), *_singulars(word, target), *(word + ending for ending in target.endings)]
    known = [one for one in others if one and len(one) >= _LEAST_COMMON and association.with_target(one)]
    return tuple(dict.fromkeys((word, *known)))


def other_forms(
    unwanted: str, wanted: str, triggers: Tuple[str, ...], association: Association, target: LanguageProfile
) -> Tuple[Tuple[str, str], ...]:
    """Other forms of an unwanted word that go with the trigger, each with the form of the wanted one in its place.

    Args:
        unwanted: a word; other segments have no forms.
        wanted: what takes its place.
        triggers: the trigger in its forms.
        association: of the training side.
        target: profile of the target language.
    """
    single = len(words(unwanted)) == 1 == len(words(wanted)) and unwanted.isalpha()
    if not single or is_unspaced(unwanted) or is_unspaced(wanted):
        return ()
    kin = _kin(unwanted, triggers, association)
    found = _alike(unwanted, wanted, kin, association, target)
    # A request may hold a genitive: the plural is a form of the bare word, not of that.
    for bare in [form for form in found if len(form) < len(unwanted)]:
        rest = [form for form in kin if form not in found]
        found.update(_alike(bare, found[bare], rest, association, target))
    return tuple(found.items())


def _alike(
    unwanted: str, wanted: str, kin: Sequence[str], association: Association, target: LanguageProfile
) -> Dict[str, str]:
    """Those of some words that are forms of the unwanted one, each with the like form of the wanted one."""
    forms = [form for form in kin if inflects(unwanted, form, target)]
    made = {form: _made_alike(unwanted, form, wanted, association, target) for form in forms}
    return {form: one for form, one in made.items() if one != form}


def inflects(word: str, form: str, target: LanguageProfile) -> bool:
    """Whether the language makes one of two words out of the other by a plural or an ending."""
    if form == target.plural(word) or word == target.plural(form):
        return True
    short, long = sorted((_plain(word), _plain(form)), key=len)
    return long.startswith(short) and long[len(short) :] in target.endings


def _kin(word: str, triggers: Tuple[str, ...], association: Association) -> List[str]:
    """Words like a word in the target sides of the sentences with a trigger, the most frequent first."""
    seen: Counter[str] = Counter()
    for index in association.with_source(*triggers):
        seen.update(dict.fromkeys(words(association.target(index))).keys())
    often = [form for form, times in seen.most_common() if times >= _SEEN and akin(word, form)]
    least = _WITH_TRIGGER * min(1.0, 2 * association.purity(word, triggers))
    return [form for form in often if seen[form] >= least * len(association.with_target(form))]


def akin(word: str, other: str) -> bool:
    """Whether two words are forms of one, by their letters: accents and umlauts come and go with an ending."""
    if word == other or word[:1].isupper() != other[:1].isupper() or not other.isalpha() or is_unspaced(other):
        return False
    ours, theirs = _plain(word), _plain(other)
    common = next((i for i, (a, b) in enumerate(zip(ours, theirs)) if a != b), min(len(ours), len(theirs)))
    most = max(len(ours), len(theirs))
    return common >= max(_LEAST_COMMON, most - _OWN_LETTERS, (most + 1) // 2)


def _plain(word: str) -> str:
    """A word without its accents."""
    return "".join(one for one in unicodedata.normalize("NFKD", word) if not unicodedata.combining(one))


def _made_alike(unwanted: str, form: str, wanted: str, association: Association, target: LanguageProfile) -> str:
    """The form of the wanted word that is to the wanted one as `form` is to the unwanted one.

    What the training side has most of comes before what the language's rule makes: of a word that nobody has written
    every form is a guess.
    """
    by_rule = target.plural(wanted)
    likely = [_same_ending(unwanted, form, wanted), by_rule, *(wanted + ending for ending in target.endings)]
    if len(form) < len(unwanted):
        # Where no plural is taken back, but say a genitive, a wanted word without its ending is bare already. What the
        # training side never says is no plural, whatever the rule: the model has made it up.
        is_plural = target.plural(form) == unwanted and word_check(association.corpus)(unwanted)
        likely = [_same_ending(unwanted, form, wanted), *(_singulars(wanted, target) if is_plural else [])]
    known = {one: len(association.with_target(one)) for one in likely if one and one != wanted}
    best = max(known, key=lambda one: known[one], default=wanted)  # the first of equals
    if known.get(best):
        return best
    if "s" in target.endings and form == unwanted + "s":
        return wanted + ("es" if wanted.endswith(("s", "ß", "x", "z")) else "s")  # be it a genitive or a plural
    return by_rule if by_rule and len(form) >= len(unwanted) else best


def _same_ending(unwanted: str, form: str, wanted: str) -> Optional[str]:
    """The wanted word with the ending that makes the form out of the unwanted one; None if it has another end."""
    common = next((i for i, (a, b) in enumerate(zip(unwanted, form)) if a != b), min(len(unwanted), len(form)))
    old, new = unwanted[common:], form[common:]
    return wanted[: len(wanted) - len(old)] + new if wanted.endswith(old) else None
