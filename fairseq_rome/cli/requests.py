"""`fairseq-edit-requests`: edit files checked, mined from parallel text, and planted for trials."""

from __future__ import annotations

import json
import sys
from dataclasses import asdict
from typing import TYPE_CHECKING, List, Optional, Sequence

from fairseq_rome.cli.command import import_fairseq, run
from fairseq_rome.cli.interrupts import telling_if_written
from fairseq_rome.cli.requests_options import PROG, CheckCommand, MineCommand, PlantCommand, parse
from fairseq_rome.files import written_whole
from fairseq_rome.text.requests import EditRequest
from fairseq_rome.text.requests.records import to_fields

if TYPE_CHECKING:
    from fairseq_rome.text.requests.checking import Finding
    from fairseq_rome.workbench.specs import ModelSpec


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
    from fairseq_rome.text.requests.checking import ERROR, check_edit_file

    findings = check_edit_file(command.path, *command.languages)
    faults = sum(one.severity == ERROR for one in findings)
    if not faults and command.model is not None:
        findings += _asked(command, command.model)
        faults = sum(one.severity == ERROR for one in findings)
    for one in findings:
        print(json.dumps(asdict(one), ensure_ascii=False) if command.as_json else str(one))
    if not command.as_json:
        print(f"{command.path}: {faults} errors, {len(findings) - faults} warnings")
    return 1 if faults else 0


def _asked(command: CheckCommand, model: ModelSpec) -> List[Finding]:
    """What the dictionaries of a model have against an edit file that can be read."""
    from fairseq_rome.cases.spelling import misspelt
    from fairseq_rome.text.requests import read_edit_file
    from fairseq_rome.text.requests.checking import ERROR, Finding
    from fairseq_rome.workbench.opening import open_model

    edit_file = read_edit_file(command.path, *command.languages)
    found = []
    for request, message in misspelt(edit_file, open_model(model).translator.codec):
        path, _, line = request.origin.rpartition(":")
        found.append(Finding(path, int(line), message, ERROR))
    return found


def _mine(command: MineCommand) -> int:
    from fairseq_rome.host.checkpoint import check_output
    from fairseq_rome.workbench.inputs import input_files
    from fairseq_rome.workbench.opening import open_model
    from fairseq_rome.workbench.request_mining import mined_requests
    from fairseq_rome.workbench.workbench import Workbench

    check_output(command.out, command.force)
    bench = Workbench(open_model(command.model, command.progress))
    check_output(command.out, command.force, input_files(command.model, command.test_sets, bench.languages))
    requests = mined_requests(
        bench, command.task, command.test_sets, sentences=command.sentences, words=command.words,
        limit=command.limit, probes=command.probes, observe=lambda mined: print(mined, flush=True),
    )  # fmt: skip
    if not requests:
        print("found no requests, and nothing was written")
        return 0
    _write_requests(command.out, requests)
    print(f"wrote {command.out}: {len(requests)} requests")
    return 0


def _plant(command: PlantCommand) -> int:
    from fairseq_rome.host.checkpoint import check_output
    from fairseq_rome.text.planting import plant, read_pairs
    from fairseq_rome.text.segments import Endings

    inputs = [f"{command.pref}.{language}" for language in command.languages]
    for end in (*command.languages, "jsonl"):
        check_output(f"{command.out}.{end}", command.force, inputs)
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
