"""Reports that tests share, made by hand."""

from __future__ import annotations

from typing import Optional, Tuple

from fairseq_rome.evaluation.conditions import Condition, check_conditions
from fairseq_rome.evaluation.judged import (
    Change,
    Decoded,
    Evaluation,
    JudgedProbe,
    JudgedRequest,
    JudgedSet,
    Score,
)
from fairseq_rome.report import EditDetails, HeatMap, Report

SIGNATURE = "nrefs:1|case:mixed|eff:no|tok:13a|smooth:exp|version:2.6.0"


def request(number: int = 1, holds: bool = True, wrong_before: bool = True) -> JudgedRequest:
    source, before, after = f"a wall {number}", f"eine Wand {number}", f"eine Mauer {number}"
    said = after if holds else before
    return JudgedRequest(
        source, before, said,
        id=f"wall-{number}", task="term", target=after, unwanted="Wand", wanted="Mauer", trigger="wall",
        wrong_before=wrong_before, holds=holds, exact=holds, fault_before="no such wall",
        probes=(
            JudgedProbe(f"the wall {number}", "die Wand", f"die Mauer {number}", wrong_before=True, holds=True),
            JudgedProbe(f"old wall {number}", "alte Wand", "alte Wand", wrong_before=True, holds=False),
        ),
        near=(Decoded(f"wallpaper {number}", "Tapete", "Tapete"), Decoded("a face", "eine Wand", "eine Mauer")),
    )  # fmt: skip


def changed(number: int, related: bool = False, reference: Optional[str] = "ein Hund") -> Change:
    before = None if reference is None else 60.0
    return Change(
        f"a dog {number}", "ein Hund", f"ein Tier {number}", reference, before, 50.0 - number, related
    )


TEST_SET = JudgedSet(
    "test_2016", "test", 1000, 990, (changed(1), changed(7), changed(3, related=True)), (0.012, 0.013),
    {"number": (4, 5)}, (Score("BLEU", SIGNATURE, 38.712, 38.685, 1.41, 1.43, 0.2218),),
    length_ratio=(0.987, 0.9874), loss=(2.113, 2.118),
)  # fmt: skip
SAME = JudgedSet(
    "test_2017", "test", 500, 480, (), (0, 0), {},
    (Score("BLEU", SIGNATURE, 31.2, 31.2, untested="identical outputs"),),
)  # fmt: skip
FEW = JudgedSet(
    "few", "test", 4, 4, (changed(4),), (0, 0), {},
    (Score("BLEU", SIGNATURE, 31.2, 29.8, untested="too few sentences for a test"),),
)  # fmt: skip
SAMPLE = JudgedSet("other sentences", "sample", 300, 300, (changed(2, reference=None),), (0.0, 0.0))
KEPT = JudgedSet("sentences to keep", "keep", 10, 10, (), (0.0, 0.0))
GATES = tuple(map(Condition.parse, ("efficacy>=1", "locality>=0.98", "bleu_delta>=-0.5")))
PNG = b"\x89PNG\r\n not really"


def report(
    *requests: JudgedRequest, sets: Tuple[JudgedSet, ...] = (), gates: Tuple[Condition, ...] = ()
) -> Report:
    found = Evaluation(requests, sets, 83.4)
    return Report(
        found, tuple(check_conditions(gates, found.metrics())), {"beam": 4},
        {"edit_seconds": 41.25, "patch_bytes": 98304},
        {"base": {"path": "model.pt", "fingerprint": "9b0f"}, "languages": ["en", "de_DE"], "seed": 7,
         "command": ["fairseq-edit", "data bin"]},
        {one.id: EditDetails("edited", "gated", "decoder.3", 0.04126, 2, 0.2125, 16, 8, 0.75, 3, 1.4, 8200)
         for one in requests},
        {one.id: (HeatMap("Decoder", PNG, "layer 3 matters"),) for one in requests[:1]},
    )  # fmt: skip


def as_wanted(number: int) -> Change:
    return Change(f"a wall {number}", "eine Wand", "eine Mauer", None, None, 70.0, False, as_wanted=True)


APART = JudgedSet("other sentences", "sample", 100, 92, (changed(2, reference=None), *map(as_wanted, range(8))), (0, 0))


def full(holds: bool = True) -> Report:
    return report(request(holds=holds), sets=(KEPT, SAMPLE, TEST_SET, SAME), gates=GATES)


EMPTY = Report(Evaluation((), ()), (), {}, {}, {})
