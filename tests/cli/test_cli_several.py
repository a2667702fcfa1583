"""Two processes under torchrun against one: the same bits, also after one of them is killed."""

from __future__ import annotations

import json
import os
import signal
import sqlite3
import subprocess
import sys
import time
from contextlib import closing, suppress
from pathlib import Path
from typing import Any, Dict, List, Tuple

import pytest
import torch
from edit_runs import DEMO, LANGUAGES, ROOT, SEARCH, SUBWORDS, Edited
from safetensors.torch import load_file

import fairseq_rome
from fairseq_rome.cli.cache import main
from fairseq_rome.editing.edit_settings import EditSettings
from fairseq_rome.host.remembered import DECODINGS, STATES

SENTENCES = 120
FILL = f"--sentences {SENTENCES} --batch-size 4 --states --edit-stats-tokens 9000 --method rome".split()
MODEL = ["--path", str(DEMO / "model.pt"), *LANGUAGES, *SUBWORDS, *SEARCH, "--no-progress-bar"]


def torchrun(command: str, words: List[Any], *own: str) -> subprocess.Popen[str]:
    """Two processes of a command."""
    launcher = [sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc-per-node", "2", *own]
    paths = os.pathsep.join([str(ROOT), *sys.path])
    # Else processes that were started again find one another's old addresses, as docs/several-processes.md tells.
    settings = {"OMP_NUM_THREADS": "1", "PYTHONPATH": paths, "TORCH_DISABLE_SHARE_RDZV_TCP_STORE": "1"}
    return subprocess.Popen(
        [*launcher, "-m", f"fairseq_rome.cli.{command}", *map(str, words)], text=True, stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT, env={**os.environ, **settings},
    )  # fmt: skip


def finished(process: subprocess.Popen[str]) -> Tuple[int, str]:
    out = process.communicate(timeout=300)[0]
    return process.returncode, out


def rows(path: Path) -> Dict[bytes, bytes]:
    if not path.exists():
        return {}
    with closing(sqlite3.connect(str(path), timeout=10)) as file, suppress(sqlite3.OperationalError):
        return dict(file.execute("SELECT key, content FROM kept").fetchall())
    return {}  # the file is being made


def same_kept(one: Path, other: Path) -> bool:
    statistics = [{path.name: load_file(str(path)) for path in folder.glob("*.safetensors")} for folder in (one, other)]
    first, second = ({(a, b): t for a, of in found.items() for b, t in of.items()} for found in statistics)
    return (
        len(rows(one / DECODINGS)) == SENTENCES
        and all(rows(one / name) == rows(other / name) for name in (DECODINGS, STATES))
        and any(name == "moment" for _, name in first)
        and first.keys() == second.keys()
        and all(torch.equal(first[name], second[name]) for name in first)
    )


def kill_one(launcher: subprocess.Popen[str], folder: Path) -> int:
    """Kill one of two processes as soon as something is kept, without warning; how many decodings were."""
    until = time.monotonic() + 120
    while not rows(folder / DECODINGS):
        assert time.monotonic() < until and launcher.poll() is None
        time.sleep(0.02)
    children = Path(f"/proc/{launcher.pid}/task/{launcher.pid}/children").read_text().split()
    commands = {int(one): Path(f"/proc/{one}/cmdline").read_bytes() for one in children}
    workers = [number for number, words in commands.items() if b"fairseq_rome.cli.cache" in words]
    assert len(workers) == 2
    os.kill(workers[1], signal.SIGKILL)
    return len(rows(folder / DECODINGS))


@pytest.fixture(scope="module")
def alone(edit_data: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The cache folder that one process fills."""
    folder = tmp_path_factory.mktemp("alone")
    assert main(fill_words(edit_data, folder)) == 0
    return folder


def fill_words(data: Path, folder: Path) -> List[str]:
    return ["fill", str(data), *MODEL, *FILL, "--edit-cache", str(folder)]


@pytest.mark.slow
def test_two_processes_fill_a_cache_with_the_bits_of_one(edit_data: Path, alone: Path, tmp_path: Path) -> None:
    status, out = finished(torchrun("cache", fill_words(edit_data, tmp_path)))
    assert status == 0, out
    assert out.count(f"{tmp_path}: {SENTENCES} sentences, {SENTENCES} decoded now; statistics of decoder.2") == 1
    assert same_kept(tmp_path, alone)


@pytest.mark.slow
@pytest.mark.skipif(not Path("/proc/self/task").exists(), reason="needs to see which processes torchrun has")
def test_a_run_goes_on_after_a_process_was_killed(edit_data: Path, alone: Path, tmp_path: Path) -> None:
    launcher = torchrun("cache", fill_words(edit_data, tmp_path))
    kill_one(launcher, tmp_path)
    status, _ = finished(launcher)
    kept = len(rows(tmp_path / DECODINGS))
    assert status != 0 and 0 < kept < SENTENCES
    status, out = finished(torchrun("cache", fill_words(edit_data, tmp_path)))
    assert status == 0 and f"{SENTENCES} sentences, {SENTENCES - kept} decoded now" in out
    assert same_kept(tmp_path, alone)


@pytest.mark.slow
@pytest.mark.skipif(not Path("/proc/self/task").exists(), reason="needs to see which processes torchrun has")
def test_torchrun_starts_a_killed_process_again(edit_data: Path, alone: Path, tmp_path: Path) -> None:
    launcher = torchrun("cache", fill_words(edit_data, tmp_path), "--max-restarts", "1", "--monitor-interval", "0.2")
    assert kill_one(launcher, tmp_path) < SENTENCES
    status, out = finished(launcher)
    assert status == 0 and f"{SENTENCES} sentences, {SENTENCES} decoded now" not in out
    assert same_kept(tmp_path, alone)


@pytest.mark.slow
def test_two_processes_mine_what_one_mines(edit_data: Path, tmp_path: Path) -> None:
    from fairseq_rome.cli.requests import main as requests

    words = "--task segment --test-set valid --sentences 60 --probes 2 --batch-size 8".split()
    files = [tmp_path / "one.jsonl", tmp_path / "two.jsonl"]
    one, two = (
        ["mine", edit_data, *MODEL, *words, "--out", file, "--edit-cache", tmp_path / file.stem] for file in files
    )
    assert requests(list(map(str, one))) == 0
    status, out = finished(torchrun("requests", two))
    assert status == 0 and out.count(f"wrote {files[1]}: ") == 1
    assert files[0].read_bytes() == files[1].read_bytes() and files[0].read_bytes()
    assert rows(tmp_path / "one" / DECODINGS) == rows(tmp_path / "two" / DECODINGS)


@pytest.mark.slow
def test_an_edit_finds_what_was_filled(edit_data: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Sentences of the training side and of a test set are not decoded again, nor are statistics measured again."""
    from fairseq_rome.host.decoding import Translator

    words = "--sentences 60 --test-set valid --edit-stats-tokens 6000 --states".split()
    assert main(["fill", str(edit_data), *MODEL, *words, "--edit-cache", str(tmp_path)]) == 0
    statistics = sorted(path.name for path in tmp_path.glob("*.safetensors"))
    assert [name.split("-")[0] for name in statistics] == ["decoder.0", "decoder.2"]
    bench = fairseq_rome.open(
        str(DEMO / "model.pt"), data=str(edit_data), source="en", target="de", bpe="sentencepiece",
        sentencepiece_model=str(DEMO / "spm.model"), beam=2, cache=str(tmp_path),
    )  # fmt: skip
    decoded: List[str] = []
    decode = Translator.decode_batch

    def noted(self: Translator, sources: Any, begin: Any = None) -> Any:
        if self.entries() is not None:
            decoded.extend(self.codec.source_text(one) for one in sources)
        return decode(self, sources, begin)

    monkeypatch.setattr(Translator, "decode_batch", noted)
    request = fairseq_rome.EditRequest("The assistant took eleven blue boxes.", "Der Verkäufer nahm elf blaue Kisten.")
    settings = EditSettings(edit_stats_tokens=6000, edit_sample=20, edit_mine="never", edit_tries=1)
    bench.evaluate(bench.edit([request], settings), test_sets=["valid"], sample=20)
    assert set(decoded) == {request.source}
    assert sorted(path.name for path in tmp_path.glob("*.safetensors")) == statistics


def test_one_process_of_several_is_refused(
    edit_data: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main([*fill_words(edit_data, tmp_path), "--distributed-world-size", "2"]) == 2
    assert "--distributed-world-size is 2, but one process was started: expected torchrun" in capsys.readouterr().err


@pytest.mark.slow
def test_two_processes_report_what_one_reports(edited: Edited, tmp_path: Path) -> None:
    from fairseq_rome.cli.eval import main as evaluate

    words = [edited.data, *MODEL, "--edited", edited.path, "--edit-pref", DEMO / "fixes", "--batch-size", "8"]
    words += ["--test-set", "valid", "--edit-sample", "40", "--edit-cache", "none"]
    folders = [tmp_path / "one", tmp_path / "two"]
    assert evaluate([str(word) for word in (*words, "--report", folders[0])]) == 0
    status, out = finished(torchrun("eval", [*words, "--report", folders[1]]))
    assert status == 0 and out.count(f"wrote {folders[1]}") == 1
    one, two = (json.loads((folder / "report.json").read_text(encoding="utf-8")) for folder in folders)
    for report in (one, two):
        report["cost"] = report["provenance"]["command"] = None
    assert one == two
