"""The judge of corrections and the table of what it found; what it measures needs models that are not here."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any, Dict

import pytest
from edit_runs import script

judge = script("correction_judge")
benchmark = script("benchmark_corrections")


def correction(language: str = "de", **changes: Any) -> Any:
    record = {
        "id": "dog-1", "task": "term", "source": "A dog.", "target": "Ein Köter.", "trigger": "dog",
        "unwanted": "Hund", "wanted": "Köter", "contexts": ["My dog.", "The dog.", "Two dogs.", "No dog."],
        "probes": [{"source": "The dog."}, {"source": "Dogs."}],
    }  # fmt: skip
    return judge.Correction({**record, **changes}, language)


def test_how_a_request_is_given() -> None:
    given = {form: correction().request(form, 2, ["The dog."]) for form in judge.FORMS}
    assert {form: one.trigger for form, one in given.items()} == {
        "trigger": "dog", "named": "dog", "contexts": None, "bare": None,
    }  # fmt: skip
    assert {form: (one.unwanted, one.wanted) for form, one in given.items()} == {
        "trigger": (None, None), "named": ("Hund", "Köter"), "contexts": (None, None), "bare": (None, None),
    }  # fmt: skip
    # What is judged by is no context, whatever the file says.
    assert given["contexts"].contexts == given["trigger"].contexts == ("My dog.", "Two dogs.")
    assert given["bare"].contexts == ()
    assert {one.id for one in given.values()} == {"dog-1"}


def test_a_record_without_fields_of_other_kinds() -> None:
    plain = correction(trigger=None, probes=[], contexts=[])
    request = plain.request("trigger", 40, [])
    assert (request.trigger, request.contexts, plain.probes, plain.endings) == (None, (), [], ())
    assert correction().probes == ["The dog.", "Dogs."]


@pytest.mark.parametrize(
    ("before", "after", "shown", "clean"),
    [
        ("Ein Hund schläft.", "Ein Köter schläft.", True, True),
        ("Die Hunde schlafen.", "Die Köter schlafen.", True, True),
        ("Die Hunde schlafen.", "Die Köters schlafen.", True, True),
        ("Ein Hund schläft.", "Der Köter schläft.", True, True),
        ("Ein Hund schläft.", "Köter, Köter, Köter.", True, False),
        ("Ein Hund schläft.", "Ein Köterhund schläft.", False, False),
        ("Ein Hund schläft.", "Ein Hund schläft.", False, False),
        ("Ein Hund schläft.", "Ein Tier schläft.", False, False),
        ("Ein Tier schläft.", "Ein Köter schläft.", False, False),
        ("Ein Hund schläft.", "Ein Köter schlft.", True, False),
    ],
)
def test_what_is_shown_and_cleanly(before: str, after: str, shown: bool, clean: bool) -> None:
    one = correction()
    assert one.shown(before, after) is shown
    assert one.clean(before, after, lambda word: word != "schlft") is clean


def test_the_own_sentence_is_judged_by_its_target() -> None:
    one = correction()
    assert one.shown("Ein Tier.", "Der Köter.", "Ein Köter.")
    assert not one.shown("Ein Hund.", "Der Hund.", "Ein Köter.")


def test_a_change_is_shown_by_other_sentences() -> None:
    said = {"My dog.": "Mein Hund.", "The dog.": "Der Kater.", "Two dogs.": "Zwei Hunde.", "No dog.": "Kein Hund."}
    asked = []

    def translate(sources: Any) -> Dict[str, str]:
        asked.append(list(sources))
        return {source: said[source] for source in sources}

    first, second = correction().shown_by_others(translate, 2)
    assert [(one.id, one.record["source"], one.record["target"]) for one in (first, second)] == [
        ("dog-1@1", "My dog.", "Mein Köter."), ("dog-1@2", "Two dogs.", "Zwei Kötere."),
    ]  # fmt: skip
    assert first.record["contexts"] == ["The dog.", "Two dogs.", "No dog."]
    assert correction().shown_by_others(translate, 0) == []
    assert asked == [correction().record["contexts"], []]


def test_the_spread_over_examples() -> None:
    def record(name: str, clean: int, **changes: Any) -> Dict[str, Any]:
        shares = {"held": True, "general": 4, "clean": clean, "probes": 4, "wrong_before": True}
        return {"bed": "multi30k", "file": "term", "form": "trigger", "settings": [], "id": name, **shares, **changes}

    several = [record("dog", 4), record("dog@1", 1, general=2, held=False), record("dog@2", 3), record("cat", 4)]
    assert benchmark.spread(several).splitlines()[2:] == [
        "| multi30k trigger dog | 3 | 2 | 0.50 to 1.00 | 0.25 to 1.00 |"
    ]
    assert benchmark.spread([record("dog", 4), record("dog@1", 4, wrong_before=False)]) == ""


def test_segments_of_one_sentence_have_no_endings() -> None:
    one = correction(probes=[])
    assert one.shown("Ein Hund.", "Ein Köter.")
    assert not one.concerned("Die Hunde.")
    assert correction().concerned("Die Hunde.")
    assert correction("zh", unwanted="软件").concerned("这个软件很旧。")


@pytest.mark.parametrize(
    ("part", "whole", "low", "high"),
    [(0, 0, 0.0, 1.0), (0, 10, 0.0, 0.2775), (10, 10, 0.7225, 1.0), (50, 100, 0.4038, 0.5962), (5, 10, 0.2366, 0.7634)],
)
def test_intervals(part: int, whole: int, low: float, high: float) -> None:
    assert judge.interval(part, whole) == pytest.approx((low, high), abs=1e-4)


def test_the_point_counts_in_its_forms() -> None:
    point = correction(unwanted="Auto", wanted="Wagen")
    told = [("Auto", "Wagen"), ("Autos", "Wagens"), ("Das Auto", "Der Wagen"), ("Auto", "Bus"), ("Haus", "Wagen")]
    assert [point.is_point(judge.Difference(*one)) for one in told] == [True, True, True, False, False]


def record(name: str, **changes: Any) -> Dict[str, Any]:
    found = {
        "bed": "es", "file": "term", "form": "trigger", "id": name, "settings": [], "carried": "", "wrong_before": True,
        "held": True,
        "exact": False, "probes": 4, "general": 3, "clean": 2, "unrelated": 10, "identical": 9, "elsewhere": 5,
        "elsewhere_identical": 5, "seconds": 3.0,
    }  # fmt: skip
    return {**found, **changes}


def rows(*records: Dict[str, Any]) -> Dict[str, Any]:
    """The cells of each row by its name, shares without their intervals."""
    lines = benchmark.table(records).splitlines()[2:]
    cells = [[cell.strip() for cell in line.strip("|").split("|")] for line in lines]
    return {name: [cell.split(" (")[0] for cell in rest] for name, *rest in cells}


def test_a_row_adds_up_its_requests() -> None:
    found = rows(
        record("a", carried="wrongly"),
        record("b", carried="rightly", held=False, probes=0, general=0, clean=0, identical=6, seconds=6.0),
        record("right already", wrong_before=False, held=False, seconds=600.0),
        record("c", form="bare", exact=True),
        record("d", bed="zh", clean=1),
        record("e", bed="multi30k", elsewhere=0, elsewhere_identical=0),
        record("f", bed="multi30k", settings=["widen=true"]),
    )
    assert list(found) == [
        "es term trigger", "es term bare", "zh term trigger", "multi30k term trigger",
        "multi30k term trigger widen=true",
        "all directions term trigger", "all directions term bare",
    ]  # fmt: skip
    carried, *shares = found["es term trigger"][1:]
    assert carried == "1 rightly, 1 wrongly"
    assert shares == ["0.5000", "0.0000", "0.7500", "0.5000", "0.7500", "1.0000", "4"]
    assert found["es term bare"][2:] == ["1.0000", "1.0000", "0.7500", "0.5000", "0.9000", "1.0000", "3"]
    # Multi30k is no direction, and has no other ones.
    together = ["3", "1 rightly, 1 wrongly", "0.6667", "0.0000", "0.7500", "0.3750", "0.8000", "1.0000", "4"]
    assert found["all directions term trigger"] == together
    assert found["multi30k term trigger"][7] == ""


def test_rows_for_the_page_of_results() -> None:
    (row,) = benchmark.figures([record("a"), record("b", carried="wrongly"), record("c", wrong_before=False)])
    assert row["carried"] == [0, 1]
    (segment,) = benchmark.figures([record("s", file="segment", carried="wrongly", probes=0, general=0, clean=0)])
    assert segment["carried"] is None
    assert {name: row[name] for name in ("bed", "file", "form", "requests", "seconds")} == {
        "bed": "es", "file": "term", "form": "trigger", "requests": 2, "seconds": 3,
    }  # fmt: skip
    assert row["efficacy"][0] == 1.0 and row["generalisation"][0] == 0.75 and row["clean"][0] == 0.5
    assert all(low < share <= high for share, low, high in (row["generalisation"], row["clean"]))
    (alone,) = benchmark.figures([record("a", bed="multi30k", elsewhere=0, elsewhere_identical=0)])
    assert alone["elsewhere"] is None


def test_shares_have_their_intervals() -> None:
    line = benchmark.table([record("a")]).splitlines()[2]
    assert "| 0.7500 (0.301 to 0.954) | 0.5000 (0.150 to 0.850) | 0.9000 (0.596 to 0.982) |" in line
    head, rule = benchmark.table([]).splitlines()
    assert head.count("|") == rule.count("|") == line.count("|")


def test_the_table_needs_no_data(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    out = tmp_path / "results.jsonl"
    out.write_text(json.dumps(record("a")) + "\n", encoding="utf-8")
    assert benchmark.main(["--table", "--out", str(out)]) == 0
    assert "| es term trigger | 1 |" in capsys.readouterr().out


def test_missing_data_is_said(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    out = tmp_path / "new" / "results.jsonl"
    for bed, option in (("multi30k", "--multi30k"), ("es", "--docs")):
        assert benchmark.main([bed, option, str(tmp_path / "no such"), "--out", str(out)]) == 0
        assert "requests is missing: nothing is measured without it" in capsys.readouterr().out
    assert not out.exists()


def test_an_unknown_bed_is_refused(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        benchmark.main(["es", "xx", "--docs", str(tmp_path), "--out", str(tmp_path / "results.jsonl")])
    assert "'xx' is no BED" in capsys.readouterr().err


def test_what_is_in_the_results_is_not_done_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    class Bed:
        def __init__(self, name: str, arguments: Any) -> None:
            self.corrections = [correction(id=one) for one in ("a", "b", "c")]

    done = []

    def measure(bed: Any, one: Any, arguments: Any) -> Dict[str, Any]:
        done.append(one.id)
        return record(one.id, settings=arguments.settings)

    monkeypatch.setattr(benchmark, "Bed", Bed)
    monkeypatch.setattr(benchmark, "measure", measure)
    (tmp_path / "requests").mkdir()
    command = ["es", "--docs", str(tmp_path), "--out", str(tmp_path / "results.jsonl")]
    benchmark.main([*command, "--limit", "2"])
    assert done == ["a", "b"]
    benchmark.main(command)
    assert done == ["a", "b", "c"]
    benchmark.main([*command, "--every", "2", "--set", "edit_tries=1"])
    assert done == ["a", "b", "c", "a", "c"]
    assert len(benchmark.records_of(tmp_path / "results.jsonl")) == 5
    out = capsys.readouterr().out
    assert "| es term trigger | 3 |" in out and "| es term trigger edit_tries=1 | 2 |" in out
