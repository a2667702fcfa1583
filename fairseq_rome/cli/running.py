"""Runs the requests of `fairseq-edit`: with the journal that an interrupted run left, and what is said on the way."""

from __future__ import annotations

import argparse
from typing import Any, Dict, Iterator, Tuple

import torch
from omegaconf import OmegaConf

from fairseq_rome.cli.printing import Printer
from fairseq_rome.cli.session import Opened, cache_folder
from fairseq_rome.editing.guards import watched
from fairseq_rome.editing.journal import Journal
from fairseq_rome.editing.outcome import Outcome
from fairseq_rome.editing.run import edit
from fairseq_rome.editing.settings import EditSettings
from fairseq_rome.editing.surroundings import Surroundings
from fairseq_rome.host.checkpoint import fingerprint
from fairseq_rome.host.corpus import Corpus, validation_pairs
from fairseq_rome.methods.registry import method_named
from fairseq_rome.patch import read_stack
from fairseq_rome.text.requests import EditFile
from fairseq_rome.text.segments import Endings
from fairseq_rome.version import __version__

# A run of so few requests keeps no journal.
_SOON_DONE_AGAIN = 8


def run_requests(
    args: argparse.Namespace,
    opened: Opened,
    edit_file: EditFile,
    corpus: Corpus,
    settings: EditSettings,
    say: Printer,
) -> Tuple[Outcome, Journal]:
    """The outcome of all requests, printed, and the journal to remove once it is written, or there is nothing to write.

    Args:
        args: the parsed options.
        opened: the checkpoint; its model is left as it was.
        edit_file: the requests.
        corpus: background sentences.
        settings: of the run.
        say: how things are said.

    Raises:
        KeyboardInterrupt: whose text says what is kept.
        EditError: as for `edit`.
    """
    journal = Journal(args.save_to, _described(args, opened, edit_file, corpus, settings))
    kept = not method_named(settings.method).together and len(edit_file.requests) > _SOON_DONE_AGAIN
    if journal.done:
        print(say.note(f"going on after {_done(journal)} that an interrupted run has done"), flush=True)
    surroundings = Surroundings(
        corpus,
        Endings.of(*opened.languages),
        validation_pairs(opened.task, corpus) if watched(settings, len(edit_file.requests)) else (),
        cache_folder(args, opened.overrides),
        read_stack(opened.state).patches,
        journal if kept else None,
    )
    try:
        outcome = edit(opened.translator, edit_file, settings, surroundings)
    except KeyboardInterrupt:
        raise KeyboardInterrupt(kept_by(journal)) from None
    for line in _lines(outcome, say, settings.widen):
        print(line, flush=True)
    return outcome, journal


def _lines(outcome: Outcome, say: Printer, widen: bool) -> Iterator[str]:
    """All that is said of an outcome."""
    yield from map(say.result, outcome.results)
    yield say.others("other sentences", outcome.sample)
    if outcome.keep.sources:
        yield say.others("sentences to keep", outcome.keep)
    yield from map(say.check, outcome.checks)
    for site, (left, total) in {} if widen else outcome.room.items():
        yield say.room(site, left, total)
    yield say.verdict(outcome)


def kept_by(journal: Journal) -> str:
    """What is said where nothing was written of what a journal holds."""
    if not journal.done:
        return "nothing was written"
    verb = "is" if journal.done == 1 else "are"
    return f"{_done(journal)} {verb} done, and kept in {journal.folder}: the same command goes on from there"


def _done(journal: Journal) -> str:
    return f"{journal.done} {'request' if journal.done == 1 else 'requests'}"


def _described(
    args: argparse.Namespace, opened: Opened, edit_file: EditFile, corpus: Corpus, settings: EditSettings
) -> Dict[str, Any]:
    """All that the results of the requests depend on."""
    generation = OmegaConf.to_container(opened.cfg.generation, resolve=True)
    codec = opened.translator.codec
    targets = [codec.target(request.target) for request in edit_file.requests]
    return {
        "version": __version__,
        "weights": fingerprint(opened.state),
        "overrides": repr(opened.overrides),
        "torch": [str(torch.__version__), str(opened.translator.batcher.device)],
        "data": [corpus.subset, corpus.fingerprint],
        "languages": list(opened.languages),
        "requests": [repr(request) for request in edit_file.requests],
        # The same text is other tokens with another subword model or tokenizer, and these other text.
        "sources": [codec.source(request.source).tolist() for request in edit_file.requests],
        "targets": [[target.tolist(), codec.target_text(target)] for target in targets],
        "keep": list(edit_file.keep),
        "settings": settings.as_plain(),
        "generation": generation,
        "batch_size": args.batch_size,
    }
