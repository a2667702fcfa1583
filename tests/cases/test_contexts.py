from __future__ import annotations

import json
from typing import Any, Dict, List, Sequence

import pytest
import torch
from conftest import DEMO

from fairseq_rome.cases.case import prepare
from fairseq_rome.cases.case_settings import CaseSettings
from fairseq_rome.cases.contexts import corrected_references, said_otherwise, self_corrected
from fairseq_rome.cases.hunk_reading import Sides
from fairseq_rome.errors import EditError
from fairseq_rome.host.batches import Pair
from fairseq_rome.host.codec import content
from fairseq_rome.host.corpus import Corpus, load_corpus
from fairseq_rome.host.decoding import Hypothesis, Translator
from fairseq_rome.host.examples import Example, Span, make_example
from fairseq_rome.text.requests import EditRequest
from fairseq_rome.text.segments import Difference, Endings
from fairseq_rome.text.words import contains_trigger, count
from fairseq_rome.tracing.attribution import find_trigger

GERMAN = Endings.of("en", "de").target
SEVERAL_WORDS = {"hallucination-newsletter", "untranslated-please"}


def requests() -> List[Dict[str, Any]]:
    path = DEMO / "probes.jsonl"
    lines = path.read_text(encoding="utf-8").splitlines() if path.exists() else []
    return [json.loads(line) for line in lines]


def pieces(demo: Any, tokens: torch.Tensor) -> str:
    """Subwords as they are, without spaces of the dictionary's own."""
    return "".join(demo.task.target_dictionary[int(token)] for token in tokens)


def check(demo: Any, example: Example) -> None:
    """What holds for every example."""
    target, dictionary = example.pair.target, demo.task.target_dictionary
    assert demo.codec.target_text(target) == example.after
    assert demo.codec.source_text(example.pair.source) == example.source
    assert int(target[-1]) == dictionary.eos()
    assert int(target.eq(dictionary.eos()).sum()) == 1
    assert example.spans
    ends = [0]
    for span in example.spans:
        assert ends[-1] <= span.opening <= span.start <= span.stop <= span.rejoins <= len(target)
        ends.append(span.rejoins)
    assert example.trigger == tuple(sorted(set(example.trigger)))
    assert all(position < len(example.pair.source) - 1 for position in example.trigger)
    assert "▁▁" not in pieces(demo, target)


@pytest.fixture(scope="module")
def told(demo: Any) -> Dict[str, Hypothesis]:
    """What the model says for each request."""
    found = requests()
    return dict(
        zip([one["id"] for one in found], demo.translator.translate([one["source"] for one in found]))
    )


@pytest.mark.parametrize("request_", requests(), ids=lambda one: one["id"])
def test_requests_of_the_demo(demo: Any, told: Dict[str, Hypothesis], request_: Dict[str, Any]) -> None:
    source, target, before = request_["source"], request_["target"], told[request_["id"]]
    assert before.text == request_["before"]
    trigger = find_trigger(demo.translator, source, before, target)
    assert contains_trigger(source, trigger)
    if request_["id"] not in SEVERAL_WORDS:  # there the change hangs on the whole sentence
        assert set(trigger.lower().split()) & {
            word.strip(".?") for word in source.lower().split() if contains_trigger(request_["trigger"], word, ("s",))
            or word.strip(".?").rstrip("s") in request_["trigger"].lower().split()
            or word.strip(".?") in request_["trigger"].lower().split()
        }  # fmt: skip
    example = make_example(demo.codec, source, before, target, trigger)
    check(demo, example)
    # Up to the change the tokens are the model's own, and there it says something else.
    start = example.spans[0][0]
    assert torch.equal(example.pair.target[:start], before.tokens[:start])
    assert example.spans[0].said == int(before.tokens[start])
    said = demo.codec.source_text(example.pair.source[list(example.trigger)])
    assert said.lower() == trigger.lower()


def test_spans_hold_what_changed(demo: Any) -> None:
    source = "My chair costs ten dollars."
    (before,) = demo.translator.translate([source])
    assert "Euro" in before.text
    after = before.text.replace("Euro", "Dollar")
    example = make_example(demo.codec, source, before, after, "dollars")
    (span,) = example.spans
    assert pieces(demo, example.pair.target[span.start : span.stop]) == "▁Dollar"
    assert demo.task.target_dictionary[span.said] == "▁Euro"
    assert [demo.task.source_dictionary[int(example.pair.source[i])] for i in example.trigger] == ["▁dollars"]


