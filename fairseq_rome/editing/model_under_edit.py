"""The model with the edits of a run so far, and what the next one may use of each site."""

from __future__ import annotations

import time
from dataclasses import replace
from typing import Any, Dict, List, Mapping, Optional, Sequence, Tuple

import torch
from torch import Tensor
from torch.nn.functional import pad

from fairseq_rome.cases.case import Case, prepare
from fairseq_rome.cases.contradictions import noted
from fairseq_rome.cases.hunk_reading import Sides
from fairseq_rome.cases.same_changes import SameChanges
from fairseq_rome.editing.attempts import attempt
from fairseq_rome.editing.edit_settings import EditSettings
from fairseq_rome.editing.neuron_pool import NeuronPool
from fairseq_rome.editing.outcome import NOTHING, Result
from fairseq_rome.editing.site_plan import measured_together
from fairseq_rome.editing.surroundings import Surroundings
from fairseq_rome.editing.verdicts import result_of
from fairseq_rome.host.batches import Pair
from fairseq_rome.host.checkpoint import fingerprint
from fairseq_rome.host.decoding import Hypothesis, Translator
from fairseq_rome.host.sites import Site, parameter_names
from fairseq_rome.methods.base import VALUE_NORM, Method, SiteResources
from fairseq_rome.methods.registry import method_named
from fairseq_rome.patch import Patch, apply_, besides_on, differing, preserved, restore_, set_besides_
from fairseq_rome.statistics import Background, backgrounds, unmeasured
from fairseq_rome.text.requests import EditRequest

# Edits of a site whose values tell what is usual there, since the model is as good as unedited. More tell it better,
# and wait longer before later values are kept to it.
_REFERENCE = 10
# Earlier requests that a gate for a sentence alone is kept off. More keep it off more, and take time to be read.
_SETTLED = 256


