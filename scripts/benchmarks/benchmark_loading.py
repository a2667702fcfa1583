"""Measure patches at load time on Multi30k: whether outputs are those of the baked checkpoint, and what starting costs.

The patches of a file are baked into a copy of the checkpoint; fairseq-generate then decodes a test set with that copy,
and with the original under `--edit-patches`, in float32, in half precision where asked, and from a half-precision copy
of the checkpoint. What it prints has to be the same byte for byte.

The cost of starting is that of a whole fairseq-interactive on an empty input, less one without patches; runs with and
without take turns, so that what else the machine does falls on all alike. Many patches are copies of the first gated
one on neurons of their own, which widen the layers: their sizes are real, and each has other numbers.

    fairseq-edit ../shared/multi30k/model ... --save-patch fixes.safetensors
    python scripts/benchmarks/benchmark_loading.py fixes.safetensors --fp16
"""

from __future__ import annotations

import argparse
import os
import resource
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass, replace
from pathlib import Path
from statistics import median
from typing import Any, Dict, List, Optional, Sequence, Tuple

from public_models import BEAM, MULTI30K_FOLDER, ROOT
from result_records import append_rows, origin

from fairseq_rome.host.checkpoint import portable_cfg, read_state, write_state
from fairseq_rome.patch import NeuronChange, Patch, load_patches, patch_file, save_patches, with_patches

_TIMES = "W-"
_COPY_STEP = 2.0**-20


@dataclass(frozen=True)
class Seconds:
    """Time on the clock, and of the processor."""

    wall: float
    cpu: float


@dataclass(frozen=True)
class Loading:
    """Measures one patch file.

    Args:
        model: the folder of the checkpoint, which is its data directory too.
        work: scratch folder.
        subset: of the data directory, to decode.
    """

    model: Path
    work: Path
    subset: str

    def compare(self, patches: Sequence[Patch], half: bool, fp16: bool) -> Tuple[int, int]:
        """Lines that fairseq-generate prints with patches at load time, and how many differ from the baked ones."""
        state = portable_cfg(read_state(self.model / "model.pt"))
        if half:
            state["model"] = {name: weight.half() for name, weight in state["model"].items()}
        base, baked, file = (str(self.work / name) for name in ("base.pt", "baked.pt", "a.safetensors"))
        write_state(state, base, force=True)
        write_state(with_patches(state, patches, {}), baked, force=True)
        save_patches(file, patch_file(patches, state, {}), force=True)
        more = ["--gen-subset", self.subset, "--batch-size", "100", *(["--fp16"] if fp16 else [])]
        wanted, found = (
            self._fairseq("generate", [*more, *which]).splitlines()
            for which in (["--path", baked], ["--path", base, "--edit-patches", file])
        )
        longer = abs(len(wanted) - len(found))
        return len(found), sum(one != other for one, other in zip(wanted, found)) + longer

    def seconds(self, options: Sequence[str]) -> Seconds:
        """The time of a whole fairseq-interactive on an empty input."""
        before, start = resource.getrusage(resource.RUSAGE_CHILDREN), time.perf_counter()
        self._fairseq("interactive", options)
        wall, after = time.perf_counter() - start, resource.getrusage(resource.RUSAGE_CHILDREN)
        return Seconds(wall, after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime)

    def options(self, name: str, patches: Sequence[Patch]) -> List[str]:
        """Options that load the checkpoint with patches, which are written to a file of that name."""
        path = str(self.model / "model.pt")
        if not patches:
            return ["--path", path]
        file = str(self.work / f"{name}.safetensors")
        save_patches(file, patch_file(patches, read_state(path), {}), force=True)
        return ["--path", path, "--edit-patches", file]

    def _fairseq(self, tool: str, more: Sequence[str]) -> str:
        command = [
            sys.executable, "-W", "ignore", "-m", f"fairseq_cli.{tool}", str(self.model), "-s", "en", "-t", "de",
            "--user-dir", str(ROOT / "fairseq_rome"), "--task", "translation_edit", "--beam", str(BEAM), *more,
        ]  # fmt: skip
        environment = {**os.environ, "OMP_NUM_THREADS": "1", "PYTHONIOENCODING": "utf-8"}
        done = subprocess.run(
            command,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            encoding="utf-8",
            env=environment,
            check=False,
        )
        if done.returncode:
            raise SystemExit(f"fairseq-{tool} failed: {done.stderr[-2000:]}")
        return "\n".join(line for line in done.stdout.splitlines() if not line.startswith(_TIMES))


