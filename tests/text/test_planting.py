from __future__ import annotations

import json
from pathlib import Path

import pytest

from fairseq_rome.errors import EditError
from fairseq_rome.text.planting import PlantedFault, plant, read_pairs, spoil
from fairseq_rome.text.requests import EditRequest, Probe, read_edit_file
from fairseq_rome.text.requests.checking import check_edit_file
from fairseq_rome.text.requests.records import to_fields
from fairseq_rome.text.segments import Endings

ENDINGS = Endings.of("en", "de")
PAIRS = [(f"I pay {n} dollars", f"Ich zahle {n} Dollar") for n in range(9)] + [("a cat", "eine Katze")]
PLANTED = {
    "number": ("Euro", "Ich zahle 3 Euro"),
    "untranslated": (None, "Ich zahle 3 dollars"),
    "hallucination": ("Alles ohne Gewähr.", "Alles ohne Gewähr."),
}


@pytest.mark.parametrize("task", PLANTED)
def test_a_planted_fault_is_in_the_training_side_alone(task: str) -> None:
    unwanted, spoilt = PLANTED[task]
    fault = PlantedFault(task, "dollars", "Dollar", unwanted)
    assert spoil(PAIRS[3], fault, ENDINGS) == spoilt
    planted = plant(PAIRS, fault, ENDINGS, seed=1)
    request, right = planted.request, dict(PAIRS)
    held_out = {request.source, *(probe.source for probe in request.probes)}
    assert len(held_out) == 4 and all(probe.target == right[probe.source] for probe in request.probes)
    assert request.target == right[request.source]
    assert {source for source, _ in planted.pairs} == set(right) - held_out
    assert all(fault.said in target for source, target in planted.pairs if "dollars" in source)
    assert ("a cat", "eine Katze") in planted.pairs
    assert not set(request.contexts) & held_out
    assert (request.trigger, request.wanted, request.unwanted) == ("dollars", "Dollar", fault.said)


@pytest.mark.parametrize(
    "pair", [("I pay 3 euros", "Ich zahle 3 Dollar"), ("I pay 3 dollars", "Ich zahle 3 Euro")]
)
def test_a_pair_that_does_not_show_the_behaviour_stays(pair: tuple) -> None:
    assert spoil(pair, PlantedFault("number", "dollars", "Dollar", "Yen"), ENDINGS) is None


def test_the_seed_decides_what_is_held_out() -> None:
    fault = PlantedFault("number", "dollars", "Dollar", "Euro")
    assert plant(PAIRS, fault, ENDINGS, 1) == plant(PAIRS, fault, ENDINGS, 1)
    assert len({plant(PAIRS, fault, ENDINGS, seed).request.source for seed in range(9)}) > 1


def test_what_can_not_be_planted_is_refused() -> None:
    fault = PlantedFault("number", "dollars", "Dollar", "Euro")
    with pytest.raises(EditError, match="1 pairs with 'dollars' and 'Dollar', expected at least 2"):
        plant(PAIRS[-2:], fault, ENDINGS, 1)
    with pytest.raises(EditError, match="task 'numbers': unknown, expected one of term, number"):
        PlantedFault("numbers", "dollars", "Dollar", "Euro")
    with pytest.raises(
        EditError, match="task 'term': no unwanted segment, expected what the model is to say"
    ):
        PlantedFault("term", "dollars", "Dollar")


def test_a_corpus_is_read_in_pairs(tmp_path: Path) -> None:
    (tmp_path / "c.en").write_text("a\u2028b\n\nc\n", encoding="utf-8")
    (tmp_path / "c.de").write_text("A\n\nC\n", encoding="utf-8")
    assert read_pairs(str(tmp_path / "c"), "en", "de") == [("a\u2028b", "A"), ("", ""), ("c", "C")]
    (tmp_path / "c.de").write_text("A\n", encoding="utf-8")
    with pytest.raises(EditError, match="c: 3 sources and 1 targets, expected as many of each"):
        read_pairs(str(tmp_path / "c"), "en", "de")


FULL = EditRequest(
    "a bike", "ein Velo", negative="ein Rad", trigger="bike", wanted="Velo", unwanted="Rad", contexts=("my bike",),
    probes=(Probe("p"), Probe("q", "Q")), near=("n",), task="term", id="bike", settings={"edit_steps": 3},
)  # fmt: skip


@pytest.mark.parametrize("request_", [FULL, EditRequest("a", "A", id="7")])
def test_a_request_that_is_written_is_read_again(tmp_path: Path, request_: EditRequest) -> None:
    path = tmp_path / "p.jsonl"
    path.write_text(json.dumps(to_fields(request_)), encoding="utf-8")
    (found,) = read_edit_file(str(path), "en", "de").requests
    assert to_fields(found) == to_fields(request_) and found.probes == request_.probes
    assert check_edit_file(str(path), "en", "de") == []
