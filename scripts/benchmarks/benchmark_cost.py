"""Measure what one edit costs on Multi30k, as whole processes on the clock, and what it leaves unharmed.

Side by side for each request: a process that only imports fairseq, loads the checkpoint and saves it; `fairseq-edit`
with the statistics to be measured and with them cached; and `fairseq-train` from the checkpoint on the one example.
Fine-tuning gets the least that it needs: checkpoints along a first run are decoded to find the number of updates
after which the example holds, and the time is that of a second run of just so many. All are judged alike.

    python scripts/benchmarks/benchmark_cost.py --id term-wall term-beach --lr 1e-4 1e-3
"""

from __future__ import annotations

import argparse
import json
import os
import re
import resource
import shutil
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path
from statistics import median
from typing import Any, Dict, List, Mapping, Optional, Sequence, Tuple

import sentencepiece
from bench_options import add_running
from multi30k import Judge, Multi30k, Verdict, Wish, read_multi30k
from public_models import MULTI30K_FOLDER, multi30k_model
from result_records import append_rows, origin
from tqdm import tqdm

import fairseq_rome
from fairseq_rome import Workbench
from fairseq_rome.host.checkpoint import saved_model_cfg

# What any tool has to do that turns one checkpoint into another.
LOAD_AND_SAVE = """
import argparse, sys, torch
from fairseq import checkpoint_utils
if hasattr(torch.serialization, "add_safe_globals"):
    torch.serialization.add_safe_globals([argparse.Namespace])
path, data, out = sys.argv[1:]
checkpoint_utils.load_model_ensemble_and_task([path], arg_overrides={"data": data})
torch.save(torch.load(path), out)
"""
_SIZES = tuple(
    f"{stack}_{size}"
    for stack in ("encoder", "decoder")
    for size in ("layers", "embed_dim", "ffn_embed_dim", "attention_heads")
)
# No probe of theirs is in the training data, from which the command mines.
_REQUESTS = ["term-wall", "term-beach", "term-guitar"]
_LAST_ONLY = ("--no-epoch-checkpoints", "--save-interval", "1000000")
_SWITCHES = ("share_all_embeddings", "encoder_normalize_before", "decoder_normalize_before")


@dataclass(frozen=True)
class Seconds:
    """Of a whole process: on the clock, and of processors, which a busy machine leaves as they are."""

    wall: float
    cpu: float


@dataclass(frozen=True)
class Row:
    """One line of the result: what was run, its cost, and what decoding shows of its checkpoint."""

    what: str
    cost: Seconds
    verdict: Optional[Verdict] = None


