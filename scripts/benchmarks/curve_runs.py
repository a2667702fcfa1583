"""Many edits of one model by one method, judged at some counts: what `benchmark_curves.py` measures.

Sequential methods go through the requests one after the other and are judged on the way. Batch methods and fine-tuning
start anew from the unedited model for each count.
"""

from __future__ import annotations

import random
import time
from contextlib import suppress
from dataclasses import dataclass
from typing import Callable, List, Optional, Sequence

import torch

from fairseq_rome import EditRequest, EditSettings, Outcome, Result, Workbench
from fairseq_rome.errors import EditError
from fairseq_rome.host.batches import Pair, by_size, forced_logits
from fairseq_rome.host.decoding import Translator
from fairseq_rome.methods.registry import all_methods, method_named
from fairseq_rome.patch import Patch, preserved, restore_

TUNING = "fine-tuning"
NAMES = (*(name for name, method in all_methods().items() if method.changes_weights), TUNING)
# Tokens of a batch, epochs at most, and the probability above which a token of an example is clear.
_TUNING_TOKENS, _MOST_EPOCHS, _CLEAR = 1000, 30, 0.5


@dataclass(frozen=True)
class Stop:
    """The model after some edits.

    Args:
        edits: how many requests have been worked on.
        seconds: processor time for all of them.
        patch_bytes: size of all patches; None where the whole model has changed.
        fault: why the method gave up; empty if it did not.
    """

    edits: int
    seconds: float
    patch_bytes: Optional[int]
    fault: str = ""


Judge = Callable[[Stop], bool]
"""Called while the workbench has the edits; says whether to go on."""


@dataclass(frozen=True)
class Run:
    """What every method works with.

    Args:
        bench: the model, unedited before and after.
        settings: of the edits.
        hidden: sources that no edit may learn from.
        counts: numbers of edits at which to stop, in order.
        rate: learning rate of fine-tuning.
    """

    bench: Workbench
    settings: EditSettings
    hidden: Sequence[str]
    counts: Sequence[int]
    rate: float


class _Enough(Exception):
    """Ends a run whose judge has seen enough."""


def follow(run: Run, name: str, requests: Sequence[EditRequest], seed: int, judge: Judge) -> None:
    """Edit by one method, and have the model judged at each count of edits.

    Args:
        run: what to work with.
        name: of `NAMES`.
        requests: in their order.
        seed: of the order of fine-tuning's batches.
        judge: judges the model.
    """
    if name == TUNING:
        _tuned(run, requests, seed, judge)
    elif method_named(name).together:
        _together(run, requests, judge)
    else:
        with suppress(_Enough):
            _Sequence(run, judge).work_on(requests[: run.counts[-1]])


class _Sequence:
    """One request after the other, with the processor seconds of the edits alone."""

    def __init__(self, run: Run, judge: Judge) -> None:
        self.run = run
        self.judge = judge
        self.done: List[Result] = []
        self.seconds = 0.0
        self.mark = 0.0

    def work_on(self, requests: Sequence[EditRequest]) -> None:
        """Go through the requests.

        Raises:
            _Enough: the judge has seen enough.
        """
        self.run.bench.edit(requests, self.run.settings, hidden=self.run.hidden, observe=self._observe)

    def _observe(self, result: Result) -> None:
        # Before the first request all are decoded, which is no part of its edit: there its seconds on the clock count.
        self.seconds += time.process_time() - self.mark if self.done else result.seconds
        self.done.append(result)
        if len(self.done) in self.run.counts:
            patches = [one.patch for one in self.done if one.patch]
            if not self.judge(Stop(len(self.done), self.seconds, _bytes(patches))):
                raise _Enough
        self.mark = time.process_time()


def _together(run: Run, requests: Sequence[EditRequest], judge: Judge) -> None:
    for count in run.counts:
        outcome: Optional[Outcome] = None
        fault, started = "", time.process_time()
        try:
            outcome = run.bench.edit(requests[:count], run.settings, hidden=run.hidden)
        except EditError as error:
            fault = str(error)
        seconds = time.process_time() - started
        patches = outcome.patches if outcome else []
        if outcome and not patches:
            fault = next((result.reason for result in outcome.results if result.reason), "")
        with run.bench.patched(patches):
            if not judge(Stop(count, seconds, _bytes(patches), fault)):
                return


def _bytes(patches: Sequence[Patch]) -> int:
    return sum({id(patch): patch.size_bytes for patch in patches}.values())


def _tuned(run: Run, requests: Sequence[EditRequest], seed: int, judge: Judge) -> None:
    translator = run.bench.model.translator
    codec = translator.codec
    with run.bench.prepared(), preserved(translator.model) as saved:
        for count in run.counts:
            restore_(translator.model, saved)
            pairs = [Pair(codec.source(one.source), codec.target(one.target)) for one in requests[:count]]
            started = time.process_time()
            tune_(translator, pairs, run.rate, seed)
            if not judge(Stop(count, time.process_time() - started, None)):
                return


def tune_(translator: Translator, pairs: Sequence[Pair], rate: float, seed: int) -> None:
    """Fine-tune all weights on some pairs, without dropout, until nine in ten have every token above one half."""
    model, draw = translator.model, random.Random(seed)
    optimiser = torch.optim.Adam(model.parameters(), lr=rate, betas=(0.9, 0.98))
    for _ in range(_MOST_EPOCHS):
        batches = by_size(pairs, _TUNING_TOKENS)
        draw.shuffle(batches)
        clear: List[bool] = []
        for indices in batches:
            batch = translator.batcher.batch([pairs[index] for index in indices])
            with torch.enable_grad():
                scores = forced_logits(model, batch).log_softmax(-1)
                chosen = scores.gather(2, batch.target.unsqueeze(2)).squeeze(2)
                optimiser.zero_grad()
                (-chosen[batch.target_mask].mean()).backward()
            optimiser.step()
            sure = chosen.detach().exp().gt(_CLEAR) | ~batch.target_mask
            clear += sure.all(1).tolist()
        if sum(clear) >= 0.9 * len(clear):
            break
    optimiser.zero_grad(set_to_none=True)
