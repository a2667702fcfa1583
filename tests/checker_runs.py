from __future__ import annotations

import gzip
import json
from pathlib import Path
from typing import Any, Dict, List, Optional, Sequence, Tuple

import pytest

from fairseq_rome.text.checkers import Observation, build_checker
from fairseq_rome.text.segments import Difference

CASES = Path(__file__).resolve().parent / "checker_cases"
MULTI30K = Path(__file__).resolve().parents[2] / "shared" / "multi30k"
DIRECTIONS = [("en", "de"), ("de", "en")]


def read_cases(name: str) -> List[Dict[str, Any]]:
    return [json.loads(line) for line in (CASES / f"{name}.jsonl").read_text(encoding="utf-8").splitlines()]


def fault(task: str, direction: str, source: str, output: str, **more: Any) -> Optional[str]:
    """What a checker finds in one output; `more` as `Observation` and `build_checker` have it."""
    training = more.pop("training", ())
    checker = build_checker(task, *direction.split("-"), training)
    return checker.check([Observation(source, output, **more)])[0]


def found_in_case(task: str, case: Dict[str, Any], training: Sequence[Tuple[str, str]]) -> Optional[str]:
    difference = Difference(case["unwanted"], case["wanted"]) if "wanted" in case else None
    seen = [Observation(case["source"], case["output"], difference, case.get("target"))]
    seen += [Observation(*other) for other in case.get("others", ())]
    known = training if case.get("trained") else ()
    return build_checker(task, *case["pair"].split("-"), known).check(seen)[0]


def assert_judges_cases(task: str, precision: float, recall: float) -> None:
    """Over the cases that a person has judged, the checker is at least so precise and finds at least so much."""
    cases = read_cases(task)
    assert len(cases) >= 64
    assert 0.4 <= sum(case["fault"] for case in cases) / len(cases) <= 0.6
    pairs: Dict[str, List[Tuple[str, str]]] = {}
    for record in read_cases("training"):
        pairs.setdefault(record["pair"], []).append((record["source"], record["target"]))
    found = [found_in_case(task, case, pairs[case["pair"]]) for case in cases]
    hits = sum(case["fault"] and told is not None for case, told in zip(cases, found))
    wrong = "\n".join(
        f"{'missed' if case['fault'] else 'no fault'}: {case['source']} | {case['output']} | {told}"
        for case, told in zip(cases, found)
        if case["fault"] != (told is not None)
    )
    assert hits / sum(told is not None for told in found) >= precision, wrong
    assert hits / sum(case["fault"] for case in cases) >= recall, wrong


def alarms_on_references(task: str, source_lang: str, target_lang: str, trained: bool) -> float:
    """The share of Multi30k's references of 2016 in which a checker finds a fault."""
    if not MULTI30K.is_dir():
        pytest.skip(f"{MULTI30K} is missing")

    def pairs(name: str) -> List[Tuple[str, str]]:
        sides = []
        for lang in (source_lang, target_lang):
            with gzip.open(MULTI30K / f"{name}.{lang}.gz", "rt", encoding="utf-8") as lines:
                sides.append(lines.read().splitlines())
        return list(zip(*sides))

    checker = build_checker(task, source_lang, target_lang, pairs("train") if trained else ())
    found = checker.check([Observation(*pair) for pair in pairs("test_2016_flickr")])
    return sum(told is not None for told in found) / len(found)
