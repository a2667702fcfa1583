"""From two models to a report: what is looked at, and what the report tells besides."""

from __future__ import annotations

import os
import resource
import sys
from dataclasses import dataclass, field
from statistics import median
from typing import Any, Dict, List, Mapping, Optional, Sequence, Tuple

from fairseq_rome.cases.association import word_check
from fairseq_rome.editing.outcome import Outcome
from fairseq_rome.errors import EditError
from fairseq_rome.evaluation.conditions import check_conditions
from fairseq_rome.evaluation.evaluate import EvaluationPlan, checkers_for, evaluate
from fairseq_rome.evaluation.sentence_sets import SentenceSet, load_test_set
from fairseq_rome.host.codec import TextCodec
from fairseq_rome.host.corpus import Corpus
from fairseq_rome.host.other_directions import OtherDirection
from fairseq_rome.host.sites import prepared
from fairseq_rome.report import EditDetails, Report
from fairseq_rome.text.replacements import Replacement
from fairseq_rome.text.requests import EditFile
from fairseq_rome.workbench.compared_models import ComparedModel
from fairseq_rome.workbench.direction_samples import compared_directions
from fairseq_rome.workbench.heat_map_pictures import heat_maps
from fairseq_rome.workbench.opening import OpenModel
from fairseq_rome.workbench.provenance import (
    carried_by,
    details_of,
    known_carried,
    known_triggers,
    told_edits,
    versions,
)
from fairseq_rome.workbench.specs import EvaluationOptions


@dataclass(frozen=True)
class Comparison:
    """What two models are compared on, and what is known of the edits between them.

    Args:
        edit_file: the requests, and the sentences to keep.
        triggers: source segments by request id, that tell which held-out sentences are a request's.
        carried: what edits carry to other sentences, by request id.
        sample: other sentences.
        edits: how requests were edited, by id.
        cost: seconds and bytes that are known, by name.
        directions: sentences of other directions, by name such as `en-fr`.
    """

    edit_file: EditFile
    triggers: Mapping[str, str]
    carried: Mapping[str, Replacement]
    sample: Tuple[str, ...]
    edits: Mapping[str, EditDetails]
    cost: Mapping[str, float]
    directions: Mapping[str, Tuple[str, ...]] = field(default_factory=dict)


def comparison_of_outcome(edit_file: EditFile, outcome: Outcome, checkpoint: str) -> Comparison:
    """The comparison that proves an edit.

    Args:
        edit_file: the requests.
        outcome: what the edit did.
        checkpoint: the file that was edited.
    """
    results = outcome.results
    triggers = {
        result.request.id: result.trigger
        for result in results
        # An edit of one sentence alone is not meant to hold in the probes of the pool.
        if result.request.trigger or result.contexts or result.held_out
    }
    cost = {
        "edit_seconds": sum(result.seconds for result in results),
        "seconds_an_edit": median(result.seconds for result in results),
        "patch_bytes": float(sum(patch.size_bytes for patch in outcome.patches)),
        "checkpoint_bytes": float(os.path.getsize(checkpoint)),
    }
    edits = {result.request.id: details_of(result) for result in results}
    directions = {name: others.sources for name, others in outcome.directions.items()}
    found = {result.request.id: carried_by(result) for result in results}
    carried = {name: one for name, one in found.items() if one is not None}
    return Comparison(edit_file, triggers, carried, outcome.sample.sources, edits, cost, directions)


def comparison_of_records(
    edit_file: EditFile,
    records: Sequence[Mapping[str, Any]],
    corpus: Corpus,
    sample: int,
    checkpoint: str,
    directions: Sequence[OtherDirection] = (),
) -> Comparison:
    """The comparison of two checkpoints of which the second tells its edits.

    Args:
        edit_file: the requests.
        records: of the edits.
        corpus: where other sentences come from.
        sample: how many of them.
        checkpoint: the edited file.
        directions: other directions.
    """
    triggers = known_triggers(edit_file, records)
    hidden = [request.source for request in edit_file.requests] + sorted(edit_file.held_out)
    # A trigger that was only found may be wrong, and leaves no sentence out.
    named = [request.trigger for request in edit_file.requests if request.trigger]
    others = corpus.without(hidden).without_triggers(named, sample)
    cost = {"checkpoint_bytes": float(os.path.getsize(checkpoint))}
    elsewhere = {one.name: one.sources for one in directions if one.sources}
    carried = known_carried(edit_file, records)
    return Comparison(edit_file, triggers, carried, tuple(others), told_edits(edit_file, records), cost, elsewhere)


def load_test_sets(specs: Sequence[str], codec: TextCodec) -> Tuple[SentenceSet, ...]:
    """Test sets by prefix or by the name of a subset, each once.

    Raises:
        EditError: if one is not there, or two would have one name in the report.
    """
    sets = tuple(load_test_set(spec, codec) for spec in dict.fromkeys(specs))
    names: List[str] = [one.name for one in sets]
    twice = [name for name in names if names.count(name) > 1]
    if twice:
        raise EditError(f"--test-set: two sets are called {twice[0]}, expected different file names")
    return sets


def make_report(
    model: OpenModel,
    edited: ComparedModel,
    comparison: Comparison,
    test_sets: Sequence[SentenceSet],
    options: EvaluationOptions,
    corpus: Corpus,
    command: Optional[Sequence[str]] = None,
    notes: Tuple[str, ...] = (),
) -> Report:
    """Decode with both models, judge, and put together all that the report tells.

    Args:
        model: the model before the edit.
        edited: the edited model.
        comparison: what they are compared on.
        test_sets: the loaded test sets of the options.
        options: of the evaluation.
        corpus: some of the training side, which tells checkers what it copies and repeats.
        command: the command line, for the report.
        notes: what else the report tells, a sentence each.
    """
    before = model.unedited()
    plan = EvaluationPlan(
        comparison.edit_file, model.languages, comparison.triggers, comparison.sample, tuple(test_sets),
        checkers_for(model.languages, corpus),
        comparison.carried, word_check(corpus),
        compared_directions(model, before, edited.translator, comparison.directions),
        edited.certificate(before),
    )  # fmt: skip
    with prepared(before.model), prepared(edited.translator.model):
        found = evaluate(before, edited.translator, plan)
    provenance: Dict[str, Any] = {
        "base": {"path": model.path, "fingerprint": model.fingerprint},
        **edited.told,
        "languages": list(model.languages),
        "versions": versions(),
        **({} if command is None else {"command": list(command)}),
        "seed": options.seed,
    }
    pictures = heat_maps(model.translator, comparison.edit_file.requests, options.figures, options.seed)
    cost = {**comparison.cost, "peak_memory_bytes": float(_peak_memory())}
    conditions = tuple(check_conditions(options.conditions, found.metrics()))
    return Report(
        found, conditions, model.spec.options.changed_search(), cost, provenance, comparison.edits, pictures, notes
    )


def _peak_memory() -> int:
    """Bytes of memory that this process has had at most."""
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak if sys.platform == "darwin" else peak * 1024
