"""`fairseq-edit`: corrected sentences in, an edited checkpoint out."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, Sequence

from fairseq_rome.cli.command import command, import_fairseq
from fairseq_rome.cli.edit_options import as_yaml, parse
from fairseq_rome.cli.interrupts import telling_if_written

if TYPE_CHECKING:
    from fairseq_rome.server.queue_requests import ProvenFixes


def _parse_and_run(argv: Sequence[str]) -> int:
    asked = parse(argv, import_fairseq)
    from fairseq_rome.cli.printers import PreviewPrinter, printer
    from fairseq_rome.host.plain_checks import plain_checks
    from fairseq_rome.workbench.edit_job import EditJob

    if not asked.dry_run:
        with telling_if_written(asked.spec.output), plain_checks():
            tell = printer(asked.as_json, asked.spec.settings)
            done = EditJob(asked.spec, tell, asked.progress).run()
        if asked.queued is not None and done.written:
            tell.note(_told_of_queue(asked.queued))
        return 0 if done.held else 1
    # The settings, and as comments in them what would be done: the whole can be fed back.
    print(as_yaml(asked.spec.settings), end="")
    comments = PreviewPrinter()
    for one in EditJob(asked.spec, comments, asked.progress).preview():
        comments.preview(one)
    return 0


def _told_of_queue(queued: ProvenFixes) -> str:
    """Mark in a queue what was written; what is said of it."""
    from fairseq_rome.server.queue_requests import mark_baked

    if mark_baked(queued.path, queued.fixes):
        return f"marked {len(queued.fixes)} fixes in {queued.path} as baked"
    return f"{queued.path} is open in a server: its fixes are not marked as baked"


main = command("fairseq-edit", _parse_and_run)

if __name__ == "__main__":
    sys.exit(main())
