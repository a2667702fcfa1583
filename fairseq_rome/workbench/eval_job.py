"""One comparison of two models, whole: read, open both, decode, judge."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Optional, Tuple

from fairseq_rome.host.decoding import Progress, silent
from fairseq_rome.host.ranks import ALONE, Ranks
from fairseq_rome.report import Report
from fairseq_rome.text.requests import EditFile, read_edit_file
from fairseq_rome.text.requests.markup import AUTO
from fairseq_rome.workbench.compared_models import ComparedModel, of_checkpoint, with_files, with_hooks
from fairseq_rome.workbench.direction_samples import notes_on_directions
from fairseq_rome.workbench.evaluating import comparison_of_records, load_test_sets, make_report
from fairseq_rome.workbench.notes import notes_on, notes_on_sample
from fairseq_rome.workbench.opening import open_model
from fairseq_rome.workbench.specs import EvaluationOptions, ModelSpec
from fairseq_rome.workbench.workbench import Workbench


@dataclass(frozen=True)
class EvalSpec:
    """What one comparison of two models is asked to look at.

    Args:
        model: the checkpoint before the edit.
        edited: the checkpoint after the edit; None where patches make it.
        patches: patch files that make it.
        hooks: whether these are held by hooks, beside the weights.
        edit_pref: the edit file; None for none.
        task: of requests that name none.
        evaluation: what is looked at besides.
        sample: how many other sentences are decoded.
        words: the command line, for the report.
        markup: how the edit file is read, as for `read_edit_file`.
    """

    model: ModelSpec
    edited: Optional[str]
    patches: Tuple[str, ...]
    hooks: bool
    edit_pref: Optional[str]
    task: Optional[str]
    evaluation: EvaluationOptions
    sample: int
    words: Tuple[str, ...]
    markup: str = AUTO


def compare_models(spec: EvalSpec, progress: Progress = silent, ranks: Ranks = ALONE) -> Report:
    """Judge an edited model against the one that it was made from.

    Args:
        spec: what is asked for.
        progress: wraps long loops.
        ranks: the processes that do so together; each gets the report.

    Raises:
        EditError: for whatever a user can put right.
    """
    bench = Workbench(open_model(spec.model, progress, ranks))
    edited = _edited(bench, spec)
    sets = load_test_sets(spec.evaluation.test_sets, bench.model.translator.codec)
    edit_file = EditFile(())
    if spec.edit_pref:
        edit_file = read_edit_file(spec.edit_pref, *bench.languages, markup=spec.markup).with_task(spec.task)
    edit_file = bench.check_requests(edit_file)
    corpus = bench.background(spec.evaluation.seed)
    options = spec.evaluation
    directions = bench.sampled_directions(
        options.directions, options.direction_sample, options.seed, edit_file, corpus
    )
    comparison = comparison_of_records(
        edit_file, edited.edits, corpus, spec.sample, spec.edited or bench.model.path, directions
    )
    notes = (
        *notes_on(edit_file, bench.model.translator.codec), *notes_on_sample(corpus, spec.sample),
        *notes_on_directions(bench.model, options.directions),
    )  # fmt: skip
    return make_report(bench.model, edited, comparison, sets, spec.evaluation, corpus, spec.words, notes)


def _edited(bench: Workbench, spec: EvalSpec) -> ComparedModel:
    if spec.edited is not None:
        return of_checkpoint(bench.model, spec.edited)
    if spec.hooks:
        return with_hooks(bench.model, spec.patches, bench.background(spec.evaluation.seed))
    return with_files(bench.model, spec.patches)
