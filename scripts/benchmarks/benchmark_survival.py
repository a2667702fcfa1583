"""Measure which edits outlive what becomes of a written checkpoint, on Multi30k.

All chosen requests are edited in one run, once with each method, and written. Then the file is

- converted by CTranslate2 with int8 weights, and decoded in int8 (needs the package `ctranslate2`),
- averaged with the checkpoint that was edited, weight by weight,
- trained on by fairseq-train on the same training side, with an optimizer that starts afresh.

Of the requests and probes that show the change as written, those are counted that show it afterwards. Other sentences
are compared with what the unedited checkpoint says after the same.

One JSON line for each method and way goes to --out, and what is there already is not done again.

    python scripts/benchmarks/benchmark_survival.py --method gated --method rome
    python scripts/benchmarks/benchmark_survival.py --set edit_for=int8
    python scripts/benchmarks/benchmark_survival.py --table                       only print the table again
"""

from __future__ import annotations

import argparse
import importlib.util
import json
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any, Callable, Dict, Iterator, List, Mapping, Optional, Sequence, Tuple

import torch
from bench_options import add_running, add_settings, settings_of
from multi30k import Wish, read_multi30k
from public_models import BEAM, MULTI30K_FOLDER, ROOT, PublicModel, multi30k_model, records_of
from result_records import append_rows, origin
from torch import Tensor

from fairseq_rome import EditSettings, Workbench
from fairseq_rome.host.checkpoint import portable_state, read_state
from fairseq_rome.host.decoding import Translator
from fairseq_rome.workbench.compared_models import of_checkpoint

Said = Dict[str, str]
"""What a model says, by source."""
Say = Callable[[Sequence[str]], Said]

WAYS = {"int8": "CTranslate2 int8", "averaged": "averaged with the unedited", "trained": "trained on"}
"""What becomes of a checkpoint, and what it is called."""
# The least that starts a fresh optimizer without a jump: lower leaves the weights alone, higher unlearns by itself.
_RATE = "1e-4"
_UPDATES = 200


class Treated:
    """One checkpoint, and what it says after each way.

    Args:
        bench: with the unedited model.
        model: how it is opened.
        path: the checkpoint, edited or not.
        work: scratch folder of its own.
        updates: of training on.
    """

    def __init__(self, bench: Workbench, model: PublicModel, path: Path, work: Path, updates: int) -> None:
        self.bench, self.model, self.path, self.work, self.updates = bench, model, path, work, updates

    def say(self, way: str) -> Say:
        """What it says after a way; as it is for any other name."""
        makers = {"int8": self._in_int8, "averaged": self._averaged, "trained": self._trained}
        return makers.get(way, lambda: self._of_file(self.path))()

    def _of_file(self, path: Path) -> Say:
        return _by(of_checkpoint(self.bench.model, str(path)).translator)

    def _in_int8(self) -> Say:
        import ctranslate2

        converted = str(self.work / "int8")
        ctranslate2.converters.FairseqConverter(str(self.path), str(self.model.data)).convert(
            converted, quantization="int8"
        )
        translator = ctranslate2.Translator(converted, compute_type="int8", intra_threads=1)
        bpe = self.bench.model.translator.codec.bpe

        def say(sources: Sequence[str]) -> Said:
            tokens = [bpe.encode(source).split() for source in sources]
            found = translator.translate_batch(tokens, beam_size=BEAM, max_batch_size=32)
            return {source: bpe.decode(" ".join(one.hypotheses[0])) for source, one in zip(sources, found)}

        return say

    def _averaged(self) -> Say:
        state = read_state(str(self.path))
        weights = average(state["model"], self.bench.model.state["model"])
        return _by(self.bench.model.reopened({**state, "model": weights}))

    def _trained(self) -> Say:
        folder = self.work / "trained"
        words = training_words(self.model, self.path, folder, self.updates, read_state(str(self.path)))
        done = subprocess.run(
            [sys.executable, "-W", "ignore", "-m", "fairseq_cli.train", *words], capture_output=True,
            encoding="utf-8", check=False, cwd=self.work,
        )  # fmt: skip
        if done.returncode:
            raise SystemExit(f"fairseq-train failed: {done.stderr[-2000:]}")
        return self._of_file(folder / "checkpoint_last.pt")


def _by(translator: Translator) -> Say:
    return lambda sources: {
        source: one.text for source, one in zip(sources, translator.translate(list(sources)))
    }


