"""Sentences that no request speaks of, before and after the edits of a run."""

from __future__ import annotations

from dataclasses import replace
from typing import List, Optional, Sequence, Tuple

from fairseq_rome.editing.outcome import Result, Unchanged
from fairseq_rome.host.before_after import Before
from fairseq_rome.host.certificate import Certificate
from fairseq_rome.host.decoding import Hypothesis, Translator
from fairseq_rome.patch import Patch, applied
from fairseq_rome.text.replacements import Replacement, changed_as_wanted
from fairseq_rome.text.segments import Endings


def before_and_after(
    sets: Sequence[Tuple[Translator, Sequence[str]]], certificate: Optional[Certificate], patches: Sequence[Patch]
) -> List[Unchanged]:
    """Sets of sentences before and after the edits of a run.

    Args:
        sets: the unedited model in the direction of a set, and its sentences.
        certificate: of the model with the edits; None for none.
        patches: the edits.
    """
    label = "decoding other sentences"
    firsts = [
        Before.of(translator, [translator.codec.source(source) for source in sources], certificate, label)
        for translator, sources in sets
    ]
    model = sets[0][0].model
    with applied(model, *patches):
        seconds = [first.after(translator, label) for first, (translator, _) in zip(firsts, sets)]
    return [
        Unchanged(tuple(sources), _texts(first.hypotheses), _texts(second), proven=sum(first.proven))
        for (_, sources), first, second in zip(sets, firsts, seconds)
    ]


def _texts(hypotheses: Sequence[Hypothesis]) -> Tuple[str, ...]:
    return tuple(hypothesis.text for hypothesis in hypotheses)


def with_wanted(sample: Unchanged, results: Sequence[Result], endings: Endings) -> Unchanged:
    """Other sentences; those are told apart that edits which are to hold in other sentences too changed as wanted.

    Args:
        sample: the sentences.
        results: of the requests.
        endings: with which segments still count.
    """
    replacements = [
        Replacement(one.triggers or (one.trigger,), one.difference)
        for one in results
        if one.patch and one.trigger and one.difference and one.contexts + one.held_out
    ]
    wanted = tuple(
        index
        for index, said in enumerate(zip(sample.sources, sample.before, sample.after))
        if changed_as_wanted(*said, replacements, endings)
    )
    return replace(sample, wanted=wanted)
