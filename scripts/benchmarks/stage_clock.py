"""Runs a command of the package and tells where its processor time goes, stage by stage.

    python scripts/benchmarks/stage_clock.py seconds.json fairseq_rome.cli.edit DATA --path model.pt ...

writes `{"stage": seconds, ...}`. Every few milliseconds of processor time a signal looks at what is being called. What
the kernel counts for reading files is in it, and a long call of a library counts for the stage that makes it.
"""

from __future__ import annotations

import json
import runpy
import signal
import sys
import time
from collections import Counter
from pathlib import Path
from types import FrameType
from typing import Any, List, Optional, Sequence, Tuple
from typing import Counter as Counted

LIBRARIES, OWN, REST = "importing torch and fairseq", "importing fairseq_rome", "all else"
_STAGES = (
    ("writing the file, opening it again, and proving it", ("workbench.staging", "workbench.staged_patches")),
    ("measuring or reading the statistics of the site", ("statistics.",)),
    ("decoding other sentences", ("editing.other_sentences",)),
    ("decoding with the edit", ("editing.verdicts",)),
    ("reading and searching the training side", ("host.corpus", "host.whole_side")),
    ("decoding and correcting contexts", ("cases.contexts",)),
    ("understanding the request", ("cases.",)),
    ("fitting gates and values", ("methods.",)),
    ("reading options", ("cli.parsing", "host.configuration")),
    ("opening the model", ("workbench.opening", "host.checkpoint")),
)
"""Each stage with the modules that do it, below `fairseq_rome.`; where calls are of several, the first counts."""
STAGES = (LIBRARIES, OWN, *dict(reversed(_STAGES)), REST)
"""Roughly in the order of a run."""
# Seconds between two looks. Less tells more, and takes time itself; the kernel looks no more often than this anyway.
_EVERY = 0.004


class StageClock:
    """Adds up processor time by stage, from the start until `stop`."""

    def __init__(self) -> None:
        self.seconds: Counted[str] = Counter()
        self._last = 0.0  # of processor time, so that starting Python counts too
        signal.signal(signal.SIGPROF, self._look)
        signal.setitimer(signal.ITIMER_PROF, _EVERY, _EVERY)

    def stop(self) -> None:
        """Look for the last time."""
        signal.setitimer(signal.ITIMER_PROF, 0)
        self._look(0, sys._getframe())

    def _look(self, _: int, frame: Optional[FrameType]) -> None:
        now = time.process_time()
        self.seconds[stage_of(_calls(frame))] += now - self._last
        self._last = now


def _calls(frame: Optional[FrameType]) -> List[Tuple[str, str]]:
    """Module and function of what is being called, from the innermost outwards."""
    found = []
    while frame is not None:
        found.append((str(frame.f_globals.get("__name__", "")), frame.f_code.co_name))
        frame = frame.f_back
    return found


def stage_of(calls: Sequence[Tuple[str, str]]) -> str:
    """The stage that some calls (module and function) belong to."""
    imported = [module for module, function in calls if function == "<module>" and module != "__main__"]
    if any(module.split(".")[0] != "fairseq_rome" for module in imported):
        return LIBRARIES
    if imported:
        return OWN
    own = [module.split(".", 1)[1] for module, _ in calls if module.startswith("fairseq_rome.")]
    for stage, modules in _STAGES:
        if any(module.startswith(modules) for module in own):
            return stage
    return REST


def main(argv: Optional[Sequence[str]] = None) -> Any:
    """Run from the command line; the exit status is that of the command."""
    out, module, *words = sys.argv[1:] if argv is None else argv
    clock = StageClock()
    sys.argv = [module, *words]
    try:
        runpy.run_module(module, run_name="__main__", alter_sys=True)
    finally:
        clock.stop()
        Path(out).write_text(json.dumps(clock.seconds), encoding="utf-8")


if __name__ == "__main__":
    main()