class ModelUnderEdit:
    """A model with the edits of a run so far, which the run makes in it; whoever opens it puts the model back.

    Args:
        translator: the model and what decodes with it.
        saved: the model's parameters as they were opened, by name.
        surroundings: what the run works with.
        settings: of the run.
        sides: the languages, and the training side.
        same: what the requests of the run have in common.
        keep: sentences whose translation must stay.
    """

    def __init__(
        self,
        translator: Translator,
        saved: Mapping[str, Tensor],
        surroundings: Surroundings,
        settings: EditSettings,
        sides: Sides,
        same: SameChanges,
        keep: Sequence[str] = (),
    ) -> None:
        self.translator = translator
        self.corpus = surroundings.corpus
        self._sides, self._same = sides, same
        # A neuron that is silent in one direction works in another, so that a model of several has none to spare.
        self._widens = settings.widen or bool(surroundings.directions)
        self.neurons = NeuronPool(surroundings.earlier, settings.edit_dormant, self._widens, settings.edit_merge)
        self.patches: List[Patch] = list(surroundings.earlier)
        self._earlier = len(self.patches)
        said = translator.translate(keep, "decoding sentences to keep")
        self.keep = tuple(Pair(translator.codec.source(s), h.tokens) for s, h in zip(keep, said))
        self._settled: List[Pair] = []
        self._saved = saved
        self._surroundings = surroundings
        self._fingerprint = surroundings.fingerprint or fingerprint({"model": translator.model.state_dict()})
        self._statistics: Dict[Tuple[Site, int], Background] = {}

    def work_on(self, request: EditRequest, settings: EditSettings) -> Result:
        """Fit one request to the model as it is now, and leave its patch in the model if it holds."""
        started = time.perf_counter()
        before = self.translator.translate([request.source])[0]
        case = self.prepare(request, before, settings)
        if case is None:
            return Result(request, NOTHING, before.text, before.text, seconds=time.perf_counter() - started)
        best = attempt(
            self.translator, case, self.corpus, settings, lambda site: self.resources(site, settings), self.keep,
            self._surroundings.directions, tuple(self._settled[-_SETTLED:]),
        )  # fmt: skip
        patch = best.patch if best.verdict.held else None
        if patch is not None:
            self.add(patch)
        return result_of(case, best.verdict, patch, best.tries, time.perf_counter() - started)

    def settle(self, result: Result) -> None:
        """Note what a request of the run has come to, which later ones are not to undo."""
        if result.patch is not None:
            codec = self.translator.codec
            self._settled.append(Pair(codec.source(result.request.source), codec.target(result.after)))

    def prepare(self, request: EditRequest, before: Hypothesis, settings: EditSettings) -> Optional[Case]:
        """The case of a request as the model is now, as `cases.case.prepare` makes it, with what it is to replace."""
        endings = self._surroundings.endings
        case = prepare(self.translator, request, before, self._sides, settings, endings, self._same)
        return None if case is None else noted(case, self._surroundings.claims, settings)

    def alike(self, request: EditRequest) -> Tuple[str, ...]:
        """The sources of the requests of the run that make a change of this one too."""
        return self._same.alike(request.source)

    def add(self, patch: Patch) -> None:
        """Make a patch's changes in the model."""
        apply_(self.translator.model, patch)
        self.neurons.take(patch)
        self.patches.append(patch)

    @property
    def own_patches(self) -> List[Patch]:
        """The patches of this run."""
        return self.patches[self._earlier :]

    def roll_back(self, kept: int) -> None:
        """Take out all of this run's patches but the first `kept`."""
        own = self.own_patches
        restore_(self.translator.model, {name: self._saved[name] for patch in own for name in patch.names})
        made = {id(one) for patch in own for one in patch.beside}
        set_besides_(self.translator.model, [one for one in besides_on(self.translator.model) if id(one) not in made])
        self.patches = self.patches[: self._earlier]
        for patch in own:
            self.neurons.give_back(patch)
        for patch in own[:kept]:
            self.add(patch)

    def resources(self, site: Site, settings: EditSettings) -> SiteResources:
        """What an edit may use of a site now."""
        method = method_named(settings.method)
        if not method.at_site:
            return SiteResources(unmeasured())
        names = parameter_names(self.translator.model, site)
        measured = self.background(site, settings)
        spare = self.spare_neurons(site, settings) if method.takes_neurons else ()
        width, running = self.translator.model.get_parameter(names["fc1.bias"]).numel(), self._running(method, names)
        if not method.weighs_keys:
            merged = self.neurons.merged(site) if spare else {}
            return SiteResources(measured, spare, merged, running=running, fingerprint=self._fingerprint)
        column = names["fc2.weight"]
        past = self._past_keys(column, width)
        return SiteResources(
            _grown(measured, width), spare, past_keys=past, running=running, value_norm=self._value_norm(column),
            fingerprint=self._fingerprint,
        )

    def spare_neurons(self, site: Site, settings: EditSettings) -> Tuple[int, ...]:
        """The neurons of a site that an edit may take now, the first ones first."""
        name = parameter_names(self.translator.model, site)["fc2.weight"]
        return self.neurons.spare(site, self.background(site, settings), self._saved[name].float().cpu())

    def neurons_left(self, settings: EditSettings) -> Mapping[str, Tuple[int, int]]:
        """As `NeuronPool.left`, also of sites where all gates are from an interrupted run; none where layers grow."""
        if self._widens:
            return {}
        own = self.own_patches
        for site in dict.fromkeys(site for patch in own for site in patch.taken):
            self.spare_neurons(site, settings)  # which makes the pool count the site
        return self.neurons.left()

    def background(self, site: Site, settings: EditSettings) -> Background:
        """Statistics of a site of the model as it was opened, whatever edits it has since."""
        tokens, weighs = settings.edit_stats_tokens, settings.weighs_keys
        known = self._statistics.get((site, tokens))
        if known is None or (weighs and known.moment is None):
            edited = differing(self.translator.model, self._saved)
            with preserved(self.translator.model, edited):
                restore_(self.translator.model, edited)
                set_besides_(self.translator.model, ())
                found = backgrounds(
                    self.translator, self.corpus, measured_together(self.translator.model, site, settings), tokens,
                    self._surroundings.cache, self._fingerprint, self._surroundings.directions, weighs,
                    self._surroundings.recent,
                )  # fmt: skip
            self._statistics.update(((one, tokens), measured) for one, measured in found.items())
        return self._statistics[site, tokens]

    def _running(self, method: Method[Any], names: Mapping[str, str]) -> Optional[Tensor]:
        """What the latest edit by a method left of the statistics of a site."""
        own = (patch.running for patch in reversed(self.patches) if patch.method == method.name)
        return next((kept[names["fc2.weight"]] for kept in own if names["fc2.weight"] in kept), None)

    def _value_norm(self, name: str) -> Optional[float]:
        """Mean norm of the values that the first edits of a weight asked for; None before there are enough of them."""
        notes = (patch.notes for patch in self.patches if name in patch.keys)
        norms = [told[VALUE_NORM] for told in notes if VALUE_NORM in told][:_REFERENCE]
        return sum(norms) / len(norms) if len(norms) == _REFERENCE else None

    def _past_keys(self, name: str, width: int) -> Optional[Tensor]:
        keys = [patch.keys[name] for patch in self.patches if name in patch.keys]
        return torch.cat([pad(rows, (0, width - rows.shape[1])) for rows in keys]) if keys else None


def _grown(measured: Background, width: int) -> Background:
    """The statistics of a layer that has grown since by neurons that were silent then."""
    more = width - len(measured.usage)
    if more <= 0:
        return measured
    moment = pad(measured.second_moment, (0, more, 0, more))
    return replace(measured, usage=pad(measured.usage, (0, more)), moment=moment)
