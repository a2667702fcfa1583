"""`--edit-hooks`: hooks hold the gates of patches beside the model that fairseq loads."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any, Callable, Dict, List, Sequence, Tuple

import pytest
import torch
from conftest import Demo
from edit_runs import (
    DEMO,
    LANGUAGES,
    ROOT,
    SUBWORDS,
    Edited,
    hypotheses,
    lines,
    multiplies_halves,
    needs_halves,
)
from loading_samples import State, assert_same, dense, low_rank, one_after_the_other, weights_of, written
from stock_runs import Case, Stock
from test_consumers import UNRELATED
from test_hooks import batch_of, past_the_end
from test_load_time import PLUGIN, edit_task, loaded

from fairseq_rome.errors import EditError
from fairseq_rome.host.batches import decoded
from fairseq_rome.host.checkpoint import portable_cfg, read_state, write_state
from fairseq_rome.host.sites import Site
from fairseq_rome.patch import Patch, patch_file, read_stack, save_patches
from fairseq_rome.patch.loading import hooked_on, stack_on


@pytest.fixture(scope="module")
def base(demo: Demo) -> State:
    return portable_cfg(demo.state)


@pytest.fixture(scope="module")
def edits(edited: Edited) -> Sequence[Patch]:
    return read_stack(read_state(edited.path)).patches


@pytest.fixture(scope="module")
def widening(base: State, edits: Sequence[Patch]) -> List[Patch]:
    """The edits with neurons of their own, so that no dormant neuron's share is lost in the weights either."""
    return past_the_end(edits, len(base["model"]["decoder.layers.0.fc1.weight"]))


def log_probabilities(model: Any, demo: Demo) -> torch.Tensor:
    with torch.no_grad():
        return torch.log_softmax(decoded(model, batch_of(demo)).float(), -1)


def test_what_neurons_of_their_own_do(
    demo: Demo, base: State, widening: Sequence[Patch], tmp_path: Path
) -> None:
    path, files, baked = written(one_after_the_other(base, [widening[:2], widening[2:]]), tmp_path)
    model = loaded(path, edit_task(files, hooks=True))
    plain = loaded(path, edit_task())
    assert_same(weights_of(model), weights_of(plain))
    assert [patch.fingerprint for patch in hooked_on(model)] == [patch.fingerprint for patch in widening]
    assert stack_on(model) is None and hooked_on(plain) == ()
    found = log_probabilities(model, demo)
    wanted = log_probabilities(loaded(baked, edit_task()), demo)
    torch.testing.assert_close(found, wanted, rtol=1e-3, atol=1e-3)
    assert float((found - log_probabilities(plain, demo)).abs().max()) > 1.0


def test_two_that_took_one_neuron(demo: Demo, base: State, edits: Sequence[Patch], tmp_path: Path) -> None:
    """In the weights the second would be refused."""
    files = []
    for number, patch in enumerate(edits):
        first = {site: min(neurons) for site, neurons in patch.taken.items()}
        changes = tuple(
            replace(one, index=one.index - first[Site.of_weight(one.name)], old=None)  # type: ignore[call-arg, index]
            for one in patch.changes
        )
        files.append(tmp_path / f"{number}.safetensors")
        save_patches(str(files[-1]), patch_file([replace(patch, changes=changes)], base, {}))
    write_state(base, str(tmp_path / "base.pt"))
    with pytest.raises(EditError, match="neuron 0 of decoder.* is taken by the edit"):
        loaded(tmp_path / "base.pt", edit_task(files))
    model = loaded(tmp_path / "base.pt", edit_task(files, hooks=True))
    assert len(hooked_on(model)) == len(edits)
    with pytest.raises(EditError, match=r"1.safetensors: .* is there already"):
        loaded(tmp_path / "base.pt", edit_task([*files[:2], files[1]], hooks=True))


