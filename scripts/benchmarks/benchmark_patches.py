"""Measure patches: whether taking one out gives the checkpoint back bit for bit, and how large a file one is.

For each method, in single precision and on a copy of the checkpoint in half precision: one real edit, whose patch
is then applied to the unedited checkpoint and taken out; with `--stack`, a hundred edits of
other requests, the 37th of which is taken out of the middle, then all. Then the sizes of patch files, for that
checkpoint and for one of `transformer_wmt_en_de_big` with random weights and a vocabulary of 32,000 symbols.

    python scripts/benchmarks/benchmark_patches.py --id term-wall --method gated rome --stack mined.jsonl
"""

from __future__ import annotations

import argparse
import os
import sys
import tempfile
from pathlib import Path
from typing import Any, Dict, Iterator, List, Mapping, Optional, Sequence, Tuple

import torch
from multi30k import Multi30k, Wish, read_multi30k
from public_models import MULTI30K_FOLDER, multi30k_model
from result_records import append_rows, origin
from torch import Tensor

from fairseq_rome import EditSettings, Workbench, read_edit_file
from fairseq_rome.host.checkpoint import fingerprint, read_state
from fairseq_rome.host.sites import Site
from fairseq_rome.host.user_dir import share_user_dir
from fairseq_rome.methods.registry import all_methods
from fairseq_rome.patch import LowRankChange, NeuronChange, Patch, patch_file, save_patches
from fairseq_rome.workbench.patching import OutputSpec, apply_files, revert_file

SYMBOLS = 32_000
BIG = "transformer_wmt_en_de_big"
_SHORT = 16
_WORDS = {1: "one", 3: "three"}
_DRAW = torch.Generator().manual_seed(1)


def edited(bench: Workbench, wish: Wish, method: str, work: Path) -> Optional[Path]:
    """The patch of one edit, beside the edited checkpoint; None, said in one line, where it does not hold."""
    settings = EditSettings.of(method=method, edit_sample=0)
    outcome = bench.edit(wish.request, settings)
    if not outcome.holding:
        print(f"{method}: {wish.id} does not hold ({outcome.results[0].reason})")
        return None
    patch = work / f"{method}.safetensors"
    bench.write(str(work / "edited.pt"), outcome, settings, force=True)
    bench.save_patches(str(patch), outcome, settings, force=True)
    return patch


def round_trips(data: Multi30k, wishes: Sequence[Wish], model: Path, methods: Sequence[str]) -> None:
    """Print a line for each edit: hashes before, with and after the patch."""
    print(
        f"\n{'type':9}{'method':11}{'request':16}{'bytes':>8}  {'base':18}{'applied':18}{'reverted':18}base again"
    )
    for name, base, work in in_each_type(model):
        bench = multi30k_model(data.folder).open(base)
        for method in methods:
            for wish in wishes:
                patch = edited(bench, wish, method, work)
                if patch is None:
                    continue
                applied = apply_files(str(base), [str(patch)], _output(work / "applied.pt"))
                back = revert_file(
                    str(work / "applied.pt"), [str(patch)], [], False, _output(work / "back.pt")
                )
                edit = fingerprint(read_state(work / "edited.pt"))
                assert edit == applied.after, "the written checkpoint and the patch's differ"
                hashes = "".join(f"{one[:_SHORT]:18}" for one in (applied.before, applied.after, back.after))
                size = patch.stat().st_size
                print(
                    f"{name:9}{method:11}{wish.id:16}{size:8,}  {hashes}{back.after == applied.before}", flush=True
                )


def stacks(
    data: Multi30k, requests: Path, model: Path, methods: Sequence[str], count: int, taken: int
) -> None:
    """Print a line for each stack of patches: hashes of all, without the one taken out, and with none."""
    print(f"\n{'type':9}{'method':11}{f'{count} edits':18}{f'without {taken}':18}{'none':18}base again")
    for name, base, work in in_each_type(model):
        bench = multi30k_model(data.folder).open(base)
        for method in methods:
            hashes = stacked(bench, requests, base, method, work, count, taken)
            shown = "".join(f"{one[:_SHORT]:18}" for one in hashes)
            print(f"{name:9}{method:11}{shown}{hashes[-1] == bench.model.fingerprint}", flush=True)


def stacked(
    bench: Workbench, requests: Path, base: Path, method: str, work: Path, count: int, taken: int
) -> List[str]:
    """Fingerprints of the weights with so many patches of one run, without the one taken out, and without all."""
    # Whether edits hold is not the question here, and low-rank ones undo each other long before the hundredth.
    settings = EditSettings.of(
        method=method, edit_contexts=0, edit_batch=0, edit_sample=0, widen=all_methods()[method].takes_neurons
    )
    outcome = bench.edit(read_edit_file(str(requests), *bench.languages), settings)
    folder = work / method
    bench.save_patches(f"{folder}{os.sep}", outcome, settings, force=True)
    files = sorted(map(str, folder.iterdir()))[:count]
    assert len(files) == count, f"{method}: {len(files)} patches were made, expected {count} at least"
    full, less, none = (work / name for name in ("full.pt", "less.pt", "none.pt"))
    return [
        apply_files(str(base), files, _output(full)).after,
        revert_file(str(full), [files[taken - 1]], [], False, _output(less)).after,
        revert_file(str(less), [], [], True, _output(none)).after,
    ]


def _output(path: Path) -> OutputSpec:
    return OutputSpec(str(path), force=True)


def in_each_type(model: Path) -> Iterator[Tuple[str, Path, Path]]:
    """Each type by name, the checkpoint in it, and the folder where that is, which is gone after."""
    for dtype in (torch.float32, torch.float16):
        with tempfile.TemporaryDirectory() as folder:
            yield str(dtype).replace("torch.", ""), in_type(model, dtype, Path(folder)), Path(folder)


