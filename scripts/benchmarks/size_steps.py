"""Steps that `benchmark_size.py` measures, each in a process of its own: `python size_steps.py STEP JSON`.

A step prints one line of JSON: what it found, with its seconds and the most memory that it had.
"""

from __future__ import annotations

import json
import resource
import sys
import time
import warnings
from pathlib import Path
from typing import Any, Callable, Dict, List, Sequence

import numpy as np
import torch

import fairseq_rome
from fairseq_rome import EditRequest
from fairseq_rome.editing.outcome import EDITED, Outcome, Result, Unchanged
from fairseq_rome.host.adapters import adapter_for
from fairseq_rome.host.checkpoint import load_model, read_state, same_bits
from fairseq_rome.host.configuration import FairseqOptions
from fairseq_rome.host.sites import Site
from fairseq_rome.host.user_dir import share_user_dir
from fairseq_rome.patch import NeuronChange, Patch, load_patches
from fairseq_rome.patch.loading import patch_on_load_
from fairseq_rome.workbench.patching import OutputSpec, apply_files, revert_file

LANGUAGES = ("en", "de")
MULTI: Dict[str, Any] = {
    "task": "translation_multi_simple_epoch", "langs": ",".join(LANGUAGES), "lang_pairs": "en-de,de-en",
    "encoder_langtok": "src", "decoder_langtok": True, "source": "en", "target": "de",
    # Random weights seldom say the end symbol.
    "max_len_a": 0, "max_len_b": 10,
}  # fmt: skip
SENTENCE, TARGET = "w1 w2 w3", "w4 w5"
TERM = "sternatons"
"""A word that no training side holds."""


