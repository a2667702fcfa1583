"""Opening a checkpoint: its state, its model, and what decodes with it."""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any, Mapping, Optional, Tuple

import torch
from torch import nn

from fairseq_rome.errors import EditError
from fairseq_rome.host.adapters import TaskAdapter
from fairseq_rome.host.adapters.base import Direction
from fairseq_rome.host.checkpoint import (
    State,
    aliases,
    fingerprint,
    load_model,
    read_state,
    saved_languages,
    saved_model_cfg,
)
from fairseq_rome.host.codec import TextCodec
from fairseq_rome.host.decoding import Progress, Translator, build_translator, silent
from fairseq_rome.host.opened_weights import OpenedWeights
from fairseq_rome.host.ranks import ALONE, Ranks
from fairseq_rome.host.remembered import Remembered, Stores
from fairseq_rome.host.sites import prepared
from fairseq_rome.workbench.built_beside import built_beside
from fairseq_rome.workbench.provenance import with_patch_files
from fairseq_rome.workbench.specs import ModelSpec


@dataclass(frozen=True)
class OpenModel:
    """A checkpoint that is open.

    Args:
        spec: what was asked for.
        state: the raw contents of the file, with the patches of the spec.
        adapter: of the fairseq task.
        translator: the model in single precision, and what decodes with it.
        progress: wraps long loops.
        ranks: the processes that share what is decoded and measured.
    """

    spec: ModelSpec
    state: State
    adapter: TaskAdapter
    translator: Translator
    progress: Progress
    ranks: Ranks = ALONE

    @property
    def path(self) -> str:
        """The file."""
        return self.spec.path

    @property
    def languages(self) -> Tuple[str, str]:
        """Codes of the source and of the target language."""
        return self.adapter.languages

    @cached_property
    def fingerprint(self) -> str:
        """SHA-256, in hexadecimal, of the file's weights."""
        return fingerprint(self.state)

    @cached_property
    def model_fingerprint(self) -> str:
        """SHA-256, in hexadecimal, of the built model's weights: that of the file where these are the same."""
        built, stored = self.translator.model.state_dict(), self.state["model"]
        same = set(built) == set(stored) and all(
            one.dtype == stored[name].dtype and torch.equal(one.cpu(), stored[name]) for name, one in built.items()
        )
        return self.fingerprint if same else fingerprint({"model": built})

    def in_direction(self, direction: Direction, translator: Optional[Translator] = None) -> Translator:
        """The same model, without a second copy of its weights, in another of its directions.

        Args:
            direction: codes of source and target.
            translator: with the model; None for the one that is open.

        Raises:
            EditError: if the task has no such direction.
        """
        chosen = translator or self.translator
        adapter = self.adapter.in_direction(*direction)
        other = translator_for(chosen.model, adapter, self.spec, self.progress, self.ranks)
        known = chosen.remembered
        return other if known is None else remembering(other, self.spec, self.state, known.weights, known.stores)

    def serves(self, direction: Direction) -> bool:
        """Whether the model that is open has all weights of another direction, since both are the same tensors."""
        own, other = (one.weights_prefix for one in (self.adapter, self.adapter.in_direction(*direction)))
        if own == other:
            return True
        same = aliases(self.state["model"])
        names = [name for name in same if name.startswith(own)]
        return bool(names) and all(other + name[len(own) :] in same[name] for name in names)

    def load(self, state: Mapping[str, Any]) -> nn.Module:
        """The model of a state, built as this one was, on the CPU; equal weights share their memory.

        Raises:
            EditError: if it does not fit the dictionaries or the architecture.
        """

        def build() -> nn.Module:
            return load_model(self.path, state, self.adapter, self.spec.overrides())

        return built_beside(self.translator.model, self.state["model"], build)

    def reopened(self, state: Mapping[str, Any]) -> Translator:
        """A state as a later user would meet it: on the same device, in half precision where the spec says so."""
        self.ranks.agree("edited model", lambda: fingerprint(state))
        model = self.load(state).to(self.spec.device)
        if self.spec.half:
            model.half()
        return translator_for(model, self.adapter, self.spec, self.progress, self.ranks)

    def unedited(self) -> Translator:
        """The model to compare with: in half precision where the spec says so, which edits are not computed in."""
        if not self.spec.half:
            return self.translator
        half, known = self.reopened(self.state), self.translator.remembered
        if known is None:
            return half
        return remembering(half, self.spec, self.state, OpenedWeights(half.model), known.stores)


