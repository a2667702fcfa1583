"""Many edits of one model by one method, stopped at some counts to be judged: what `benchmark_curves.py` measures.

Sequential methods go through the requests one after the other, as `fairseq-edit` does, and are judged on the way. Batch
methods and fine-tuning start anew from the unedited model for each count.
"""

from __future__ import annotations

import random
import time
from dataclasses import dataclass
from typing import Dict, Iterator, List, Optional, Sequence, Tuple, Union
from unittest import mock

import torch

from fairseq_rome.editing.batch_edit import edit_together
from fairseq_rome.editing.edit_settings import EditSettings
from fairseq_rome.editing.model_under_edit import ModelUnderEdit
from fairseq_rome.editing.surroundings import Surroundings
from fairseq_rome.errors import EditError
from fairseq_rome.host.batches import Pair, by_size, forced_logits
from fairseq_rome.host.corpus import Corpus
from fairseq_rome.host.decoding import Translator
from fairseq_rome.methods.base import EditProblem, ValueSettings
from fairseq_rome.methods.fitting.pushes import Pushes, find_pushes
from fairseq_rome.methods.registry import all_methods, method_named
from fairseq_rome.patch import preserved, restore_
from fairseq_rome.text.requests import EditRequest
from fairseq_rome.text.segments import Endings

TUNING = "fine-tuning"
NAMES = (*all_methods(), TUNING)
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


class Remembered:
    """Fits the values of a request once: batch methods take them from the unedited model and the request alone.

    `spared` sums the seconds that this has saved.
    """

    def __init__(self) -> None:
        self.spared = 0.0
        self._known: Dict[str, Tuple[Union[Pushes, EditError], float]] = {}

    def __call__(self, problem: EditProblem, settings: ValueSettings) -> Pushes:
        """As `find_pushes`."""
        source = problem.example.source
        if source in self._known:
            self.spared += self._known[source][1]
        else:
            started = time.process_time()
            try:
                found: Union[Pushes, EditError] = find_pushes(problem, settings)
            except EditError as error:
                found = error
            self._known[source] = found, time.process_time() - started
        values = self._known[source][0]
        if isinstance(values, EditError):
            raise values
        return values


@dataclass(frozen=True)
class Run:
    """What every method works with.

    Args:
        translator: the model, unedited on entry and on leaving.
        corpus: background sentences.
        endings: with which segments still count.
        settings: of the edits.
        cache: folder for statistics.
        counts: numbers of edits at which to stop, in order.
        rate: learning rate of fine-tuning.
        values: of batch methods.
    """

    translator: Translator
    corpus: Corpus
    endings: Endings
    settings: EditSettings
    cache: str
    counts: Sequence[int]
    rate: float
    values: Remembered

    def session(self, saved: Dict[str, torch.Tensor]) -> ModelUnderEdit:
        """A run of edits that begins at the unedited model."""
        surroundings = Surroundings(self.corpus, self.endings, cache=self.cache)
        return ModelUnderEdit(self.translator, saved, surroundings, self.settings)


def stops(run: Run, name: str, requests: Sequence[EditRequest], seed: int) -> Iterator[Stop]:
    """The model at each count of edits, in the translator, for whoever asks to judge it then.

    Args:
        run: what to work with.
        name: of `NAMES`.
        requests: in their order.
        seed: of the order of fine-tuning's batches.
    """
    with preserved(run.translator.model) as saved:
        if name == TUNING:
            yield from _tuned(run, requests, saved, seed)
        elif method_named(name).together:
            yield from _together(run, requests, saved)
        else:
            yield from _one_by_one(run, requests, saved)


def _one_by_one(run: Run, requests: Sequence[EditRequest], saved: Dict[str, torch.Tensor]) -> Iterator[Stop]:
    session, seconds = run.session(saved), 0.0
    for number, request in enumerate(requests[: run.counts[-1]], start=1):
        started = time.process_time()
        session.work_on(request, run.settings)
        seconds += time.process_time() - started
        if number in run.counts:
            yield Stop(number, seconds, sum(patch.size_bytes for patch in session.patches))


def _together(run: Run, requests: Sequence[EditRequest], saved: Dict[str, torch.Tensor]) -> Iterator[Stop]:
    before = run.translator.translate([request.source for request in requests[: run.counts[-1]]])
    for count in run.counts:
        restore_(run.translator.model, saved)
        session, fault = run.session(saved), ""
        spared, started = run.values.spared, time.process_time()
        with mock.patch("fairseq_rome.methods.fitting.batch.find_pushes", run.values):
            try:
                results = edit_together(
                    session, requests[:count], before[:count], [run.settings] * count, run.settings
                )
                if not session.patches:
                    fault = next((result.reason for result in results if result.reason), "")
            except EditError as error:
                fault = str(error)
        seconds = time.process_time() - started + run.values.spared - spared
        yield Stop(count, seconds, sum(patch.size_bytes for patch in session.patches), fault)


def _tuned(
    run: Run, requests: Sequence[EditRequest], saved: Dict[str, torch.Tensor], seed: int
) -> Iterator[Stop]:
    codec = run.translator.codec
    for count in run.counts:
        restore_(run.translator.model, saved)
        pairs = [Pair(codec.source(one.source), codec.target(one.target)) for one in requests[:count]]
        started = time.process_time()
        tune_(run.translator, pairs, run.rate, seed)
        yield Stop(count, time.process_time() - started, None)


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
