"""`fairseq-edit`: corrected sentences in, an edited checkpoint out."""

from __future__ import annotations

import sys
from typing import Sequence

from fairseq_rome.cli.command import command, import_fairseq
from fairseq_rome.cli.edit_options import as_yaml, parse
from fairseq_rome.cli.interrupts import telling_if_written


def _parse_and_run(argv: Sequence[str]) -> int:
    asked = parse(argv, import_fairseq)
    from fairseq_rome.cli.printers import PreviewPrinter, printer
    from fairseq_rome.workbench.edit_job import EditJob

    if not asked.dry_run:
        with telling_if_written(asked.spec.save_to):
            tell = printer(asked.as_json, asked.spec.settings)
            return 0 if EditJob(asked.spec, tell, asked.progress).run().held else 1
    # The settings, and as comments in them what would be done: the whole can be fed back.
    print(as_yaml(asked.spec.settings), end="")
    comments = PreviewPrinter()
    for one in EditJob(asked.spec, comments, asked.progress).preview():
        comments.preview(one)
    return 0


main = command("fairseq-edit", _parse_and_run)

if __name__ == "__main__":
    sys.exit(main())
