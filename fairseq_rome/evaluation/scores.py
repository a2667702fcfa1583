"""Corpus scores of two systems, by sacrebleu alone and never without its signature."""

from __future__ import annotations

from typing import Any, Dict, List, Sequence, Tuple

from sacrebleu.metrics.base import Metric
from sacrebleu.metrics.bleu import BLEU
from sacrebleu.metrics.chrf import CHRF
from sacrebleu.metrics.ter import TER
from sacrebleu.significance import PairedTest

from fairseq_rome.evaluation.judged import Score
from fairseq_rome.text.languages.profile import profile_of

LEAST_TESTED = 30
"""How many sentences a test needs: resampling a few gives small p-values whatever the systems are."""
IDENTICAL = "identical outputs"
SAME = "the same score"
TOO_FEW = "too few sentences for a test"


def compare_scores(
    before: Sequence[str], after: Sequence[str], references: Sequence[str], target_lang: str
) -> Tuple[Score, ...]:
    """BLEU, chrF and TER of two systems on the same sentences, with a paired bootstrap test.

    There is no test where the systems say the same, nor of fewer than `LEAST_TESTED` sentences.

    Args:
        before: hypotheses of the first system.
        after: hypotheses of the second.
        references: one reference a sentence.
        target_lang: decides BLEU's tokenizer; its signature names it.
    """
    metrics = _metrics(target_lang)
    if list(before) == list(after):
        # sacrebleu would give a system against itself the smallest p-value there is.
        return tuple(_untested(metric, before, after, references, IDENTICAL) for metric in metrics.values())
    if len(references) < LEAST_TESTED:
        return tuple(_untested(metric, before, after, references, TOO_FEW) for metric in metrics.values())
    systems: List[Tuple[str, Sequence[str]]] = [("before", list(before)), ("after", list(after))]
    signatures, found = PairedTest(systems, metrics, [list(references)], test_type="bs")()
    return tuple(_compared(name, str(signature), *found[name]) for name, signature in signatures.items())


def _compared(name: str, signature: str, before: Any, after: Any) -> Score:
    """Sacrebleu's results of both systems as a `Score`, without numpy's types."""
    # Outputs may differ where a metric does not look, and no difference would get the smallest p-value there is.
    alike = float(before.score) == float(after.score)
    return Score(
        name, signature, float(before.score), float(after.score),
        interval_before=float(before.ci), interval_after=float(after.ci),
        p_value=None if alike else float(after.p_value), untested=SAME if alike else "",
    )  # fmt: skip


def length_ratio(hypotheses: Sequence[str], references: Sequence[str], target_lang: str) -> float:
    """Tokens of all hypotheses over tokens of all references, as BLEU counts them."""
    score = _metrics(target_lang)["BLEU"].corpus_score(list(hypotheses), [list(references)])
    return float(score.sys_len) / max(float(score.ref_len), 1.0)


def sentence_chrf(hypothesis: str, reference: str) -> float:
    """ChrF of one sentence, 0 to 100."""
    return float(CHRF().sentence_score(hypothesis, [reference]).score)


def _metrics(target_lang: str) -> Dict[str, Metric]:
    return {"BLEU": BLEU(tokenize=profile_of(target_lang).sacrebleu_tokenizer), "chrF2": CHRF(), "TER": TER()}


def _untested(
    metric: Metric, before: Sequence[str], after: Sequence[str], references: Sequence[str], reason: str
) -> Score:
    first, second = (metric.corpus_score(list(texts), [list(references)]) for texts in (before, after))
    signature = str(metric.get_signature())
    return Score(first.name, signature, float(first.score), float(second.score), untested=reason)
