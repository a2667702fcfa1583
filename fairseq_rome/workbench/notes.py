"""What a user should know of what a run has read, although the run goes on."""

from __future__ import annotations

from typing import Tuple

from fairseq_rome.cases.spelling import SOURCE, Spelling
from fairseq_rome.host.codec import TextCodec
from fairseq_rome.host.corpus import Corpus
from fairseq_rome.text.requests import EditFile

ENOUGH_POSITIONS = 9_000
"""Target positions of background from which an edit can be kept off other sentences.

What stays away from all of n positions can still meet 3/n of others (the rule of three, 95% sure). With 9,000, and 15
positions a sentence, that is one sentence in 200. A higher bound would warn of data that do well.
"""


def notes_on(edit_file: EditFile, codec: TextCodec) -> Tuple[str, ...]:
    """What is to be known of the requests of a run, a sentence each.

    Args:
        edit_file: the requests.
        codec: text to the model's tokens.
    """
    unknown = Spelling(edit_file, codec, SOURCE).sentence
    return (*edit_file.notes, *([unknown] if unknown else []))


def notes_on_learning(corpus: Corpus) -> Tuple[str, ...]:
    """That there is too little to keep an edit off other sentences; nothing where there is enough.

    Args:
        corpus: what the edit learns from.
    """
    positions = sum(len(pair.target) for pair in corpus.pairs)
    if positions >= ENOUGH_POSITIONS:
        return ()
    return (
        f"{_pairs(corpus)} with {positions:,} positions are too few to keep an edit off other sentences, expected at "
        f"least {ENOUGH_POSITIONS:,} positions: look at a --test-set before the model is used",
    )


def notes_on_sample(corpus: Corpus, sample: int) -> Tuple[str, ...]:
    """That there are fewer other sentences than asked for, and how little they prove; nothing where there are enough.

    Args:
        corpus: where they come from.
        sample: how many were asked for.
    """
    count = len(corpus.pairs)
    if count >= sample:
        return ()
    return (
        f"{_pairs(corpus)} prove little, {sample:,} other sentences were asked for: if all of {count:,} stay the same, "
        f"up to {min(3 / count, 1):.0%} of others may still change (95% sure)",
    )


def _pairs(corpus: Corpus) -> str:
    return f"{corpus.codec.adapter.data}: {len(corpus.pairs):,} sentence pairs"
