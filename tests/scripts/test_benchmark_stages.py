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
