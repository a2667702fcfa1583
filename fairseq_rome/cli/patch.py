"""`fairseq-edit-patch`: patches looked at, put into checkpoints, taken out of them, joined, and found by comparing."""

from __future__ import annotations

import sys
from dataclasses import asdict
from typing import Any, Mapping, Sequence

from fairseq_rome.cli.command import command, import_fairseq
from fairseq_rome.cli.interrupts import telling_if_written
from fairseq_rome.cli.patch_options import PROG, PatchCommand, parse

_MOST_TOLD = 20
_TEXTS = ("source", "target", "trigger")


def _parse_and_run(argv: Sequence[str]) -> int:
    asked = parse(argv, import_fairseq)
    commands = {"show": _show, "apply": _apply, "revert": _revert, "merge": _merge, "diff": _diff, "try": _try}
    with telling_if_written(asked.output.path):
        return commands[asked.name](asked)


def _show(asked: PatchCommand) -> int:
    from fairseq_rome.cli.printers import as_json
    from fairseq_rome.errors import naming
    from fairseq_rome.workbench.patch_records import file_record

    for path in asked.files:
        with naming(path):
            record = file_record(path, asked.output.trust)
        print(as_json(record) if asked.as_json else file_text(record))
    return 0


def _apply(asked: PatchCommand) -> int:
    from fairseq_rome.workbench.patch_records import summary
    from fairseq_rome.workbench.patching import apply_files

    base, *patches = asked.files
    done = apply_files(base, patches, asked.output)
    for line in (*done.notes, *(f"applied {summary(patch)}" for patch in done.patches)):
        print(line)
    print(f"wrote {asked.output.path}: its weights are {done.after}, those of {base} {done.before}")
    return 0


def _revert(asked: PatchCommand) -> int:
    from fairseq_rome.workbench.patch_records import summary
    from fairseq_rome.workbench.patching import revert_file

    edited, *patches = asked.files
    done = revert_file(edited, patches, asked.ids, asked.everything, asked.output)
    for line in (*done.notes, *(f"took out {summary(patch)}" for patch in done.patches)):
        print(line)
    if done.standing_on:
        one = done.standing_on == 1
        verb, rest = ("patch was", "it stays as it is") if one else ("patches were", "they stay as they are")
        print(f"{done.standing_on} later low-rank {verb} computed on top of what was taken out; {rest}")
    print(f"wrote {asked.output.path}: its weights are {done.after}, bit for bit {_what_it_is(done.rest)}")
    return 0


def _merge(asked: PatchCommand) -> int:
    from fairseq_rome.workbench.patch_records import summary
    from fairseq_rome.workbench.patching import merge_files

    patches = merge_files(asked.files, asked.output)
    for patch in patches:
        print(f"kept {summary(patch)}")
    print(f"wrote {asked.output.path}: {len(patches)} in one file")
    return 0


def _diff(asked: PatchCommand) -> int:
    from fairseq_rome.workbench.patch_records import summary
    from fairseq_rome.workbench.patching import diff_files

    first, second = asked.files
    found = diff_files(first, second, asked.output)
    for reason in found.reasons[:_MOST_TOLD]:
        print(reason)
    if len(found.reasons) > _MOST_TOLD:
        print(f"... and {len(found.reasons) - _MOST_TOLD:,} more")
    if not found.patches:
        alike = not found.reasons
        how = "have the same weights" if alike else "differ in more than a patch tells"
        print(f"{first} and {second} {how}: nothing was written")
        return 0 if alike else 1
    for patch in found.patches:
        print(f"found {summary(patch)}")
    near = f"but for {found.off:,} numbers, by at most {found.ulps:.3g} units in the last place"
    print(f"wrote {asked.output.path}: {first} with it is {second} {near if found.off else 'bit for bit'}")
    return 0


def _try(asked: PatchCommand) -> int:
    from fairseq_rome.cli.printers import as_json
    from fairseq_rome.workbench.rule_trial import try_rules

    trial = try_rules(*asked.files)
    for change in trial.changes:
        if asked.as_json:
            print(as_json(change._asdict()))
            continue
        print(f"line {change.line}, rule {', '.join(map(str, change.rules))}")
        for name, text in (("source", change.source), ("before", change.before), ("after", change.after)):
            print(f"  {name:8}{text}")
    for number, rule in enumerate(trial.rules, start=1):
        if asked.as_json:
            print(as_json({"rule": number, **asdict(rule), "changes": trial.count(number)}))
        else:
            of = f" ({rule.id})" if rule.id else ""
            count = f"{trial.count(number)} of {trial.sentences} change"
            print(f"rule {number}{of}: {rule.find} -> {rule.replace}: {count}")
    return 0


def _what_it_is(rest: int) -> str:
    if not rest:
        return "those of the unedited checkpoint"
    patches = "one remaining patch makes" if rest == 1 else f"{rest} remaining patches make"
    return f"what the {patches} of the unedited ones"


def file_text(record: Mapping[str, Any]) -> str:
    """What `file_record` tells, as lines for a person."""
    patches = record["patches"]
    count = f"{len(patches)} patch" + ("" if len(patches) == 1 else "es")
    blocks = [f"{record['file']}: {record['kind']}, {count}"]
    for name, number in record.get("after", {}).items():
        blocks.append(f"  made on top of {number} other patch{'' if number == 1 else 'es'} of {name}")
    return "\n".join([*blocks, *map(_patch_text, patches)])


def _patch_text(record: Mapping[str, Any]) -> str:
    from fairseq_rome.workbench.patch_records import SHORT, parts_text

    lines = [f"patch {record['patch'][:SHORT]}"]
    for request in record["requests"]:
        direction = f" ({'-'.join(request['languages'])})" if "languages" in request else ""
        lines.append(f"  request {request.get('id', 'without a name')}{direction}")
        lines += [f"  {name:8}{request[name]}" for name in _TEXTS if request.get(name)]
    lines.append(f"  edit    {record['method']} at {record['site']}, {parts_text(record)}")
    for name, weight in record["weights"].items():
        shape = " x ".join(map(str, weight["shape"]))
        lines.append(f"  base    {name}: {weight['dtype']}, {shape}, {weight['sha256'][:SHORT]}...")
    if record["versions"]:
        lines.append(
            f"  made by {', '.join(f'{name} {value}' for name, value in record['versions'].items())}"
        )
    return "\n".join(lines)


main = command(PROG, _parse_and_run)

if __name__ == "__main__":
    sys.exit(main())
