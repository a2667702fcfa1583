"""What `fairseq-edit` and `fairseq-edit-eval` share: what is wanted of an evaluation, and the report of it."""

from __future__ import annotations

import argparse
import json
import os
import resource
import sys
from dataclasses import dataclass, replace
from typing import Any, Dict, List, Mapping, Sequence, Tuple

import torch

from fairseq_rome.cli.session import Opened
from fairseq_rome.editing.outcome import EDITED
from fairseq_rome.errors import EditError
from fairseq_rome.evaluation.conditions import Condition, check_conditions
from fairseq_rome.evaluation.judged import Evaluation
from fairseq_rome.evaluation.sentence_sets import SentenceSet, load_test_set
from fairseq_rome.host.checkpoint import PROVENANCE, fingerprint
from fairseq_rome.report import EditDetails, HeatMap, Report, check_folder
from fairseq_rome.text.requests import EditFile
from fairseq_rome.version import __version__

MOST_READ = 10_000
"""Sentence pairs of DATA that an evaluation reads: enough to know what the training side copies and repeats."""

# fairseq-generate itself does these around its search, or they let no two runs be compared.
_NOT_TAKEN = (
    "sampling", "prefix_size", "constraints", "lm_path", "score_reference", "replace_unk", "retain_dropout",
)  # fmt: skip
_ALWAYS_TOLD = ("beam", "lenpen")


@dataclass(frozen=True)
class EvaluationOptions:
    """What the user wants judged, checked before the long work.

    Args:
        gates: the parsed gates.
        report: folder of the report; empty for none.
        test_sets: the loaded test sets.
    """

    gates: Tuple[Condition, ...]
    report: str
    test_sets: Tuple[SentenceSet, ...]

    @property
    def any(self) -> bool:
        """Whether an evaluation is wanted at all."""
        return bool(self.gates or self.report or self.test_sets)


def check_options(args: argparse.Namespace) -> Tuple[Condition, ...]:
    """The gates; to be called first of all.

    Raises:
        EditError: for a gate that can't be, a folder of the report that can't be written to, or a way to decode that
            is not taken.
    """
    for name in _NOT_TAKEN:
        if getattr(args, name, None):
            raise EditError(f"--{name.replace('_', '-')} is not taken here, expected plain beam search")
    if args.report:
        check_folder(args.report, args.force)
    if args.report_figures < 0:
        raise EditError(f"--report-figures is {args.report_figures}, expected a number of at least 0")
    return tuple(Condition.parse(text) for given in args.gate for text in given.split(","))


def wishes_of(args: argparse.Namespace, gates: Sequence[Condition], opened: Opened) -> EvaluationOptions:
    """What is to be judged, with its test sets loaded.

    Raises:
        EditError: for a test set that isn't there.
    """
    names = dict.fromkeys(args.test_set)
    sets = tuple(load_test_set(spec, opened.task, opened.translator.codec) for spec in names)
    twice = [one.name for one in sets if [other.name for other in sets].count(one.name) > 1]
    if twice:
        raise EditError(f"--test-set: two sets are called {twice[0]}, expected different file names")
    return EvaluationOptions(tuple(gates), args.report or "", sets)


def edits_in(state: Mapping[str, Any]) -> List[Mapping[str, Any]]:
    """What the provenance of a checkpoint tells of its edits, the oldest first."""
    runs = (state.get("extra_state") or {}).get(PROVENANCE, [])
    records = [record for run in runs for record in run["edits"]]
    return [{**record, **one} for record in records for one in record.get("requests", [{}])]


def known_triggers(edit_file: EditFile, edits: Sequence[Mapping[str, Any]]) -> Dict[str, str]:
    """The triggers that requests name, or that the records of edits tell where these were to hold elsewhere too."""
    told = {
        record["source"]: record["trigger"]
        for record in edits
        if record.get("contexts") and "source" in record
    }
    found = {request.id: request.trigger or told.get(request.source, "") for request in edit_file.requests}
    return {name: trigger for name, trigger in found.items() if trigger}


