"""Measure memory and time on models of the sizes that people run, and on a training side of millions of pairs.

A model with random weights in half precision, of the task `translation_multi_simple_epoch` with shared embeddings, is
opened, edited by a gate of given vectors, written, opened again, patched as it is read, and reverted. A training side
is another one over and over, with a term in five of its sentences; opening a model with it is held against opening it
with the other one. Each step runs in a process of its own, which tells the most memory that it had.

    python scripts/benchmarks/benchmark_size.py --model 418M --model 1.2B
    python scripts/benchmarks/benchmark_size.py --pairs 10000000 --data ../shared/multi30k/model
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any, Dict, List, Optional, Sequence

STEPS = Path(__file__).resolve().parent / "size_steps.py"
SIZES: Dict[str, Dict[str, int]] = {
    "418M": {"width": 1024, "inner": 4096, "layers": 12, "symbols": 128_112},
    "1.2B": {"width": 1024, "inner": 8192, "layers": 24, "symbols": 128_112},
}
_MODEL_STEPS = ("edit", "apply", "open_with_patches", "load_with_patches", "revert")
_HIDDEN = ("seconds", "peak_gb", "before", "after", "said", "texts")


def measured(step: str, **given: Any) -> Dict[str, Any]:
    """What a step finds in a process of its own, with its `seconds` and its `peak_gb`.

    Args:
        step: its name.
        given: its arguments.
    """
    command = [sys.executable, "-W", "ignore", str(STEPS), step, json.dumps(given)]
    done = subprocess.run(command, capture_output=True, encoding="utf-8", check=False)
    if done.returncode:
        raise SystemExit(f"{step} failed: {done.stderr[-2000:]}")
    found: Dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
    return found


def of_model(size: Dict[str, int], folder: str) -> List[Dict[str, Any]]:
    """Print what each step on a model of a size takes.

    Args:
        size: as for `make_model`.
        folder: scratch; it holds the files afterwards.

    Returns:
        What each step found, in order.
    """
    made = measured("make_model", folder=folder, **size)
    single = made["parameters"] * 4 / 1e9
    print(f"{made['parameters']:,} parameters, {single:.2f} GB in single precision\n")
    print("| step | seconds | peak GB | of single precision | |\n| --- | --- | --- | --- | --- |")
    rows = []
    for step in _MODEL_STEPS:
        found = measured(step, folder=folder)
        share = found["peak_gb"] / single
        print(f"| {step} | {found['seconds']} | {found['peak_gb']} | {share:.2f} | {_told(found)} |", flush=True)
        rows.append(found)
    edited, applied, opened, loaded, reverted = rows
    back = reverted["after"] == edited["before"]
    same = len({one["after"] for one in (applied, opened)} | {reverted["before"]}) == 1 and loaded["as_written"]
    print(f"\npatched at load time as written: {same}; reverted bit for bit: {back}")
    if not (same and back):
        raise SystemExit("the weights are not what they should be")
    return rows


def of_pairs(count: int, data: Path, folder: str) -> List[Dict[str, Any]]:
    """Print what a training side of many pairs takes beside the one that it is made of.

    Args:
        count: pairs.
        data: the directory of the small one, with `model.pt` and `spm.model`.
        folder: scratch.

    Returns:
        What starting with the small one, starting with the large one, and searching found.
    """
    made = measured("make_pairs", folder=folder, data=str(data), count=count)
    print(f"{count:,} pairs, {made['bytes'] / 1e9:.2f} GB on disk\n")
    model = {"path": str(data / "model.pt"), "spm": str(data / "spm.model")}
    print("| step | seconds | peak GB | |\n| --- | --- | --- | --- |")
    rows = []
    for name, step, there in (
        ("start, small", "start", str(data)),
        ("start, large", "start", folder),
        ("start, large; search", "search", folder),
    ):
        found = measured(step, folder=there, **model)
        print(f"| {name} | {found['seconds']} | {found['peak_gb']} | {_told(found)} |", flush=True)
        rows.append(found)
    more = rows[1]["seconds"] - rows[0]["seconds"], (rows[2]["peak_gb"] - rows[0]["peak_gb"]) * 1000
    print(f"\n{more[0]:.1f} s more at start, {more[1]:.0f} MB more memory")
    return rows


def _told(found: Dict[str, Any]) -> str:
    return ", ".join(f"{name} {value}" for name, value in found.items() if name not in _HIDDEN)


def main(argv: Optional[Sequence[str]] = None) -> int:
    """Run from the command line."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--model", action="append", default=[], choices=sorted(SIZES), help="one or more")
    parser.add_argument("--pairs", type=int, default=0, help="size of the training side; 0 for none")
    parser.add_argument("--data", type=Path, help="data directory with model.pt and spm.model, for --pairs")
    parser.add_argument("--work", help="where the scratch folder is made; some gigabytes")
    arguments = parser.parse_args(argv)
    for name in arguments.model:
        with tempfile.TemporaryDirectory(dir=arguments.work) as folder:
            print(f"\n{name}: ", end="")
            of_model(SIZES[name], folder)
    if arguments.pairs:
        if arguments.data is None or not os.path.exists(arguments.data / "model.pt"):
            parser.error("--pairs takes --data, a folder with model.pt, spm.model and a training side en-de")
        with tempfile.TemporaryDirectory(dir=arguments.work) as folder:
            print()
            of_pairs(arguments.pairs, arguments.data, folder)
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
