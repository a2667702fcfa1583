"""`fairseq-edit`: corrected sentences in, an edited checkpoint out."""

from __future__ import annotations

import sys
from typing import Optional, Sequence

from fairseq_rome.cli.command import import_fairseq, run
from fairseq_rome.cli.edit_options import as_yaml, parse
from fairseq_rome.cli.interrupts import telling_if_written


def main(argv: Optional[Sequence[str]] = None) -> int:
    """Run the command.

    Args:
        argv: arguments; those of the process if None.

    Returns:
        Exit status: 0 all hold, 1 a request failed, 2 something the user can put right.

    Raises:
        SystemExit: after printing the help.
    """
    return run("fairseq-edit", _parse_and_run, argv)


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


def cli_main() -> None:
    """Entry point of the console script."""
    sys.exit(main())


if __name__ == "__main__":
    cli_main()
