"""Writes what `fairseq-edit` did: the edited checkpoint, with its provenance, once a reload has shown every edit."""

from __future__ import annotations

import argparse
import os
from dataclasses import asdict
from typing import Any, Callable, Dict, Mapping, Optional, Tuple

import torch

from fairseq_rome.checkpoint import (
    edited_state,
    fingerprint,
    portable_state,
    read_state,
    stale_parts,
    write_state,
)
from fairseq_rome.cli.session import Opened, load_again, reopened
from fairseq_rome.decoding import Translator
from fairseq_rome.editing import EDITED, Outcome, Result
from fairseq_rome.patch import save_patches
from fairseq_rome.report import Report, write_card
from fairseq_rome.segments import Endings, holds
from fairseq_rome.settings import EditSettings
from fairseq_rome.version import __version__


class NotHeldError(Exception):
    """The reloaded file does not do what it should; nothing was written."""


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
        KeyboardInterrupt: whose text says so if it came when the file was in its place already.
    """
    base = load_again(opened, opened.state)
    portable = portable_state(base, opened.state, opened.path, opened.task, opened.overrides)
    if portable is None:
        note("this checkpoint's settings only load with --user-dir fairseq_rome where torch is 2.6 or newer")
    state = edited_state(
        portable or opened.state, outcome.weights, _provenance(args, outcome, settings, fingerprint(opened.state)),
        built=base.state_dict(), optimizer=not args.no_save_optimizer_state,
    )  # fmt: skip
    for part in stale_parts(state):
        note(f"{part} holds weights from before the edit")
    before = _identity(args.save_to)
    try:
        verify = _verifier(args, opened, outcome, judge)
        write_state(state, args.save_to, args.force, [args.path], verify=verify)
    except KeyboardInterrupt:
        if _identity(args.save_to) == before:
            raise
        raise KeyboardInterrupt(f"{args.save_to} was already written whole") from None


def write_patch(args: argparse.Namespace, opened: Opened, outcome: Outcome, settings: EditSettings) -> None:
    """Write the edits alone to `--save-patch`, in the order in which they were made."""
    patches = [result.patch for result in outcome.results if result.patch]
    info = _provenance(args, outcome, settings, fingerprint(opened.state))
    weights = dict(opened.translator.model.named_parameters())
    save_patches(args.save_patch, patches, weights, info, args.force)


def card_beside(checkpoint: str) -> str:
    """Where the card of a checkpoint goes."""
    return os.path.join(os.path.dirname(checkpoint), "edit_card.md")


def write_card_beside(checkpoint: str, report: Report, force: bool) -> str:
    """Write the card of a checkpoint beside it, and give its path."""
    path = card_beside(checkpoint)
    write_card(path, report, force)
    return path


def _identity(path: str) -> Optional[Tuple[int, int]]:
    try:
        found = os.stat(path)
    except OSError:
        return None
    return found.st_ino, found.st_mtime_ns


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
    args: argparse.Namespace, outcome: Outcome, settings: EditSettings, base: str
) -> Dict[str, Any]:
    return {
        "fairseq_rome": __version__,
        "torch": str(torch.__version__),
        "base": base,
        "settings": asdict(settings),
        "edits": [_edit_record(result, not args.no_text) for result in outcome.results if result.patch],
    }


def _edit_record(result: Result, text: bool) -> Dict[str, Any]:
    assert result.patch is not None
    record = {
        "id": result.request.id,
        "method": result.patch.method,
        "site": str(result.patch.site),
        "neurons": result.patch.neurons,
        "contexts": result.contexts + result.held_out,
        "parameters": result.patch.names,
        "size": result.size,
    }
    if text:
        record.update(source=result.request.source, target=result.request.target, trigger=result.trigger)
    return record
