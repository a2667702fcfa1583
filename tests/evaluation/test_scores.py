from __future__ import annotations

from typing import List, Tuple

import pytest
import sacrebleu

from fairseq_rome.evaluation.scores import IDENTICAL, LEAST_TESTED, SAME, TOO_FEW, compare_scores


def systems(count: int) -> Tuple[List[str], List[str]]:
    """References, and a system that is a little off in each sentence."""
    references = [f"das ist Satz {n} von zwölf Sätzen" for n in range(count)]
    return references, [text.replace("zwölf", "elf") for text in references]


def test_scores_of_different_systems_have_intervals_and_signatures() -> None:
    references, worse = systems(LEAST_TESTED)
    scores = compare_scores(references, worse, references, "de")
    assert [score.name for score in scores] == ["BLEU", "chrF2", "TER"]
    for score in scores:
        assert "version:" in score.signature and "bs:1000" in score.signature
        assert score.p_value is not None and 0 < score.p_value < 0.05
        assert score.interval_before is not None
        assert not score.untested


@pytest.mark.parametrize("count", [1, 3, LEAST_TESTED - 1])
def test_a_few_sentences_are_scored_and_not_tested(count: int) -> None:
    """A bootstrap of one sentence would find any difference certain."""
    references, worse = systems(count)
    scores = compare_scores(references, worse, references, "de")
    expected = sacrebleu.corpus_bleu(worse, [references]).score
    assert (scores[0].before, scores[0].after) == pytest.approx((100, expected)) != (100, 100)
    for score in scores:
        assert (score.p_value, score.interval_before, score.interval_after) == (None, None, None)
        assert score.untested == TOO_FEW
        assert "version:" in score.signature and "bs:" not in score.signature
    assert compare_scores(worse, worse, references, "de")[0].untested == IDENTICAL


def test_outputs_that_differ_where_a_metric_does_not_look_are_not_told_apart() -> None:
    """A bootstrap gives a difference of nothing the smallest p-value there is."""
    references, worse = systems(LEAST_TESTED)
    other = [text.replace("elf", "neun") for text in worse]
    bleu, chrf, _ = compare_scores(worse, other, references, "de")
    assert bleu.before == bleu.after and bleu.interval_before is not None
    assert (bleu.p_value, bleu.untested) == (None, SAME)
    assert chrf.before != chrf.after and chrf.p_value is not None and not chrf.untested


def test_chinese_has_its_own_tokenizer() -> None:
    assert "tok:zh" in compare_scores(["你好"], ["你好"], ["你好"], "zh")[0].signature
