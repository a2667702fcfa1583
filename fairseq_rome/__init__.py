"""Edit a trained fairseq translation model from one corrected example, without training.

    import fairseq_rome

    bench = fairseq_rome.open("model.pt", data="data-bin", source="en", target="de", bpe="sentencepiece",
                              sentencepiece_model="spm.model")
    outcome = bench.edit([fairseq_rome.EditRequest("A man rides a bike.", "Ein Mann fährt Velo.")])
    bench.write("edited.pt", outcome)

Importing the package is light, and registers nothing by itself. Named as fairseq's ``--user-dir`` it is
imported by fairseq, which then imports ``fairseq_rome.tasks`` on its own; all that is left to do here is to
teach ``torch.load`` the globals of fairseq checkpoints, and torch is loaded by then. `open`, our own commands, and
programs that import this package before they hand the flag to fairseq, call
`fairseq_rome.host.user_dir.share_user_dir`, which does all of it once.
"""

import importlib
import sys
from typing import TYPE_CHECKING, Any

from fairseq_rome.version import __version__

if TYPE_CHECKING:
    from fairseq_rome.editing.edit_settings import EditSettings
    from fairseq_rome.editing.outcome import Outcome, Result
    from fairseq_rome.errors import EditError
    from fairseq_rome.patch.loading import patched
    from fairseq_rome.report import Report
    from fairseq_rome.text.requests import EditFile, EditRequest, NamedHunk, Probe, read_edit_file
    from fairseq_rome.tracing import CausalTrace, LocateSettings
    from fairseq_rome.workbench.entry import open_workbench as open
    from fairseq_rome.workbench.workbench import Workbench

_PUBLIC = {
    "CausalTrace": "tracing",
    "EditError": "errors",
    "EditFile": "text.requests",
    "EditRequest": "text.requests",
    "EditSettings": "editing.edit_settings",
    "LocateSettings": "tracing",
    "NamedHunk": "text.requests",
    "Outcome": "editing.outcome",
    "Probe": "text.requests",
    "Report": "report",
    "Result": "editing.outcome",
    "Workbench": "workbench.workbench",
    "open": "workbench.entry",
    "patched": "patch.loading",
    "read_edit_file": "text.requests",
}
"""The public names, and the modules that they live in; each is imported when it is first asked for."""

__all__ = [
    "CausalTrace",
    "EditError",
    "EditFile",
    "EditRequest",
    "EditSettings",
    "LocateSettings",
    "NamedHunk",
    "Outcome",
    "Probe",
    "Report",
    "Result",
    "Workbench",
    "__version__",
    "open",
    "patched",
    "read_edit_file",
]

if "torch" in sys.modules:
    from fairseq_rome.host.checkpoint import allow_safe_globals

    allow_safe_globals()


def __getattr__(name: str) -> Any:
    if name not in _PUBLIC:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    module = importlib.import_module(f"{__name__}.{_PUBLIC[name]}")
    return getattr(module, "open_workbench" if name == "open" else name)