def average(one: Mapping[str, Tensor], other: Mapping[str, Tensor]) -> Dict[str, Tensor]:
    """The mean of two models' weights, as fairseq's `average_checkpoints.py` takes it.

    Raises:
        ValueError: if one of them has been widened.
    """
    wider = [name for name, weight in one.items() if weight.shape != other[name].shape]
    if wider:
        raise ValueError(f"{wider[0]} has another shape in the two models: they have no average")
    return {
        name: (weight.double() + other[name].double()).div(2).to(weight.dtype) if weight.is_floating_point() else weight
        for name, weight in one.items()
    }


def training_words(
    model: PublicModel, path: Path, folder: Path, updates: int, state: Mapping[str, Any]
) -> List[str]:
    """The command line of fairseq-train that trains a checkpoint on, with the architecture that its state tells."""
    cfg = state["cfg"]["model"]
    told: Mapping[str, Any] = cfg if isinstance(cfg, Mapping) else vars(cfg)
    sizes = [
        word
        for side in ("encoder", "decoder")
        for name in ("layers", "embed_dim", "ffn_embed_dim", "attention_heads")
        for word in (f"--{side}-{name}".replace("_", "-"), str(told[f"{side}_{name}"]))
    ]
    shared = ["--share-all-embeddings"] if told.get("share_all_embeddings") else []
    fresh = [f"--reset-{name}" for name in ("optimizer", "lr-scheduler", "dataloader", "meters")]
    return [
        str(model.data), "-s", "en", "-t", model.target, "--arch", str(told["arch"]), *sizes, *shared, *fresh,
        "--restore-file", str(path), "--save-dir", str(folder), "--max-update", str(updates), "--optimizer", "adam",
        "--lr", _RATE, "--dropout", str(told.get("dropout", 0.1)), "--criterion", "label_smoothed_cross_entropy",
        "--label-smoothing", "0.1", "--max-tokens", "2000", "--disable-validation", "--no-epoch-checkpoints",
        "--num-workers", "0", "--seed", "1", "--cpu", "--log-format", "none",
    ]  # fmt: skip


def counts(
    wishes: Sequence[Wish], unrelated: Sequence[str], written: Said, now: Said, without: Said
) -> Dict[str, Tuple[int, int]]:
    """How many of those that show the change as written show it now, and how many other sentences changed.

    Args:
        wishes: the requests.
        unrelated: other sentences.
        written: what the edited model says as written.
        now: after a way.
        without: what the unedited model says after the same way.
    """
    own = [wish.shown(now[wish.source]) for wish in wishes if wish.shown(written[wish.source])]
    probes = [
        wish.shown_by(probe, now[probe.source])
        for wish in wishes
        for probe in wish.probes
        if wish.shown_by(probe, written[probe.source])
    ]
    changed = [now[source] != without[source] for source in unrelated]
    return {name: (sum(of), len(of)) for name, of in (("held", own), ("probes", probes), ("changed", changed))}


def measure(
    model: PublicModel, bench: Workbench, wishes: Sequence[Wish], unrelated: Sequence[str], settings: EditSettings,
    ways: Sequence[str], updates: int,
) -> Iterator[Dict[str, Any]]:  # fmt: skip
    """Edit all requests, and tell for each way what is left of them; first of all as written."""
    hidden = [*unrelated, *(probe.source for wish in wishes for probe in wish.probes)]
    sources = list(dict.fromkeys([*hidden, *(wish.source for wish in wishes)]))
    with tempfile.TemporaryDirectory() as folder:
        work = [Path(folder) / name for name in ("edited", "unedited")]
        files = [one / "model.pt" for one in work]
        for one in work:
            one.mkdir()
        outcome = bench.edit([wish.request for wish in wishes], settings, hidden=hidden)
        with bench.stage(str(files[0]), outcome, settings, optimizer=False) as staged:
            staged.commit()
        opened = bench.model
        torch.save(
            portable_state(opened.translator.model, opened.state, opened.path, opened.adapter, load=opened.load),
            files[1],
        )
        edited, unedited = (Treated(bench, model, file, one, updates) for file, one in zip(files, work))
        written = edited.say("written")(sources)
        for way in ("written", *ways):
            started = time.perf_counter()
            now, without = (one.say(way)(sources) for one in (edited, unedited))
            found = counts(wishes, unrelated, written, now, without)
            yield {"way": way, "requests": len(wishes), **found, "seconds": time.perf_counter() - started}


