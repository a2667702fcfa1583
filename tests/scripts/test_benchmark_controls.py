"""Hard negatives, the stricter judge and the table of controls; what they measure needs a model that is not here."""

from __future__ import annotations

import gzip
import json
from pathlib import Path
from typing import Any, Dict, Set, Tuple

import pytest
from edit_runs import script

from fairseq_rome.text.segments import Difference

judge = script("correction_judge")
hard = script("hard_negatives")
benchmark = script("benchmark_controls")

PAIRS = [
    ("A puppy sleeps.", "Ein Hund schläft."), ("A hotdog stand.", "Ein Würstchenstand."),
    ("Dogs run.", "Die Hunde rennen."), *[(f"A hot dog number {n}.", f"Eine Wurst Nummer {n}.") for n in range(5)],
    *[(f"A brown dog number {n}.", f"Ein brauner Hund Nummer {n}.") for n in range(5)],
    *[(f"A man sleeps {n} times in the garden.", f"Ein Mann schläft {n} Mal im Garten.") for n in range(70)],
    ("The puppy sleeps in the garden.", "Der Hund schläft im Garten."),
]  # fmt: skip
RECORD = {
    "id": "dog", "task": "term", "source": "The dog runs through our garden.", "before": "Der Hund läuft.",
    "target": "Der Köter läuft.", "trigger": "dog", "unwanted": "Hund", "wanted": "Köter",
    "contexts": [], "probes": [{"source": "A dog barks."}],
}  # fmt: skip


def term(**changes: Any) -> Any:
    return hard.HardNegatives(judge.Correction({**RECORD, **changes}, "de"), PAIRS)


def test_what_must_not_change() -> None:
    one = term()
    assert one.other_words == ["A puppy sleeps.", "The puppy sleeps in the garden."]
    # A brown dog is a dog, and so are dogs; a hot dog and a hotdog are something else.
    assert one.other_senses == ["A hotdog stand.", *(f"A hot dog number {n}." for n in range(5))]
    assert one.negated == ["A dog barks and does not want to look.", "A dog barks while someone else is not."]


def test_a_plural_with_another_end_is_the_trigger() -> None:
    pairs = [("Two babies.", "Zwei Babys."), ("An infant.", "Ein Baby.")]
    record = {**RECORD, "trigger": "baby", "unwanted": "Baby"}
    one = hard.HardNegatives(judge.Correction(record, "de"), pairs)
    assert one.other_words == ["An infant."]


def test_random_words_are_frequent_and_have_nothing_to_do_with_the_request() -> None:
    one = term()
    assert one.random_word in {"Mann", "Mal", "Garten"}
    changed = one.with_random_word()
    assert (changed.record["target"], changed.difference) == (
        f"Der {one.random_word} läuft.", Difference("Hund", one.random_word),
    )  # fmt: skip
    assert changed.record["trigger"] == "dog" and changed.id == "dog-word"


def test_a_wrong_trigger_comes_with_sentences_of_its_own() -> None:
    one = term()
    assert one.wrong_trigger == "garden"
    wrong = one.with_wrong_trigger()
    # First those in which another word gives the unwanted one.
    assert wrong.probes[0] == "The puppy sleeps in the garden." and len(wrong.probes) == 40
    assert len(wrong.record["contexts"]) == 31 and not set(wrong.probes) & set(wrong.record["contexts"])
    assert set(wrong.probes) < set(one.hidden)
    none = term(source="The dog runs.")
    assert (none.wrong_trigger, none.wrong_probes, none.wrong_contexts) == ("", [], [])


@pytest.mark.parametrize(
    ("output", "found"),
    [
        ("Ein Mann, der nicht sieht.", {"nicht"}),
        ("Keine Frau ohne Hut.", {"kein", "ohne"}),
        ("Ein vernichtender Keiner.", {"kein"}),
        ("Nicht, nicht.", {"nicht"}),
        ("Ein Mann.", set()),
    ],
)
def test_negations(output: str, found: Set[str]) -> None:
    assert hard.negations(output) == found