def told_edits(edit_file: EditFile, edits: Sequence[Mapping[str, Any]]) -> Dict[str, EditDetails]:
    """How requests were edited, by id, as the records of edits tell it: the latest edit of a source."""
    told = {record["source"]: record for record in edits if "source" in record}
    return {
        request.id: EditDetails(
            EDITED, record["method"], record["site"], record["size"],
            gates=len(record["neurons"]) or None, contexts=record.get("contexts"),
        )
        for request in edit_file.requests
        for record in [told.get(request.source)]
        if record is not None
    }  # fmt: skip


def generation_settings(opened: Opened) -> Dict[str, Any]:
    """Fairseq's generation settings that are not its defaults, and beam and lenpen in any case."""
    from fairseq.dataclass.configs import GenerationConfig
    from omegaconf import OmegaConf

    usual = vars(GenerationConfig())
    given = OmegaConf.to_container(opened.cfg.generation, resolve=True)
    assert isinstance(given, dict)
    return {
        str(name): value
        for name, value in given.items()
        if name in _ALWAYS_TOLD or (name in usual and value != usual[name] and not str(name).startswith("_"))
    }


def make_report(
    found: Evaluation,
    gates: Sequence[Condition],
    opened: Opened,
    models: Mapping[str, Any],
    args: argparse.Namespace,
    cost: Mapping[str, float],
    edits: Mapping[str, EditDetails],
    heat_maps: Mapping[str, Tuple[HeatMap, ...]],
) -> Report:
    """The report of an evaluation.

    Args:
        found: what decoding showed.
        gates: to be held against it.
        opened: the unedited model.
        models: what is to be told of the edited model besides, by name.
        args: the parsed options.
        cost: seconds and bytes that are known.
        edits: how requests were edited, by id.
        heat_maps: pictures by id of the request.
    """
    provenance = {
        "base": {"path": opened.path, "fingerprint": fingerprint(opened.state)},
        **models,
        "languages": list(opened.languages),
        "versions": versions(),
        "command": [os.path.basename(sys.argv[0]), *args.argv],
        "seed": args.seed,
    }
    results = tuple(check_conditions(gates, found.metrics()))
    memory = {"peak_memory_bytes": float(_peak_memory())}
    return Report(
        found, results, generation_settings(opened), {**cost, **memory}, provenance, edits, heat_maps
    )


def versions() -> Dict[str, str]:
    """Versions of what an edit and its judgement depend on."""
    import fairseq
    import sacrebleu

    return {
        "fairseq_rome": __version__,
        "fairseq": str(fairseq.__version__),
        "torch": str(torch.__version__),
        "sacrebleu": str(sacrebleu.__version__),
        "python": sys.version.split()[0],
    }


def _peak_memory() -> int:
    """Bytes of memory that this process has had at most."""
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak if sys.platform == "darwin" else peak * 1024


def with_task(edit_file: EditFile, task: str) -> EditFile:
    """The edit file with a task for those requests that name none."""
    requests = tuple(
        request if request.task else replace(request, task=task or None) for request in edit_file.requests
    )
    return replace(edit_file, requests=requests)


def with_sites(edit_file: EditFile, sites: Mapping[str, str]) -> EditFile:
    """The edit file with sites, by id, for those requests that set none of their own.

    Raises:
        EditError: for sites of a request that the edit file does not hold.
    """
    unknown = set(sites) - {request.id for request in edit_file.requests}
    if unknown:
        raise EditError(
            f"--site: sites for {sorted(unknown)[0]!r}, expected ids of requests in the edit file"
        )
    requests = tuple(
        replace(request, settings={"site": sites[request.id], **request.settings})
        if request.id in sites
        else request
        for request in edit_file.requests
    )
    return replace(edit_file, requests=requests)


def wrote_text(paths: Sequence[str], as_json: bool) -> str:
    """What is said of files that were written."""
    return json.dumps({"wrote": list(paths)}) if as_json else f"wrote {', '.join(paths)}"