def figures(records: Sequence[Mapping[str, Any]]) -> List[Dict[str, Any]]:
    """A row for each record."""
    return [
        {
            "method": " ".join([one["method"], *(f"--set {text}" for text in one["settings"])]),
            "task": one["task"], "way": _told(one), "requests": one["requests"],
            **{name: list(one[name]) for name in ("held", "probes", "changed")},
        }
        for one in records
    ]  # fmt: skip


def _told(record: Mapping[str, Any]) -> str:
    """What became of the file; of training on with how many updates, where these are not the usual ones."""
    longer = f", {record['updates']:,} updates" if record["way"] == "trained" and record["updates"] != _UPDATES else ""
    return WAYS.get(record["way"], "as written") + longer


def table(records: Sequence[Mapping[str, Any]]) -> str:
    """The counts as a table."""
    lines = [
        "| method | requests | what became of it | edits still hold | probes still show it | other sentences changed |",
        "|---|---|---|---|---|---|",
    ]
    for row in figures(records):
        cells = [f"{part} of {whole}" for part, whole in (row["held"], row["probes"], row["changed"])]
        lines.append(f"| {row['method']} | {row['requests']} {row['task']} | {row['way']} | {' | '.join(cells)} |")
    return "\n".join(lines)


def asked(arguments: argparse.Namespace) -> List[Dict[str, Any]]:
    """What the records of a command line have in common, for each of its methods."""
    same = {name: getattr(arguments, name) for name in ("settings", "task", "every", "updates")}
    return [{"method": method, **same} for method in arguments.method or ["gated"]]


def run(arguments: argparse.Namespace, done: Sequence[Dict[str, Any]]) -> None:
    """Measure what is not in the results yet."""
    bed = read_multi30k(arguments.multi30k)
    if bed is None:
        return
    model = multi30k_model(arguments.multi30k)
    bench = model.open(device=arguments.device, cache=arguments.cache, cache_size=200)
    wishes = [wish for wish in bed.wishes if wish.task == arguments.task][:: arguments.every]
    for about in asked(arguments):
        known = [one["way"] for one in done if about.items() <= one.items()]
        ways = [way for way in arguments.ways if way not in known]
        if not ways:
            continue
        settings = settings_of(arguments.settings, method=about["method"], edit_sample=0)
        for found in measure(model, bench, wishes, bed.unrelated, settings, ways, arguments.updates):
            if found["way"] not in known:
                with arguments.out.open("a", encoding="utf-8") as out:
                    out.write(json.dumps({**about, **found}) + "\n")


def main(argv: Optional[Sequence[str]] = None) -> int:
    """Run from the command line."""
    given = sys.argv[1:] if argv is None else list(argv)
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--multi30k", type=Path, default=MULTI30K_FOLDER, help="default: %(default)s")
    parser.add_argument("--method", action="append", help="one or more (default: gated)")
    parser.add_argument("--task", default="term", choices=["term", "segment"], help="default: %(default)s")
    parser.add_argument("--every", type=int, default=1, metavar="N", help="every Nth request of the task")
    parser.add_argument("--way", action="append", dest="ways", choices=sorted(WAYS), help="one or more (default: all)")
    parser.add_argument("--updates", type=int, default=_UPDATES, metavar="N", help="of training on: %(default)s")
    parser.add_argument("--out", type=Path, default=ROOT / "build" / "survival.jsonl", help="default: %(default)s")
    parser.add_argument("--table", action="store_true", help="only print the table of --out")
    parser.add_argument("--record", action="store_true", help="add this command's rows to scripts/benchmarks/records")
    add_settings(parser)
    add_running(parser)
    arguments = parser.parse_args(given)
    arguments.ways = arguments.ways or list(WAYS)
    if "int8" in arguments.ways and not arguments.table and importlib.util.find_spec("ctranslate2") is None:
        print("ctranslate2 is not installed: int8 is left out")
        arguments.ways.remove("int8")
    arguments.out.parent.mkdir(parents=True, exist_ok=True)
    done = records_of(arguments.out) if arguments.out.exists() else []
    if not arguments.table:
        run(arguments, done)
    records = records_of(arguments.out) if arguments.out.exists() else []
    print(table(records))
    if arguments.record and (arguments.table or len(records) > len(done)):
        own = [one for one in records if any(about.items() <= one.items() for about in asked(arguments))]
        append_rows("survival", figures(own), origin("benchmark_survival.py", given))
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
