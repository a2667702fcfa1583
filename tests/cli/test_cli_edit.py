"""`fairseq-edit` from end to end on the demo model, and what it writes."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any, Dict, List

import pytest
import torch
from conftest import Demo
from edit_runs import (
    DEMO,
    Edited,
    digest,
    edits_in,
    files,
    lines,
    open_stock,
    probes,
    request,
    run_edit,
    run_main,
    small_data,
)
from edit_runs import write_requests as write
from omegaconf import OmegaConf

from fairseq_rome.editing.edit_settings import EditSettings
from fairseq_rome.editing.outcome import EDITED, FAILED, NOTHING
from fairseq_rome.editing.run import edit
from fairseq_rome.editing.surroundings import Surroundings
from fairseq_rome.host.checkpoint import PROVENANCE, read_state
from fairseq_rome.host.corpus import load_corpus
from fairseq_rome.patch import composed, read_stack
from fairseq_rome.patch.stack import LEDGER
from fairseq_rome.settings import with_settings
from fairseq_rome.text.requests import EditFile, EditRequest
from fairseq_rome.text.segments import Endings

RECORDS = list(probes().values())
TERM, NUMBER = (next(record for record in RECORDS if record["task"] == task) for task in ("term", "number"))


def changed_names(base: Dict[str, Any], state: Dict[str, Any]) -> List[str]:
    return [name for name, old in base["model"].items() if not torch.equal(old, state["model"][name])]


def test_every_request_is_told_with_what_came_of_it(edited: Edited) -> None:
    out = edited.run.out
    for number, (source, target) in enumerate(zip(lines("fixes.en"), lines("fixes.de")), start=1):
        told = re.split(r"\n(?=request |other )", out.split(f"request {number}: edited\n")[1])[0]
        said = dict(line.strip().split(None, 1) for line in told.splitlines() if line.startswith("  "))
        assert (said["source"], said["wanted"], said["after"]) == (source, target, target)
        assert said["before"] != target
        assert re.match(r"gated at decoder\.2, \|dW\|/\|W\| [01]\.\d{4}, \d+ contexts", said["edit"])
        assert " s, " in said["time"]
    assert "other sentences: 8 of 8 decode identically" in out
    assert out.endswith(
        f"4 requests: 4 edited\nwrote {edited.path}: reloaded, and its decoding shows every edit\n"
    )
    assert edited.run.err == ""


def test_only_named_weights_change(edited: Edited) -> None:
    assert (DEMO / "model.pt").read_bytes() == edited.base
    base, state = read_state(DEMO / "model.pt"), open_stock(edited.path)
    assert list(state) == list(base)
    assert list(state["model"]) == list(base["model"])
    assert [t.dtype for t in state["model"].values()] == [t.dtype for t in base["model"].values()]
    assert state["optimizer_history"] == base["optimizer_history"]
    recorded = state["extra_state"].pop(PROVENANCE)
    assert [patch.about["id"] for patch in read_stack(state).patches] == ["1", "2", "3", "4"]
    del state["extra_state"][LEDGER]
    assert state["extra_state"] == {
        key: value for key, value in base["extra_state"].items() if key != PROVENANCE
    }
    named = {name for one in recorded[-1]["edits"] for name in one["parameters"]}
    assert set(changed_names(base, state)) == named
    assert [one["source"] for one in recorded[-1]["edits"]] == lines("fixes.en")


def test_nothing_else_is_left_behind(edited: Edited) -> None:
    assert list(files(edited.path.parent)) == ["edited.pt"]


VARIANTS = {
    "rome": ["--method", "rome"],
    "rome in the encoder": ["--method", "rome", "--site", "encoder.0"],
    "gated in the encoder": ["--site", "encoder.1"],
    "at traced sites": ["--site", "traced"],
    "value of an example, scope of the target": ["--edit-value", "example", "--edit-scope", "target"],
}


# Either method and either stack are there without this pair of them.
SLOW_VARIANT = "rome in the encoder"


@pytest.mark.parametrize(
    "variant", [pytest.param(name, marks=[pytest.mark.slow] * (name == SLOW_VARIANT)) for name in VARIANTS]
)
def test_variants(edit_data: Path, tmp_path: Path, variant: str) -> None:
    run = run_edit(edit_data, DEMO / "term", "--save-to", tmp_path / "new.pt", *VARIANTS[variant])
    assert run.status == 0, run.out + run.err
    [one] = edits_in(tmp_path / "new.pt")
    assert one["method"] == ("rome" if variant.startswith("rome") else "gated")
    assert one["site"].startswith("encoder" if "encoder" in variant else "decoder")
    assert bool(one["neurons"]) == (one["method"] == "gated")
    matrices = [name for name in one["parameters"] if name.endswith("weight")]
    kinds = {"gated": {"fc1", "fc2"}, "rome": {"fc2"}}
    assert {name.split(".")[-2] for name in matrices} == kinds[one["method"]]
    base, state = read_state(DEMO / "model.pt"), read_state(tmp_path / "new.pt")
    for name in matrices:
        rank = int(torch.linalg.matrix_rank(state["model"][name] - base["model"][name], tol=1e-4))
        assert 1 <= rank <= max(len(one["neurons"]), 4)


def test_sites_of_a_trace_are_taken(edit_data: Path, tmp_path: Path) -> None:
    sites = tmp_path / "sites.yaml"
    sites.write_text("'1': decoder.1,decoder.0\n", encoding="utf-8")
    run = run_edit(edit_data, DEMO / "term", "--dry-run", "--site", sites)
    assert run.status == 0, run.err
    assert "sites in order: decoder.1, decoder.0" in run.out
    traced = run_edit(edit_data, DEMO / "term", "--dry-run", "--site", "traced").out
    order = traced.split("sites in order: ")[1].splitlines()[0].split(", ")
    assert {site.split(".")[0] for site in order[:3]} == {"decoder"}
    assert {site.split(".")[0] for site in order[3:]} == {"encoder"} and len(order) == 6


def test_requests_with_settings_of_their_own_and_sentences_to_keep(edit_data: Path, tmp_path: Path) -> None:
    keep = [record["source"] for record in map(json.loads, lines("unrelated.jsonl")[:3])]
    pref = write(
        tmp_path / "two.jsonl",
        request(TERM, settings={"method": "rome"}, keep=keep),
        request(NUMBER, settings={"site": "decoder.1", "edit-steps": 80}),
    )
    run = run_edit(edit_data, pref, "--save-to", tmp_path / "new.pt", "--no-text")
    assert run.status == 0, run.out + run.err
    edits = edits_in(tmp_path / "new.pt")
    assert [one["id"] for one in edits] == [TERM["id"], NUMBER["id"]]
    assert (edits[0]["method"], edits[1]["site"]) == ("rome", "decoder.1")
    assert "sentences to keep: 3 of 3 decode identically" in run.out
    kept = json.dumps(open_stock(tmp_path / "new.pt")["extra_state"][PROVENANCE])
    assert TERM["source"] not in kept
    assert TERM["target"] not in kept


def test_dry_run_prints_settings_that_can_be_fed_back(edit_data: Path, tmp_path: Path) -> None:
    flags = ["--site", "decoder.1,decoder.2", "--edit-false-open", "1e-05", "--seed", "7"]
    first = run_edit(edit_data, DEMO / "fixes", "--dry-run", *flags)
    assert (first.status, first.err) == (0, "")
    settings = with_settings(EditSettings(), OmegaConf.to_container(OmegaConf.create(first.out)), "printed")
    assert (settings.site, settings.as_plain()["edit_false_open"], settings.seed) == ("decoder.1,decoder.2", 1e-5, 7)
    for source in lines("fixes.en"):
        assert f"#   source  {source}\n" in first.out
    assert first.out.count("sites in order: decoder.1, decoder.2\n") == 4
    (tmp_path / "settings.yaml").write_text(first.out, encoding="utf-8")
    again = run_edit(edit_data, DEMO / "fixes", "--dry-run", "--edit-config", tmp_path / "settings.yaml")
    assert again.out == first.out
    assert list(files(tmp_path)) == ["settings.yaml"]


def test_flags_go_before_the_settings_file(edit_data: Path, tmp_path: Path) -> None:
    (tmp_path / "settings.yaml").write_text("method: rome\nedit-steps: 5\nseed: 3\n", encoding="utf-8")
    config = ["--edit-config", tmp_path / "settings.yaml"]
    printed = run_edit(edit_data, DEMO / "term", "--dry-run", *config, "--edit-steps", "6").out
    found = OmegaConf.create(printed)
    assert (found.method, found.edit_steps, found.seed, found.edit_contexts) == ("rome", 6, 3, 8)


def test_what_is_on_by_default_can_be_left_out(edit_data: Path, tmp_path: Path) -> None:
    (tmp_path / "settings.yaml").write_text("edit-follow: no\n", encoding="utf-8")
    config = ["--edit-config", tmp_path / "settings.yaml"]
    words = [[], ["--no-edit-follow"], config, [*config, "--edit-follow"]]
    found = [OmegaConf.create(run_edit(edit_data, DEMO / "term", "--dry-run", *some).out) for some in words]
    assert [one.edit_follow for one in found] == [True, False, False, True]


def test_a_failed_request_leaves_nothing(edit_data: Path, tmp_path: Path) -> None:
    hopeless = request(NUMBER, settings={"edit_tries": 0})
    path = tmp_path / "new.pt"
    path.write_text("what was there")
    run = run_edit(edit_data, write(tmp_path / "two.jsonl", hopeless), "--save-to", path, "--force")
    assert run.status == 1
    assert f"request {NUMBER['id']}: failed (no attempt was made)" in run.out
    assert "1 request: 0 edited, 1 failed\nnothing holds, and nothing was written" in run.out
    assert path.read_text() == "what was there"
    assert sorted(files(tmp_path)) == ["new.pt", "two.jsonl"]
    pref = write(tmp_path / "two.jsonl", request(TERM), hopeless)
    run = run_edit(edit_data, pref, "--save-to", path, "--force", "--keep-going")
    assert run.status == 1
    assert run.out.endswith(f"wrote {path}: reloaded, and its decoding shows every edit\n")
    assert [one["id"] for one in edits_in(path)] == [TERM["id"]]
    assert sorted(files(tmp_path)) == ["new.pt", "two.jsonl"]


def test_json_is_one_object_a_line_with_sentences_to_keep(edit_data: Path, tmp_path: Path) -> None:
    for language in ("en", "de"):
        (tmp_path / f"fix.{language}").write_bytes((DEMO / f"term.{language}").read_bytes())
    unrelated = json.loads(lines("unrelated.jsonl")[0])["source"]
    (tmp_path / "fix.keep.en").write_text(unrelated + "\n", encoding="utf-8")
    run = run_edit(edit_data, tmp_path / "fix", "--save-to", tmp_path / "new.pt", "--log-format", "json")
    assert (run.status, run.err) == (0, "")
    one, sample, keep, room, *early, counts, last = map(json.loads, run.out.splitlines())
    assert {"site", "size", "seconds", "tries", "trigger", "general"} <= set(one)
    assert (one["before"], one["wanted"]) == (TERM["before"], TERM["target"]) and one["after"] == TERM["target"]
    assert sample["other sentences"]["total"] == 8
    kept = keep["sentences to keep"]
    assert 0 <= kept.pop("proven") <= 1
    assert kept == {"total": 1, "identical": 1, "changed_as_wanted": 0, "changed": []}
    assert room["room"] == "decoder.2" and 0 < room["left"] <= room["total"] < 384
    assert [one["room"] for one in early] == ["decoder.0"]  # of the gate behind the new word
    assert counts == {"requests": 1, EDITED: 1, NOTHING: 0, FAILED: 0, "as_wanted": 1}
    assert last == {"wrote": str(tmp_path / "new.pt")}


def test_json_of_a_request_that_fails(edit_data: Path, tmp_path: Path) -> None:
    hopeless = write(tmp_path / "one.jsonl", request(NUMBER, settings={"edit_tries": 0}))
    run = run_edit(edit_data, hopeless, "--save-to", tmp_path / "new.pt", "--log-format", "json")
    one, *_, counts, last = map(json.loads, run.out.splitlines())
    assert (one["status"], one["after"]) == (FAILED, one["before"])
    assert counts == {"requests": 1, EDITED: 0, NOTHING: 0, FAILED: 1, "as_wanted": 0}
    assert last == {"note": "nothing holds, and nothing was written"} and run.status == 1
    assert not (tmp_path / "new.pt").exists()


def test_nothing_to_do(edit_data: Path, tmp_path: Path) -> None:
    right = json.loads(lines("unrelated.jsonl")[0])
    pref = write(tmp_path / "no.jsonl", {"source": right["source"], "target": right["before"]})
    run = run_edit(edit_data, pref, "--save-to", tmp_path / "new.pt")
    assert (run.status, run.err) == (0, "")
    assert "request 1: nothing to do\n" in run.out
    assert run.out.endswith("1 request: 0 edited, 1 with nothing to do\nnothing to write\n")
    assert list(files(tmp_path)) == ["no.jsonl"]


def test_half_precision_without_training_split(tmp_path: Path) -> None:
    base = read_state(DEMO / "model.pt")
    base["model"] = {
        name: tensor.half() if tensor.is_floating_point() else tensor
        for name, tensor in base["model"].items()
    }
    torch.save(base, tmp_path / "half.pt")
    before = digest(tmp_path / "half.pt")
    data = small_data(tmp_path / "data", splits=["valid"])
    arguments = ["--save-to", tmp_path / "new.pt", "--model-overrides", "{'dropout': 0.0}"]
    run = run_edit(data, DEMO / "term", *arguments, model=tmp_path / "half.pt")
    assert run.status == 0, run.out + run.err
    assert f"{data} has no training split: statistics and contexts come from its valid split\n" in run.out
    state = read_state(tmp_path / "new.pt")
    [one] = edits_in(tmp_path / "new.pt")
    assert {state["model"][name].dtype for name in one["parameters"]} == {torch.float16}
    assert set(changed_names(base, state)) == set(one["parameters"])
    assert digest(tmp_path / "half.pt") == before


def test_languages_of_the_data_and_segmented_text(edit_data: Path, demo: Demo, tmp_path: Path) -> None:
    for language, name in (("en", "source"), ("de", "target")):
        pieces = demo.codec.bpe.encode(TERM[name])
        (tmp_path / f"fix.{language}").write_text(pieces + "\n", encoding="utf-8")
    command = [edit_data, "--path", DEMO / "model.pt", "--edit-pref", tmp_path / "fix", "--edit-input", "bpe"]
    command += ["--edit-cache", "none", "--post-process", "sentencepiece"]
    run = run_main([*command, "--dry-run", "--cpu", "--beam", "2"])
    assert (run.status, run.err) == (0, "")
    assert f"#   before  {demo.codec.bpe.encode(TERM['before'])}\n" in run.out
    assert "sites in order: decoder.2, decoder.1, decoder.0\n" in run.out


def test_help_shows_our_options_and_says_where_the_others_are(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as left:
        run_main(["--help"])
    assert left.value.code == 0
    from fairseq_rome.cli.edit_options import own_parser

    text = own_parser().format_help()
    assert text.startswith("usage: fairseq-edit DATA --path MODEL --edit-pref PREF")
    assert text.index("--edit-pref PREF") < text.index("--method {alphaedit,constrained,") < text.index("exit status")
    assert "The options of fairseq-generate are taken" in text
    assert len(text.splitlines()) < 290


def pairs(*requests: EditRequest) -> EditFile:
    return EditFile(requests)


def test_the_model_is_left_as_it_was(demo: Demo) -> None:
    corpus = load_corpus(demo.codec, seed=1, most=400)
    settings = EditSettings(edit_contexts=0, edit_stats_tokens=2000, edit_sample=0)
    model, seen = demo.model, []
    before = {name: tensor.clone() for name, tensor in model.state_dict().items()}
    training = [module.training for module in model.modules()]
    requests = [
        EditRequest(TERM["source"], TERM["before"], id="as it is"),
        EditRequest(TERM["source"], TERM["target"], id="corrected"),
    ]
    surroundings = Surroundings(corpus, Endings.of("en", "de"), observe=seen.append)
    outcome = edit(demo.translator, pairs(*requests), settings, surroundings)
    assert [result.status for result in seen] == [NOTHING, EDITED]
    # The second request takes back what the first wanted kept.
    assert [result.status for result in outcome.results] == [FAILED, EDITED]
    assert "a later edit changed it" in outcome.results[0].reason
    weights = composed(before, outcome.patches)
    assert weights
    assert all(not torch.equal(before[name], tensor) for name, tensor in weights.items())
    after = model.state_dict()
    assert list(after) == list(before)
    assert all(torch.equal(after[name], tensor) for name, tensor in before.items())
    assert [module.training for module in model.modules()] == training
    assert not any(module._forward_hooks or module._forward_pre_hooks for module in model.modules())
