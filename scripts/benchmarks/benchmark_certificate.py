"""Measure locality by certificate beside locality by decoding, on Multi30k, and hold the two against each other.

For each edit many sentences of the training side are looked at twice: by the certificate, which decodes only those in
which a gate may open; and by decoding all of them with the edited model. What the two say has to be the same.

    python scripts/benchmarks/benchmark_certificate.py --edits 50 --sentences 2000
"""

from __future__ import annotations

import argparse
import json
import sys
import time
from pathlib import Path
from typing import Any, Dict, List, Optional, Sequence

from bench_options import add_running
from correction_judge import Correction
from public_models import MULTI30K_FOLDER, multi30k_model
from result_records import append_rows, origin
from torch import Tensor
from tqdm import tqdm

from fairseq_rome import EditSettings, Workbench
from fairseq_rome.errors import EditError
from fairseq_rome.host.before_after import Before
from fairseq_rome.host.certificate import Certificate
from fairseq_rome.patch import Patch, applied


def requests_of(folder: Path, count: int) -> List[Dict[str, Any]]:
    """So many public requests, half of them terms as far as there are any."""
    records = [json.loads(line) for line in (folder / "requests" / "requests.jsonl").read_text("utf-8").splitlines()]
    terms = [one for one in records if one["task"] == "term"][: count // 2]
    return [*terms, *[one for one in records if one["task"] == "segment"][: count - len(terms)]]


def compare(bench: Workbench, patches: Sequence[Patch], sources: Sequence[Tensor]) -> Dict[str, float]:
    """Seconds and counts of both ways for one edit."""
    translator = bench.model.translator
    old = {name: parameter.detach().clone() for name, parameter in translator.model.named_parameters()}
    started = time.perf_counter()
    with applied(translator.model, *patches):
        certificate = Certificate.between(translator.model, old)
    before = Before.of(translator, sources, certificate, "by certificate")
    with applied(translator.model, *patches):
        after = before.after(translator, "by certificate")
        certified = time.perf_counter()
        decoded = translator.translate_tokens(sources, "by decoding")
    ended = time.perf_counter()
    changed = [old.text != new.text for old, new in zip(before.hypotheses, decoded)]
    return {
        "certificate_seconds": certified - started, "decoding_seconds": ended - certified,
        "proven": sum(before.proven), "changed": sum(changed),
        "proven_and_changed": sum(sure and moved for sure, moved in zip(before.proven, changed)),
        "differently": sum(one.text != two.text for one, two in zip(after, decoded)),
    }  # fmt: skip


def measure(bench: Workbench, requests: Sequence[Dict[str, Any]], sources: Sequence[str]) -> List[Dict[str, float]]:
    """The comparison of each request that an edit holds for."""
    codec = bench.model.translator.codec
    tokens = [codec.source(source) for source in sources]
    found = []
    for record in tqdm(requests, desc="edits"):
        form = "trigger" if record["task"] == "term" else "bare"
        request = Correction(record, "de").request(form, 40, sources)
        try:
            outcome = bench.edit(request, EditSettings.of(edit_sample=0), hidden=sources)
        except EditError as error:
            tqdm.write(f"{record['id']}: {error}")
            continue
        if outcome.patches:
            with bench.prepared():
                found.append(compare(bench, outcome.patches, tokens))
            tqdm.write(f"{record['id']}: {found[-1]}")
    return found


def figures(found: Sequence[Dict[str, float]], sentences: int) -> Dict[str, Any]:
    """The row of the table; the first edit, before which no state is known, is told apart."""
    later = found[1:]
    seconds = {
        name: round(sum(one[name] for one in later) / len(later), 2)
        for name in ("certificate_seconds", "decoding_seconds")
    }
    counted = ("proven", "changed", "proven_and_changed", "differently")
    counts = {name: sum(int(one[name]) for one in found) for name in counted}
    first = round(found[0]["certificate_seconds"], 1)
    told = {"edits": len(found), "sentences": sentences, "looked_at": len(found) * sentences}
    return {**told, "first_seconds": first, **seconds, **counts}


def main(argv: Optional[Sequence[str]] = None) -> int:
    """Run from the command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, default=MULTI30K_FOLDER, help="default: %(default)s")
    parser.add_argument("--edits", type=int, default=50, metavar="N", help="default: %(default)s")
    parser.add_argument("--sentences", type=int, default=2000, metavar="N", help="default: %(default)s")
    parser.add_argument("--record", action="store_true", help="add the row to scripts/benchmarks/records")
    add_running(parser)
    given = sys.argv[1:] if argv is None else list(argv)
    arguments = parser.parse_args(given)
    if not (arguments.data / "requests").is_dir():
        print(f"{arguments.data / 'requests'} is missing: nothing is measured without it")
        return 0
    bench = multi30k_model(arguments.data).open(device=arguments.device, cache=arguments.cache, cache_size=1000)
    requests = requests_of(arguments.data, arguments.edits)
    own = {record["source"] for record in requests}
    sources = [one for one in bench.background(1).sources[: arguments.sentences + len(own)] if one not in own]
    row = figures(measure(bench, requests, sources[: arguments.sentences]), arguments.sentences)
    print(json.dumps(row))
    if arguments.record:
        append_rows("certificate", [row], origin("benchmark_certificate.py", given))
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