INSTEAD = "--edit-hooks holds gates alone, leave it out and the patches are made in the weights"
REFUSALS: Dict[str, Tuple[Callable[[State, Sequence[Patch]], Patch], Callable[[State], State], str]] = {
    "low rank": (
        lambda base, _: low_rank(base), lambda base: base,
        f"hooks can't hold the change of rank 2 in decoder.* without background keys of decoder.0; {INSTEAD}$",
    ),
    "dense": (
        lambda base, _: dense(base), lambda base: base,
        f"hooks can't hold the change of dense .* without background keys of decoder.0 and the keys .*; {INSTEAD}$",
    ),
    "in part": (
        lambda _, edits: replace(edits[0], changes=edits[0].changes[:1]), lambda base: base,
        f"a neuron of decoder.* is changed in part, .*; {INSTEAD}$",
    ),
    "another checkpoint": (
        lambda _, edits: edits[0],
        lambda base: {**base, "model": {name: weight + 1 for name, weight in base["model"].items()}},
        "decoder.* it was made for another checkpoint",
    ),
}  # fmt: skip


@pytest.mark.parametrize("name", REFUSALS)
def test_what_hooks_do_not_hold_is_refused(
    name: str, base: State, edits: Sequence[Patch], tmp_path: Path
) -> None:
    patch_of, changed, reason = REFUSALS[name]
    save_patches(str(tmp_path / "0.safetensors"), patch_file([patch_of(base, edits)], base, {}))
    write_state(changed(base), str(tmp_path / "base.pt"))
    with pytest.raises(EditError, match=r"0\.safetensors: " + reason) as refused:
        loaded(tmp_path / "base.pt", edit_task([tmp_path / "0.safetensors"], hooks=True))
    assert "\n" not in str(refused.value)


def test_hooks_are_never_left_out_in_silence(
    demo: Demo, base: State, edits: Sequence[Patch], tmp_path: Path
) -> None:
    with pytest.raises(EditError, match="nothing to hold, expected --edit-patches with it"):
        edit_task(hooks=True).build_model(base["cfg"]["model"], from_checkpoint=True)
    save_patches(str(tmp_path / "0.safetensors"), patch_file(edits, base, {}))
    task = edit_task([tmp_path / "0.safetensors"], hooks=True)
    with pytest.raises(EditError, match="a model lacks them"):
        task.inference_step(demo.translator.generator, [demo.model], {})
    with pytest.raises(EditError, match="for decoding"):
        task.build_model(base["cfg"]["model"])


COMMANDS: Dict[str, List[Any]] = {"single precision": [], "half precision": ["--fp16"]}


@pytest.fixture(scope="module")
def printed(
    base: State, widening: Sequence[Patch], stock: Stock, tmp_path_factory: pytest.TempPathFactory
) -> Dict[str, str]:
    """What fairseq-interactive prints of the requests and of other sentences."""
    folder = tmp_path_factory.mktemp("hooks_at_load_time")
    path, files, baked = written(one_after_the_other(base, [widening[:2], widening[2:]]), folder)
    models = {"baked": ["--path", baked], "hooked": ["--path", path, "--edit-hooks", "--edit-patches"]}
    models["hooked"].append(":".join(map(str, files)))
    sources = folder / "sources.en"
    sources.write_text("\n".join(lines("fixes.en") + list(UNRELATED)) + "\n", encoding="utf-8")
    common = [DEMO / "data-bin", *PLUGIN, *LANGUAGES, *SUBWORDS, "--beam", "2", "--buffer-size", "100", "--cpu"]
    cases = [
        Case(f"{name}, {kind}", "interactive", [*common, *more, *model], folder, str(sources), [str(ROOT)])
        for name, more in COMMANDS.items()
        if multiplies_halves() or "--fp16" not in more
        for kind, model in models.items()
    ]
    return stock.run(cases, folder)


@pytest.mark.slow
@pytest.mark.parametrize("name", [
    pytest.param(name, marks=[needs_halves] if "--fp16" in more else []) for name, more in COMMANDS.items()
])  # fmt: skip
def test_the_output_of_the_baked_checkpoint(printed: Dict[str, str], name: str) -> None:
    found, wanted = (printed[f"{name}, {kind}"] for kind in ("hooked", "baked"))
    assert hypotheses(found) == hypotheses(wanted)
    assert hypotheses(found)[: len(lines("fixes.de"))] == lines("fixes.de")
    scores = [
        [float(line.split("\t")[1]) for line in text.splitlines() if line.startswith("H-")] for text in (found, wanted)
    ]
    assert scores[0] == pytest.approx(scores[1], abs=1e-4 if name == "single precision" else 2e-2)