def open_model(spec: ModelSpec, progress: Progress = silent, ranks: Ranks = ALONE) -> OpenModel:
    """Open a checkpoint.

    Args:
        spec: what to open.
        progress: wraps long loops; takes the items and a label.
        ranks: the processes that open it, and share what is decoded and measured.

    Raises:
        EditError: for whatever a user can put right.
    """
    overrides = spec.overrides()
    state = read_state(spec.path, trust=spec.trust)
    adapter = spec.options.set_up_task()
    _check_languages(spec.path, state, adapter.languages)
    if spec.patches:
        state = _patched(spec, state, adapter)
    model = load_model(spec.path, state, adapter, overrides).to(spec.device)
    translator = translator_for(model, adapter, spec, progress, ranks)
    stores = Stores.of(spec.cache, spec.cache_size * 2**20)
    translator = remembering(translator, spec, state, OpenedWeights(model), stores)
    ranks.agree("model", lambda: [one.key for one in [translator.entries()] if one is not None])
    return OpenModel(spec, state, adapter, translator, progress, ranks)


def _patched(spec: ModelSpec, state: State, adapter: TaskAdapter) -> State:
    """The state with the patches of a spec; the model that tells which names share a weight is gone afterwards."""
    built = load_model(spec.path, state, adapter, spec.overrides()).state_dict()
    return with_patch_files(spec.path, state, spec.patches, built)[0]


def translator_for(
    model: nn.Module, adapter: TaskAdapter, spec: ModelSpec, progress: Progress, ranks: Ranks = ALONE
) -> Translator:
    """A translator with the text processing and the generation settings of a spec.

    Args:
        model: the translation model, on its device.
        adapter: of its task.
        spec: what to open.
        progress: wraps long loops.
        ranks: the processes that share batches.
    """
    cfg = spec.options.cfg
    codec = TextCodec(
        adapter, adapter.build_tokenizer(cfg.tokenizer), adapter.build_bpe(cfg.bpe), spec.segmented,
        cfg.common_eval.post_process,
    )  # fmt: skip
    with prepared(model):
        made = build_translator(model, adapter, cfg.generation, codec, spec.batch_size, progress)
    return replace(made, ranks=ranks)


def remembering(
    translator: Translator, spec: ModelSpec, state: State, weights: OpenedWeights, stores: Stores
) -> Translator:
    """A translator that decodes once what its model says as long as nothing in it is edited.

    Args:
        translator: with the model as it was opened.
        spec: what was opened.
        state: the model's, whose settings outputs depend on as much as on its weights.
        weights: of the model as it was opened.
        stores: where it is remembered.
    """
    settings, overrides = saved_model_cfg(state), spec.overrides()
    told = {"model": repr(sorted(settings.items())), "overrides": repr(overrides), "search": spec.options.search()}
    search = ", ".join(f"{name} {value}" for name, value in spec.options.changed_search().items())
    name = f"{spec.path}, {'-'.join(translator.adapter.languages)}, {search}"
    known = Remembered(weights, translator.adapter, translator.generator, told, name, stores)
    return replace(translator, remembered=known)


def _check_languages(path: str, state: Mapping[str, Any], given: Tuple[str, str]) -> None:
    """Refuse the two languages the wrong way round; other names for them are the user's own affair."""
    trained = saved_languages(state)
    if trained[0] != trained[1] and given == trained[::-1]:
        source, target = given
        raise EditError(f"{path}: translates {target}-{source}, expected a model for -s {source} -t {target}")
