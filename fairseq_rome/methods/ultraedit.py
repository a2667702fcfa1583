"""UltraEdit: one request at a time, in one step from what `fc2` reads and the gradient at what it writes.

No value is optimised. Each token to be pushed gives a row: the hidden state that `fc2` reads there, and the gradient of
the loss with respect to what it writes. Rows are normalised by the running mean and deviation of those of all edits so
far (lifelong normalisation), and one ridge least-squares problem gives the change (Gu et al. 2025, arXiv 2505.14679).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from fairseq_rome.methods.base import EditProblem, Method, register, solvable
from fairseq_rome.settings import Settings, setting

if TYPE_CHECKING:
    from fairseq_rome.patch import Patch


@dataclass(frozen=True)
class UltraEditSettings(Settings):
    """Settings of `ultraedit`."""

    edit_shift: float = setting(
        0.0,
        "ultraedit: how far an edit moves fc2, as a share of its norm; more pushes harder, and breaks more; 0: just as "
        "far as it takes",
    )


@register
class UltraEdit(Method[UltraEditSettings]):
    """One request at a time, from hidden states and gradients."""

    name = "ultraedit"
    summary = "one step on fc2 from hidden states and gradients, normalised over all edits so far"
    settings_class = UltraEditSettings

    def fit(self, problem: EditProblem, settings: UltraEditSettings) -> Patch:
        """Move `fc2` by the least-squares step of a request's tokens.

        Returns:
            A patch with the running statistics after this request; `shift` in its notes is the length of the step.

        Raises:
            EditError: if the model needs no push, or the least-squares problem can't be solved.
        """
        from fairseq_rome.methods.fitting.one_step import (
            find_rows,
            least_squares_step,
            long_enough,
            step_patch,
        )

        rows = find_rows(problem)
        with solvable(problem.site):
            step = least_squares_step(rows)
        shift = settings.edit_shift or long_enough(problem, rows, step)
        return step_patch(self.name, problem, rows, step, shift)