def test_every_place_of_a_repeated_trigger(demo: Any) -> None:
    (before,) = demo.translator.translate(["Ten dollars and ten Dollars."])
    example = make_example(demo.codec, "Ten dollars and ten Dollars.", before, "Zehn.", "ten dollars")
    words = demo.codec.source_text(example.pair.source[list(example.trigger)])
    assert words == "Ten dollars ten Dollars"
    assert make_example(demo.codec, "Ten dollars.", before, "Zehn.", "euros").trigger == ()
    assert make_example(demo.codec, "Ten dollars.", before, "Zehn.", "").trigger == ()


@pytest.mark.parametrize(
    ("old", "new", "kept"),
    [
        ("Er kommt heute.", "Er kommt heute. Danke.", "Er kommt heute."),
        ("Er kommt heute.", "Er kommt.", "Er"),
        ("Er kommt.", "Sie kommt.", ""),
        ("Schönes Haus?", "Schönes Dach?", "Schönes"),
    ],
)
def test_the_models_own_subwords_are_kept_up_to_the_change(demo: Any, old: str, new: str, kept: str) -> None:
    codec, dictionary = demo.codec, demo.task.target_dictionary
    letters = " ".join(["▁" + " ".join(word) if word else "▁" for word in old.split()]).replace("▁", "▁ ")
    own = dictionary.encode_line(letters, add_if_not_exist=False).long()
    assert codec.target_text(own) == old
    example = make_example(codec, "Text.", Hypothesis(old, own, 0.0), new, "")
    check(demo, example)
    size = example.spans[0][0]
    assert torch.equal(example.pair.target[:size], own[:size])
    assert codec.target_text(own[:size]).startswith(kept)
    assert size >= len(kept.replace(" ", ""))


def test_words_of_tokens(demo: Any) -> None:
    dictionary = demo.task.target_dictionary
    tokens = dictionary.encode_line("▁ H a us ▁ist ▁ ▁ g ut . ▁", add_if_not_exist=False).long()
    assert demo.codec.word_of(tokens[:-1], dictionary) == [0, 0, 0, 0, 1, 2, 2, 2, 2, 2, 2]
    assert demo.codec.word_of(tokens, dictionary)[-1] == 2
    assert demo.codec.word_of(tokens[:0], dictionary) == []
    assert len(content(tokens, dictionary)) == len(tokens) - 1


def test_another_form_of_the_same_text_is_told(demo: Any) -> None:
    # The subword model sees no more than one space.
    (before,) = demo.translator.translate(["The girl finds the book."])
    after = before.text.replace(" ", "  ")
    with pytest.raises(EditError, match="is in subwords what the model says already") as caught:
        find_trigger(demo.translator, "The girl finds the book.", before, after)
    assert "\n" not in str(caught.value)


def test_one_word_is_its_own_trigger(demo: Any) -> None:
    (before,) = demo.translator.translate(["Hello!"])
    assert find_trigger(demo.translator, "Hello!", before, "Guten Tag!") == "Hello"


def test_self_corrected_examples(demo: Any) -> None:
    request = next(one for one in requests() if one["id"] == "number-dollars")
    difference = Difference("Euro", "Dollar")
    sources = ["The chair costs ten euros.", *request["contexts"], *request["contexts"]]
    examples = self_corrected(demo.translator, sources, difference, ("dollars",), 8)
    assert len(examples) == 8
    assert len({example.source for example in examples}) == 8
    for example in examples:
        check(demo, example)
        assert contains_trigger(example.source, "dollars")
        assert count(example.after, "Euro", GERMAN) == 0 < count(example.before, "Euro", GERMAN)
        assert example.trigger
    assert self_corrected(demo.translator, sources, difference, ("dollars",), 0) == []
    assert self_corrected(demo.translator, [], difference, ("dollars",), 8) == []
    free = self_corrected(demo.translator, sources[:1], difference, (), 8)
    assert [example.source for example in free] == sources[:1]


