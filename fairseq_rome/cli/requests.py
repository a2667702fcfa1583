"""`fairseq-edit-requests`: edit files checked, mined from parallel text, and planted for trials."""

from __future__ import annotations

import json
import sys
from typing import Dict, Optional, Sequence

from fairseq_rome.cli.command import import_fairseq, run
from fairseq_rome.cli.interrupts import telling_if_written
from fairseq_rome.cli.requests_options import PROG, CheckCommand, MineCommand, PlantCommand, parse
from fairseq_rome.errors import EditError
from fairseq_rome.files import written_whole
from fairseq_rome.text.requests import EditRequest
from fairseq_rome.text.requests.records import to_fields


def main(argv: Optional[Sequence[str]] = None) -> int:
    """Run the command.

    Args:
        argv: arguments; those of the process if None.

    Returns:
        Exit status: 0 done, 1 the edit file has faults, 2 something the user can put right.

    Raises:
        SystemExit: after printing the help.
    """
    return run(PROG, _parse_and_run, argv)


def _parse_and_run(argv: Sequence[str]) -> int:
    command = parse(argv, import_fairseq)
    if isinstance(command, CheckCommand):
        return _check(command)
    with telling_if_written(command.out if isinstance(command, MineCommand) else f"{command.out}.jsonl"):
        return _mine(command) if isinstance(command, MineCommand) else _plant(command)


def _check(command: CheckCommand) -> int:
    from fairseq_rome.text.requests import read_edit_file
    from fairseq_rome.text.requests.checking import ERROR, check_edit_file

    findings = check_edit_file(command.path, *command.languages)
    faults = sum(one.severity == ERROR for one in findings)
    for one in findings:
        told = {"path": one.path, "line": one.line, "severity": one.severity, "message": one.message}
        print(json.dumps(told, ensure_ascii=False) if command.as_json else str(one))
    if not faults and command.model is not None:
        from fairseq_rome.workbench.opening import open_model
        from fairseq_rome.workbench.workbench import Workbench

        bench = Workbench(open_model(command.model))
        edit_file = read_edit_file(command.path, *command.languages)
        try:
            bench.check_requests(edit_file)
        except EditError as error:
            print(json.dumps({"severity": ERROR, "message": str(error)}) if command.as_json else f"error: {error}")
            faults += 1
    if not command.as_json:
        warnings = sum(one.severity != ERROR for one in findings)
        print(f"{command.path}: {faults} errors, {warnings} warnings")
    return 1 if faults else 0


def _mine(command: MineCommand) -> int:
    from fairseq_rome.cases.mining import mine, with_probes
    from fairseq_rome.host.checkpoint import check_output
    from fairseq_rome.text.segments import Endings
    from fairseq_rome.workbench.evaluating import load_test_sets
    from fairseq_rome.workbench.inputs import input_files
    from fairseq_rome.workbench.opening import open_model
    from fairseq_rome.workbench.workbench import Workbench

    check_output(command.out, command.force)
    bench = Workbench(open_model(command.model, command.progress))
    check_output(
        command.out, command.force, input_files(command.model, command.test_sets, bench.languages)
    )
    translator, corpus, most = bench.model.translator, bench.background(), command.sentences
    sets = load_test_sets(command.test_sets, translator.codec)
    judging = {source for one in sets for source in one.sources[:most]}
    found: Dict[str, EditRequest] = {}
    with bench.prepared():
        for one in sets:
            pairs = list(zip(one.sources[:most], one.references or ()))
            mined = mine(
                translator, one.name, pairs, one.tokens[:most], command.task, bench.languages, corpus, command.words
            )
            for each in mined:
                request = each.request
                # A source can have one target only.
                if request.source in found or len(found) == command.limit:
                    continue
                print(each, flush=True)
                if command.probes:
                    endings = Endings.of(*bench.languages)
                    request = with_probes(translator, each, corpus, endings, command.probes, judging)
                found[request.source] = request
    _write_requests(command.out, list(found.values()))
    print(f"wrote {command.out}: {len(found)} requests")
    return 0


def _plant(command: PlantCommand) -> int:
    from fairseq_rome.text.planting import plant, read_pairs
    from fairseq_rome.text.segments import Endings

    pairs = read_pairs(command.pref, *command.languages)
    planted = plant(pairs, command.fault, Endings.of(*command.languages), command.seed)
    for side, language in enumerate(command.languages):
        _write(f"{command.out}.{language}", "".join(f"{pair[side]}\n" for pair in planted.pairs))
    _write_requests(f"{command.out}.jsonl", [planted.request])
    print(f"wrote {command.out}.*: {len(planted.pairs)} pairs, {len(planted.request.probes) + 1} held out")
    return 0


def _write_requests(path: str, requests: Sequence[EditRequest]) -> None:
    _write(path, "".join(json.dumps(to_fields(one), ensure_ascii=False) + "\n" for one in requests))


def _write(path: str, text: str) -> None:
    with written_whole(path) as temporary, open(temporary, "w", encoding="utf-8") as file:
        file.write(text)


def cli_main() -> None:
    """Entry point of the console script."""
    sys.exit(main())


if __name__ == "__main__":
    cli_main()
