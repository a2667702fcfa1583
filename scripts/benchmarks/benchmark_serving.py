"""Measure a server: how soon corrections are live and proven, how fast it translates, and what it bakes.

Corrections are the natural requests, then those with named terms and segments, handed in one after the other with a
pause. Translations per second are those of
several clients at once, with 0, 10 and 1,000 fixes held by hooks; all but the real ones are copies of real gates, each
with slightly other numbers. Beside them stand those of fairseq-interactive. Latency is that of one sentence, while
nothing else is done and while edits are computed.
The checkpoint that the server bakes is compared with that of `fairseq-edit --from-queue`, tensor by tensor, and the
server's outputs with those of the baked file.

    python scripts/benchmarks/benchmark_serving.py --requests 8             Multi30k
    python scripts/benchmarks/benchmark_serving.py es --live                the multilingual model, no rates
"""

from __future__ import annotations

import argparse
import contextlib
import json
import os
import re
import subprocess
import sys
import tempfile
import threading
import time
import urllib.request
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from pathlib import Path
from statistics import median
from typing import Any, Dict, Iterator, List, Optional, Sequence, Tuple

import torch
from public_models import LANGUAGES, ROOT, PublicModel, docs_model, multi30k_model, records_of
from result_records import append_rows, origin

from fairseq_rome.host.checkpoint import read_state
from fairseq_rome.server.kept_edits import kept, result_in
from fairseq_rome.server.queue_file import QUICK, FixQueue
from fairseq_rome.text.requests import EditRequest

_ENVIRONMENT = {**os.environ, "OMP_NUM_THREADS": "1", "PYTHONPATH": str(ROOT)}
_COPY_STEP = 2.0**-20
_CLIENTS, _OF_A_REQUEST = 4, 25
_PATIENCE = 600
# Seconds between two sentences while edits are computed, which would else wait for the processor that these take.
_PAUSE = 0.5


@dataclass(frozen=True)
class Serving:
    """A server in a process of its own, and its clients.

    Args:
        model: what it translates with.
        work: scratch folder.
        cache: folder of statistics and decodings.
    """

    model: PublicModel
    work: Path
    cache: Path

    @property
    def options(self) -> List[str]:
        """What the server and fairseq-edit share."""
        return [*self.model.words(), "--cpu", "--edit-cache", str(self.cache)]

    @contextlib.contextmanager
    def on(self, queue: str, *more: str) -> Iterator[Client]:
        """A server with a queue; its log goes to a file beside that."""
        command = [sys.executable, "-m", "fairseq_rome.cli.serve", *self.options, "--queue", str(self.work / queue)]
        log = self.work / f"{queue}.log"
        with log.open("w") as out, subprocess.Popen(
            [*command, "--port", "0", "--rate", "1000000", *more], stdout=out, stderr=out, env=_ENVIRONMENT
        ) as process:
            try:
                yield Client(_address(process, log), self.model.target)
            finally:
                process.terminate()

    def edit(self, queue: str, path: Path) -> None:
        """Run fairseq-edit on what is proven in a queue."""
        command = [sys.executable, "-m", "fairseq_rome.cli.edit", *self.options, "--no-progress-bar"]
        more = ["--from-queue", str(self.work / queue), "--save-to", str(path), "--force"]
        subprocess.run([*command, *more], env=_ENVIRONMENT, stdout=subprocess.DEVNULL, check=True)

    def interactive(self, sentences: Sequence[str]) -> float:
        """Translations per second of fairseq-interactive, what it takes to start left out."""
        words = [*self.model.words(), "--user-dir", str(ROOT / "fairseq_rome"), "--cpu"]
        size = str(_OF_A_REQUEST)
        command = [sys.executable, "-W", "ignore", "-m", "fairseq_cli.interactive", *words]
        command += ["--buffer-size", size, "--batch-size", size]

        def seconds(some: Sequence[str]) -> float:
            start = time.perf_counter()
            text = "\n".join(some) + "\n"
            subprocess.run(
                command, input=text, text=True, env=_ENVIRONMENT, stdout=subprocess.DEVNULL,
                stderr=subprocess.DEVNULL, check=True,
            )  # fmt: skip
            return time.perf_counter() - start

        return len(sentences) / (seconds([*sentences[:1], *sentences]) - seconds(sentences[:1]))


