from __future__ import annotations

import pickle
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from threading import Barrier, BrokenBarrierError
from typing import Any, Callable, Dict, List, Tuple, TypeVar

import pytest
import torch
from edit_runs import DEMO

from fairseq_rome.errors import EditError
from fairseq_rome.host.configuration import FairseqOptions
from fairseq_rome.host.decoding import Translator, bits_a_token
from fairseq_rome.host.ranks import ALONE, Ranks, launched
from fairseq_rome.host.sites import Site
from fairseq_rome.host.visiting import visits
from fairseq_rome.statistics import backgrounds
from fairseq_rome.workbench.opening import open_model
from fairseq_rome.workbench.specs import ModelSpec
from fairseq_rome.workbench.workbench import Workbench

SITES = [Site.parse("decoder.2"), Site.parse("decoder.0")]
COUNT, BATCH, TOKENS = 22, 4, 9000
Found = TypeVar("Found")


def together(world: int, work: Callable[[Ranks], Found]) -> List[Found]:
    """What `work` gives in each of some processes: threads here, that copy what they tell as real ones do."""
    barrier, said = Barrier(world, timeout=60), [None] * world

    def one(own: int) -> Found:
        def tell(value: Any, rank: int) -> Any:
            said[own] = value
            barrier.wait()
            found = pickle.loads(pickle.dumps(said[rank]))
            barrier.wait()
            return found

        try:
            return work(Ranks(own, world, tell))
        except BaseException:
            barrier.abort()
            raise

    with ThreadPoolExecutor(world) as pool:
        runs = [pool.submit(one, rank) for rank in range(world)]
    failed = [error for error in (run.exception() for run in runs) if error is not None]
    # Those that waited for the one that failed have broken off.
    for error in sorted(failed, key=lambda error: isinstance(error, BrokenBarrierError)):
        raise error
    return [run.result() for run in runs]


@pytest.mark.parametrize("ahead", [1, 2])
@pytest.mark.parametrize("count", [0, 1, 3, 4, 13])
def test_each_item_is_worked_on_once_and_all_know_what_came_of_it_in_order(count: int, ahead: int) -> None:
    worked: List[Tuple[int, int]] = []

    def work(ranks: Ranks) -> List[Tuple[int, str]]:
        def on(item: int) -> str:
            worked.append((item, ranks.rank))
            return f"{item} by {ranks.rank}"

        return list(ranks.each(range(count), on, ahead))

    assert together(3, work) == [[(item, f"{item} by {item % 3}") for item in range(count)]] * 3
    assert sorted(worked) == [(item, item % 3) for item in range(count)]


def test_one_process_asks_nobody() -> None:
    assert not launched()
    assert list(ALONE.each("ab", str.upper)) == [("a", "A"), ("b", "B")]
    assert ALONE.first and ALONE.of_first(lambda: "made") == "made"
    ALONE.agree("model", lambda: pytest.fail("nobody to agree with"))


def test_only_the_first_makes_what_all_take() -> None:
    made: List[int] = []
    assert together(3, lambda ranks: ranks.of_first(lambda: made.append(ranks.rank) or ranks.rank)) == [0, 0, 0]
    assert made == [0]


def test_a_process_with_something_else_is_refused() -> None:
    together(2, lambda ranks: ranks.agree("model", lambda: "same"))
    with pytest.raises(EditError, match=r"process 1 of 2: not the model of the first process, expected the same"):
        together(2, lambda ranks: ranks.agree("model", lambda: ranks.rank))


def workbench(data: Path, ranks: Ranks = ALONE, cache: Any = None) -> Workbench:
    """A workbench with a model of its own, so that hooks of several threads don't meet."""
    options = FairseqOptions.of(
        str(DEMO / "model.pt"), str(data), "en", "de", bpe="sentencepiece", beam=2, batch_size=BATCH,
        sentencepiece_model=str(DEMO / "spm.model"),
    )  # fmt: skip
    return Workbench(open_model(ModelSpec(options, cache=cache), ranks=ranks))


def computed(bench: Workbench) -> Dict[str, Any]:
    """All kinds of what is shared, in plain values and tensors."""
    translator, corpus = bench.model.translator, bench.background()
    sources = [pair.source for pair in corpus.pairs[:COUNT]]
    again = [*sources, *sources[::5]]  # some come twice
    with bench.prepared():
        said = translator.translate_tokens(sources)
        seen = sorted((visit for group in visits(translator, again, SITES) for visit in group), key=lambda v: v.index)
        measured = backgrounds(translator, corpus, SITES, TOKENS, bench.model.spec.cache, "weights")
        loss = bits_a_token(translator, corpus.pairs[:400])
    return {
        "said": [(one.text, one.tokens.tolist(), one.score) for one in said],
        "visited": [(one.hypothesis.text, one.hypothesis.score) for one in seen],
        "states": [visit.states[site] for visit in seen for site in SITES],
        "statistics": [value for site in SITES for value in vars(measured[site]).values() if value is not None],
        "loss": loss,
    }


def same(one: Dict[str, Any], other: Dict[str, Any]) -> bool:
    first, second = (found["states"] + found["statistics"] for found in (one, other))
    plain = all(one[name] == other[name] for name in ("said", "visited", "loss"))
    return plain and len(first) == len(second) and all(torch.equal(*pair) for pair in zip(first, second))


@pytest.mark.parametrize("world", [2, pytest.param(3, marks=pytest.mark.slow)])
def test_what_several_compute_is_what_one_computes_bit_for_bit(
    edit_data: Path, tmp_path: Path, world: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    decoded: List[int] = []
    decode = Translator.decode_batch
    expected = computed(workbench(edit_data))

    def noted(self: Translator, sources: Any, begin: Any = None) -> Any:
        decoded.append(len(sources))
        return decode(self, sources, begin)

    monkeypatch.setattr(Translator, "decode_batch", noted)
    cache = str(tmp_path / "cache")
    found = together(world, lambda ranks: computed(workbench(edit_data, ranks, cache)))
    assert all(same(one, expected) for one in found)
    # Once for what it says, and once more for the states: no process decodes what another one has.
    assert sum(decoded) == 2 * COUNT
    decoded.clear()
    assert same(computed(workbench(edit_data, ALONE, cache)), expected)
    assert not decoded


def test_processes_that_decode_other_sentences_are_refused(edit_data: Path) -> None:
    def work(ranks: Ranks) -> None:
        bench = workbench(edit_data, ranks)
        bench.translate(["A dog.", "A man."] if ranks.first else ["A man.", "A dog."])

    with pytest.raises(EditError, match="not the sentences of the first process"):
        together(2, work)
