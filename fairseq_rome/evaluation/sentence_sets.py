"""Sets of sentences that both models decode: where they come from, and what is measured on them."""

from __future__ import annotations

import os
from dataclasses import dataclass, replace
from typing import Dict, FrozenSet, List, Mapping, Optional, Sequence, Tuple

import torch

from fairseq_rome.errors import EditError
from fairseq_rome.evaluation.judged import TEST, Change, JudgedSet
from fairseq_rome.evaluation.scores import compare_scores, length_ratio, sentence_chrf
from fairseq_rome.host.batches import Pair
from fairseq_rome.host.before_after import Before
from fairseq_rome.host.certificate import Certificate
from fairseq_rome.host.codec import TextCodec, content
from fairseq_rome.host.decoding import Translator, bits_a_token
from fairseq_rome.text.checkers import Checker, Observation
from fairseq_rome.text.checkers.repetition import oscillation
from fairseq_rome.text.replacements import Replacement, changed_as_wanted
from fairseq_rome.text.requests.lines import read_text_lines
from fairseq_rome.text.segments import Endings
from fairseq_rome.text.words import contains_trigger


@dataclass(frozen=True)
class SentenceSet:
    """Sentences to decode.

    Args:
        name: what the set is called.
        kind: `keep`, `sample`, `test` or `direction`.
        sources: source texts.
        tokens: their token ids.
        references: reference texts; None if there are none.
        targets: token ids of the references, empty without them.
    """

    name: str
    kind: str
    sources: Tuple[str, ...]
    tokens: Tuple[torch.Tensor, ...]
    references: Optional[Tuple[str, ...]] = None
    targets: Tuple[torch.Tensor, ...] = ()


def plain_set(name: str, kind: str, sources: Sequence[str], codec: TextCodec) -> SentenceSet:
    """A set of source texts without references."""
    return SentenceSet(name, kind, tuple(sources), tuple(map(codec.source, sources)))


def load_test_set(spec: str, codec: TextCodec) -> SentenceSet:
    """A test set with references: raw text by prefix, or else a subset of DATA.

    Args:
        spec: a prefix of the files PREFIX.SRC and PREFIX.TGT, or the name of a subset such as `test`.
        codec: text to tokens and back.

    Raises:
        EditError: if there is neither, or a sentence lacks its reference.
    """
    adapter = codec.adapter
    source_path, target_path = (f"{spec}.{language}" for language in adapter.languages)
    if os.path.exists(source_path) or os.path.exists(target_path):
        return _raw_set(spec, source_path, target_path, codec)
    split = adapter.load_split(spec)
    if split is None:
        raise EditError(
            f"test set {spec!r}: neither the files {source_path} and {target_path} nor a subset of {adapter.data}"
        )
    sources: List[torch.Tensor] = []
    targets: List[torch.Tensor] = []
    for source, target in (adapter.pair(split[index]) for index in range(len(split))):
        if target is None:
            raise EditError(f"test set {spec!r}: no references in {adapter.data}, expected a target side")
        sources.append(source)
        targets.append(target)
    return SentenceSet(
        spec, TEST,
        tuple(codec.source_text(content(source, adapter.source_dictionary)) for source in sources),
        tuple(sources),
        tuple(codec.target_text(content(target, adapter.target_dictionary)) for target in targets),
        tuple(targets),
    )  # fmt: skip


def _raw_set(spec: str, source_path: str, target_path: str, codec: TextCodec) -> SentenceSet:
    sources, references = read_text_lines(source_path), read_text_lines(target_path)
    if len(sources) != len(references):
        raise EditError(
            f"{target_path}: {len(references)} lines; expected {len(sources)}, as many as {source_path}"
        )
    return SentenceSet(
        os.path.basename(spec), TEST, tuple(sources), tuple(map(codec.source, sources)),
        tuple(references), tuple(map(codec.target, references)),
    )  # fmt: skip


