"""Second models to hold against the one that is open: unedited, of a checkpoint, with patches in or beside them."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any, Mapping, Optional, Sequence, Tuple

from fairseq_rome.host.certificate import Certificate
from fairseq_rome.host.checkpoint import fingerprint, read_state, saved_model_cfg, share_equal_
from fairseq_rome.host.corpus import Corpus
from fairseq_rome.host.decoding import Translator
from fairseq_rome.host.sites import prepared
from fairseq_rome.patch import (
    HookedPatches,
    Patch,
    fitting,
    load_patches,
    read_stack,
    set_besides_,
    with_patches,
)
from fairseq_rome.statistics import keys_of
from fairseq_rome.workbench.opening import OpenModel
from fairseq_rome.workbench.provenance import edits_in, edits_of, history

# Background positions whose keys tell what stands out. More make the bar surer and take memory.
_HOOK_TOKENS = 10_000


@dataclass(frozen=True)
class ComparedModel:
    """A model to hold against the unedited one.

    Args:
        translator: the model, and what decodes with it.
        edits: a record for each of its edits, as its checkpoint tells them.
        told: what a report tells of it.
        alike: whether it differs from the unedited model in its weights alone, and not in settings or by hooks.
    """

    translator: Translator
    edits: Tuple[Mapping[str, Any], ...]
    told: Mapping[str, Any]
    alike: bool = True

    def certificate(self, before: Translator) -> Optional[Certificate]:
        """What proves that it says of a sentence what the unedited model says; None where nothing can."""
        if not self.alike:
            return None
        old = {name: parameter.detach() for name, parameter in before.model.named_parameters()}
        return Certificate.between(self.translator.model, old)


def unedited(model: OpenModel) -> ComparedModel:
    """The model itself: what an edit that was not made has changed."""
    return ComparedModel(model.unedited(), (), {})


def of_checkpoint(model: OpenModel, path: str) -> ComparedModel:
    """The model of another checkpoint.

    Args:
        model: the model that is open.
        path: the other checkpoint.

    Raises:
        EditError: if it can't be read or does not fit.
    """
    state = read_state(path, trust=model.spec.trust)
    share_equal_(state["model"], model.state["model"])
    told = {"edited": {"path": path, "fingerprint": fingerprint(state)}}
    alike = saved_model_cfg(state) == saved_model_cfg(model.state)
    return ComparedModel(model.reopened(state), tuple(edits_in(state)), told, alike)


def with_edits(model: OpenModel, patches: Sequence[Patch]) -> ComparedModel:
    """The model with edits in its weights, and beside them what they have there.

    Args:
        model: the model that is open; it stays as it is.
        patches: in the order in which they were made.
    """
    beside = [one for patch in patches for one in patch.beside]
    changes = [replace(patch, beside=()) for patch in patches if patch.changes]
    state = model.state
    if changes or not beside:
        built = model.translator.model.state_dict()
        state = with_patches(state, changes, history(changes), built=built, known=model.fingerprint)
    translator = model.reopened(state)
    set_besides_(translator.model, beside)
    records = [*edits_in(state), *edits_of(history([patch for patch in patches if not patch.changes]))]
    told = {"edited": {"fingerprint": fingerprint(state)}}
    return ComparedModel(translator, tuple(records), told, alike=not beside)


def with_files(model: OpenModel, paths: Sequence[str]) -> ComparedModel:
    """The model with the edits of patch files, as a model that is loaded with them has them.

    Args:
        model: the model that is open; it stays as it is.
        paths: the files, in their order.

    Raises:
        EditError: if a file can't be read or does not fit.
    """
    patches = fitting([(one, load_patches(one)) for one in paths], model.state["model"], read_stack(model.state))
    return replace(with_edits(model, patches), told={"patches": list(paths)})


def with_hooks(model: OpenModel, paths: Sequence[str], corpus: Corpus) -> ComparedModel:
    """The model with patch files held by hooks beside its weights.

    Args:
        model: the model that is open; it stays as it is.
        paths: the files, in their order.
        corpus: background sentences, from which low-rank and dense changes have to stand out.

    Raises:
        EditError: if a file can't be read, does not fit, or holds what hooks can't do.
    """
    files = [(one, load_patches(one)) for one in paths]
    patches = fitting(files, model.state["model"], read_stack(model.state), beside=True)
    translator = model.reopened(model.state)
    with prepared(translator.model):
        keys = {
            site: keys_of(translator, corpus.pairs, site, _HOOK_TOKENS)
            for site in {patch.site for patch in patches if patch.added_to}
        }
    hooked = HookedPatches.of(translator.model, patches, keys)
    hooked.enter(translator.model)
    told = {"patches": list(paths), "held by": "hooks beside the model"}
    return ComparedModel(translator, tuple(history(patches)["edits"]), told, alike=False)
