"""Writes what `fairseq-edit` did: the edited checkpoint, with its provenance, once a reload has shown every edit."""

from __future__ import annotations

import argparse
import os
from dataclasses import replace
from glob import escape, glob
from typing import Any, Callable, Dict, List, Mapping, Sequence

from fairseq_rome.cli.history import history
from fairseq_rome.cli.patch_folder import is_folder, write_folder
from fairseq_rome.cli.session import Opened, load_again, reopened
from fairseq_rome.editing.outcome import EDITED, Outcome, Result
from fairseq_rome.editing.settings import EditSettings
from fairseq_rome.host.checkpoint import (
    fingerprint,
    lost_parts,
    portable_state,
    read_state,
    stale_parts,
    write_state,
)
from fairseq_rome.host.decoding import Translator
from fairseq_rome.patch import Patch, patch_file, patch_paths, save_patches, with_patches
from fairseq_rome.report import Report, write_card
from fairseq_rome.text.requests import COMPANIONS
from fairseq_rome.text.segments import Endings, holds


class NotHeldError(Exception):
    """The reloaded file does not do what it should; nothing was written."""


_READ = (
    "path", "edit_pref", "edit_config", "site", "sentencepiece_model", "bpe_codes", "bpe_vocab", "gpt2_encoder_json",
    "gpt2_vocab_bpe",
)  # fmt: skip
_DATA = ("dict.*.txt", "*.bin", "*.idx")

Judge = Callable[[Translator, Mapping[str, Any]], None]
"""Takes the reloaded model and its state, and raises `NotHeldError` if they must not be written."""


def save(
    args: argparse.Namespace,
    opened: Opened,
    outcome: Outcome,
    settings: EditSettings,
    note: Callable[[str], None],
    judge: Judge = lambda translator, state: None,
) -> None:
    """Write the edited checkpoint to `--save-to`, whole and verified or not at all.

    Args:
        args: the parsed options.
        opened: the checkpoint that was edited.
        outcome: what the edit did.
        settings: of the edit.
        note: called with what else the user should know.
        judge: looks at the reloaded file before it takes its place.

    Raises:
        NotHeldError: if the reloaded file does not say what the edited model said, or `judge` refuses it.
        EditError: if the file can't be written.
    """
    base = load_again(opened, opened.state)
    portable = portable_state(base, opened.state, opened.path, opened.task, opened.overrides)
    if portable is None:
        note("this checkpoint's settings only load with --user-dir fairseq_rome where torch is 2.6 or newer")
    state = with_patches(
        portable or opened.state, told_patches(args, outcome), _provenance(args, opened, outcome, settings),
        built=base.state_dict(), optimizer=not args.no_save_optimizer_state,
    )  # fmt: skip
    for part in stale_parts(state):
        note(f"{part} holds weights from before the edit")
    for part in () if args.no_save_optimizer_state else lost_parts(opened.state, state):
        note(f"{part} is left out: the layers have grown since")
    verify = _verifier(args, opened, outcome, judge)
    write_state(state, args.save_to, args.force, inputs_of(args, opened.languages), verify=verify)


def write_patch(args: argparse.Namespace, opened: Opened, outcome: Outcome, settings: EditSettings) -> None:
    """Write the edits alone to `--save-patch`, in the order in which they were made; to a folder one by one."""
    info = _provenance(args, opened, outcome, settings)
    patches = told_patches(args, outcome)
    others = [*inputs_of(args, opened.languages), args.save_to]
    if is_folder(args.save_patch):
        write_folder(args.save_patch, patches, opened.state, info, args.force, others)
    else:
        save_patches(args.save_patch, patch_file(patches, opened.state, info), args.force, others)


def inputs_of(args: argparse.Namespace, languages: Sequence[str]) -> List[str]:
    """The files that a run reads: checkpoint, patches, requests, test sets, settings, subword model, data.

    Args:
        args: the parsed options.
        languages: of source and target, as far as they are known: parallel text is named without them.
    """
    named = [value for value in (getattr(args, name, None) for name in _READ) if isinstance(value, str)]
    sides = [
        f"{prefix}.{part}{language}"
        for prefix in (args.edit_pref, *args.test_set)
        for part in ("", *COMPANIONS)
        for language in languages
    ]
    data = [
        path
        for folder in args.data.split(os.pathsep)
        for pattern in _DATA
        for path in glob(os.path.join(escape(folder), pattern))
    ]
    paths = [*named, *patch_paths(args.edit_patches), *sides, *data]
    return [path for path in paths if os.path.isfile(path)]


def told_patches(args: argparse.Namespace, outcome: Outcome) -> List[Patch]:
    """The edits in order, each with what is told about its request, or its requests."""
    served: Dict[int, List[Result]] = {}
    for result in outcome.results:
        if result.patch is not None:
            served.setdefault(id(result.patch), []).append(result)
    return [replace(patch, about=_about(served[id(patch)], not args.no_text)) for patch in outcome.patches]


def card_beside(checkpoint: str) -> str:
    """Where the card of a checkpoint goes."""
    return os.path.join(os.path.dirname(checkpoint), "edit_card.md")


def write_card_beside(checkpoint: str, report: Report, force: bool) -> str:
    """Write the card of a checkpoint beside it, and give its path."""
    path = card_beside(checkpoint)
    write_card(path, report, force)
    return path


def _verifier(
    args: argparse.Namespace, opened: Opened, outcome: Outcome, judge: Judge
) -> Callable[[str], None]:
    """Checks a file as a later user would meet it: reloads it, in half precision under `--fp16`, and decodes."""
    edited = [result for result in outcome.results if result.status == EDITED]
    endings = Endings.of(*opened.languages).target

    def verify(path: str) -> None:
        state = read_state(path, trust=args.trust_checkpoint)
        translator = reopened(opened, state, args)
        for result, now in zip(edited, translator.translate([result.request.source for result in edited])):
            if result.difference and not holds(now.text, result.request.target, result.difference, endings):
                raise NotHeldError(
                    f"request {result.request.id} failed: the reloaded checkpoint says {now.text!r}, not what the "
                    "edited model said in memory; nothing was written"
                )
        judge(translator, state)

    return verify


def _provenance(
    args: argparse.Namespace, opened: Opened, outcome: Outcome, settings: EditSettings
) -> Dict[str, Any]:
    patches = told_patches(args, outcome)
    return {**history(patches), "base": fingerprint(opened.state), "settings": settings.as_plain()}


def _about(results: Sequence[Result], text: bool) -> Dict[str, Any]:
    told = [_about_one(result, text) for result in results]
    if len(told) == 1:
        return told[0]
    return {"id": f"{told[0]['id']} and {len(told) - 1} more", "size": told[0]["size"], "requests": told}


def _about_one(result: Result, text: bool) -> Dict[str, Any]:
    about = {"id": result.request.id, "contexts": result.contexts + result.held_out, "size": result.size}
    if text:
        about.update(source=result.request.source, target=result.request.target, trigger=result.trigger)
    return about
