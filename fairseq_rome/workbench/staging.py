"""An edited checkpoint on its way to its name: staged, reloaded, looked at, then committed or discarded."""

from __future__ import annotations

from types import TracebackType
from typing import Any, Iterable, List, Mapping, Optional, Tuple, Type

from fairseq_rome.editing.outcome import EDITED, Outcome
from fairseq_rome.errors import EditError
from fairseq_rome.files import StagedFile
from fairseq_rome.host.checkpoint import (
    fingerprint,
    lost_parts,
    portable_state,
    read_state,
    share_equal_,
    stage_state,
    stale_parts,
)
from fairseq_rome.patch import with_patches
from fairseq_rome.text.segments import Endings, holds
from fairseq_rome.workbench.compared_models import ComparedModel
from fairseq_rome.workbench.opening import OpenModel
from fairseq_rome.workbench.provenance import edits_in, history, told_patches

_NEEDS_PLUGIN = "this checkpoint's settings only load with --user-dir fairseq_rome where torch is 2.6 or newer"


class StagedCheckpoint:
    """An edited checkpoint that is whole on the disk and does not have its name yet.

    As a context manager it is discarded on leaving unless it was committed.

    Args:
        model: the model before the edit.
        outcome: what the edit did.
        file: the staged file.
        notes: what else the user should know of it, a sentence each.
    """

    def __init__(self, model: OpenModel, outcome: Outcome, file: StagedFile, notes: Tuple[str, ...]) -> None:
        self.path = file.path
        self.notes = notes
        self._model = model
        self._outcome = outcome
        self._file = file

    @property
    def in_place(self) -> bool:
        """Whether the checkpoint has taken its name."""
        return self._file.in_place

    def reload(self) -> ComparedModel:
        """Open the file as a later user would meet it.

        Raises:
            EditError: if it can't be opened. The input could be, so the input is not blamed.
        """
        try:
            state = read_state(self._file.temporary, trust=self._model.spec.trust)
            share_equal_(state["model"], self._model.state["model"])
            translator = self._model.reopened(state)
        except EditError as error:
            reason = str(error).split(": ", 1)[-1]
            raise EditError(
                f"{self.path}: the edited checkpoint can't be opened again, so it was not written; this is a fault of "
                f"fairseq_rome, please report it ({reason})"
            ) from error
        told = {"edited": {"path": self.path, "fingerprint": fingerprint(state)}}
        return ComparedModel(translator, tuple(edits_in(state)), told)

    def failures(self, reloaded: ComparedModel) -> List[str]:
        """Decode every edited request with the reloaded file, and tell of those that do not show their edit.

        Args:
            reloaded: from `reload`.

        Returns:
            A sentence for each request that fails; nothing where all is well.
        """
        return failures_of(self._outcome, self._model.languages, reloaded, "checkpoint")

    def commit(self) -> None:
        """Let the file take its name.

        Raises:
            EditError: if the system refuses, or something has taken the name meanwhile.
        """
        self._file.commit()

    def discard(self) -> None:
        """Remove the file, unless it has taken its name."""
        self._file.discard()

    def __enter__(self) -> StagedCheckpoint:
        return self

    def __exit__(
        self,
        kind: Optional[Type[BaseException]],
        error: Optional[BaseException],
        traceback: Optional[TracebackType],
    ) -> None:
        self.discard()


def failures_of(outcome: Outcome, languages: Tuple[str, str], reloaded: ComparedModel, what: str) -> List[str]:
    """As `StagedCheckpoint.failures`.

    Args:
        outcome: what the edit did.
        languages: codes of source and target.
        reloaded: the model of the file.
        what: the file, for messages.
    """
    edited = [result for result in outcome.results if result.status == EDITED]
    endings = Endings.of(*languages).target
    said = reloaded.translator.translate([result.request.source for result in edited])
    return [
        f"request {result.request.id} failed: the reloaded {what} says {now.text!r}, not what the edited model "
        "said in memory"
        for result, now in zip(edited, said)
        if result.difference and not holds(now.text, result.request.target, result.difference, endings)
    ]


def stage_checkpoint(
    model: OpenModel,
    outcome: Outcome,
    settings: Mapping[str, Any],
    path: str,
    force: bool = False,
    inputs: Iterable[str] = (),
    text: bool = True,
    optimizer: bool = True,
) -> StagedCheckpoint:
    """Write the edited checkpoint beside its path.

    Args:
        model: the model before the edit.
        outcome: what the edit did.
        settings: of the edit, in plain values, for the checkpoint's history.
        path: the file to write.
        force: replace a file that exists.
        inputs: files that are never replaced.
        text: keep the sentences of the requests in the checkpoint's history.
        optimizer: keep the optimizer state.

    Raises:
        EditError: if the file can't be written.
    """
    base = model.translator.model
    portable = portable_state(base, model.state, model.path, model.adapter, load=model.load)
    patches = told_patches(outcome, model.languages, text)
    told = {**history(patches), "base": model.fingerprint, "settings": dict(settings)}
    state = with_patches(
        portable or model.state, patches, told, built=base.state_dict(), optimizer=optimizer,
        known=model.fingerprint,
    )  # fmt: skip
    notes = [] if portable else [_NEEDS_PLUGIN]
    notes += [f"{part} holds weights from before the edit" for part in stale_parts(state)]
    if optimizer:
        notes += [f"{part} is left out: the layers have grown since" for part in lost_parts(model.state, state)]
    return StagedCheckpoint(model, outcome, stage_state(state, path, force, inputs), tuple(notes))
