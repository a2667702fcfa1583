"""Decodings of the unedited model are remembered, and never those of another model or search taken for them."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any, Callable, Iterator, List, Optional

import pytest
import torch
from demo_edits import assert_same_bits
from edit_runs import DEMO, needs_halves

import fairseq_rome
from fairseq_rome import EditRequest, EditSettings, Workbench
from fairseq_rome.host.adapters import TaskAdapter
from fairseq_rome.host.kept_file import KeptFile
from fairseq_rome.host.remembered import DECODINGS
from fairseq_rome.host.sites import Site, prepared
from fairseq_rome.patch import LowRankChange, Patch
from fairseq_rome.text.requests import Probe

SOURCES = ["The shop assistants can read the poem.", "He sees a tall tree.", "The girls can read."]
TARGET = "Die Verkäufer können das Gedicht lesen."
QUICK = EditSettings.of(edit_stats_tokens=2000, edit_contexts=4, edit_references=4, edit_sample=6)
NAME = "decoder.layers.1.fc2.weight"


def opened(data: Path, cache: Optional[Path], **options: Any) -> Workbench:
    return fairseq_rome.open(
        str(DEMO / "model.pt"), data=str(data), source="en", target="de", bpe="sentencepiece",
        sentencepiece_model=str(DEMO / "spm.model"), **{"beam": 2, "cache": cache and str(cache), **options},
    )  # fmt: skip


@pytest.fixture
def decoded(monkeypatch: pytest.MonkeyPatch) -> Iterator[List[int]]:
    """How many sentences each call of beam search was for."""
    counts: List[int] = []
    search = TaskAdapter.generate

    def counted(self: Any, generator: Any, model: Any, net_input: Any, begin: Any = None) -> Any:
        counts.append(len(net_input["src_tokens"]))
        return search(self, generator, model, net_input, begin)

    monkeypatch.setattr(TaskAdapter, "generate", counted)
    return counts


def taken(decoded: List[int], work: Callable[[], Any]) -> int:
    """How many sentences are decoded while something is done."""
    before = sum(decoded)
    work()
    return sum(decoded) - before


def patch(bench: Workbench) -> Patch:
    d, f = bench.model.translator.model.get_parameter(NAME).shape
    draw = torch.Generator().manual_seed(1)
    change = LowRankChange(NAME, torch.randn(d, 1, generator=draw), torch.randn(f, 1, generator=draw))
    return Patch("rome", Site.parse("decoder.1"), (change,))


def test_what_was_decoded_is_not_decoded_again(edit_data: Path, tmp_path: Path, decoded: List[int]) -> None:
    bench = opened(edit_data, tmp_path)
    first = bench.model.translator.translate(SOURCES[:2])
    assert taken(decoded, lambda: bench.translate(SOURCES[:2])) == 0
    assert taken(decoded, lambda: bench.translate(SOURCES)) == 1
    again = opened(edit_data, tmp_path)
    assert taken(decoded, lambda: again.translate(SOURCES)) == 0
    for one, other in zip(first, again.model.translator.translate(SOURCES)):
        assert one.text == other.text and one.score == other.score
        assert torch.equal(one.tokens, other.tokens) and one.tokens.dtype == other.tokens.dtype


def test_without_a_folder_a_process_remembers_its_own(edit_data: Path, decoded: List[int]) -> None:
    bench = opened(edit_data, None)
    bench.translate(SOURCES)
    assert taken(decoded, lambda: bench.translate(SOURCES)) == 0
    assert taken(decoded, lambda: opened(edit_data, None).translate(SOURCES)) == 3 + 1  # and the start


def test_a_bound_of_nothing_remembers_nothing(edit_data: Path, tmp_path: Path, decoded: List[int]) -> None:
    bench = opened(edit_data, tmp_path, cache_size=0)
    bench.translate(SOURCES)
    assert taken(decoded, lambda: bench.translate(SOURCES)) == 3


OTHERS = {
    "another beam": {"beam": 3},
    "another length penalty": {"lenpen": 0.5},
    "another longest target": {"max_len_b": 40},
    "another setting of the model": {"model_overrides": "{'decoder_attention_heads': 1}"},
}


@pytest.mark.parametrize("options", OTHERS.values(), ids=list(OTHERS))
def test_other_settings_have_decodings_of_their_own(
    edit_data: Path, tmp_path: Path, decoded: List[int], options: Any
) -> None:
    opened(edit_data, tmp_path).translate(SOURCES)
    other = opened(edit_data, tmp_path, **options)
    assert taken(decoded, lambda: other.translate(SOURCES)) == 3
    assert taken(decoded, lambda: other.translate(SOURCES)) == 0


def test_other_weights_have_decodings_of_their_own(edit_data: Path, tmp_path: Path, decoded: List[int]) -> None:
    bench = opened(edit_data, tmp_path)
    bench.translate(SOURCES)
    bench.save_patches(str(tmp_path / "fix.safetensors"), bench.edit([EditRequest(SOURCES[0], TARGET)], QUICK))
    other = opened(edit_data, tmp_path, patches=[str(tmp_path / "fix.safetensors")])
    assert taken(decoded, lambda: other.translate(SOURCES)) == 3
    assert other.translate(SOURCES)[0] == TARGET != bench.translate(SOURCES)[0]


def test_an_edited_model_neither_reads_nor_writes(edit_data: Path, tmp_path: Path, decoded: List[int]) -> None:
    bench = opened(edit_data, tmp_path)
    before = bench.translate(SOURCES)
    with bench.patched([patch(bench)]):
        assert taken(decoded, lambda: bench.translate(SOURCES)) == 3
        assert bench.translate(SOURCES) != before
        bench.translate(["Another sentence."])
    assert taken(decoded, lambda: bench.translate(SOURCES)) == 0
    assert bench.translate(SOURCES) == before == opened(edit_data, tmp_path).translate(SOURCES)
    assert taken(decoded, lambda: bench.translate(["Another sentence."])) == 1
    assert sum(one.sentences for one in KeptFile(tmp_path / DECODINGS, 0).held() or ()) == 4


def test_a_model_that_was_never_unedited_neither_reads_nor_writes(edit_data: Path, tmp_path: Path) -> None:
    right = opened(edit_data, tmp_path / "other").translate(SOURCES)
    bench = opened(edit_data, tmp_path)
    with bench.patched([patch(bench)]):
        bench.translate(SOURCES)
    assert bench.translate(SOURCES) == opened(edit_data, tmp_path).translate(SOURCES) == right


def test_another_generator_or_model_has_no_decodings(edit_data: Path, tmp_path: Path) -> None:
    translator = opened(edit_data, tmp_path).model.translator
    other = opened(edit_data, tmp_path, beam=3).model.translator
    known = translator.remembered
    assert known is not None
    with prepared(translator.model), prepared(other.model):
        assert known.while_unedited(translator.model, translator.adapter, translator.generator) is not None
        assert known.while_unedited(other.model, translator.adapter, translator.generator) is None
        assert known.while_unedited(translator.model, other.adapter, translator.generator) is None
        assert known.while_unedited(translator.model, translator.adapter, other.generator) is None


def test_a_setting_that_a_generator_is_given_later_counts(
    edit_data: Path, tmp_path: Path, decoded: List[int]
) -> None:
    bench = opened(edit_data, tmp_path)
    bench.translate(SOURCES)
    bench.model.translator.generator.len_penalty = 0.3
    assert taken(decoded, lambda: bench.translate(SOURCES)) == 3


@needs_halves
def test_half_precision_has_decodings_of_its_own(edit_data: Path, tmp_path: Path, decoded: List[int]) -> None:
    bench = opened(edit_data, tmp_path, fp16=True)
    bench.translate(SOURCES)
    half = bench.model.unedited()
    assert half.remembered is not None
    with prepared(half.model):
        assert taken(decoded, lambda: half.translate(SOURCES)) == 3
        assert taken(decoded, lambda: half.translate(SOURCES)) == 0


def test_an_edit_is_the_same_with_and_without_memory(edit_data: Path, tmp_path: Path, decoded: List[int]) -> None:
    requests = [EditRequest(SOURCES[0], TARGET, trigger="shop assistants")]
    outcomes, counts = [], []
    for size in (0, 10, 10):
        bench = opened(edit_data, tmp_path, cache_size=size)
        before = sum(decoded)
        outcomes.append(bench.edit(requests, QUICK))
        counts.append(sum(decoded) - before)
    plain = outcomes[0]
    for one in outcomes[1:]:
        assert_same_bits(one.patches, plain.patches)
        assert [replace(result, patch=None, seconds=0.0) for result in one.results] == [
            replace(result, patch=None, seconds=0.0) for result in plain.results
        ]
        assert (one.sample, one.keep) == (plain.sample, plain.keep)
    assert counts[0] > counts[1] > counts[2]


def test_an_evaluation_decodes_the_unedited_model_once(edit_data: Path, tmp_path: Path, decoded: List[int]) -> None:
    request = EditRequest(SOURCES[0], TARGET, id="1", probes=(Probe(SOURCES[1]), Probe(SOURCES[2])))
    edits = opened(edit_data, tmp_path, cache_size=0).edit([request], QUICK).patches
    reports, counts = [], []
    for _ in range(2):
        bench = opened(edit_data, tmp_path)
        before = sum(decoded)
        reports.append(bench.evaluate(edits, [request], sample=10))
        counts.append(sum(decoded) - before)
    assert counts[0] - counts[1] >= 13
    assert reports[0].evaluation.metrics() == reports[1].evaluation.metrics()
