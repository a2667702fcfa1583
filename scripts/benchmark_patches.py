"""Measure patches: whether taking one out gives the checkpoint back bit for bit, and how large a file one is.

For each method, in single precision and on a copy of the checkpoint in half precision: one real edit by `fairseq-edit`,
whose patch `fairseq-edit-patch` then applies to the unedited checkpoint and reverts; with `--stack`, a hundred edits of
other requests, the 37th of which is taken out of the middle, then all. Then the sizes of patch files, for that
checkpoint and for one of `transformer_wmt_en_de_big` with random weights and a vocabulary of 32,000 symbols.

    python scripts/benchmark_patches.py --id term-wall --method gated rome --stack mined.jsonl
"""

from __future__ import annotations

import argparse
import io
import json
import logging
import os
import tempfile
import warnings
from contextlib import redirect_stdout
from pathlib import Path
from typing import Any, Dict, Iterator, List, Mapping, Optional, Sequence, Tuple

import torch
from multi30k import DEFAULT_FOLDER, Multi30k, Wish, edit_arguments, read_multi30k
from torch import Tensor

from fairseq_rome.cli.command import import_fairseq
from fairseq_rome.cli.edit import main as edit_main
from fairseq_rome.cli.patch import main as patch_main
from fairseq_rome.host.checkpoint import fingerprint, read_state
from fairseq_rome.host.sites import Site
from fairseq_rome.methods.registry import all_methods
from fairseq_rome.patch import LowRankChange, NeuronChange, Patch, patch_file, save_patches

SYMBOLS = 32_000
BIG = "transformer_wmt_en_de_big"
_SHORT = 16
_DRAW = torch.Generator().manual_seed(1)


def edited(data: Multi30k, wish: Wish, model: Path, method: str, work: Path) -> Optional[Path]:
    """The patch of one edit; None, said in one line, where it does not hold."""
    requests, patch = work / "one.jsonl", work / f"{method}.safetensors"
    record = {
        "source": wish.source,
        "target": wish.target,
        "trigger": wish.trigger,
        "contexts": wish.contexts,
    }
    requests.write_text(json.dumps({"id": wish.id, **record}) + "\n", encoding="utf-8")
    more = (
        "--path", str(model), "--method", method, "--save-to", str(work / "edited.pt"), "--save-patch", str(patch),
        "--force", "--edit-cache", "none", "--no-progress-bar", "--cpu",
    )  # fmt: skip
    out = io.StringIO()
    with redirect_stdout(out):
        status = edit_main(edit_arguments(data.folder, requests, *more))
    if status:
        print(f"{method}: {wish.id} does not hold; fairseq-edit said:\n{out.getvalue()}")
        return None
    return patch


def applied_and_reverted(model: Path, patch: Path, work: Path) -> Tuple[str, str]:
    """Fingerprints of the weights with the patch, and after taking it out again."""
    found = []
    for command, source, target in (
        ("apply", model, "applied.pt"),
        ("revert", work / "applied.pt", "reverted.pt"),
    ):
        with redirect_stdout(io.StringIO()):
            arguments = [command, str(source), str(patch), "--save-to", str(work / target), "--force"]
            assert patch_main(arguments) == 0, f"fairseq-edit-patch {' '.join(arguments)}"
        found.append(fingerprint(read_state(work / target)))
    return found[0], found[1]


def round_trips(data: Multi30k, wishes: Sequence[Wish], model: Path, methods: Sequence[str]) -> None:
    """Print a line for each edit: hashes before, with and after the patch."""
    print(
        f"\n{'type':9}{'method':11}{'request':16}{'bytes':>8}  {'base':18}{'applied':18}{'reverted':18}base again"
    )
    for name, base, work in in_each_type(model):
        before = fingerprint(read_state(base))
        for method in methods:
            for wish in wishes:
                patch = edited(data, wish, base, method, work)
                if patch is None:
                    continue
                after, back = applied_and_reverted(base, patch, work)
                edit = fingerprint(read_state(work / "edited.pt"))
                assert edit == after, "fairseq-edit's checkpoint and the patch's differ"
                hashes = "".join(f"{one[:_SHORT]:18}" for one in (before, after, back))
                size = patch.stat().st_size
                print(f"{name:9}{method:11}{wish.id:16}{size:8,}  {hashes}{back == before}", flush=True)


def stacks(
    data: Multi30k, requests: Path, model: Path, methods: Sequence[str], count: int, taken: int
) -> None:
    """Print a line for each stack of patches: hashes of all, without the one taken out, and with none."""
    print(f"\n{'type':9}{'method':11}{f'{count} edits':18}{f'without {taken}':18}{'none':18}base again")
    for name, base, work in in_each_type(model):
        before = fingerprint(read_state(base))
        for method in methods:
            hashes = stacked(data, requests, base, method, work, count, taken)
            shown = "".join(f"{one[:_SHORT]:18}" for one in hashes)
            print(f"{name:9}{method:11}{shown}{hashes[-1] == before}", flush=True)