@dataclass(frozen=True)
class Expectation:
    """Which changes of other sentences are no damage.

    Args:
        requested: sources of requests, in which a change is wanted.
        triggers: source segments that requests name: where one stands, a change may be wanted.
        replacements: of edits that are to hold in other sentences too. Their triggers may have been guessed, so that a
            sentence which holds one is no damage only if it changed as wanted.
        endings: endings with which triggers and segments of the replacements still count.
    """

    requested: FrozenSet[str] = frozenset()
    triggers: Tuple[str, ...] = ()
    replacements: Tuple[Replacement, ...] = ()
    endings: Endings = Endings()

    def related(self, source: str) -> bool:
        """Whether a change of the sentence may be wanted, whatever it is."""
        return source in self.requested or any(contains_trigger(source, one) for one in self.triggers)

    def fulfilled(self, source: str, before: str, after: str) -> bool:
        """Whether the sentence changed as wanted."""
        return changed_as_wanted(source, before, after, self.replacements, self.endings)


def judge_set(
    before: Translator,
    after: Translator,
    chosen: SentenceSet,
    expected: Expectation,
    checkers: Mapping[str, Checker],
    target_lang: str,
    certificate: Optional[Certificate] = None,
) -> JudgedSet:
    """Decode a set with both models and measure all that can be measured on it.

    Args:
        before: the model without the edit.
        after: the edited model.
        chosen: the sentences.
        expected: which changes are no damage.
        checkers: reference-free checkers by task.
        target_lang: language of the hypotheses.
        certificate: of the edited model; None where all is to be decoded.
    """
    label = f"decoding {chosen.name}"
    first = Before.of(before, chosen.tokens, certificate, f"{label}, before")
    second = first.after(after, f"{label}, after")
    old, new = ([hypothesis.text for hypothesis in said] for said in (first.hypotheses, second))
    changes = _changes(chosen, old, new, expected)
    asked = sum(map(expected.related, chosen.sources)) + sum(one.as_wanted and not one.related for one in changes)
    judged = JudgedSet(
        chosen.name, chosen.kind, len(chosen.sources), len(chosen.sources) - asked,
        changes=changes,
        repetition=(_repetition(chosen.sources, old), _repetition(chosen.sources, new)),
        faults=_faults(checkers, chosen.sources, old, new),
        proven=sum(first.proven),
    )  # fmt: skip
    if chosen.references is None or not chosen.sources:
        return judged
    ratios = [length_ratio(hypotheses, chosen.references, target_lang) for hypotheses in (old, new)]
    pairs = [Pair(*pair) for pair in zip(chosen.tokens, chosen.targets)]
    return replace(
        judged,
        scores=compare_scores(old, new, chosen.references, target_lang),
        length_ratio=(ratios[0], ratios[1]),
        loss=(bits_a_token(before, pairs), bits_a_token(after, pairs)),
    )


def _changes(
    chosen: SentenceSet, old: Sequence[str], new: Sequence[str], expected: Expectation
) -> Tuple[Change, ...]:
    changes = []
    for index, (source, before, after) in enumerate(zip(chosen.sources, old, new)):
        if before == after:
            continue
        reference = chosen.references[index] if chosen.references else None
        first = None if reference is None else sentence_chrf(before, reference)
        second = sentence_chrf(after, before if reference is None else reference)
        related, as_wanted = expected.related(source), expected.fulfilled(source, before, after)
        changes.append(Change(source, before, after, reference, first, second, related, as_wanted))
    return tuple(sorted(changes, key=lambda change: change.gain))


def _repetition(sources: Sequence[str], hypotheses: Sequence[str]) -> float:
    repeated = [oscillation(*pair) is not None for pair in zip(sources, hypotheses)]
    return sum(repeated) / max(len(repeated), 1)


def _faults(
    checkers: Mapping[str, Checker], sources: Sequence[str], old: Sequence[str], new: Sequence[str]
) -> Dict[str, Tuple[int, int]]:
    found = {}
    for task, checker in checkers.items():
        counts: List[int] = []
        for hypotheses in (old, new):
            seen = checker.check([Observation(*pair) for pair in zip(sources, hypotheses)])
            counts.append(sum(fault is not None for fault in seen))
        found[task] = (counts[0], counts[1])
    return found