def make_model(folder: str, width: int, inner: int, layers: int, symbols: int) -> Dict[str, Any]:
    """A checkpoint with random weights in half precision, and its dictionaries.

    Args:
        folder: where `model.pt` and `dict.*.txt` go.
        width: of the embeddings.
        inner: width of the feed-forward networks.
        layers: of the encoder, and of the decoder.
        symbols: of the dictionary, with its special ones and those of the languages.
    """
    from fairseq import options, tasks

    share_user_dir()
    words = "".join(f"w{number} 1\n" for number in range(symbols - 4 - len(LANGUAGES)))
    for language in LANGUAGES:
        Path(folder, f"dict.{language}.txt").write_text(words, encoding="utf-8")
    sizes = [
        f"--{stack}-{name}={value}"
        for stack in ("encoder", "decoder")
        for name, value in (
            ("layers", layers), ("embed-dim", width), ("ffn-embed-dim", inner), ("attention-heads", max(width // 64, 1))
        )
    ]  # fmt: skip
    task = ["--task", MULTI["task"], "--langs", MULTI["langs"], "--lang-pairs", MULTI["lang_pairs"]]
    task += ["--encoder-langtok", "src", "--decoder-langtok"]
    command = [folder, "--arch", "transformer", "--share-all-embeddings", "--encoder-normalize-before"]
    command += ["--decoder-normalize-before", *sizes, *task]
    args = options.parse_args_and_arch(options.get_training_parser(), command)
    torch.manual_seed(1)
    model = tasks.setup_task(args).build_model(args).half()
    state = {
        "args": args, "model": model.state_dict(), "extra_state": {}, "best_loss": None,
        "optimizer_history": [
            {"criterion_name": "CrossEntropyCriterion", "optimizer_name": "FairseqAdam", "num_updates": 1,
             "lr_scheduler_state": {}},
        ],
    }  # fmt: skip
    torch.save(state, Path(folder, "model.pt"))
    return {"parameters": sum(parameter.numel() for parameter in model.parameters())}


def edit(folder: str) -> Dict[str, Any]:
    """Open, put a gate of given vectors in, write the checkpoint and the patch, open the written one, translate."""
    bench = fairseq_rome.open(f"{folder}/model.pt", data=folder, **MULTI)
    opened = _peak()
    patch = gate(bench.model.state["model"])
    result = Result(EditRequest(SENTENCE, TARGET, id="1"), EDITED, "", "", patch=patch)
    outcome = Outcome((result,), Unchanged((), (), ()), Unchanged((), (), ()))
    with bench.patched(outcome.patches):
        bench.translate([SENTENCE])
    bench.save_patches(f"{folder}/gate.safetensors", outcome, force=True)
    with bench.stage(f"{folder}/edited.pt", outcome, force=True) as staged:
        reloaded = staged.reload()
        said = reloaded.translator.translate([SENTENCE])[0].text
        staged.commit()
    return {"opened": opened, "said": len(said), "before": bench.model.fingerprint}


def gate(weights: Dict[str, torch.Tensor]) -> Patch:
    """A gate of given vectors in the last layer of the decoder."""
    layer = max(int(name.split(".")[2]) for name in weights if name.startswith("decoder.layers."))
    prefix, generator = f"decoder.layers.{layer}.", torch.Generator().manual_seed(1)
    changes: List[NeuronChange] = []
    for name, dim in (("fc1.weight", 0), ("fc1.bias", 0), ("fc2.weight", 1)):
        old = weights[prefix + name].select(dim, 0)
        new = torch.randn(old.shape, generator=generator).to(old)
        changes.append(NeuronChange(prefix + name, dim, 0, new, old.clone()))
    return Patch("gated", Site("decoder", layer), tuple(changes), {"gates": 1.0})


def apply(folder: str) -> Dict[str, Any]:
    """`fairseq-edit-patch apply`."""
    files = [f"{folder}/gate.safetensors"]
    done = apply_files(f"{folder}/model.pt", files, OutputSpec(f"{folder}/applied.pt", force=True))
    return {"after": done.after}


def open_with_patches(folder: str) -> Dict[str, Any]:
    """`fairseq_rome.open(..., patches=...)`, which `--edit-patches` is."""
    files = (f"{folder}/gate.safetensors",)
    bench = fairseq_rome.open(f"{folder}/model.pt", data=folder, patches=files, **MULTI)
    return {"said": len(bench.translate([SENTENCE])[0]), "after": bench.model.fingerprint}


def load_with_patches(folder: str) -> Dict[str, Any]:
    """A model as fairseq's task builds it, which takes the patches in with its weights; then as the file has it."""
    share_user_dir()
    source, target, task = (MULTI[name] for name in ("source", "target", "task"))
    more = {name: value for name, value in MULTI.items() if name not in ("source", "target", "task")}
    options = FairseqOptions.of(f"{folder}/model.pt", folder, source, target, task, None, None, **more)
    adapter = adapter_for(options.set_up_task().task)
    built = adapter.task.build_model

    def with_patches(*given: Any, **named: Any) -> Any:
        path = f"{folder}/gate.safetensors"
        model = built(*given, **named)
        patch_on_load_(model, [(path, load_patches(path))])
        return model

    adapter.task.build_model = with_patches
    path = f"{folder}/model.pt"
    model = load_model(path, read_state(path), adapter)
    expected, found = read_state(f"{folder}/edited.pt")["model"], model.state_dict()
    same = all(same_bits(found[name].half(), weight) for name, weight in expected.items() if "_float" not in name)
    return {"as_written": same and len(found) == len(expected)}


def revert(folder: str) -> Dict[str, Any]:
    """`fairseq-edit-patch revert --all`."""
    output = OutputSpec(f"{folder}/reverted.pt", force=True)
    done = revert_file(f"{folder}/edited.pt", (), (), True, output)
    return {"before": done.before, "after": done.after}


def make_pairs(folder: str, data: str, count: int) -> Dict[str, Any]:
    """A data directory whose training side is another's, over and over, with a term in five sentences.

    Args:
        folder: the new one.
        data: the other one: with `spm.model`, and en-de files of fairseq-preprocess.
        count: pairs.
    """
    import sentencepiece
    from fairseq.data import Dictionary
    from fairseq.data.indexed_dataset import MMapIndexedDataset

    pieces = sentencepiece.SentencePieceProcessor(model_file=f"{data}/spm.model")
    for language in LANGUAGES:
        dictionary = Dictionary.load(f"{data}/dict.{language}.txt")
        dictionary.save(f"{folder}/dict.{language}.txt")
        small = MMapIndexedDataset(f"{data}/train.en-de.{language}")
        kind, prefix = small._index.dtype, f"{folder}/train.en-de.{language}"
        sizes = np.resize(small.sizes, count)
        tokens = np.fromfile(f"{data}/train.en-de.{language}.bin", dtype=kind)
        planted = {place: f"{number + 2} {TERM} w" for number, place in enumerate(places_of(count))}
        with open(f"{prefix}.bin", "wb") as file:
            for start in range(0, count, len(small)):
                part = tokens[: int(sizes[start : start + len(small)].sum())]
                inside = [place for place in planted if start <= place < start + len(small)]
                ends = small.sizes.cumsum()
                written = 0
                for place in inside:
                    text = " ".join(pieces.encode(planted[place], out_type=str))
                    new = dictionary.encode_line(text, add_if_not_exist=False).numpy().astype(kind)
                    first = int(ends[place - start] - small.sizes[place - start])
                    file.write(part[written:first].tobytes() + new.tobytes())
                    written, sizes[place] = int(ends[place - start]), len(new)
                file.write(part[written:].tobytes())
        with MMapIndexedDataset.Index.writer(f"{prefix}.idx", kind) as index:
            index.write(sizes.tolist())
    return {"bytes": sum(path.stat().st_size for path in Path(folder).glob("train.*"))}


def places_of(count: int) -> Sequence[int]:
    """Where the five sentences with the term stand."""
    return [count * number // 5 + count // 11 for number in range(5)]


def start(folder: str, path: str, spm: str) -> Dict[str, Any]:
    """Open a model with a data directory, and take its sample of the training side, as text too."""
    bench = _with_pairs(folder, path, spm)
    corpus = bench.background()
    return {"pairs": len(corpus.pairs), "texts": len(corpus.sources) + len(corpus.targets)}


def search(folder: str, path: str, spm: str) -> Dict[str, Any]:
    """As `start`; then look for the term in the whole side."""
    corpus = _with_pairs(folder, path, spm).background()
    texts, before = len(corpus.sources) + len(corpus.targets), time.perf_counter()
    found = corpus.with_rare(TERM, TERM, ())
    held = {found.sources[index] for index in found.with_trigger(TERM)}
    return {"texts": texts, "found": len(held), "search_seconds": round(time.perf_counter() - before, 2)}


def _with_pairs(folder: str, path: str, spm: str) -> Any:
    return fairseq_rome.open(
        path, data=folder, source="en", target="de", bpe="sentencepiece", sentencepiece_model=spm
    )


def _peak() -> float:
    """Most memory of this process so far, in GB; Linux tells that of the program that started it as well elsewhere."""
    try:
        status = Path("/proc/self/status").read_text(encoding="utf-8")
    except OSError:
        return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / (1e9 if sys.platform == "darwin" else 1e6)
    return int(status.split("VmHWM:")[1].split()[0]) * 1024 / 1e9


STEPS: Dict[str, Callable[..., Dict[str, Any]]] = {
    step.__name__: step
    for step in (
        make_model, edit, apply, open_with_patches, load_with_patches, revert, make_pairs, start, search
    )
}  # fmt: skip


def main(name: str, given: str) -> int:
    """Do a step and print what it found."""
    began = time.perf_counter()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        found = STEPS[name](**json.loads(given))
    print(json.dumps({**found, "seconds": round(time.perf_counter() - began, 1), "peak_gb": round(_peak(), 2)}))
    return 0


if __name__ == "__main__":
    raise SystemExit(main(*sys.argv[1:]))