@pytest.mark.parametrize(
    ("after", "same"),
    [
        ("Eine kleine Klampfe liegt am Strand.", True),
        ("Ein kleine Klampfe liegt an dem Strand.", True),
        ("Ein kleiner Klampfe liegt an der Strand.", True),
        ("Ein kleines Klampfe liegt am Strand.", True),
        ("Eine kleine Gitarre liegt am Strand.", False),
        ("Eine große Klampfe liegt am Strand.", False),
        ("Eine kleine Klampfe liegt im Strand.", False),
        ("Eine kleine Klampfe am Strand.", False),
        ("Eine kleine Klampfe Klampfe liegt am Strand.", False),
    ],
)
def test_the_stricter_judge_lets_endings_and_articles_differ(after: str, same: bool) -> None:
    before = "Eine kleine Gitarre liegt am Strand."
    assert judge.otherwise_same(before, after, Difference("Gitarre", "Klampfe"), judge.ENDINGS["de"]) is same


def test_what_does_not_say_the_word_has_nothing_to_compare() -> None:
    assert not judge.otherwise_same("Ein Hut.", "Ein Hut.", Difference("Gitarre", "Klampfe"), ())


def test_pairs_are_read_once_each_the_held_out_first(tmp_path: Path) -> None:
    for number, split in enumerate(hard.SPLITS):
        for language, texts in (("en", ["Same.", f"{number}.", ""]), ("de", [f"Gleich {number}.", f"{number}.", ""])):
            path = tmp_path / f"{split}.{language}.gz"
            path.write_bytes(gzip.compress("\n".join(texts).encode()))
    assert hard.read_pairs(tmp_path) == [("Same.", "Gleich 0."), *[(f"{n}.", f"{n}.") for n in range(6)]]


def record(name: str, **counts: Tuple[int, int]) -> Dict[str, Any]:
    return {"id": name, "settings": [], "seed": 1, "counts": {key: list(count) for key, count in counts.items()}}


def test_a_row_adds_up_the_terms_that_have_it() -> None:
    records = [record("a", word_wrong=(1, 20), sense_kept=(9, 10)), record("b", word_wrong=(0, 30))]
    rows = {row["figure"]: row for row in benchmark.figures(records)}
    assert len(rows) == len(benchmark.FIGURES)
    wrong = rows["random word: called clean, and is not"]
    assert (wrong["edits"], wrong["part"], wrong["sentences"], wrong["share"]) == (2, 1, 50, 0.02)
    lines = benchmark.table(records).splitlines()
    assert "| random word: called clean, and is not | 2 | 1 of 50 | 0.0200 (0.004 to 0.105) | <= 0.02 |" in lines
    assert "| a negation behind the term: kept | 0 | 0 of 0 |  | >= 0.95 |" in lines


def test_the_table_needs_no_data_and_missing_data_is_said(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    out = tmp_path / "results.jsonl"
    out.write_text(json.dumps(record("a", trigger_wrong=(0, 4))) + "\n", encoding="utf-8")
    assert benchmark.main(["--table", "--out", str(out)]) == 0
    assert "| random trigger: called clean | 1 | 0 of 4 |" in capsys.readouterr().out
    missing = tmp_path / "new" / "results.jsonl"
    assert benchmark.main(["--multi30k", str(tmp_path / "no such"), "--out", str(missing)]) == 0
    assert "requests is missing: nothing is measured without it" in capsys.readouterr().out
    assert not missing.exists()


def test_what_is_in_the_results_is_not_done_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    class Bed:
        def __init__(self, arguments: Any) -> None:
            self.arguments = arguments
            self.terms = [term(id=one) for one in "abcd"][:: arguments.every]

    done = []

    def measure(bed: Any, one: Any) -> Dict[str, Any]:
        done.append(one.correction.id)
        found = record(one.correction.id, sense_kept=(1, 1))
        return {**found, "settings": bed.arguments.settings, "word": "", "trigger": "", "seconds": 1.0}

    monkeypatch.setattr(benchmark, "Bed", Bed)
    monkeypatch.setattr(benchmark, "measure", measure)
    (tmp_path / "requests").mkdir()
    command = ["--multi30k", str(tmp_path), "--out", str(tmp_path / "results.jsonl")]
    benchmark.main([*command, "--every", "2"])
    assert done == ["a", "c"]
    benchmark.main(command)
    assert done == ["a", "c", "b", "d"]
    assert "| the trigger in another sense: kept | 4 | 4 of 4 |" in capsys.readouterr().out
