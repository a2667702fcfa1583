"""Edits that no checkpoint can hold, on their way into a patch file: written aside, loaded again, committed."""

from __future__ import annotations

import os
from tempfile import TemporaryDirectory
from types import TracebackType
from typing import Callable, List, Optional, Tuple, Type

from fairseq_rome.editing.outcome import Outcome
from fairseq_rome.patch import is_folder
from fairseq_rome.workbench.compared_models import ComparedModel, with_files
from fairseq_rome.workbench.opening import OpenModel
from fairseq_rome.workbench.staging import failures_of


class StagedPatches:
    """Edits in a patch file, or a folder of them, that does not have its name yet.

    As a context manager it leaves nothing behind but what was committed.

    Args:
        model: the model that the edits are for.
        outcome: what the edit did.
        path: the file or folder to write.
        save: writes the edits to a path.
    """

    def __init__(self, model: OpenModel, outcome: Outcome, path: str, save: Callable[[str], None]) -> None:
        self.path = path
        self.notes: Tuple[str, ...] = ()
        self._model, self._outcome, self._save = model, outcome, save
        self._aside = TemporaryDirectory()

    def reload(self) -> ComparedModel:
        """The model with what was written aside, as a later user would meet it.

        Raises:
            EditError: if it can't be written, read or put on the model.
        """
        several = is_folder(self.path)
        ending = "" if several else os.path.splitext(self.path)[1]
        aside = os.path.join(self._aside.name, f"patches{ending}")
        if several:
            os.mkdir(aside)
        self._save(aside)
        files = sorted(os.path.join(aside, name) for name in os.listdir(aside)) if several else [aside]
        return with_files(self._model, files)

    def failures(self, reloaded: ComparedModel) -> List[str]:
        """As for a staged checkpoint."""
        return failures_of(self._outcome, self._model.languages, reloaded, "patch file")

    def commit(self) -> None:
        """Write the file, or the folder, under its name.

        Raises:
            EditError: if it must not or can't be written.
        """
        self._save(self.path)

    def __enter__(self) -> StagedPatches:
        return self

    def __exit__(
        self,
        kind: Optional[Type[BaseException]],
        error: Optional[BaseException],
        traceback: Optional[TracebackType],
    ) -> None:
        self._aside.cleanup()
