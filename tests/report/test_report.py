from __future__ import annotations

import base64
import hashlib
import json
import re
from dataclasses import replace
from html.parser import HTMLParser
from pathlib import Path
from typing import Any, Dict, List, Optional, Tuple

import pytest
from report_samples import (
    APART,
    EMPTY,
    FEW,
    GATES,
    KEPT,
    PNG,
    SIGNATURE,
    TEST_SET,
    changed,
    full,
    report,
    request,
)

from fairseq_rome.evaluation.conditions import METRICS
from fairseq_rome.evaluation.judged import Change, Decoded, JudgedProbe
from fairseq_rome.report import (
    HeatMap,
    Report,
    changed_rows,
    render_card,
    render_html,
    report_record,
    verdict_lines,
    write_report,
)

MARKUP = "<script>alert(1)</script> & \"double\" 'single' </script> http://example.org/ {{ 7 * 7 }}"
VOID = {"meta", "link", "img", "input", "path", "br"}


class Page(HTMLParser):
    """The elements of a page, its text outside of style and script, and what does not close."""

    def __init__(self, html: str) -> None:
        super().__init__()
        self.elements: List[Tuple[str, Dict[str, str]]] = []
        self.inside: List[str] = []
        self.text = ""
        self.raw: Dict[str, str] = {}
        self.feed(html)
        assert not self.inside

    def handle_starttag(self, tag: str, attrs: List[Tuple[str, Optional[str]]]) -> None:
        self.elements.append((tag, {name: value or "" for name, value in attrs}))
        if tag not in VOID:
            self.inside.append(tag)

    def handle_startendtag(self, tag: str, attrs: List[Tuple[str, Optional[str]]]) -> None:
        self.elements.append((tag, {name: value or "" for name, value in attrs}))

    def handle_endtag(self, tag: str) -> None:
        assert self.inside.pop() == tag

    def handle_data(self, data: str) -> None:
        if self.inside and self.inside[-1] in ("style", "script"):
            self.raw[self.inside[-1]] = data
        else:
            self.text += data

    def all(self, tag: str) -> List[Dict[str, str]]:
        return [attributes for name, attributes in self.elements if name == tag]


def rendered(one: Report) -> Page:
    return Page(render_html(report_record(one)))


def test_passed_page_tells_everything_of_the_record() -> None:
    page = rendered(full())
    expected = """
        PASSED|100%|1 of 1 requested|50.0%|99.8%|−0.03|38.71 before, 38.69 after|locality>=0.98|0.9983
        |Wand|Mauer|eine Wand 1|eine Mauer 1|a wall 1|no such wall|the wall 1|die Mauer 1|old wall 1|wallpaper 1
        |decoder.3|0.04126|+0.212|75.0% of 8|8.2 kB|layer 3 matters|a dog 7|ein Tier 7|chrF −17.0
        |60.0 before, 43.0 after|a dog 2|similarity to the output before: chrF 48.0|38.71 ± 1.41|0.2218
        |0 of 500 changed|41.2 s|98.3 kB|1 min 23 s|9b0f|fairseq-edit 'data bin'
    """
    for text in expected.split("|"):
        assert text.strip() in page.text
    assert page.text.count(SIGNATURE) == 2
    assert all(meaning in page.text for meaning in METRICS.values())
    places = [page.text.index(f"a dog {number}") for number in (7, 3, 1, 2)]
    assert places == sorted(places)  # worst first


def test_what_changed_as_wanted_is_told_apart_from_damage() -> None:
    made = report(request(), sets=(APART,))
    record = report_record(made)
    told = "1 of 92 other sentences changed; 8 more changed as wanted"
    assert told in record["verdict"]["headline"]
    assert (record["counts"]["broken"], record["counts"]["as_wanted"], record["counts"]["unrelated"]) == (1, 8, 92)
    assert [one["as_wanted"] for one in record["sets"]] == [8]
    assert [row["as_wanted"] for row in changed_rows(record)] == [False, *[True] * 8]
    page = Page(render_html(record))
    assert "1 of 92 unrelated sentences changed; 8 more changed as wanted" in page.text  # the tile
    assert "other sentences100098921" in "".join(page.text.split("\n"))  # the table
    assert page.text.count("; changed as wanted") == 8
    assert len([one for one in page.all("article") if "data-related" in one]) == 8
    card = render_card(record)
    assert told in card and "1 of 92 sentences that should have stayed changed" in card
    assert "8 more sentences changed as wanted" in card
    lines = list(verdict_lines(record))
    place = lines.index("other sentences: 9 of 100 changed: 8 as wanted, 1 that should have stayed")
    assert lines[place + 2] == "  source  a dog 2"  # damage first


def test_what_is_proven_is_told_apart_from_what_was_decoded() -> None:
    record = report_record(report(request(), sets=(replace(APART, proven=80),)))
    page = Page(render_html(record))
    assert "other sentences1008098921" in "".join(page.text.split("\n"))
    assert "same of 80 of them by certificate" in page.text and "It decoded the other 20." in page.text
    plain = Page(render_html(report_record(report(request(), sets=(APART,)))))
    assert "decoded by both models" in plain.text and "It decoded" not in plain.text


def test_without_such_changes_nothing_is_said_of_them() -> None:
    record = report_record(full())
    for told in (render_card(record), render_html(record), *verdict_lines(record)):
        assert "more changed" not in told and "more sentences changed" not in told


def test_a_few_sentences_are_scored_and_not_tested() -> None:
    page = rendered(report(sets=(FEW,)))
    assert "BLEU31.2029.80−1.40too few sentences for a test" in "".join(page.text.splitlines())