def _address(process: subprocess.Popen[Any], log: Path) -> str:
    """Where a server answers, once it does."""
    while process.poll() is None:
        found = re.search(r"(http://\S+) answers", log.read_text())
        if found:
            return found.group(1)
        time.sleep(0.1)
    raise SystemExit(f"the server has ended: {log.read_text()[-2000:]}")


@dataclass(frozen=True)
class Client:
    """Asks a server.

    Args:
        address: where it answers.
        target: code of the language that it translates into.
    """

    address: str
    target: str

    def ask(self, path: str, body: Optional[Dict[str, Any]] = None) -> Any:
        """One request, as JSON."""
        data = None if body is None else json.dumps(body).encode()
        asked = urllib.request.Request(self.address + path, data, {"content-type": "application/json"})
        with urllib.request.urlopen(asked, timeout=_PATIENCE) as answer:
            return json.load(answer)

    def translate(self, sentences: Sequence[str]) -> List[str]:
        """The translations of some sentences, so many a request."""
        found: List[str] = []
        for at in range(0, len(sentences), _OF_A_REQUEST):
            body = {"q": list(sentences[at : at + _OF_A_REQUEST]), "source": "en", "target": self.target}
            found += self.ask("/translate", body)["translatedText"]
        return found

    def wait(self, number: int, *states: str, pause: float = 0.1) -> Dict[str, Any]:
        """A fix once it is in one of some states, asked for with so many seconds between."""
        while True:
            fix: Dict[str, Any] = self.ask(f"/fixes/{number}")["fix"]
            if fix["state"] in states:
                return fix
            time.sleep(pause)


def rate(client: Client, sentences: Sequence[str]) -> float:
    """Translations per second of several clients at once."""
    client.translate(sentences[:_OF_A_REQUEST])
    parts = [sentences[at : at + _OF_A_REQUEST] for at in range(0, len(sentences), _OF_A_REQUEST)]
    start = time.perf_counter()
    with ThreadPoolExecutor(_CLIENTS) as clients:
        list(clients.map(client.translate, parts))
    return len(sentences) / (time.perf_counter() - start)


def latency(client: Client, sentences: Sequence[str]) -> Tuple[float, float]:
    """Median and 99th percentile of the seconds that single sentences take, one after the other."""
    taken = []
    for sentence in sentences:
        start = time.perf_counter()
        client.translate([sentence])
        taken.append(time.perf_counter() - start)
    return median(taken), _late(taken)


def _late(taken: Sequence[float]) -> float:
    """The 99th percentile."""
    return sorted(taken)[int(0.99 * len(taken))]


def corrections(
    client: Client, records: Sequence[Dict[str, Any]], most: int, sentences: Sequence[str]
) -> List[Dict[str, Any]]:
    """Hand in corrections one by one, and print how soon each was live and proven; the latency meanwhile too.

    What the server says already, since an earlier correction is carried to it, is passed over.
    """
    print("idle: a sentence in {:.3f} s, 99% in {:.3f} s".format(*latency(client, sentences)), flush=True)
    live, taken, ended = [], [], threading.Event()

    def watch() -> None:
        while not ended.is_set():
            taken.append(latency(client, sentences[:1])[0])
            time.sleep(_PAUSE)

    thread = threading.Thread(target=watch)
    thread.start()
    for record in records:
        if len(live) == most:
            break
        if client.translate([record["source"]]) == [record["target"]]:
            print(f"{record['id']}: translated as it would be corrected by now")
            continue
        fix = client.ask("/fixes", {"source": record["source"], "target": record["target"]})["fix"]
        fix = client.wait(fix["id"], "live", "proven", "failed")
        live.append(fix)
        print(f"fix {fix['id']}: live after {fix['seconds']['live']} s, as wanted: {fix['now'] == fix['target']}")
        time.sleep(1)
    # Each question has the server translate the sentence.
    done = [client.wait(fix["id"], "proven", "failed", pause=2.0) for fix in live]
    ended.set()
    thread.join()
    for fix in done:
        told = f"proven after {fix['seconds']['proven']} s" if fix["state"] == "proven" else f"failed: {fix['reason']}"
        print(f"fix {fix['id']}: {told}, as wanted: {fix['now'] == fix['target']}")
    late = f"99% in {_late(taken):.3f} s, most {max(taken):.3f} s, of {len(taken)}"
    print(f"while edits are computed: a sentence in {median(taken):.3f} s, {late}")
    return done


