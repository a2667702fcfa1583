"""MEND: one request at a time, by a trained editor that reads the gradient of the corrected sentence.

`fairseq-edit-train-editor` trains the editor for one model. An edit is then a forward and a backward pass of the model,
and one pass of the editor (Mitchell et al. 2022, arXiv 2110.11309).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from fairseq_rome.errors import EditError
from fairseq_rome.methods.base import EditProblem, Method, register
from fairseq_rome.settings import Settings, setting

if TYPE_CHECKING:
    from fairseq_rome.patch import Patch

# How much further than it takes under teacher forcing an attempt goes that is to push harder. More lets harder requests
# hold, and breaks more.
_HARDER = 2.0


@dataclass(frozen=True)
class MendSettings(Settings):
    """Settings of `mend`."""

    edit_editor: str = setting("", "mend: the editor, a file that fairseq-edit-train-editor wrote for this checkpoint")


@register
class Mend(Method[MendSettings]):
    """One request at a time, by a trained editor."""

    name = "mend"
    summary = "a trained editor turns the gradient of the request's sentence into changes of several layers"
    settings_class = MendSettings

    def fit(self, problem: EditProblem, settings: MendSettings) -> Patch:
        """Change all matrices of the editor, from the request's own sentence.

        Raises:
            EditError: if there is no editor for this model, nothing differs, or the site is not the editor's last one.
        """
        from fairseq_rome.algebra import compact
        from fairseq_rome.host.sites import Site
        from fairseq_rome.methods.fitting.editor_files import load_editor
        from fairseq_rome.methods.fitting.editor_network import edit_factors, far_enough
        from fairseq_rome.patch import LowRankChange, Patch

        editor = load_editor(settings.edit_editor, problem.resources.fingerprint)
        last = Site.of_weight(editor.names[-1])
        if problem.site != last:
            raise EditError(f"site {problem.site}: the editor changes several layers up to {last}, expected that one")
        if not problem.example.spans:
            raise EditError(f"site {problem.site}: nothing differs from what the model says")
        translator = problem.translator
        editor.to(translator.batcher.device)
        changes = editor(edit_factors(translator, editor.names, problem.example))
        further = far_enough(translator, problem.example, changes) * (_HARDER if problem.thorough else 1.0)
        made = []
        for name, (left, right) in changes.items():
            factors = compact((further * left).cpu(), right.cpu())
            made.append(LowRankChange(name, factors[0].contiguous(), factors[1].contiguous()))
        return Patch(self.name, problem.site, tuple(made), {"matrices": float(len(made)), "further": further})
