"""Corpus scores of two systems, by sacrebleu alone and never without its signature."""

from __future__ import annotations

from typing import Any, Dict, List, Optional, Sequence, Tuple

from sacrebleu.metrics.base import Metric
from sacrebleu.metrics.bleu import BLEU
from sacrebleu.metrics.chrf import CHRF
from sacrebleu.metrics.ter import TER
from sacrebleu.significance import PairedTest

from fairseq_rome.evaluation.model import Score

_TOKENIZERS = {"zh": "zh", "ja": "char", "th": "char"}


def compare_scores(
    before: Sequence[str], after: Sequence[str], references: Sequence[str], target_lang: str
) -> Tuple[Score, ...]:
    """BLEU, chrF and TER of two systems on the same sentences, with a paired bootstrap test where they differ.

    Args:
        before: hypotheses of the first system.
        after: hypotheses of the second.
        references: one reference a sentence.
        target_lang: decides BLEU's tokenizer; its signature names it.
    """
    metrics = _metrics(target_lang)
    if list(before) == list(after):
        # sacrebleu would give a system against itself the smallest p-value there is.
        return tuple(_same(metric, before, references) for metric in metrics.values())
    systems: List[Tuple[str, Sequence[str]]] = [("before", list(before)), ("after", list(after))]
    signatures, found = PairedTest(systems, metrics, [list(references)], test_type="bs")()
    return tuple(_compared(name, str(signature), *found[name]) for name, signature in signatures.items())


def _compared(name: str, signature: str, before: Any, after: Any) -> Score:
    """Sacrebleu's results of both systems as a `Score`, without numpy's types."""
    figures = (before.score, after.score, before.ci, after.ci, after.p_value)
    return Score(name, signature, *map(float, figures))


def length_ratio(hypotheses: Sequence[str], references: Sequence[str], target_lang: str) -> float:
    """Tokens of all hypotheses over tokens of all references, as BLEU counts them."""
    score = _metrics(target_lang)["BLEU"].corpus_score(list(hypotheses), [list(references)])
    return float(score.sys_len) / max(float(score.ref_len), 1.0)


def sentence_chrf(hypothesis: str, reference: str) -> float:
    """ChrF of one sentence, 0 to 100."""
    return float(CHRF().sentence_score(hypothesis, [reference]).score)


def _metrics(target_lang: str) -> Dict[str, Metric]:
    tokenizer: Optional[str] = _TOKENIZERS.get(target_lang.split("_")[0])
    return {"BLEU": BLEU(tokenize=tokenizer), "chrF2": CHRF(), "TER": TER()}


def _same(metric: Metric, hypotheses: Sequence[str], references: Sequence[str]) -> Score:
    score = metric.corpus_score(list(hypotheses), [list(references)])
    return Score(score.name, str(metric.get_signature()), score.score, score.score)