def held(path: Path, wanted: int, sentences: Sequence[str], gates: FixQueue) -> None:
    """A queue with so many fixes that hooks hold: those that failed stay live, and no proof is begun for them."""
    first = [one.id for one in gates.found("", "", "", 200, None)]
    real = [result_in(one, EditRequest("-", "-")) for one in gates.edits(QUICK, [(one, 0) for one in first]).values()]
    real = [one for one in real if one.patch is not None]
    queue = FixQueue(str(path))
    for number in range(wanted):
        fix, one = queue.add(sentences[number], "", "-", "", ()), real[number % len(real)]
        assert one.patch is not None
        moved: Any = [replace(each, new=each.new * (1 + number * _COPY_STEP)) for each in one.patch.changes]
        copy = replace(one, patch=replace(one.patch, changes=tuple(moved)))
        queue.change_all({fix.id: {"state": "failed"}}, QUICK, [kept((fix.id, 0), "", copy)])
    queue.close()


def baked(serving: Serving, queue: str, path: Path, said: Sequence[str], sentences: Sequence[str]) -> None:
    """Compare the file that the server baked with that of fairseq-edit, and its outputs with the server's."""
    serving.edit(queue, path.with_name("edited.pt"))
    ours, theirs = read_state(path)["model"], read_state(path.with_name("edited.pt"))["model"]
    same = sum(torch.equal(tensor, theirs[name]) for name, tensor in ours.items())
    print(f"baked: {same} of {len(ours)} tensors are those of fairseq-edit, which has {len(theirs)}")
    bench = serving.model.open(path)
    alike = sum(one == other for one, other in zip(bench.translate(sentences), said))
    print(f"baked: {alike} of {len(sentences)} outputs are those of the server")


def main(argv: Optional[Sequence[str]] = None) -> int:
    """Run from the command line."""
    words: List[str] = list(sys.argv[1:] if argv is None else argv)
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("target", nargs="?", choices=LANGUAGES, help="of the multilingual model; default: Multi30k")
    parser.add_argument("--cache", type=Path, help="of statistics and decodings; default: a new one")
    parser.add_argument("--requests", type=int, default=8, help="corrections that are handed in (default: 8)")
    parser.add_argument("--sentences", type=int, default=500, help="of the test sets to translate (default: 500)")
    parser.add_argument("--live", type=int, nargs="*", default=[0, 10, 1000], help="default: 0 10 1000")
    parser.add_argument("--compared", type=int, default=1000, help="outputs to compare with those of the baked file")
    parser.add_argument("--record", action="store_true", help="also append the rates to the records of docs/results.md")
    arguments = parser.parse_args(words)
    model = docs_model(arguments.target) if arguments.target else multi30k_model()
    if not model.path.exists() or not model.data.exists():
        print(f"{model.path} or {model.data} is missing: nothing is measured without them")
        return 0
    most = max(arguments.sentences, arguments.compared, *arguments.live)
    sentences = model.sentences()[:most]
    asked: Dict[str, Dict[str, Any]] = {}
    for record in (*records_of(model.natural), *records_of(model.requests)):
        # A second correction of one sentence would take the place of the first.
        asked.setdefault(record["source"], record)
    with tempfile.TemporaryDirectory() as folder:
        serving = Serving(model, Path(folder), arguments.cache or Path(folder) / "cache")
        path = Path(folder) / "baked.pt"
        with serving.on("fixes.db", "--bake-to", str(path)) as client:
            client.ask("/api/understand", {"source": "A dog.", "output": "Ein Hund.", "target": "Ein Tier."})
            corrections(client, list(asked.values()), arguments.requests, sentences[:100])
            client.ask("/fixes/bake", {})
            while not path.exists():
                time.sleep(0.5)
            said = client.translate(sentences[: arguments.compared])
        baked(serving, "fixes.db", path, said, sentences[: arguments.compared])
        gates, rows = FixQueue(str(Path(folder) / "fixes.db"), write=False), []
        for live in arguments.live:
            held(Path(folder) / f"{live}.db", live, sentences, gates)
            with serving.on(f"{live}.db") as client:
                rows.append({"fixes": live, "rate": round(rate(client, sentences[: arguments.sentences]), 1)})
            print(f"{live} fixes live: {rows[-1]['rate']} translations a second", flush=True)
        gates.close()
        if arguments.live:
            stock = serving.interactive(sentences[: arguments.sentences])
            print(f"fairseq-interactive: {stock:.1f} translations a second", flush=True)
    if arguments.record:
        append_rows("serving", rows, origin("benchmark_serving.py", words))
    return 0


if __name__ == "__main__":
    sys.exit(main())
