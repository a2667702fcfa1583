"""Proves an edit before it is written: the reloaded checkpoint against the old one, the report, the gates."""

from __future__ import annotations

import argparse
import os
from statistics import median
from typing import Any, Dict, Mapping, Optional, Tuple

from fairseq_rome.cli import judging
from fairseq_rome.cli.pictures import heat_maps
from fairseq_rome.cli.saving import NotHeldError
from fairseq_rome.cli.session import Opened, unedited
from fairseq_rome.cli.verdict import verdict_lines
from fairseq_rome.editing.outcome import Outcome, Result
from fairseq_rome.evaluation.evaluate import Plan, checkers_for, evaluate
from fairseq_rome.host.checkpoint import fingerprint
from fairseq_rome.host.corpus import Corpus
from fairseq_rome.host.decoding import Translator
from fairseq_rome.host.sites import prepared
from fairseq_rome.report import EditDetails, HeatMap, Report, report_record, write_report
from fairseq_rome.text.requests import EditFile


class Proof:
    """Evaluates, prints, writes the report, and refuses what must not be written; `report` is what it found.

    Args:
        args: the parsed options.
        opened: the unedited model, as the edit left it.
        edit_file: the requests.
        corpus: background sentences.
        outcome: what the edit did.
        wishes: gates, report and test sets.
    """

    def __init__(
        self,
        args: argparse.Namespace,
        opened: Opened,
        edit_file: EditFile,
        corpus: Corpus,
        outcome: Outcome,
        wishes: judging.EvaluationOptions,
    ) -> None:
        self.args = args
        self.opened = opened
        self.edit_file = edit_file
        self.corpus = corpus
        self.outcome = outcome
        self.wishes = wishes
        self.report: Optional[Report] = None

    def __call__(self, translator: Translator, state: Mapping[str, Any]) -> None:
        """Judge a reloaded checkpoint.

        Raises:
            NotHeldError: if a request, a sentence to keep or a gate failed, unless `--keep-going`.
        """
        edited = {"path": self.args.save_to, "fingerprint": fingerprint(state)}
        report = self._tell(translator, {"edited": edited})
        gates = [result for result in report.gates if not result.passed]
        # --keep-going is for requests; a gate is there to be kept.
        if gates:
            raise NotHeldError(f"{len(gates)} of {len(report.gates)} gates failed: nothing was written")
        going_on = self.args.keep_going or (self.outcome.stopped and not self.outcome.keep.changed)
        if not going_on and (self.outcome.failed or not report.passed):
            raise NotHeldError("nothing was written; --keep-going writes the edits that hold")

    def of_nothing(self) -> bool:
        """Report on requests of which none was edited; whether all is well all the same."""
        return self._tell(unedited(self.opened, self.args), {}).passed

    def _tell(self, translator: Translator, models: Mapping[str, Any]) -> Report:
        before = unedited(self.opened, self.args)
        with prepared(before.model), prepared(translator.model):
            found = evaluate(before, translator, self._plan())
        results = self.outcome.results
        edits = {result.request.id: details_of(result) for result in results}
        self.report = judging.make_report(
            found, self.wishes.gates, self.opened, models, self.args, self._cost(), edits, self._heat_maps()
        )
        as_json = self.args.log_format == "json"
        for line in verdict_lines(report_record(self.report), as_json):
            print(line, flush=True)
        if self.wishes.report:
            paths = write_report(self.wishes.report, self.report, self.args.force)
            print(judging.wrote_text(paths, as_json), flush=True)
        return self.report

    def _plan(self) -> Plan:
        languages: Tuple[str, str] = (self.opened.languages[0], self.opened.languages[1])
        triggers = {
            result.request.id: result.trigger
            for result in self.outcome.results
            # An edit of one sentence alone is not meant to hold in the probes of the pool.
            if result.request.trigger or result.contexts or result.held_out
        }
        return Plan(
            self.edit_file, languages, triggers, self.outcome.sample.sources, self.wishes.test_sets,
            checkers_for(languages, self.corpus),
        )  # fmt: skip

    def _cost(self) -> Dict[str, float]:
        results = self.outcome.results
        return {
            "edit_seconds": sum(result.seconds for result in results),
            "seconds_an_edit": median(result.seconds for result in results),
            "patch_bytes": float(sum(patch.size_bytes for patch in self.outcome.patches)),
            "checkpoint_bytes": float(os.path.getsize(self.opened.path)),
        }

    def _heat_maps(self) -> Dict[str, Tuple[HeatMap, ...]]:
        if not self.wishes.report:
            return {}
        opened = self.opened
        return heat_maps(opened.translator, self.edit_file.requests, self.args.report_figures, self.args.seed)


def details_of(result: Result) -> EditDetails:
    """How a request was edited, for its report."""
    patch = result.patch
    if patch is None:
        return EditDetails(
            result.status, tries=result.tries, seconds=result.seconds, reason=result.reason,
            contexts=result.contexts, held_out=result.held_out,
        )  # fmt: skip
    return EditDetails(
        result.status, patch.method, str(patch.site), result.size,
        gates=int(patch.notes["gates"]) if "gates" in patch.notes else None,
        margin=patch.notes.get("margin"),
        contexts=result.contexts, held_out=result.held_out, general=result.general,
        tries=result.tries, seconds=result.seconds, patch_bytes=patch.size_bytes, reason=result.reason,
    )  # fmt: skip
