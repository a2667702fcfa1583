"""`fairseq-edit-patch`: patches looked at, put into checkpoints, taken out of them, joined, and found by comparing."""

from __future__ import annotations

import argparse
import json
import sys
from typing import Any, Collection, Mapping, Optional, Sequence, Set

from fairseq_rome.cli.command import import_fairseq, naming, run
from fairseq_rome.cli.interrupts import telling_if_written
from fairseq_rome.cli.patch_options import PROG, own_parser
from fairseq_rome.errors import EditError

_MOST_NAMED, _MOST_TOLD = 5, 20


def main(argv: Optional[Sequence[str]] = None) -> int:
    """Run the command.

    Args:
        argv: arguments; those of the process if None.

    Returns:
        Exit status: 0 done, 1 a difference that no patch can tell, 2 something the user can put right.

    Raises:
        SystemExit: after printing the help.
    """
    return run(PROG, _parse_and_run, argv)


def _parse_and_run(argv: Optional[Sequence[str]]) -> int:
    args = own_parser().parse_args(argv)
    import_fairseq()
    if args.command == "show":
        return _show(args)
    commands = {"apply": _apply, "revert": _revert, "merge": _merge, "diff": _diff}
    with telling_if_written(args.save_to):
        return commands[args.command](args)


def _show(args: argparse.Namespace) -> int:
    from fairseq_rome.cli.patch_showing import file_record, file_text

    for path in args.files:
        with naming(path):
            record = file_record(path, args.trust_checkpoint)
        print(json.dumps(record, ensure_ascii=False) if args.json else file_text(record))
    return 0


def _apply(args: argparse.Namespace) -> int:
    from fairseq_rome.cli.history import with_patch_files
    from fairseq_rome.cli.patch_showing import summary
    from fairseq_rome.host.checkpoint import PROVENANCE, check_output, read_state

    check_output(args.save_to, args.force, [args.base, *args.patches])
    state = read_state(args.base, trust=args.trust_checkpoint)
    new, patches = with_patch_files(args.base, state, args.patches)
    before = new["extra_state"][PROVENANCE][-1]["base"]
    after = _write(state, new, args, [args.base, *args.patches])
    for patch in patches:
        print(f"applied {summary(patch)}")
    print(f"wrote {args.save_to}: its weights are {after}, those of {args.base} {before}")
    return 0


def _revert(args: argparse.Namespace) -> int:
    from fairseq_rome.cli.history import history
    from fairseq_rome.cli.patch_showing import summary
    from fairseq_rome.host.checkpoint import check_output, fingerprint, read_state
    from fairseq_rome.patch import read_stack, without_patches

    check_output(args.save_to, args.force, [args.edited, *args.patches])
    state = read_state(args.edited, trust=args.trust_checkpoint)
    with naming(args.edited):
        stack = read_stack(state)
    taken_out = _chosen(args, stack.patches)
    rest = [patch for patch in stack.patches if patch.fingerprint not in taken_out]
    told = {**history(()), "base": fingerprint(state), "taken_out": sorted(taken_out)}
    with naming(args.edited):
        new = without_patches(state, taken_out, told)
    after = _write(state, new, args, [args.edited, *args.patches])
    for patch in stack.patches:
        if patch.fingerprint in taken_out:
            print(f"took out {summary(patch)}")
    _tell_standing_on(stack.patches, taken_out)
    print(f"wrote {args.save_to}: its weights are {after}, bit for bit {_what_it_is(len(rest))}")
    return 0


def _merge(args: argparse.Namespace) -> int:
    from fairseq_rome.cli.patch_showing import summary
    from fairseq_rome.host.checkpoint import check_output
    from fairseq_rome.patch import load_patches, merged, save_patches

    check_output(args.save_to, args.force, args.patches)
    file = merged([(path, load_patches(path)) for path in args.patches])
    save_patches(args.save_to, file, args.force, args.patches)
    for patch in file.patches:
        print(f"kept {summary(patch)}")
    print(f"wrote {args.save_to}: {len(file.patches)} in one file")
    return 0


def _diff(args: argparse.Namespace) -> int:
    from fairseq_rome.cli.history import history
    from fairseq_rome.cli.patch_showing import summary
    from fairseq_rome.host.checkpoint import check_output, fingerprint, read_state
    from fairseq_rome.patch import compare, patch_file, read_stack, save_patches

    inputs = [args.first, args.second]
    check_output(args.save_to, args.force, inputs)
    first, second = (read_state(path, trust=args.trust_checkpoint) for path in (args.first, args.second))
    for path, state in ((args.first, first), (args.second, second)):
        with naming(path):
            read_stack(state)
    found = compare(first, second)
    for reason in found.reasons[:_MOST_TOLD]:
        print(reason)
    if len(found.reasons) > _MOST_TOLD:
        print(f"... and {len(found.reasons) - _MOST_TOLD:,} more")
    if not found.patches:
        alike = not found.reasons
        how = "have the same weights" if alike else "differ in more than a patch tells"
        print(f"{args.first} and {args.second} {how}: nothing was written")
        return 0 if alike else 1
    info = {**history(found.patches), "base": fingerprint(first), "made": fingerprint(second)}
    save_patches(args.save_to, patch_file(found.patches, first, info), args.force, inputs)
    for patch in found.patches:
        print(f"found {summary(patch)}")
    near = f"but for {found.off:,} numbers, by at most {found.ulps:.3g} units in the last place"
    print(
        f"wrote {args.save_to}: {args.first} with it is {args.second} {near if found.off else 'bit for bit'}"
    )
    return 0


