"""`fairseq-edit-requests`: edit files checked, mined, exported from a queue, and planted for trials."""

from __future__ import annotations

import json
import sys
from dataclasses import asdict
from typing import TYPE_CHECKING, List, Sequence

from fairseq_rome.cli.command import command, import_fairseq
from fairseq_rome.cli.interrupts import telling_if_written
from fairseq_rome.cli.requests_options import (
    PROG,
    CheckCommand,
    ExportCommand,
    MineCommand,
    PlantCommand,
    parse,
)
from fairseq_rome.files import written_whole
from fairseq_rome.text.requests import EditRequest
from fairseq_rome.text.requests.records import to_fields

if TYPE_CHECKING:
    from fairseq_rome.text.requests.checking import Finding
    from fairseq_rome.workbench.specs import ModelSpec

_NOTHING = "found no requests, and nothing was written"


def _parse_and_run(argv: Sequence[str]) -> int:
    asked = parse(argv, import_fairseq)
    if isinstance(asked, CheckCommand):
        return _check(asked)
    if isinstance(asked, ExportCommand):
        return _export(asked)
    with telling_if_written(asked.out if isinstance(asked, MineCommand) else f"{asked.out}.jsonl"):
        return _mine(asked) if isinstance(asked, MineCommand) else _plant(asked)


def _check(asked: CheckCommand) -> int:
    from fairseq_rome.text.requests.checking import ERROR, check_edit_file

    findings = check_edit_file(asked.path, *asked.languages, asked.markup)
    faults = sum(one.severity == ERROR for one in findings)
    if not faults and asked.model is not None:
        findings += _of_model(asked, asked.model)
        faults = sum(one.severity == ERROR for one in findings)
    for one in findings:
        print(json.dumps(asdict(one), ensure_ascii=False) if asked.as_json else str(one))
    if not asked.as_json:
        print(f"{asked.path}: {faults} errors, {len(findings) - faults} warnings")
    return 1 if faults else 0


def _of_model(asked: CheckCommand, model: ModelSpec) -> List[Finding]:
    """What the dictionaries of a model have against an edit file that can be read."""
    from fairseq_rome.cases.spelling import SOURCE, TARGET, Spelling
    from fairseq_rome.text.requests import read_edit_file
    from fairseq_rome.text.requests.checking import ERROR, WARNING, Finding
    from fairseq_rome.workbench.opening import open_model

    edit_file = read_edit_file(asked.path, *asked.languages, asked.markup)
    codec = open_model(model).translator.codec
    found = []
    for side, severity in ((SOURCE, WARNING), (TARGET, ERROR)):
        spelling = Spelling(edit_file, codec, side)
        for request, symbols in spelling.misspelt:
            path, _, line = request.origin.rpartition(":")
            found.append(Finding(path, int(line), spelling.message(symbols), severity))
        if spelling.question:
            told = f"words are not in the {side} dictionary; {spelling.question}"
            found.append(Finding(asked.path, None, told, severity))
    return sorted(found, key=lambda one: (one.path, one.line or 0))


def _mine(asked: MineCommand) -> int:
    from fairseq_rome.cli.joining import joined
    from fairseq_rome.host.checkpoint import check_output
    from fairseq_rome.workbench.inputs import input_files
    from fairseq_rome.workbench.opening import open_model
    from fairseq_rome.workbench.request_mining import mined_requests
    from fairseq_rome.workbench.workbench import Workbench

    check_output(asked.out, asked.force)
    with joined(asked.model, asked.progress) as (ranks, progress):
        bench = Workbench(open_model(asked.model, progress, ranks))
        check_output(asked.out, asked.force, input_files(asked.model, asked.test_sets, bench.languages))
        requests = mined_requests(
            bench, asked.task, asked.test_sets, sentences=asked.sentences, words=asked.words,
            limit=asked.limit, probes=asked.probes,
            observe=(lambda mined: print(mined, flush=True)) if ranks.first else (lambda mined: None),
        )  # fmt: skip
        if ranks.first:
            if requests:
                _write_requests(asked.out, requests)
            print(f"wrote {asked.out}: {len(requests)} requests" if requests else _NOTHING)
    return 0


def _plant(asked: PlantCommand) -> int:
    from fairseq_rome.host.checkpoint import check_output
    from fairseq_rome.text.planting import plant, read_pairs
    from fairseq_rome.text.segments import Endings

    inputs = [f"{asked.pref}.{language}" for language in asked.languages]
    for end in (*asked.languages, "jsonl"):
        check_output(f"{asked.out}.{end}", asked.force, inputs)
    pairs = read_pairs(asked.pref, *asked.languages)
    planted = plant(pairs, asked.fault, Endings.of(*asked.languages), asked.seed)
    for side, language in enumerate(asked.languages):
        _write(f"{asked.out}.{language}", "".join(f"{pair[side]}\n" for pair in planted.pairs))
    _write_requests(f"{asked.out}.jsonl", [planted.request])
    print(f"wrote {asked.out}.*: {len(planted.pairs)} pairs, {len(planted.request.probes) + 1} held out")
    return 0


def _export(asked: ExportCommand) -> int:
    from fairseq_rome.host.checkpoint import check_output
    from fairseq_rome.server.queue_requests import proven_fixes

    check_output(asked.out, asked.force, [asked.queue])
    found = proven_fixes(asked.queue)
    requests = found.given.edit_file.requests
    _write_requests(asked.out, requests)
    print(f"wrote {asked.out}: {len(requests)} requests of {len(found.fixes)} fixes")
    return 0


def _write_requests(path: str, requests: Sequence[EditRequest]) -> None:
    _write(path, "".join(json.dumps(to_fields(one), ensure_ascii=False) + "\n" for one in requests))


def _write(path: str, text: str) -> None:
    with written_whole(path) as temporary, open(temporary, "w", encoding="utf-8") as file:
        file.write(text)


main = command(PROG, _parse_and_run)

if __name__ == "__main__":
    sys.exit(main())
