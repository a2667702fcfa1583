from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest
from edit_runs import script

clock = script("stage_clock")

CALLS = {
    "an import of a library, by whatever module of ours": (
        [("sympy.core", "<module>"), ("fairseq_rome.host.batches", "<module>"), ("fairseq_rome.cli.edit", "run")],
        clock.LIBRARIES,
    ),
    "an import of our own": ([("fairseq_rome.patch", "<module>"), ("fairseq_rome.cli.edit", "run")], clock.OWN),
    "decoding, for whoever asks": (
        [("torch.nn", "linear"), ("fairseq_rome.host.decoding", "decode"), ("fairseq_rome.cases.contexts", "f")],
        "decoding and correcting contexts",
    ),
    "opening for the proof": (
        [("fairseq_rome.host.checkpoint.reading", "read"), ("fairseq_rome.workbench.staging", "reload")],
        "writing the file, opening it again, and proving it",
    ),
    "nothing of ours": ([("json", "dumps"), ("__main__", "<module>")], clock.REST),
}


@pytest.mark.parametrize("name", CALLS)
def test_stages_by_what_is_called(name: str) -> None:
    calls, stage = CALLS[name]
    assert clock.stage_of(calls) == stage and stage in clock.STAGES


def test_the_clock_tells_all_of_the_processor_time(tmp_path: Path) -> None:
    work = tmp_path / "work.py"
    work.write_text("import time\nwhile time.process_time() < 0.3: sum(range(1000))\n", encoding="utf-8")
    out = tmp_path / "seconds.json"
    command = [sys.executable, clock.__file__, str(out), "work"]
    subprocess.run(command, check=True, cwd=tmp_path, env={"PYTHONPATH": "."})
    seconds = json.loads(out.read_text(encoding="utf-8"))
    assert set(seconds) <= set(clock.STAGES)
    assert 0.29 < sum(seconds.values()) < 0.5


def test_each_tree_runs_its_own_package(tmp_path: Path) -> None:
    """Also where the script is started in the folder of another tree, which `python -m` would look in first."""
    stages = script("benchmark_stages")
    folder = tmp_path / "tree" / "fairseq_rome" / "cli"
    folder.mkdir(parents=True)
    (folder / "edit.py").write_text("raise SystemExit('the package of the tree')\n", encoding="utf-8")
    (folder.parent / "__init__.py").write_text("", encoding="utf-8")
    (folder / "__init__.py").write_text("", encoding="utf-8")
    requests = tmp_path / "requests.jsonl"
    one = {"id": "a", "task": "term", "source": "s", "target": "t", "trigger": "s", "contexts": ["c"]}
    requests.write_text(json.dumps(one) + "\n", encoding="utf-8")
    model = script("public_models").PublicModel(requests, tmp_path, "de", {}, requests, requests, requests, ())
    runs = stages.Runs(model, tmp_path / "tree", 1, tmp_path / "work")
    with pytest.raises(SystemExit, match="the package of the tree"):
        runs.take(stages.AGAIN)
