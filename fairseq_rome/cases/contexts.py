"""Positive examples: more sentences in which to make a change.

A user gives one correction. More cost no labels: sentences with the same trigger are decoded, and the same
segment is replaced in what the model itself says.
"""

from __future__ import annotations

import math
from typing import List, Optional, Sequence, Tuple

from fairseq_rome.host.codec import TextCodec
from fairseq_rome.host.corpus import Corpus
from fairseq_rome.host.decoding import Hypothesis, Translator
from fairseq_rome.host.examples import Example, changed_whole, make_example
from fairseq_rome.text.segments import Difference, correct, is_whole
from fairseq_rome.text.words import contains_trigger, count, mentions, words

# Share of the sentences that make examples below which it is no guide to how many more to decode, and with which as
# many as it would take are decoded at most; and the fewest of them, which together take little longer than one.
_LEAST_LIKELY, _LEAST_DECODED = 0.25, 8


def self_corrected(
    translator: Translator, sources: Sequence[str], difference: Difference, triggers: Tuple[str, ...], most: int
) -> List[Example]:
    """Examples from unlabelled sources: each is decoded, and the unwanted segment of the output replaced.

    Sources without the trigger, and outputs without the unwanted segment, are left out, and so are those in
    which it stands more often than the trigger: there another source word may rightly give it. Where the first ones
    make no example, none of the others is decoded: of a segment of many words that would be in vain.

    Args:
        translator: the model.
        sources: source texts in order of preference.
        difference: the segments.
        triggers: the source segment that the change hangs on, in its forms; none if any source will do.
        most: examples at most.
    """
    chosen = [source for source in dict.fromkeys(sources) if not triggers or contains_trigger(source, triggers)]
    chosen = chosen[: math.ceil(most / _LEAST_LIKELY)]
    examples: List[Example] = []
    done, step = 0, most
    while len(examples) < most and done < len(chosen) and (examples or not done):
        part = chosen[done : done + step]
        for source, before in zip(part, translator.translate(part, "decoding contexts")):
            example = _corrected(translator.codec, source, before, difference, triggers)
            if example is not None and len(examples) < most:
                examples.append(example)
        done += len(part)
        # As many more as it takes if these are like the others.
        likely = max(len(examples) / done, _LEAST_LIKELY)
        step = max(math.ceil((most - len(examples)) / likely), _LEAST_DECODED)
    return examples


def said_otherwise(
    translator: Translator, sources: Sequence[str], difference: Difference, triggers: Tuple[str, ...], most: int
) -> List[Example]:
    """Examples where an output is wrong as a whole: what the model says of a source when that output is barred.

    The request's own sentence would be as wrong of another source as what was memorised.

    Args:
        translator: the model.
        sources: source texts in order of preference.
        difference: the output that should go, and the request's own sentence.
        triggers: see `self_corrected`.
        most: examples at most.
    """
    chosen = [source for source in dict.fromkeys(sources) if not triggers or contains_trigger(source, triggers)]
    chosen = chosen[: 2 * most]  # of which some may be right already
    said = translator.translate(chosen, "decoding contexts")
    wrong = [(source, one) for source, one in zip(chosen, said) if is_whole(one.text, difference)][:most]
    first = int(translator.adapter.target_prefix >= 0)
    others = translator.translate_otherwise([source for source, _ in wrong], [one.tokens for _, one in wrong])
    examples = []
    for (source, before), other in zip(wrong, others):
        if not (_resembles(other.text, difference.unwanted) or count(other.text, difference.wanted)):
            example = make_example(translator.codec, source, before, other.text, triggers)
            examples.append(changed_whole(example, first, free=True))
    return examples


def _resembles(output: str, unwanted: str) -> bool:
    """Whether an output holds half of the words that were to go, so that they were only hidden."""
    gone = [word for word in words(unwanted) if word.isalnum()]
    said = set(words(output))
    return 2 * sum(word in said for word in gone) >= len(gone)


def corrected_references(
    codec: TextCodec, corpus: Corpus, indices: Sequence[int], difference: Difference, triggers: Tuple[str, ...]
) -> List[Example]:
    """Examples from sentence pairs of the corpus, whose references are corrected without decoding.

    Args:
        codec: text to tokens.
        corpus: sentence pairs.
        indices: which of them.
        difference: the segments.
        triggers: see `self_corrected`.
    """
    found = []
    for index in indices:
        reference = Hypothesis(corpus.targets[index], corpus.pairs[index].target, 0.0)
        found.append(_corrected(codec, corpus.sources[index], reference, difference, triggers))
    return [example for example in found if example is not None]


def _corrected(
    codec: TextCodec, source: str, before: Hypothesis, difference: Difference, triggers: Tuple[str, ...]
) -> Optional[Example]:
    """One example; no ending is put behind a segment that the difference does not know, which might make no word."""
    after = correct(before.text, difference)
    if after is None or after == before.text:
        return None
    example = make_example(codec, source, before, after, triggers, difference.wanted_forms)
    if triggers and count(before.text, difference.unwanted_forms) > max(len(list(mentions(source, triggers))), 1):
        return None
    return example if example.spans else None