def _write(
    old: Mapping[str, Any], new: Mapping[str, Any], args: argparse.Namespace, inputs: Sequence[str]
) -> str:
    """Write a checkpoint that was another before, once it reads back the same; gives the fingerprint of its weights."""
    from fairseq_rome.host.checkpoint import (
        fingerprint,
        is_portable,
        lost_parts,
        read_state,
        stale_parts,
        write_state,
    )

    wanted = fingerprint(new)

    def verify(path: str) -> None:
        if fingerprint(read_state(path, trust=args.trust_checkpoint)) != wanted:
            raise EditError(f"{args.save_to}: does not read back as it was written; nothing was written")

    write_state(new, args.save_to, args.force, inputs, verify=verify)
    for part in stale_parts(new):
        print(f"{part} stays as it is, with weights from before")
    if not is_portable(new):
        print(f"{args.save_to} opens with --user-dir fairseq_rome where torch is 2.6 or newer, as what it was made of")
    for part in lost_parts(old, new):
        print(f"{part} is left out: it is of other shapes")
    return wanted


def _chosen(args: argparse.Namespace, patches: Sequence[Any]) -> Collection[str]:
    """Fingerprints of the patches to take out.

    Raises:
        EditError: if the checkpoint lacks one that is asked for, or none is.
    """
    from fairseq_rome.patch import load_patches, told

    if not patches:
        raise EditError(f"{args.edited}: holds no patches, expected an edited checkpoint")
    if args.all and (args.patches or args.id):
        raise EditError("--all takes out every patch: expected no patch files and no --id with it")
    there = [patch.fingerprint for patch in patches]
    chosen = set(there if args.all else ())
    for path in args.patches:
        for patch in load_patches(path).patches:
            if patch.fingerprint not in there:
                raise EditError(
                    f"{path}: {args.edited} has no edit of {told(patch)} from it, expected one that has"
                )
            chosen.add(patch.fingerprint)
    chosen.update(_named(args.edited, patches, name) for name in args.id)
    if not chosen:
        raise EditError("nothing to take out: expected patch files, --id or --all")
    return chosen


def _named(path: str, patches: Sequence[Any], name: str) -> str:
    """The fingerprint of the patch of a checkpoint that a request, or the start of a hash, names.

    Raises:
        EditError: if it is none, or several.
    """
    from fairseq_rome.cli.patch_showing import SHORT, request_ids, summary

    found = [
        patch
        for patch in patches
        if name in request_ids(patch) or (len(name) >= SHORT and patch.fingerprint.startswith(name))
    ]
    if not found:
        raise EditError(
            f"--id {name}: {path} has no patch of that name, expected one of {_known(patches)}, or {SHORT} letters of "
            "a hash"
        )
    if len(found) > 1:
        alike = " or ".join(f"{patch.fingerprint[:SHORT]} ({summary(patch)})" for patch in found)
        raise EditError(f"--id {name}: {path} has {len(found)} patches of that name, expected {alike}")
    return str(found[0].fingerprint)


def _known(patches: Sequence[Any]) -> str:
    """The first patches by the names that tell them apart."""
    from fairseq_rome.cli.patch_showing import SHORT, request_ids

    names = [name for patch in patches for name in (request_ids(patch) or [patch.fingerprint[:SHORT]])]
    if len(set(names)) < len(names):
        names = [patch.fingerprint[:SHORT] for patch in patches]
    more = f" and {len(names) - _MOST_NAMED} more" if len(names) > _MOST_NAMED else ""
    return ", ".join(names[:_MOST_NAMED]) + more


def _tell_standing_on(patches: Sequence[Any], taken_out: Collection[str]) -> None:
    """Say how many low-rank patches stay that were computed with one in place that is taken out."""
    touched: Set[str] = set()
    count = 0
    for patch in patches:
        if patch.fingerprint in taken_out:
            touched.update(patch.names)
        elif touched.intersection(patch.added_to):
            count += 1
    if count:
        verb, rest = (
            ("patch was", "it stays as it is") if count == 1 else ("patches were", "they stay as they are")
        )
        print(f"{count} later low-rank {verb} computed on top of what was taken out; {rest}")


def _what_it_is(rest: int) -> str:
    if not rest:
        return "those of the unedited checkpoint"
    patches = "one remaining patch makes" if rest == 1 else f"{rest} remaining patches make"
    return f"what the {patches} of the unedited ones"


def cli_main() -> None:
    """Entry point of the console script."""
    sys.exit(main())


if __name__ == "__main__":
    cli_main()