def timed(command: Sequence[str], repeat: int = 1) -> Seconds:
    """Median cost of a whole process.

    Raises:
        SystemExit: it fails; its last words are shown.
    """
    costs = []
    for _ in range(repeat):
        started, before = time.perf_counter(), resource.getrusage(resource.RUSAGE_CHILDREN)
        done = subprocess.run(list(command), stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
        wall, after = time.perf_counter() - started, resource.getrusage(resource.RUSAGE_CHILDREN)
        if done.returncode:
            raise SystemExit(f"{' '.join(command[:4])} ... failed:\n{done.stdout[-3000:]}")
        costs.append((wall, after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime))
    walls, cpus = zip(*costs)
    return Seconds(median(walls), median(cpus))


class Cost:
    """Runs and judges all processes for one request.

    Args:
        data: the requests.
        bench: the unedited model.
        judge: compares with the unedited model.
        work: scratch folder.
        repeat: runs of each process, of which the median counts.
    """

    def __init__(self, data: Multi30k, bench: Workbench, judge: Judge, work: Path, repeat: int) -> None:
        self.data = data
        self.model = data.folder / "model"
        self.bench = bench
        self.judge = judge
        self.work = work
        self.repeat = repeat

    def load_and_save(self) -> Row:
        """Import fairseq, load, save."""
        paths = [str(self.model / "model.pt"), str(self.model), str(self.work / "copy.pt")]
        cost = timed([sys.executable, "-W", "ignore", "-c", LOAD_AND_SAVE, *paths], self.repeat)
        return Row("import fairseq, load, save", cost)

    def edits(self, wish: Wish) -> List[Row]:
        """`fairseq-edit` without and with cached statistics."""
        requests, out, cache = self.work / "one.jsonl", self.work / "edited.pt", self.work / "cache"
        record = {"source": wish.source, "target": wish.target, "trigger": wish.trigger, "contexts": wish.contexts}
        requests.write_text(json.dumps(record) + "\n", encoding="utf-8")
        command = [
            sys.executable, "-m", "fairseq_rome.cli.edit", *multi30k_model(self.data.folder).words(), "--edit-pref",
            str(requests),
            "--save-to", str(out), "--force", "--edit-cache", str(cache), "--edit-cache-size", "0",
            "--no-progress-bar",
            *([] if self.bench.model.spec.device != "cpu" else ["--cpu"]),
        ]  # fmt: skip
        shutil.rmtree(cache, ignore_errors=True)
        cold, warm = timed(command), timed(command, self.repeat)
        verdict = self.judge(self._opened(out), wish)
        return [
            Row("fairseq-edit, statistics measured", cold, verdict),
            Row("fairseq-edit, statistics cached", warm, verdict),
        ]

    def fine_tuning(self, wish: Wish, rate: float, most: int, step: int) -> Row:
        """`fairseq-train` on the example, for the fewest updates (in steps) after which it holds."""
        data = self._binarised(wish)
        folder = self.work / "tuned"
        shutil.rmtree(folder, ignore_errors=True)
        cost = timed(self._train(data, folder, rate, most, ["--save-interval", str(step)]))
        held = ((updates, path) for updates, path in _by_updates(folder) if self._holds(path, wish))
        updates, path = next(held, (0, folder))
        if not updates:
            return Row(f"fairseq-train, lr {rate:g}: does not hold after {most} updates", cost)
        verdict = self.judge(self._opened(path), wish)
        shutil.rmtree(folder)
        cost = timed(self._train(data, folder, rate, updates, _LAST_ONLY), self.repeat)
        return Row(f"fairseq-train, lr {rate:g}, {updates} updates", cost, verdict)

    def _binarised(self, wish: Wish) -> Path:
        subwords = sentencepiece.SentencePieceProcessor(model_file=str(self.model / "spm.model"))
        for language, text in (("en", wish.source), ("de", wish.target)):
            line = " ".join(subwords.encode(text, out_type=str))
            (self.work / f"one.{language}").write_text(f"{line}\n", encoding="utf-8")
        folder = self.work / "one-bin"
        shutil.rmtree(folder, ignore_errors=True)
        timed([
            sys.executable, "-m", "fairseq_cli.preprocess", "-s", "en", "-t", "de", "--workers", "1",
            "--srcdict", str(self.model / "dict.en.txt"), "--tgtdict", str(self.model / "dict.de.txt"),
            "--trainpref", str(self.work / "one"), "--destdir", str(folder),
        ])  # fmt: skip
        return folder

    def _train(self, data: Path, folder: Path, rate: float, updates: int, more: Sequence[str]) -> List[str]:
        # Without dropout and smoothing, and with a fresh optimizer: the quickest way to the one example.
        cfg = saved_model_cfg(self.bench.model.state)
        sizes = [text for name in _SIZES for text in (f"--{name.replace('_', '-')}", str(cfg[name]))]
        switches = [f"--{name.replace('_', '-')}" for name in _SWITCHES if cfg.get(name)]
        return [
            sys.executable, "-W", "ignore", "-m", "fairseq_cli.train", str(data), "-s", "en", "-t", "de",
            "--user-dir", os.path.dirname(fairseq_rome.__file__), "--task", "translation",
            "--arch", "transformer", *sizes, *switches, "--activation-fn", cfg.get("activation_fn", "relu"),
            "--finetune-from-model", str(self.model / "model.pt"), "--save-dir", str(folder),
            "--optimizer", "adam", "--adam-betas", "(0.9, 0.98)", "--lr", f"{rate:g}", "--lr-scheduler", "fixed",
            "--criterion", "cross_entropy", "--dropout", "0", "--max-tokens", "1000",
            "--required-batch-size-multiple", "1", "--num-workers", "0", "--seed", "1",
            "--max-update", str(updates), "--disable-validation",
            "--no-save-optimizer-state", "--log-format", "simple", *more,
        ]  # fmt: skip

    def _holds(self, path: Path, wish: Wish) -> bool:
        return wish.shown(self._opened(path).translate([wish.source])[0])

    def _opened(self, path: Path) -> Workbench:
        return multi30k_model(self.data.folder).open(path, self.bench.model.spec.device)


def _by_updates(folder: Path) -> List[Tuple[int, Path]]:
    """The checkpoints of a folder with the number in their names: an epoch of one example is one update."""
    named = ((re.fullmatch(r"checkpoint(\d+)\.pt", path.name), path) for path in folder.iterdir())
    return sorted((int(match.group(1)), path) for match, path in named if match)


def line_of(row: Row, least: Seconds) -> str:
    """A row of the Markdown table."""
    cells = [row.what, f"{row.cost.wall:.1f}", f"{row.cost.cpu:.1f}", f"{row.cost.cpu / least.cpu:.1f}"]
    verdict = row.verdict
    if verdict is None:
        return f"| {' | '.join([*cells, '', '', '', ''])} |"
    cells += ["yes" if verdict.held else "no", "yes" if verdict.exact else "no"]
    cells += [f"{verdict.probes - len(verdict.missed)} of {verdict.probes}"]
    cells += [f"{verdict.unrelated - len(verdict.changed)} of {verdict.unrelated}"]
    return f"| {' | '.join(cells)} |"


def figures(row: Row) -> Dict[str, Any]:
    """A row of docs/results.md."""
    verdict = row.verdict
    return {
        "process": row.what, "seconds": round(row.cost.wall, 1),
        "probes_held": verdict and verdict.probes - len(verdict.missed), "probes": verdict and verdict.probes,
        "identical": verdict and verdict.unrelated - len(verdict.changed),
        "unrelated": verdict and verdict.unrelated,
    }  # fmt: skip


def measure(data: Multi30k, arguments: argparse.Namespace, told: Mapping[str, str]) -> None:
    """Print a table for each request."""
    bench = multi30k_model(data.folder).open(device=arguments.device)
    judge = Judge(bench, data.unrelated)
    wishes = {wish.id: wish for wish in data.wishes}
    with tempfile.TemporaryDirectory() as work:
        cost = Cost(data, bench, judge, Path(work), arguments.repeat)
        least = cost.load_and_save()
        for name in tqdm(arguments.id):
            wish = wishes[name]
            rows = [least, *cost.edits(wish)]
            rows += [cost.fine_tuning(wish, rate, arguments.updates, arguments.step) for rate in arguments.lr]
            print(f"{name}\n")
            print("| process | s | CPU s | CPU, times the first | holds | exact | probes | unrelated identical |")
            print("|" + " --- |" * 8)
            print("\n".join(line_of(row, least.cost) for row in rows), end="\n\n", flush=True)
            if arguments.record:
                append_rows("cost", map(figures, rows), told)


def main(argv: Optional[Sequence[str]] = None) -> int:
    """Run from the command line."""
    words: List[str] = list(sys.argv[1:] if argv is None else argv)
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, default=MULTI30K_FOLDER, help="default: %(default)s")
    parser.add_argument("--id", nargs="+", default=_REQUESTS, help="default: %(default)s")
    parser.add_argument("--lr", nargs="+", type=float, default=[1e-4, 3e-4, 1e-3], help="of fine-tuning")
    parser.add_argument("--updates", type=int, default=40, help="most updates of fine-tuning (default: %(default)s)")
    parser.add_argument("--step", type=int, default=1, help="updates between decodings (default: %(default)s)")
    parser.add_argument("--repeat", type=int, default=3, help="runs of which the median counts")
    parser.add_argument("--record", action="store_true", help="also append the rows to the records of docs/results.md")
    add_running(parser)
    arguments = parser.parse_args(words)
    data = read_multi30k(arguments.data)
    if data is None:
        return 0
    unknown = sorted(set(arguments.id) - {wish.id for wish in data.wishes})
    if unknown:
        parser.error(f"no request {', '.join(unknown)} in {data.folder}")
    measure(data, arguments, origin("benchmark_cost.py", words))
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