def stacked(
    data: Multi30k, requests: Path, model: Path, method: str, work: Path, count: int, taken: int
) -> List[str]:
    """Fingerprints of the weights with so many patches of one run, without the one taken out, and without all."""
    patches = work / method
    more = (
        "--path", str(model), "--method", method, "--save-to", str(work / "edited.pt"), "--save-patch", f"{patches}/",
        "--force", "--edit-contexts", "0", "--no-progress-bar", "--cpu",
        *(["--widen"] if all_methods()[method].takes_neurons else []),
        # Whether edits hold is not the question here, and low-rank ones undo each other long before the hundredth.
        "--keep-going", "--edit-batch", "0",
    )  # fmt: skip
    with redirect_stdout(io.StringIO()):
        edit_main(edit_arguments(data.folder, requests, *more))
        files = sorted(map(str, patches.iterdir()))[:count]
        assert len(files) == count, f"{method}: {len(files)} patches were made, expected {count} at least"
        full, less, none = (str(work / name) for name in ("full.pt", "less.pt", "none.pt"))
        for arguments in (
            ("apply", str(model), *files, "--save-to", full),
            ("revert", full, files[taken - 1], "--save-to", less),
            ("revert", less, "--all", "--save-to", none),
        ):
            assert patch_main([*arguments, "--force"]) == 0, f"fairseq-edit-patch {' '.join(arguments)}"
    return [fingerprint(read_state(path)) for path in (full, less, none)]


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
        yield f"gated, {count} gate{'s' * (count > 1)}", Patch("gated", site, tuple(changes), about=_ABOUT)
    width, inner = weights[names[2]].shape
    for rank in (1, 3):
        change = LowRankChange(names[2], _random(width, rank), _random(inner, rank))
        keys = {names[2]: _random(rank, inner)}
        yield f"low-rank, rank {rank}", Patch("rome", site, (change,), {"rank": float(rank)}, keys, _ABOUT)


# As long as a request's text is.
_ABOUT = {"id": "term-1", "source": "s" * 80, "target": "t" * 80, "trigger": "g" * 10}


def _random(*shape: int) -> Tensor:
    return torch.randn(shape, generator=_DRAW)


def sizes(name: str, weights: Mapping[str, Tensor]) -> None:
    """Print the sizes of patch files beside that of the weights."""
    kept = {tensor.data_ptr(): tensor.numel() * tensor.element_size() for tensor in weights.values()}
    whole = sum(kept.values())
    print(f"\n{name}: {whole:,} bytes of weights")
    with tempfile.TemporaryDirectory() as folder:
        for label, patch in sample_patches(weights):
            path = os.path.join(folder, "patch.safetensors")
            save_patches(path, patch_file([patch], {"model": weights}, {}), force=True)
            size = os.path.getsize(path)
            share = f"1 / {whole // size:,}"
            print(
                f"  {label:18}{size:9,} bytes, {patch.size_bytes:8,} of them the change; {share} of the weights"
            )


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--data", type=Path, default=DEFAULT_FOLDER, help="folder with model/ and requests/")
    parser.add_argument(
        "--path", type=Path, help="another checkpoint of its data directory (default: its model.pt)"
    )
    parser.add_argument("--id", nargs="+", default=["term-wall"], help="requests (default: %(default)s)")
    parser.add_argument("--method", nargs="+", choices=list(all_methods()), default=list(all_methods()))
    parser.add_argument("--stack", type=Path, metavar="FILE", help="JSONL of some more requests than --stacked")
    parser.add_argument("--stacked", type=int, default=100, metavar="N", help="patches of it (default: %(default)s)")
    parser.add_argument("--taken", type=int, default=37, metavar="N", help="which is taken out first (default: 37)")
    args = parser.parse_args()
    warnings.simplefilter("ignore")
    logging.getLogger("fairseq").setLevel(logging.WARNING)
    import_fairseq()
    data = read_multi30k(args.data)
    if data is None:
        return
    model = args.path or args.data / "model" / "model.pt"
    wishes = [wish for wish in data.wishes if wish.id in args.id]
    sizes(str(model.name), read_state(model)["model"])
    sizes(f"{BIG}, {SYMBOLS:,} symbols", big_weights())
    round_trips(data, wishes, model, args.method)
    if args.stack:
        alone = [method for method in args.method if not all_methods()[method].together]
        stacks(data, args.stack, model, alone, args.stacked, args.taken)


if __name__ == "__main__":
    main()
