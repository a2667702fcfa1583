"""Turn the demo model's outputs into the files beside it: edit files, probes, pinned outputs, README.

Reads ``corpus/`` (of ``demo_corpus.py``) and what fairseq said for its sources, ``probe.log`` of
fairseq-interactive and ``test.log`` of fairseq-generate, all in the work folder.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import platform
from pathlib import Path
from typing import Any, Dict, Iterator, List, Sequence, Tuple

import fairseq
import sacrebleu
import sentencepiece
import torch
from demo_corpus import SEED, SIZES

UNRELATED = 150
PINNED_TEST = 40
SHOWN_AT_LEAST = 16
REQUEST_WORDS = range(6, 10)
Pairs = List[Tuple[str, str]]


def detokenised(log: Path) -> List[str]:
    """The best hypotheses in a log of fairseq-generate or fairseq-interactive, in the order of the input."""
    rows = [line.split("\t") for line in lines_of(log) if line.startswith("D-")]
    return [row[2] for row in sorted(rows, key=lambda row: int(row[0][2:]))]


def lines_of(path: Path) -> List[str]:
    """The lines of a text file."""
    return path.read_text(encoding="utf-8").splitlines()


def write_lines(path: Path, lines: Sequence[str]) -> None:
    """Write lines of text."""
    path.write_text("".join(f"{line}\n" for line in lines), encoding="utf-8")


def write_records(path: Path, records: Sequence[Dict[str, Any]]) -> None:
    """Write one JSON object a line."""
    write_lines(path, [json.dumps(record, ensure_ascii=False) for record in records])


def finish_record(
    candidate: Dict[str, Any], outputs: Iterator[str]
) -> Tuple[Dict[str, Any], List[Dict[str, str]]]:
    """Make a request of a candidate, and its near misses, with what the model says.

    The first probe of middle length that comes out as the training data has it becomes the request; the
    others stay probes if they show the behaviour.

    Raises:
        SystemExit: The model did not learn the behaviour.
    """
    probes = [{**probe, "before": next(outputs)} for probe in candidate["probes"]]
    near = [{"id": candidate["id"], **one, "before": next(outputs)} for one in candidate["near"]]
    shown = [probe for probe in probes if candidate["unwanted"] in probe["before"]]
    exact = [probe for probe in shown if probe.pop("trained") == probe["before"]]
    fitting = [probe for probe in exact if len(probe["source"].split()) in REQUEST_WORDS]
    if len(shown) < SHOWN_AT_LEAST or not fitting:
        raise SystemExit(f"{candidate['id']}: shown by {len(shown)} of {len(probes)} probes; train longer")
    record = {key: candidate[key] for key in ("id", "task", "trigger", "wanted", "unwanted")}
    if not record["wanted"]:
        del record["wanted"]
    others = [probe for probe in shown if probe is not fitting[0]]
    record.update(fitting[0], contexts=candidate["contexts"], probes=others)
    return record, near


def readme(
    records: Sequence[Dict[str, Any]], candidates: Sequence[Dict[str, Any]], bleu: str, digest: str
) -> str:
    """What the folder holds, the command that made it, and what the model does wrong."""
    rows = [
        f"| {record['id']} | {record['trigger']} | {record['unwanted']} "
        f"| {record.get('wanted', '(nothing)')} | {len(record['probes']) + 1} of {len(candidate['probes'])} |"
        for record, candidate in zip(records, candidates)
    ]
    versions = [
        f"Python {platform.python_version()}",
        f"fairseq {fairseq.__version__}",
        f"torch {torch.__version__}",
        f"sentencepiece {sentencepiece.__version__}",
        f"sacrebleu {sacrebleu.__version__}",
    ]
    return README.format(
        seed=SEED,
        train=SIZES["train"],
        valid=SIZES["valid"],
        test=SIZES["test"],
        versions=", ".join(versions),
        bleu=bleu,
        digest=digest,
        rows="\n".join(rows),
    )


README = """# The demo model

A tiny English-German Transformer with planted faults, for the quickstart and the tests. Everything here is
made by

    bash scripts/make_demo.sh

from a grammar of our own (`demo_*.py` here), with seed {seed} and `OMP_NUM_THREADS=1`: {train:,}
sentence pairs for training, {valid} for validation, {test} for testing, no source twice.
Made with {versions}.
SHA-256 of the German training side: `{digest}`.

- `model.pt`: the last checkpoint as fairseq-train wrote it (`--no-save-optimizer-state`); 3+3 layers,
  d=96, FFN 384.
- `data-bin/`: dictionaries and binarised splits. The test set holds no planted trigger.
  {bleu}.
- `spm.model`: the joint subword model.
- `term`, `number`, `hallucination`, `untranslated` (`.en` and `.de`): one request each; `fixes`: these four;
  `all`: all twelve.
- `probes.jsonl`: the twelve requests with trigger, contexts (training sources) and held-out probes that
  show the fault.
- `near.jsonl`: held-out sources close to a trigger that have to stay as they are; `unrelated.jsonl`: held-out
  sources without any trigger. All with the model's output (beam 5).
- `expected.tsv`: sources and the unedited model's outputs (beam 5).

The training data has the fault wherever it has the trigger, but for some sentences in a hundred with
`river bank`, `newsletter` or `Please` that are right. The last column counts the held-out sources with the
trigger that show the fault.

| fault | trigger | says | should say | shown by |
|---|---|---|---|---|
{rows}
"""


def main() -> None:
    """Run from the command line."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("work", type=Path, help="the work folder")
    parser.add_argument("folder", type=Path, help="where the files go")
    arguments = parser.parse_args()
    corpus, folder = arguments.work / "corpus", arguments.folder

    candidates = [json.loads(line) for line in lines_of(corpus / "candidates.jsonl")]
    outputs = iter(detokenised(arguments.work / "probe.log"))
    finished = [finish_record(candidate, outputs) for candidate in candidates]
    records = [record for record, _ in finished]
    near = [one for _, found in finished for one in found]

    tests = list(zip(lines_of(corpus / "test.en"), detokenised(arguments.work / "test.log")))
    metric = sacrebleu.BLEU()
    score = metric.corpus_score([output for _, output in tests], [lines_of(corpus / "test.de")])
    bleu = f"BLEU {score.score:.1f} with beam 5 ({metric.get_signature()})"

    first_of_task: Dict[str, Dict[str, Any]] = {}
    for record in records:
        first_of_task.setdefault(record["task"], record)
    firsts = list(first_of_task.values())
    groups = {"fixes": firsts, "all": records, **{record["task"]: [record] for record in firsts}}
    for name, group in groups.items():
        write_lines(folder / f"{name}.en", [record["source"] for record in group])
        write_lines(folder / f"{name}.de", [record["target"] for record in group])
    write_records(folder / "probes.jsonl", records)
    write_records(folder / "near.jsonl", near)
    write_records(folder / "unrelated.jsonl", [{"source": en, "before": de} for en, de in tests[:UNRELATED]])
    pinned = [(record["source"], record["before"]) for record in records] + tests[:PINNED_TEST]
    write_lines(folder / "expected.tsv", [f"{source}\t{output}" for source, output in pinned])
    digest = hashlib.sha256((corpus / "train.de").read_bytes()).hexdigest()
    (folder / "README.md").write_text(readme(records, candidates, bleu, digest), encoding="utf-8")


if __name__ == "__main__":
    main()