def many(patch: Patch, count: int, width: int) -> List[Patch]:
    """Copies of a gated patch on neurons past the end of its layer, each with slightly other numbers."""
    places = {index: place for place, index in enumerate(patch.neurons)}
    copies = []
    for number in range(count):
        first = width + number * len(places)
        changes = tuple(_moved(change, first + places[change.index], number) for change in patch.changes)
        copies.append(replace(patch, changes=changes, about={**patch.about, "id": str(number)}))
    return copies


def _moved(change: Any, index: int, number: int) -> NeuronChange:
    return replace(change, index=index, new=change.new * (1 + number * _COPY_STEP), old=None)


def outputs(loading: Loading, patches: Sequence[Patch], fp16: bool) -> None:
    """Print, for each precision, how many lines of output are not those of the baked checkpoint."""
    runs: Dict[str, Dict[str, bool]] = {
        "float32": {"half": False, "fp16": False},
        "float16 checkpoint, computed in float32": {"half": True, "fp16": False},
    }
    if fp16:
        runs["float32 checkpoint, --fp16"] = {"half": False, "fp16": True}
    print(f"{len(patches)} patches, fairseq-generate on {loading.subset}\n")
    print("| precision | lines | other than baked |\n| --- | --- | --- |")
    for name, run in runs.items():
        lines, other = loading.compare(patches, **run)
        print(f"| {name} | {lines} | {other} |", flush=True)


def starting(loading: Loading, patch: Patch, counts: Sequence[int], repeat: int) -> List[Dict[str, Any]]:
    """Print what patches add to the time of starting, and give the rows of docs/results.md."""
    width = read_state(loading.model / "model.pt")["model"][patch.changes[0].name].shape[0]
    options = {count: loading.options(str(count), many(patch, count, width)) for count in [0, *counts]}
    runs: Dict[int, List[Seconds]] = {count: [] for count in options}
    for _ in range(repeat):
        for count, which in options.items():
            runs[count].append(loading.seconds(which))
    spent = {
        count: Seconds(median(one.wall for one in found), median(one.cpu for one in found))
        for count, found in runs.items()
    }
    none = spent.pop(0)
    print(
        f"\nfairseq-interactive on an empty input, median of {repeat}: {none.wall:.2f} s, {none.cpu:.2f} s of CPU, "
        "without patches\n"
    )
    print("| patches | neurons | bytes | s more | CPU s more |\n" + "| --- " * 5 + "|")
    rows = []
    for count, found in spent.items():
        cells = [count, count * len(patch.neurons), os.path.getsize(options[count][-1])]
        more = [f"{found.wall - none.wall:.2f}", f"{found.cpu - none.cpu:.2f}"]
        print(f"| {' | '.join([*map(str, cells), *more])} |")
        rows.append({
            "patches": count, "gates": len(patch.neurons), "files_mb": round(cells[2] / 1e6, 1),
            "cpu_seconds": round(found.cpu - none.cpu, 1),
        })  # fmt: skip
    return rows


def main(argv: Optional[Sequence[str]] = None) -> int:
    """Run from the command line."""
    words: List[str] = list(sys.argv[1:] if argv is None else argv)
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument(
        "patches", type=Path, help="patch file of fairseq-edit --save-patch, gated, for that model"
    )
    parser.add_argument("--data", type=Path, default=MULTI30K_FOLDER, help="default: %(default)s")
    parser.add_argument("--subset", default="test", help="default: %(default)s")
    parser.add_argument(
        "--fp16", action="store_true", help="decode in half precision too: slow without a GPU"
    )
    parser.add_argument("--count", type=int, nargs="+", default=[1, 1024], help="default: 1 1024")
    parser.add_argument("--repeat", type=int, default=5, help="runs of which the median counts")
    parser.add_argument("--record", action="store_true", help="also append the rows to the records of docs/results.md")
    arguments = parser.parse_args(words)
    model = arguments.data / "model"
    if not (model / "model.pt").exists():
        print(f"{model / 'model.pt'} is missing: nothing is measured without it (--data names the folder)")
        return 0
    patches = load_patches(str(arguments.patches)).patches
    with tempfile.TemporaryDirectory() as work:
        loading = Loading(model, Path(work), arguments.subset)
        outputs(loading, patches, arguments.fp16)
        rows = starting(loading, patches[0], arguments.count, arguments.repeat)
    if arguments.record:
        append_rows("loading", rows, origin("benchmark_loading.py", words))
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
