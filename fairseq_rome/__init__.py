"""Edit a trained fairseq translation model from one corrected example, without training.

Importing the package is light, and registers nothing by itself. Named as fairseq's ``--user-dir`` it is
imported by fairseq, which then imports ``fairseq_rome.tasks`` on its own; all that is left to do here is to
teach ``torch.load`` the globals of fairseq checkpoints, and torch is loaded by then. Our own commands, and
programs that import this package before they hand the flag to fairseq, call
`fairseq_rome.host.user_dir.share_user_dir`, which does all of it once.
"""

import sys
from typing import TYPE_CHECKING, Any

from fairseq_rome.version import __version__

if TYPE_CHECKING:
    from fairseq_rome.patch.loading import patched

__all__ = ["__version__", "patched"]

if "torch" in sys.modules:
    from fairseq_rome.host.checkpoint import allow_safe_globals

    allow_safe_globals()


def __getattr__(name: str) -> Any:
    if name == "patched":
        from fairseq_rome.patch.loading import patched

        return patched
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