def in_type(model: Path, dtype: torch.dtype, work: Path) -> Path:
    """The checkpoint with its weights in a type, in a file of its own."""
    state = read_state(model)
    state.pop("last_optimizer_state", None)
    state["model"] = {n: w.to(dtype) if w.is_floating_point() else w for n, w in state["model"].items()}
    path = work / "base.pt"
    torch.save(state, path)
    return path


def big_weights() -> Dict[str, Tensor]:
    """The weights of a large Transformer, as fairseq initialises them."""
    from fairseq.data import Dictionary
    from fairseq.models import ARCH_CONFIG_REGISTRY
    from fairseq.models.transformer import TransformerModel

    symbols = Dictionary()
    for number in range(SYMBOLS - len(symbols)):
        symbols.add_symbol(f"w{number}")
    args = argparse.Namespace(share_all_embeddings=True, max_source_positions=1024, max_target_positions=1024)
    ARCH_CONFIG_REGISTRY[BIG](args)
    task = argparse.Namespace(source_dictionary=symbols, target_dictionary=symbols)
    model = TransformerModel.build_model(args, task)
    # Tied embeddings are stored once.
    return {name: tensor.detach() for name, tensor in model.state_dict().items()}


def sample_patches(weights: Mapping[str, Tensor]) -> Iterator[Tuple[str, Patch]]:
    """Patches of the sizes that edits have, at the last decoder layer."""
    last = max(int(name.split(".")[2]) for name in weights if name.startswith("decoder.layers."))
    site, layer = Site("decoder", last), f"decoder.layers.{last}"
    names = [f"{layer}.fc1.weight", f"{layer}.fc1.bias", f"{layer}.fc2.weight"]
    for count in (1, 3):
        changes: List[Any] = []
        for neuron in range(count):
            for name, dim in zip(names, (0, 0, 1)):
                old = weights[name].select(dim, neuron).clone()
                changes.append(NeuronChange(name, dim, neuron, _random(*old.shape), old))
        yield f"gated, {_WORDS[count]} gate{'s' * (count > 1)}", Patch("gated", site, tuple(changes), about=_ABOUT)
    width, inner = weights[names[2]].shape
    for rank in (1, 3):
        change = LowRankChange(names[2], _random(width, rank), _random(inner, rank))
        keys = {names[2]: _random(rank, inner)}
        yield f"of rank {_WORDS[rank]}", Patch("rome", site, (change,), {"rank": float(rank)}, keys, _ABOUT)


# As long as a request's text is.
_ABOUT = {"id": "term-1", "source": "s" * 80, "target": "t" * 80, "trigger": "g" * 10}


def _random(*shape: int) -> Tensor:
    return torch.randn(shape, generator=_DRAW)


def sizes(name: str, weights: Mapping[str, Tensor]) -> List[Dict[str, Any]]:
    """Print the sizes of patch files beside that of the weights, and give the rows of docs/results.md."""
    kept = {tensor.data_ptr(): tensor.numel() * tensor.element_size() for tensor in weights.values()}
    whole = sum(kept.values())
    print(f"\n{name}: {whole:,} bytes of weights")
    rows = []
    with tempfile.TemporaryDirectory() as folder:
        for label, patch in sample_patches(weights):
            path = os.path.join(folder, "patch.safetensors")
            save_patches(path, patch_file([patch], {"model": weights}, {}), force=True)
            size = os.path.getsize(path)
            share = f"1 / {whole // size:,}"
            print(
                f"  {label:18}{size:9,} bytes, {patch.size_bytes:8,} of them the change; {share} of the weights"
            )
            kb, mb = round(size / 1e3, 1), round(whole / 1e6, 1)
            rows.append({"model": name, "weights_mb": mb, "change": label, "file_kb": kb})
    return rows


def main(argv: Optional[Sequence[str]] = None) -> None:
    """Run from the command line."""
    words: List[str] = list(sys.argv[1:] if argv is None else argv)
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--data", type=Path, default=MULTI30K_FOLDER, help="folder with model/ and requests/")
    parser.add_argument(
        "--path", type=Path, help="another checkpoint of its data directory (default: its model.pt)"
    )
    parser.add_argument("--id", nargs="+", default=["term-wall"], help="requests (default: %(default)s)")
    changing = [name for name, method in all_methods().items() if method.changes_weights]
    parser.add_argument("--method", nargs="+", choices=changing, default=changing)
    parser.add_argument("--stack", type=Path, metavar="FILE", help="JSONL of some more requests than --stacked")
    parser.add_argument("--stacked", type=int, default=100, metavar="N", help="patches of it (default: %(default)s)")
    parser.add_argument("--taken", type=int, default=37, metavar="N", help="which is taken out first (default: 37)")
    parser.add_argument("--record", action="store_true", help="also append the sizes to the records of docs/results.md")
    args = parser.parse_args(words)
    share_user_dir()
    data = read_multi30k(args.data)
    if data is None:
        return
    model = args.path or args.data / "model" / "model.pt"
    wishes = [wish for wish in data.wishes if wish.id in args.id]
    rows = sizes(args.path.name if args.path else "Multi30k", read_state(model)["model"])
    rows += sizes("transformer-big with random weights", big_weights())
    if args.record:
        append_rows("patches", rows, origin("benchmark_patches.py", words))
    round_trips(data, wishes, model, args.method)
    if args.stack:
        alone = [method for method in args.method if not all_methods()[method].together]
        stacks(data, args.stack, model, alone, args.stacked, args.taken)


if __name__ == "__main__":
    main()