def test_failed_page_says_why() -> None:
    page = rendered(full(holds=False))
    assert "FAILED" in page.text and "PASSED" not in page.text
    assert "1 of 1 requests do not hold: wall-1" in page.text
    assert "condition efficacy>=1: failed, efficacy is 0" in page.text


@pytest.mark.parametrize(
    ("one", "expected"),
    [
        (
            EMPTY,
            ["NOTHING JUDGED", "no requests", "No conditions", "no probes", "No other sentences", "not measured"],
        ),
        (report(sets=(KEPT,)), ["PASSED", "There were no requests", "no test set with references"]),
        (report(gates=GATES), ["FAILED", "nothing to measure efficacy on"]),
        (report(request(wrong_before=False)), ["was right before", "does not count", "No other sentences"]),
        (report(request(holds=False, wrong_before=False)), ["FAILED", "was right, is wrong now"]),
        (replace(full(), edits={}, heat_maps={}), ["Two checkpoints were compared"]),
    ],
)
def test_empty_parts_are_said_to_be(one: Report, expected: List[str]) -> None:
    text = rendered(one).text
    assert all(part in text for part in expected)
    assert "None" not in text
    assert render_card(report_record(one))


def test_all_text_is_escaped(tmp_path: Path) -> None:
    hurt: Any = {"source": MARKUP, "before": MARKUP, "after": f"{MARKUP} Mauer"}
    words = {"id": MARKUP, "target": MARKUP, "unwanted": MARKUP, "trigger": MARKUP, "fault_after": MARKUP}
    probes = (JudgedProbe(**hurt, wrong_before=True, holds=True),)
    one = replace(request(), **hurt, **words, probes=probes, near=(Decoded(**hurt),))
    change = Change(**hurt, reference=MARKUP, chrf_before=1.0, chrf_after=2.0, related=False)
    made = report(one, sets=(replace(TEST_SET, name=MARKUP, changes=(change,)),))
    made = replace(
        made,
        provenance={MARKUP: MARKUP, "command": [MARKUP]},
        heat_maps={MARKUP: (HeatMap(MARKUP, PNG, MARKUP),)},
    )
    record = report_record(made)
    page = Page(render_html(record))
    assert len(page.all("script")) == 1 and "alert" not in page.raw["script"]
    assert page.text.count("<script>alert(1)</script>") > 15
    assert not any(name.startswith("on") for _, attributes in page.elements for name in attributes)
    assert "<script>" not in re.sub("`[^`]*`|^    .*", "", render_card(record), flags=re.M)
    write_report(str(tmp_path), made)
    assert json.loads((tmp_path / "report.json").read_text(encoding="utf-8")) == record


def test_page_loads_nothing_and_runs_only_its_own_script() -> None:
    page = rendered(full())
    policy = next(
        one["content"] for one in page.all("meta") if one.get("http-equiv") == "Content-Security-Policy"
    )
    assert policy.startswith("default-src 'none';")
    for kind in ("style", "script"):
        digest = base64.b64encode(hashlib.sha256(page.raw[kind].encode()).digest()).decode()
        assert f"{kind}-src 'sha256-{digest}'" in policy
    assert "url(" not in page.raw["style"] and "@import" not in page.raw["style"]
    for _, attributes in page.elements:
        assert "style" not in attributes and "srcset" not in attributes
        for name in ("src", "href", "action", "data"):
            assert re.match("data:|#|$", attributes.get(name, ""))


def test_page_can_be_read_by_all() -> None:
    page = rendered(full())
    assert page.all("html") == [{"lang": "en"}]
    assert [one["alt"] for one in page.all("img")] == ["layer 3 matters"]
    assert page.all("img")[0]["src"].endswith(base64.b64encode(PNG).decode())
    assert all("scope" in one for one in page.all("th"))
    assert {one.get("lang") for one in page.all("dd")} >= {"en", "de-DE"}
    levels = [int(tag[1]) for tag, _ in page.elements if re.fullmatch("h[1-6]", tag)]
    assert levels[0] == 1 and levels.count(1) == 1
    assert all(after - before <= 1 for before, after in zip(levels, levels[1:]))
    names = [attributes["id"] for _, attributes in page.elements if "id" in attributes]
    assert len(names) == len(set(names))
    assert {one["href"][1:] for one in page.all("a")} <= set(names)


def test_long_lists_are_folded_and_whole() -> None:
    many = tuple(replace(request(number, holds=number != 300), probes=()) for number in range(1, 301))
    changes = tuple(map(changed, range(1000)))
    page = rendered(report(*many, sets=(replace(TEST_SET, changes=changes),)))
    assert len([one for one in page.all("details") if "data-item" in one]) == 300
    assert len([one for one in page.all("article") if "data-item" in one]) == 1000
    assert len([one for one in page.all("details") if one.get("class") == "more"]) == 3
    assert [one["id"] for one in page.all("details") if "open" in one and "id" in one] == ["request-300"]
    assert "275 more" in page.text and "975 more" in page.text
    assert len(page.all("form")) == 2 and all("hidden" in one for one in page.all("form"))


def test_changed_rows_are_worst_first() -> None:
    rows = changed_rows(report_record(full()))
    assert [row["gain"] for row in rows] == [-17.0, -13.0, -11.0, -52.0]
    assert rows[-1]["set"] == "other sentences"  # without a reference, on a scale of its own


def test_a_notebook_shows_the_verdict_and_the_changed_words() -> None:
    shown = report(request(holds=True))._repr_html_()
    assert "<b>PASSED</b>" in shown and "<mark>" in shown and "efficacy" in shown
    assert "<b>FAILED</b>" in report(request(holds=False))._repr_html_()