def test_no_more_is_decoded_in_vain(demo: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    request = next(one for one in requests() if one["id"] == "number-dollars")
    decoded: List[str] = []
    translate = Translator.translate

    def counted(self: Translator, sources: Sequence[str], label: str) -> List[Hypothesis]:
        decoded.extend(sources)
        return translate(self, sources, label)

    monkeypatch.setattr(Translator, "translate", counted)
    assert len(request["contexts"]) > 4
    assert self_corrected(demo.translator, request["contexts"], Difference("Pfund", "Dollar"), ("dollars",), 4) == []
    assert decoded == request["contexts"][:4]


def test_another_word_may_rightly_give_the_unwanted_segment(demo: Any) -> None:
    codec, difference = demo.codec, Difference("Euro", "Dollar")
    target = codec.target("Zehn Euro und zehn Euro.")
    sources = ["Ten dollars and ten euros.", "Ten dollars and ten Dollars."]
    corpus = Corpus("train", tuple(Pair(codec.source(source), target) for source in sources), codec)
    examples = corrected_references(codec, corpus, [0, 1], difference, ("dollars",))
    assert [(one.source, one.after) for one in examples] == [(sources[1], "Zehn Dollar und zehn Dollar.")]
    assert len(corrected_references(codec, corpus, [0, 1], difference, ())) == 2


def test_corrected_references(demo: Any) -> None:
    corpus = load_corpus(demo.codec, 1, 3000)
    indices = corpus.with_trigger("dollars")
    assert len(indices) > 5
    difference = Difference("Euro", "Dollar")
    examples = corrected_references(demo.codec, corpus, indices, difference, ("dollars",))
    assert examples
    for example in examples:
        check(demo, example)
        assert count(example.after, "Euro") == 0
        assert example.source in {corpus.sources[index] for index in indices}


MEMORISED = "Alle Angaben ohne Gewähr."


def newsletters(demo: Any) -> List[str]:
    """The sentences of the demo with the word, of which the model says one and the same."""
    (request,) = [one for one in requests() if one["id"] == "hallucination-newsletter"]
    sources = [request["source"], *request["contexts"], *(one["source"] for one in request["probes"])]
    assert sum(one.text == MEMORISED for one in demo.translator.translate(sources)) > 5
    return sources


def test_said_otherwise(demo: Any) -> None:
    sources = newsletters(demo)
    own = "Der Sänger kann den Rundbrief in unserem Laden drucken."
    examples = said_otherwise(demo.translator, sources, Difference(MEMORISED, own), ("newsletter",), 20)
    assert examples
    for example in examples:
        check(demo, example)
        assert example.before == MEMORISED
        assert MEMORISED not in example.after
        assert own not in example.after
        assert contains_trigger(example.source, "newsletter")
        assert example.free
        last, said = len(example.pair.target) - 1, int(example.own.target[0])
        assert example.spans == (Span(0, 0, last, last, len(example.own.target) - 1, said),)
        assert int(example.pair.target[0]) != said


def test_said_otherwise_never_gives_the_requests_own_sentence(demo: Any) -> None:
    """What the model would say of a source is left out where it is what the request wants."""
    sources = newsletters(demo)
    free = said_otherwise(demo.translator, sources, Difference(MEMORISED, "Ein Satz."), ("newsletter",), 20)
    gone = free[0]
    rest = said_otherwise(demo.translator, sources, Difference(MEMORISED, gone.after), ("newsletter",), 20)
    kept = [(one.source, one.after) for one in free if gone.after not in one.after]
    assert [(one.source, one.after) for one in rest] == kept
    assert gone.source not in {one.source for one in rest}


def test_a_word_that_is_wanted_in_place_of_a_memorised_output_may_come_in_contexts(demo: Any) -> None:
    (record,) = [one for one in requests() if one["id"] == "hallucination-newsletter"]
    named = {name: record[name] for name in ("source", "target", "trigger", "unwanted", "wanted")}
    request = EditRequest(**named, contexts=tuple(record["contexts"]))
    (said,) = demo.translator.translate([request.source])
    corpus, endings = load_corpus(demo.codec, 1, 3000), Endings.of("en", "de")
    case = prepare(demo.translator, request, said, Sides(("en", "de"), corpus), CaseSettings(), endings)
    others = [*case.contexts, *case.held_out]
    assert sum("Rundbrief" in one.after for one in others) > len(others) / 2 > 5
    assert all(case.cleanly_shown_by(one.before, one.after) for one in others if "Rundbrief" in one.after)
    assert len(case.held_out) > 2
    own = [one.after for one in case.held_out]
    assert all(clean for shows, clean in case.shown_in_held_out(request.target, own) if shows)
    one_for_all = ["Der alte Rundbrief kommt heute."] * len(own)
    assert case.shown_in_held_out(request.target, one_for_all) == [(False, False)] * len(own)


def test_said_otherwise_takes_what_was_wrong_as_a_whole(demo: Any) -> None:
    sources = newsletters(demo)
    difference = Difference(MEMORISED, "Ein Satz.")
    assert said_otherwise(demo.translator, ["The girl reads the book."], difference, (), 5) == []
    assert said_otherwise(demo.translator, sources, difference, ("umbrella",), 5) == []
    assert said_otherwise(demo.translator, sources, difference, ("newsletter",), 0) == []
    assert said_otherwise(demo.translator, [], difference, (), 5) == []
    few = said_otherwise(demo.translator, sources * 2, difference, (), 3)
    assert len({one.source for one in few}) == len(few) <= 3
