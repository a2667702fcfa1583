"""The one exception that a user can act on."""

from __future__ import annotations


class EditError(ValueError):
    """What a user can put right.

    The message is one line that names the file, the line, the value and what was expected. The command line
    prints it and exits with status 2; any other exception is a fault of the program and keeps its traceback.
    """
